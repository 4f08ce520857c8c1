//! The desktop window: the panel, the local proxy in-process, the vault, the tray.
//!
//! This crate is a thin shell. What it adds to the core is what only a desktop has: a
//! keychain that may ask the user, a port that another program may have, a clipboard, a
//! tray, one window. The webview gets the commands of [`contract::desktop`] and nothing
//! else.
//!
//! Deliberately absent: an HTTP call from the webview, a secret on its way into it, a
//! file-system or shell plugin, and any decision about keys or requests (the core's).

#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

mod app_token;
mod bridge;
mod clipboard;
mod desktop;
mod links;
mod local;
mod log;
mod port;
mod prefs;
mod tray;
mod window;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tauri::{AppHandle, Manager as _, RunEvent};

use crate::desktop::Desktop;
use crate::local::Environment;

/// What a person sees who started the app where it cannot show anything.
const NO_WINDOW: &str = "The window cannot be opened. Is this a session with a display, and \
    (on Linux) may this user use the one that DISPLAY or WAYLAND_DISPLAY names?";
/// How long running answers may take to end when the system ends the app: it gives an app
/// a few seconds.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// As in `tauri.conf.json`; with [`build`] it names the data folder and the keychain's entry.
const IDENTIFIER: &str = "io.github.gemini-balance.desktop";

fn main() -> ExitCode {
    relaunch_for_webkit();
    let Some(folder) = data_folder() else {
        return ExitCode::FAILURE;
    };
    let made = vault::create_private_folder(&folder);
    let log = log::start(&folder);
    if let Err(error) = made {
        tracing::error!(%error, folder = %folder.display(), "the data folder cannot be made");
    }
    let again = Arc::new(AtomicBool::new(false));
    let opened = Arc::new(AtomicBool::new(false));
    // The window library panics where it finds no display.
    let ended = {
        let (again, opened) = (again.clone(), opened.clone());
        std::panic::catch_unwind(AssertUnwindSafe(move || run(folder, again, opened)))
    };
    let code = match ended {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            tracing::error!(%error, "{NO_WINDOW}");
            ExitCode::FAILURE
        }
        Err(_) if opened.load(Ordering::SeqCst) => {
            tracing::error!("the app ended because of a bug; the place is named above");
            ExitCode::FAILURE
        }
        Err(_) => {
            tracing::error!("{NO_WINDOW}");
            ExitCode::FAILURE
        }
    };
    // What is still to be written goes into the file before the next one begins.
    drop(log);
    if again.load(Ordering::SeqCst) {
        start_again();
    }
    code
}

#[expect(
    clippy::disallowed_methods,
    reason = "Tauri's macro ends the process when the files in it do not unpack"
)]
fn run(
    folder: PathBuf,
    again: Arc<AtomicBool>,
    opened: Arc<AtomicBool>,
) -> tauri::Result<ExitCode> {
    let mut context = tauri::generate_context!();
    context.config_mut().identifier = instance(chosen_folder().as_deref());
    let app = tauri::Builder::default()
        // First, so that a second start ends before it touches anything.
        .plugin(tauri_plugin_single_instance::init(move |app, _, _| {
            let desktop = app.try_state::<Arc<Desktop>>();
            if desktop.is_some_and(|desktop| desktop.ending.load(Ordering::SeqCst)) {
                // Too late to stay; it begins anew when the running answers have ended.
                again.store(true, Ordering::SeqCst);
            } else {
                window::show(app);
            }
        }))
        .plugin(window::remembered())
        .invoke_handler(bridge::handler())
        .setup(move |app| {
            let webview = folder.join("webview");
            let desktop = Arc::new(Desktop::new(Environment::of_this_process(folder), &build()));
            app.manage(desktop.clone());
            app.manage(clipboard::Clipboard::default());
            window::open(app.handle(), webview)?;
            opened.store(true, Ordering::SeqCst);
            tray::open(app.handle(), &desktop);
            bridge::announce(app.handle(), &desktop);
            end_on_signal(app.handle());
            tauri::async_runtime::spawn(async move { desktop.open(None).await });
            Ok(())
        })
        .build(context)?;
    let code = app.run_return(|app, event| match event {
        RunEvent::ExitRequested {
            code: None, api, ..
        } => {
            api.prevent_exit();
            quit(app);
        }
        RunEvent::Exit => end_at_once(app),
        #[cfg(target_os = "macos")]
        RunEvent::Reopen { .. } => window::show(app),
        _ => {}
    });
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Lets running answers end, then ends the app. A second wish to quit does not wait.
pub fn quit(app: &AppHandle) {
    let desktop = app.state::<Arc<Desktop>>().inner().clone();
    if desktop.ending.swap(true, Ordering::SeqCst) {
        app.exit(0);
        return;
    }
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        window::hide(&app);
        desktop.local.stop().await;
        tracing::info!("end");
        app.exit(0);
    });
}

