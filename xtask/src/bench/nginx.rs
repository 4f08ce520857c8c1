//! nginx as the plain keep-alive reverse proxy to compare with.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::process::{self, Usage};
use crate::shell;
use crate::workspace::Workspace;

/// A running nginx; ended when dropped.
pub(super) struct Nginx {
    master: Child,
    workers: Vec<u32>,
    /// Where it listens, e.g. `http://127.0.0.1:41234`.
    pub address: String,
}

impl Nginx {
    /// Starts nginx in front of the server at `upstream` (`host:port`).
    pub(super) fn start(workspace: &Workspace, folder: &Path, upstream: &str) -> Result<Self> {
        let home = folder.join("nginx");
        fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
        // nginx cannot say which port it was given, so one that is free is chosen for it.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .context("there is no free port")?
            .port();
        let file = home.join("nginx.conf");
        fs::write(&file, configuration(&home, port, upstream))
            .with_context(|| format!("cannot write {}", file.display()))?;
        let nginx = shell::which("nginx").context("nginx is not here")?;
        let mut master = shell::program(workspace, nginx)
            .arg("-e")
            .arg(home.join("error.log"))
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .context("nginx could not be started")?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if Instant::now() > deadline || master.try_wait()?.is_some() {
                let _ = master.kill();
                bail!(
                    "nginx did not start; see {}",
                    home.join("error.log").display()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let workers = process::children(master.id())?;
        Ok(Self {
            master,
            workers,
            address: format!("http://127.0.0.1:{port}"),
        })
    }

    pub(super) fn usage(&self) -> Result<Usage> {
        Usage::of(&self.processes())
    }

    /// Memory of all its processes in RAM, in KiB; pages they share count for each.
    pub(super) fn resident_kib(&self) -> Result<u64> {
        self.processes()
            .into_iter()
            .map(process::resident_kib)
            .sum()
    }

    pub(super) fn authority(&self) -> &str {
        self.address.trim_start_matches("http://")
    }

    fn processes(&self) -> Vec<u32> {
        std::iter::once(self.master.id())
            .chain(self.workers.iter().copied())
            .collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM, so that the master ends its workers; the standard library only knows SIGKILL.
        let pid = self.master.id().to_string();
        let ended = std::process::Command::new("kill").arg(pid).status();
        if !ended.is_ok_and(|status| status.success()) {
            let _ = self.master.kill();
        }
        let _ = self.master.wait();
    }
}

/// Nothing but passing on: no logs, kept connections on both sides, answers buffered as
/// nginx does by default, streams not.
fn configuration(home: &Path, port: u16, upstream: &str) -> String {
    let home = home.display();
    format!(
        r#"daemon off;
worker_processes auto;
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    keepalive_requests 1000000000;
    upstream google {{
        server {upstream};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://google;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
        location ~ :streamGenerateContent$ {{
            proxy_pass http://google;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"#
    )
}
