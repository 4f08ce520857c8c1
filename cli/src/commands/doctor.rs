//! `gemini-balance doctor`: looks at everything between a client and Google, and says what to do.
//!
//! It is the panel's check-up, for when the panel cannot be reached: a core of its own is started
//! on the same database, at a port that the system chooses and nobody is told.

use std::time::Duration;

use anyhow::bail;
use clap::{ArgMatches, Command};
use contract::admin::{DoctorReport, Finding, FindingCode as Code, FindingState};
use proxy_core::clock::Clock;
use proxy_core::settings::Settings;
use proxy_core::{CoreConfig, from_this_machine};

use super::print;

/// How long the core may take to end; nobody is connected to it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Describes the command, without the settings.
pub fn command() -> Command {
    Command::new("doctor")
        .about("Checks everything between your clients and Google, and says what to do")
        .long_about(
            "Checks the port, tokens, proxies, DNS, TLS, region, clock, keys and database, and says \
             what to do about each. Costs no quota. Needs the settings that the server has; it may \
             run meanwhile. Ends with 1 when something does not work.",
        )
}

/// Runs the command.
///
/// # Errors
/// When something does not work, or nothing could be looked at.
pub async fn run(mut settings: Settings, _: &ArgMatches) -> anyhow::Result<()> {
    let (master, sealing) = settings.sealing_key()?;
    let address = from_this_machine(settings.host, settings.port);
    // Its own ports would be in the way of the server's.
    settings.port = 0;
    settings.admin_port = 0;
    let running = proxy_core::start(CoreConfig {
        settings,
        on_settings: None,
        master,
        sealing,
        clock: Clock::system(),
        panel: None,
        extend: None,
    })
    .await?;
    let report = Box::pin(running.core().examine(Some(&address))).await;
    running.shutdown(PATIENCE).await;
    print(&told(&report))?;
    let bad = report
        .findings
        .iter()
        .filter(|found| found.state == FindingState::Bad);
    match bad.count() {
        0 => Ok(()),
        1 => bail!("one thing does not work"),
        bad => bail!("{bad} things do not work"),
    }
}

fn told(report: &DoctorReport) -> String {
    report.findings.iter().map(line).collect()
}

fn line(found: &Finding) -> String {
    let sign = match found.state {
        FindingState::Good => "ok  ",
        FindingState::Warning => "look",
        FindingState::Bad => "BAD ",
        FindingState::Unknown => "?   ",
    };
    let (what, advice) = said(found.code);
    let facts: String = [&found.subject, &found.detail]
        .into_iter()
        .filter(|text| !text.is_empty())
        .map(|text| format!("  {text}"))
        .collect();
    let is_well = found.state == FindingState::Good || advice.is_empty();
    let advice = match is_well {
        true => String::new(),
        false => format!("      {advice}\n"),
    };
    format!("{sign}  {what}{facts}\n{advice}")
}

/// What a finding says, and what to do about it.
fn said(code: Code) -> (&'static str, &'static str) {
    match code {
        Code::NameFound => ("Google's name is found", ""),
        Code::NameNotFound => (
            "Google's name is not found",
            "Is this machine online? Else use another DNS server, or a proxy (PROXIES).",
        ),
        Code::NameWrong => (
            "Google's name leads to a wrong address",
            "The DNS server makes it up: use a proxy (PROXIES), or another DNS server.",
        ),
        Code::NameByProxy => ("the proxy looks Google's name up", ""),
        Code::ProxyNone => ("calls go straight to Google", ""),
        Code::ProxySystem => ("calls go through the system's proxy", ""),
        Code::ProxyIgnored => (
            "the system has a proxy, which is not followed (SYSTEM_PROXY)",
            "",
        ),
        Code::ProxyListed => ("calls go through PROXIES", ""),
        Code::ProxyIsOurs => (
            "the proxy is this program itself",
            "It is not used. Put the address of your VPN program into PROXIES or the system's \
             settings.",
        ),
        Code::GoogleAnswers => ("Google answers", ""),
        Code::GoogleUnreachable => (
            "Google cannot be reached",
            "Check the network; in mainland China a proxy is needed (PROXIES). If one is named \
             here, check that it runs, and its user and password.",
        ),
        Code::GoogleStrange => (
            "something else answers in Google's place",
            "A login page of the network, a firewall, or a wrong BASE_URL.",
        ),
        Code::GoogleRegion => (
            "Google does not serve the region that calls leave in",
            "Use a proxy elsewhere, e.g. in Japan, Singapore or the USA. The keys are fine.",
        ),
        Code::ClockRight => ("the clock is right", ""),
        Code::ClockWrong => (
            "the clock is wrong",
            "Have the machine's clock synchronised.",
        ),
        Code::ClockUnknown => ("the clock could not be compared", ""),
        Code::KeyAccepted => ("Google accepts a key", ""),
        Code::KeyRefused => (
            "Google refuses a key",
            "Make a new one at https://aistudio.google.com/api-keys, and replace it.",
        ),
        Code::KeyUnknown => ("a key could not be checked", ""),
        Code::KeyNone => (
            "there is no key",
            "Make one at https://aistudio.google.com/api-keys and add it in the panel, or to API_KEYS.",
        ),
        Code::KeyNoneUsable => ("all keys are switched off", "Switch one on in the panel."),
        Code::TokenThere => ("clients have tokens", ""),
        Code::TokenUnknown => ("the client tokens could not be looked up", ""),
        Code::TokenNone => (
            "there is no client token",
            "Make one in the panel, or set ALLOWED_TOKENS.",
        ),
        Code::PortAnswers => ("clients of this machine reach it", ""),
        Code::PortSilent => (
            "nobody answers at the address for clients",
            "Start the server, or set HOST and PORT as it has them.",
        ),
        Code::PortForeign => (
            "another program answers at the address for clients",
            "Close that program, or choose another PORT.",
        ),
        Code::DatabaseReady => ("the database works", ""),
        Code::DatabaseAway => (
            "the database cannot be used",
            "Requests are answered all the same. Check the database's server and its settings.",
        ),
        Code::SealingOn => ("secrets are kept sealed", ""),
        Code::SealingOff => (
            "secrets are stored unprotected",
            "Set SECRET_KEY to a long random text and start again.",
        ),
        Code::SecretsNotStored => (
            "keys entered in the panel cannot be stored",
            "Set SECRET_KEY to a long random text and start again.",
        ),
    }
}
