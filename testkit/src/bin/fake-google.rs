//! The fake Google as a program of its own, for `--demo`, browser tests and benchmarks.
//!
//! It prints its address (`http://127.0.0.1:PORT`) as one line on stdout and then serves
//! until it is stopped.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::Parser;
use testkit::google::{FakeGoogle, Fault, Quota, Refusal, Rule, Script};

/// A fake Gemini API: answers, quotas and refusals like Google's, without Google.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Keys it takes. KEY@PROJECT puts a key into a project; otherwise each key has its own.
    #[arg(long, value_delimiter = ',', default_value = DEMO_KEYS)]
    keys: Vec<String>,
    /// Projects that the keys without one are dealt out to in turn.
    #[arg(long, value_delimiter = ',')]
    projects: Vec<String>,
    /// Requests a minute for each project and model.
    #[arg(long)]
    rpm: Option<u64>,
    /// Input tokens a minute for each project and model.
    #[arg(long)]
    tpm: Option<u64>,
    /// Requests a day for each project and model.
    #[arg(long)]
    rpd: Option<u64>,
    /// Keys that are turned away, each with the reason: invalid, expired, suspended, leaked,
    /// service-disabled, service-blocked, location or token-type.
    #[arg(long, value_delimiter = ',', value_name = "KEY=REASON", value_parser = refused)]
    refuse: Vec<(String, Refusal)>,
    /// Milliseconds before each answer.
    #[arg(long, default_value_t = 0)]
    latency: u64,
    /// Milliseconds before each event of a stream.
    #[arg(long, default_value_t = 0)]
    pace: u64,
}

/// Keys in both of Google's shapes, for a demonstration.
const DEMO_KEYS: &str = "AIzaSyDemo0000000000000000000000000001,AIzaSyDemo0000000000000000000000000002,\
                         AQ.Demo00000000000000000000000000000000000000000000003";

/// Reads `KEY=REASON`.
fn refused(given: &str) -> Result<(String, Refusal), String> {
    let (key, reason) = given.split_once('=').ok_or("give it as KEY=REASON")?;
    Ok((key.to_owned(), reason.parse()?))
}

// One thread: it answers faster than a second core could fetch, and leaves that core to
// the program that is measured.
#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let quota = Quota {
        rpm: options.rpm,
        tpm: options.tpm,
        rpd: options.rpd,
    };
    let mut script = Script::new();
    for (millis, fault) in [
        (options.latency, Fault::Latency as fn(_) -> _),
        (options.pace, Fault::SlowDrip),
    ] {
        if millis > 0 {
            script = script.rule(Rule::new(fault(Duration::from_millis(millis))));
        }
    }
    let mut google = FakeGoogle::builder()
        .address(SocketAddr::new(options.host, options.port))
        .record(false)
        .script(script);
    for (i, given) in options.keys.iter().enumerate() {
        let own = || match options.projects.len() {
            0 => format!("demo-project-{}", i + 1),
            count => options.projects[i % count].clone(),
        };
        let (key, project) = given.split_once('@').map_or_else(
            || (given.as_str(), own()),
            |(key, project)| (key, project.to_owned()),
        );
        google = google.project(project.clone(), quota).key(key, project);
    }
    let google = google.try_start().await?;
    for (key, refusal) in &options.refuse {
        google.disable_key(key, *refusal);
    }
    writeln!(std::io::stdout(), "{}", google.origin())?;
    tokio::signal::ctrl_c().await
}
