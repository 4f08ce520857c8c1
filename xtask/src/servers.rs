//! Our own programs as running servers: the demo, the benchmark and the tests start some.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// How long a server may take until it says where it listens. Generous, because a laptop
/// may be compiling beside it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that is ended when this value is dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens, e.g. `http://127.0.0.1:41234`, or whatever else it was started for.
    pub address: String,
}

impl Server {
    /// Starts a program and waits for the line on its stdout that holds its address; the
    /// lines after it are thrown away.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        Self::start_saying(command, address_in)
    }

    /// The same with the line that `find` finds something in.
    pub(crate) fn start_saying(
        command: &mut Command,
        mut find: impl FnMut(&str) -> Option<String> + Send + 'static,
    ) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            // Closed when we end, however that happens; test-mariadb then ends, too.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("`{name}` could not be started"))?;
        let stdout = child.stdout.take().context("its stdout was asked for")?;
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            // Reads to the end even when nobody listens any more: a full pipe would stop
            // the server.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(address) = find(&line) {
                    let _ = tell.send(address);
                }
            }
        });
        match told.recv_timeout(PATIENCE) {
            Ok(address) => Ok(Self { child, address }),
            Err(_) => {
                let _ = child.kill();
                let status = child.wait();
                bail!("`{name}` did not say where it listens; it ended with {status:?}");
            }
        }
    }

    /// The same for a program that says several things, as `name value` each on a line, and then
    /// `ready`: [`Self::said`] looks them up.
    pub(crate) fn start_saying_all(command: &mut Command) -> Result<Self> {
        let mut said = String::new();
        Self::start_saying(command, move |line| {
            said.push_str(line);
            said.push('\n');
            (line == "ready").then(|| said.clone())
        })
    }

    /// What was said under this name; empty when it was not.
    pub(crate) fn said(&self, name: &str) -> &str {
        let mut lines = self.address.lines().filter_map(|line| line.split_once(' '));
        lines
            .find(|(it, _)| *it == name)
            .map_or("", |(_, value)| value)
    }

    /// Its process number, for counting its CPU time.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The address as `127.0.0.1:41234`.
    pub(crate) fn authority(&self) -> &str {
        self.address.trim_start_matches("http://")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first `http://host:port` in a line.
fn address_in(line: &str) -> Option<String> {
    let start = line.find("http://")?;
    let rest = &line[start + "http://".len()..];
    let length = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || ".:[]-".contains(c)))
        .unwrap_or(rest.len());
    let authority = &rest[..length];
    authority
        .rsplit_once(':')
        .filter(|(_, port)| port.parse::<u16>().is_ok())
        .map(|_| format!("http://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::address_in;

    #[test]
    fn an_address_is_found_in_a_line() {
        let found = |line| address_in(line);
        let expected = Some("http://127.0.0.1:8000".to_owned());
        assert_eq!(found("listening on http://127.0.0.1:8000"), expected);
        assert_eq!(found("http://127.0.0.1:8000/v1beta (fake)"), expected);
        assert_eq!(found("see http://example.org/ for more"), None);
        assert_eq!(found("starting"), None);
    }
}
