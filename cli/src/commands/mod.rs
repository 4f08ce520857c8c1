//! What the command line does besides serving.

pub mod backup;
pub mod deploy;
pub mod doctor;
pub mod health;
pub mod password;
pub mod rotate_key;
pub mod takeover;

use std::io::Write as _;

use anyhow::Context as _;

/// Tells the user something; what programs read goes elsewhere.
fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stderr().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot write to standard error")
}

/// What was asked for, for people and programs.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}
