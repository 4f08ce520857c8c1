//! wrk as the load generator.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{CONNECTIONS, Shape};
use crate::shell;
use crate::workspace::Workspace;

/// One kind of request to one server.
pub(super) struct Load {
    wrk: PathBuf,
    script: PathBuf,
    url: String,
}

/// What wrk did.
pub(super) struct Requests {
    pub count: f64,
    pub seconds: f64,
}

impl Load {
    pub(super) fn new(
        workspace: &Workspace,
        folder: &Path,
        address: &str,
        shape: Shape,
        credential: (&str, &str),
    ) -> Result<Self> {
        let url = format!("{address}{}", shape.path());
        let port = address.rsplit(':').next().unwrap_or_default();
        let script = folder.join(format!("{port}-{}.lua", shape as u8));
        // The request is built once: wrk then sends the same bytes each time.
        let text = format!(
            "wrk.method = \"POST\"\nwrk.body = [==[{}]==]\n\
             wrk.headers[\"content-type\"] = \"application/json\"\n\
             wrk.headers[\"{}\"] = \"{}\"\n",
            shape.body(),
            credential.0,
            credential.1
        );
        fs::write(&script, text).with_context(|| format!("cannot write {}", script.display()))?;
        let wrk = shell::which("wrk").with_context(|| {
            format!(
                "wrk is not here (looked for by {})",
                workspace.root.display()
            )
        })?;
        Ok(Self { wrk, script, url })
    }

    /// Loads the server for some seconds. Any answer but 2xx fails: a server that answers
    /// errors fast would win.
    pub(super) fn run(&self, seconds: u32) -> Result<Requests> {
        let text = shell::output(
            Command::new(&self.wrk)
                .args(["--threads=1", &format!("--connections={CONNECTIONS}")])
                .arg(format!("--duration={seconds}s"))
                .arg("--script")
                .arg(&self.script)
                .arg(&self.url),
        )?;
        requests_in(&text).with_context(|| format!("{} did not take the load:\n{text}", self.url))
    }
}

/// Reads `12345 requests in 5.00s, 6.00MB read` out of wrk's report.
fn requests_in(text: &str) -> Result<Requests> {
    for complaint in ["Non-2xx", "Socket errors"] {
        if let Some(line) = text.lines().find(|line| line.contains(complaint)) {
            bail!("{}", line.trim());
        }
    }
    let line = text.lines().find(|line| line.contains(" requests in "));
    let (count, rest) = line
        .and_then(|line| line.trim().split_once(" requests in "))
        .context("wrk counted no requests")?;
    let duration = rest.split(',').next().unwrap_or_default();
    let seconds = match duration.strip_suffix('s') {
        Some(seconds) => seconds.parse().ok(),
        None => duration
            .strip_suffix('m')
            .and_then(|m| m.parse::<f64>().ok())
            .map(|m| m * 60.0),
    };
    let count: f64 = count.parse().context("wrk's count is no number")?;
    if count == 0.0 {
        bail!("not one request was answered");
    }
    Ok(Requests {
        count,
        seconds: seconds.context("wrk's time is no number")?,
    })
}

#[cfg(test)]
mod tests {
    use super::requests_in;

    #[test]
    fn wrks_report_is_read_and_errors_are_errors() {
        let good = "Running 5s test\n  1 threads\n  12345 requests in 5.00s, 6.00MB read\n";
        let requests = requests_in(good).unwrap();
        assert_eq!((requests.count, requests.seconds), (12345.0, 5.0));
        assert!(requests_in(&format!("{good}  Non-2xx or 3xx responses: 1\n")).is_err());
        assert!(requests_in("  0 requests in 5.00s, 0.00B read\n").is_err());
        assert!(requests_in("").is_err());
    }
}