/// The last moment of the app. On macOS the menu's "Quit" and its key lead straight here,
/// on Windows so does signing out; then the records of the last requests are still to be
/// written.
fn end_at_once(app: &AppHandle) {
    let desktop = app.state::<Arc<Desktop>>().inner().clone();
    if desktop.ending.swap(true, Ordering::SeqCst) {
        // `quit` has waited, or the user does not want to wait.
        return;
    }
    tauri::async_runtime::block_on(async move {
        let stopped = desktop.local.stop_within(LAST_PATIENCE);
        if tokio::time::timeout(2 * LAST_PATIENCE, stopped)
            .await
            .is_err()
        {
            tracing::warn!("the proxy did not stop in time");
        }
    });
    tracing::info!("end");
}

/// Starts the app anew, as it was started.
fn start_again() {
    let started = std::env::current_exe().and_then(|program| {
        std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .spawn()
    });
    if let Err(error) = started {
        tracing::error!(%error, "the app does not start again");
    }
}

/// Signals are a wish to quit, not to lose answers: on Linux and macOS those of signing
/// out, of Ctrl-C and of a closed terminal; on Windows Ctrl-C, where there is a console.
/// Each is a wish of its own, and [`quit`] does not wait at the second.
fn end_on_signal(app: &AppHandle) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut terminate), Ok(mut hang_up), Ok(mut interrupt)) = (
                signal(SignalKind::terminate()),
                signal(SignalKind::hangup()),
                signal(SignalKind::interrupt()),
            ) else {
                return;
            };
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = hang_up.recv() => {}
                    _ = interrupt.recv() => {}
                }
                quit(&app);
            }
        }
        #[cfg(not(unix))]
        while tokio::signal::ctrl_c().await.is_ok() {
            quit(&app);
        }
    });
}

/// Where everything lies: the folder that was chosen, or the platform's for data of an app.
fn data_folder() -> Option<PathBuf> {
    chosen_folder().or_else(|| Some(directories::BaseDirs::new()?.data_local_dir().join(build())))
}

/// The folder that `GEMINI_BALANCE_DATA_DIR` names.
fn chosen_folder() -> Option<PathBuf> {
    std::env::var_os("GEMINI_BALANCE_DATA_DIR")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
}

/// The name of this build, which also names its entry in the keychain: a development
/// build shares nothing with the one installed.
fn build() -> String {
    let kind = if cfg!(debug_assertions) { ".dev" } else { "" };
    format!("{IDENTIFIER}{kind}")
}

/// The name under which a second start finds the first. One with a folder of its own (a
/// demonstration, a test) is another app, so it does not end in the window of the real one.
fn instance(chosen: Option<&Path>) -> String {
    let Some(folder) = chosen else {
        return build();
    };
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    // A letter first: parts of a D-Bus name begin with one.
    format!("{}.x{:016x}", build(), hasher.finish())
}

/// WebKitGTK's DMA-BUF renderer shows an empty window with some drivers (tauri issue
/// 9304). The variable that turns it off has to be there before the first thread is, and
/// setting a variable is not safe after that; so the process replaces itself, once.
fn relaunch_for_webkit() {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt as _;
        const VARIABLE: &str = "WEBKIT_DISABLE_DMABUF_RENDERER";
        if std::env::var_os(VARIABLE).is_none()
            && let Ok(program) = std::env::current_exe()
        {
            // Returns only if it did not work; the window may still be fine then.
            let _error = std::process::Command::new(program)
                .args(std::env::args_os().skip(1))
                .env(VARIABLE, "1")
                .exec();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn nobody_else_looks_into_the_data_folder() {
        use std::os::unix::fs::PermissionsExt as _;
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        vault::create_private_folder(&folder.join("logs")).unwrap();
        let mode = std::fs::metadata(folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn each_folder_is_an_app_of_its_own() {
        let [usual, one, other] =
            [None, Some("/a"), Some("/b")].map(|path| instance(path.map(Path::new)));
        assert_eq!(one, instance(Some(Path::new("/a"))));
        assert!(usual != one && usual != other && one != other);
    }

    #[test]
    fn the_identifier_is_the_one_of_the_configuration() {
        let config: serde_json::Value =
            serde_json::from_str(include_str!("../../tauri.conf.json")).unwrap();
        assert_eq!(config["identifier"], IDENTIFIER);
    }
}
