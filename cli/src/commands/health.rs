//! `gemini-balance health`: whether the server on this machine answers. It is the image's
//! `HEALTHCHECK`, because there is neither a shell nor curl in it.
//!
//! It asks `/health` and not `/ready`. Whoever runs containers ends the unhealthy ones or
//! sends them no requests, and neither mends what `/ready` says no to: before the first
//! set-up there is no key, and without requests to the panel there never will be; keys that
//! are all resting go on resting after a restart.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::{ArgMatches, Command};
use proxy_core::from_this_machine;
use proxy_core::settings::Settings;
use proxy_core::surface::HEALTHY;

/// How long it waits for the answer. Less than any of the usual time limits for the command,
/// so that its message is seen.
const PATIENCE: Duration = Duration::from_secs(4);

/// Describes the command, without the settings.
pub fn command() -> Command {
    Command::new("health")
        .about("Asks the server on this machine whether it answers (GET /health)")
        .long_about(
            "Asks the server on this machine whether it answers, at HOST and PORT, and ends with \
             0 when it does and with 1 when it does not. For health checks of containers. It \
             sees the environment, not the flags that the server was started with.",
        )
}

/// Runs it.
///
/// # Errors
/// When the server does not answer, or something else does.
pub async fn run(settings: Settings, _: &ArgMatches) -> anyhow::Result<()> {
    ensure!(
        settings.port != 0,
        "PORT is 0, so the server chose a port that nobody else knows: set PORT to the one it \
         should listen on"
    );
    // reqwest asks for one although nothing is encrypted here; another part of the process
    // may have installed the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = format!("{}/health", from_this_machine(settings.host, settings.port));
    let client = reqwest::Client::builder()
        .no_proxy()
        // The system's certificates would be read for nothing each time.
        .tls_certs_only([])
        .timeout(PATIENCE)
        .build()?;
    let answer = client.get(&url).send().await.with_context(|| {
        format!(
            "{url} does not answer; the server is not running, is still starting, or listens \
             elsewhere (set HOST and PORT in the environment, not by flags)"
        )
    })?;
    let (status, text) = (answer.status(), answer.text().await?);
    // Another program at that port may say 200 to everything.
    if !status.is_success() || text != HEALTHY {
        bail!(
            "{url} answers {status}, but not as gemini-balance does: another program listens \
             there; give this one another PORT"
        );
    }
    Ok(())
}
