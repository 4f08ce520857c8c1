//! A server beside which the commands are tried.

use std::path::Path;

use proxy_core::clock::Clock;
use proxy_core::settings::Settings;
use proxy_core::{CoreConfig, Running};

/// Starts a server on a free port, with `folder` for its data and `AUTH_TOKEN` when there is
/// one.
pub async fn serve(folder: &Path, auth_token: Option<&str>) -> Running {
    let folder = folder.display().to_string();
    let settings = Settings::load(|name| match name {
        "DATA_DIR" => Some(folder.clone()),
        "AUTH_TOKEN" => auth_token.map(str::to_owned),
        "PORT" => Some("0".to_owned()),
        _ => None,
    })
    .unwrap();
    let (master, sealing) = settings.sealing_key().unwrap();
    Box::pin(proxy_core::start(CoreConfig {
        on_settings: None,
        settings,
        master,
        sealing,
        clock: Clock::system(),
        panel: None,
        extend: None,
    }))
    .await
    .unwrap()
}
