//! The one window.

use std::path::PathBuf;

use tauri::plugin::TauriPlugin;
use tauri::webview::NewWindowResponse;
use tauri::{AppHandle, Manager as _, Url, WebviewUrl, WebviewWindowBuilder, WindowEvent, Wry};
use tauri_plugin_window_state::StateFlags;

use crate::{quit, tray};

/// The window's label; the capability is granted to it.
pub const MAIN: &str = "main";

/// Remembers size and place. Not whether it was visible: a start always shows it.
pub fn remembered() -> TauriPlugin<Wry> {
    tauri_plugin_window_state::Builder::default()
        .with_state_flags(StateFlags::all() & !StateFlags::VISIBLE)
        .build()
}

/// Opens the window; what the webview keeps goes into `folder`. Closing the window hides
/// it where a tray can bring it back, else quits.
pub fn open(app: &AppHandle, folder: PathBuf) -> tauri::Result<()> {
    let window = WebviewWindowBuilder::new(app, MAIN, WebviewUrl::default())
        .title("Gemini Balance")
        .data_directory(folder)
        // Wide enough for the panel to show its navigation (from 1200 pixels).
        .inner_size(1280.0, 820.0)
        .min_inner_size(720.0, 520.0)
        // The panel is all this window ever shows.
        .on_navigation(is_ours)
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .build()?;
    let app = app.clone();
    window.on_window_event(move |event| {
        if let WindowEvent::CloseRequested { api, .. } = event {
            api.prevent_close();
            let app = app.clone();
            // Whether somebody shows tray icons is asked over D-Bus, so not on this thread.
            tauri::async_runtime::spawn_blocking(move || {
                if tray::is_shown(&app) {
                    hide(&app)
                } else {
                    quit(&app)
                }
            });
        }
    });
    Ok(())
}

/// Brings the window to the front, wherever it was.
pub fn show(app: &AppHandle) {
    act(app, |window| {
        window.show()?;
        window.unminimize()?;
        window.set_focus()
    });
}

/// Hides the window; everything goes on.
pub fn hide(app: &AppHandle) {
    act(app, tauri::WebviewWindow::hide);
}

fn act(app: &AppHandle, what: impl Fn(&tauri::WebviewWindow) -> tauri::Result<()>) {
    if let Some(window) = app.get_webview_window(MAIN)
        && let Err(error) = what(&window)
    {
        tracing::warn!(%error, "the window does not obey");
    }
}

/// `tauri://localhost` (Linux, macOS) or `http://tauri.localhost` (Windows).
fn is_ours(url: &Url) -> bool {
    url.scheme() == "tauri" || (url.scheme() == "http" && url.host_str() == Some("tauri.localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_shows_nothing_but_the_panel() {
        for (url, ours) in [
            ("tauri://localhost/index.html", true),
            ("http://tauri.localhost/keys", true),
            ("http://tauri.localhost.example.com/", false),
            ("http://127.0.0.1:8000/", false),
            ("https://example.com/", false),
            ("file:///etc/passwd", false),
            ("data:text/html,x", false),
        ] {
            assert_eq!(is_ours(&url.parse().unwrap()), ours, "{url}");
        }
    }
}
