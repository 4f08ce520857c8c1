//! The log: one file a day in the data folder, a week kept. And what a panic leaves there.

use std::path::Path;

use tracing::Metadata;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

/// What is logged when `RUST_LOG` says nothing: our own words, and the warnings of others.
const DEFAULT: &str = "warn,gemini_balance_desktop=info,proxy_core=info";

/// Writes the log to `logs/` in `folder` until the guard is dropped.
pub fn start(folder: &Path) -> Option<WorkerGuard> {
    record_panics();
    let appender = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("desktop")
        .filename_suffix("log")
        .max_log_files(7)
        .build(folder.join("logs"))
        .ok()?;
    let (writer, guard) = tracing_appender::non_blocking(appender);
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    tracing_subscriber::registry()
        .with(wanted)
        .with(filter_fn(may_be_logged))
        .with(fmt::layer().with_writer(writer).with_ansi(false))
        .init();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "start");
    Some(guard)
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
