//! The log: one file a day in the data folder, a week kept; warnings and errors also go
//! to where the app was started from. And what a panic leaves there.

use std::path::Path;
use std::sync::OnceLock;

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

/// What is logged when `RUST_LOG` says nothing: our own words, as many as `LOG_LEVEL` allows,
/// and the warnings of others.
fn usual(level: &str) -> EnvFilter {
    EnvFilter::new(format!(
        "warn,gemini_balance_desktop={level},proxy_core={level}"
    ))
}

/// Changes what is logged; there is one log, and it lasts as long as the program.
static WANTED: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Follows the setting `LOG_LEVEL`, unless `RUST_LOG` says what to log.
pub fn follow(level: &str) {
    if let (Some(wanted), Err(_)) = (WANTED.get(), EnvFilter::try_from_default_env()) {
        // Fails only when there is no log any more.
        let _ = wanted.reload(usual(level));
    }
}

/// Writes the log to `logs/` in `folder` until the guard is dropped. Where that folder
/// cannot be written, warnings and errors still go to the standard error output.
pub fn start(folder: &Path) -> Option<WorkerGuard> {
    record_panics();
    let logs = folder.join("logs");
    let file = vault::create_private_folder(&logs)
        .map_err(|error| error.to_string())
        .and_then(|()| {
            RollingFileAppender::builder()
                .rotation(Rotation::DAILY)
                .filename_prefix("desktop")
                .filename_suffix("log")
                .max_log_files(7)
                .build(&logs)
                .map_err(|error| error.to_string())
        })
        .map(tracing_appender::non_blocking);
    let (file, guard, problem) = match file {
        Ok((writer, guard)) => (Some(writer), Some(guard), None),
        Err(problem) => (None, None, Some(problem)),
    };
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| usual("info"));
    let (wanted, handle) = reload::Layer::new(wanted);
    let _ = WANTED.set(handle);
    tracing_subscriber::registry()
        .with(wanted)
        .with(filter_fn(may_be_logged))
        .with(file.map(|writer| fmt::layer().with_writer(writer).with_ansi(false)))
        .with(
            fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(false)
                // It would complain to the output that has just failed, and panic there.
                .log_internal_errors(false)
                .with_filter(LevelFilter::WARN),
        )
        .init();
    if let Some(problem) = problem {
        tracing::error!(problem, folder = %logs.display(), "no log can be written; is the data folder writable?");
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "start");
    guard
}

/// The keychain's library logs its entries with `Debug`, which can show a secret; so it
/// never logs here, whatever `RUST_LOG` says.
fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    !metadata.target().starts_with("keyring")
}

/// A panic goes to the log with its place. Its message goes there only when it is a
/// literal of the source: one with values filled in might hold anything.
fn record_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let literal = panic.payload().downcast_ref::<&'static str>().copied();
        tracing::error!(
            place,
            message = literal.unwrap_or("(message left out: it holds values)"),
            "panic"
        );
    }));
}
