//! Just enough HTTP/1.1 to time the first byte of an answer on one kept connection. A
//! client library would add its own time and threads to what is measured.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// One connection that is used for all requests.
pub(super) struct Connection {
    authority: String,
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(super) fn open(authority: &str) -> Result<Self> {
        let stream = TcpStream::connect(authority)
            .with_context(|| format!("nothing listens on {authority}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self {
            authority: authority.to_owned(),
            stream: BufReader::new(stream),
        })
    }

    /// Sends a request, reads the whole answer, and returns the time from the request's
    /// last byte to the first byte of the answer's body.
    pub(super) fn post(
        &mut self,
        path: &str,
        (name, value): (&str, &str),
        body: &str,
    ) -> Result<Duration> {
        // One write, as clients do: two would bring the delays of Nagle's algorithm in.
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             {name}: {value}\r\ncontent-length: {}\r\n\r\n{body}",
            self.authority,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let sent = Instant::now();
        let length = self.read_head()?;
        if self.stream.fill_buf()?.is_empty() {
            bail!(
                "{} closed the connection before the answer's body",
                self.authority
            );
        }
        let took = sent.elapsed();
        match length {
            Some(length) => self.skip(length)?,
            None => self.skip_chunks()?,
        }
        Ok(took)
    }

    /// Reads status and headers; returns the body's length, `None` when it is chunked.
    fn read_head(&mut self) -> Result<Option<u64>> {
        let status = self.line()?;
        if !status.starts_with("HTTP/1.1 200") {
            bail!("{} answered `{status}`", self.authority);
        }
        let mut length = None;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                return Ok(length);
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = Some(value.trim().parse()?);
            }
        }
    }

    fn skip_chunks(&mut self) -> Result<()> {
        loop {
            let size = self.line()?;
            let size = u64::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)
                .with_context(|| format!("`{size}` is no chunk size"))?;
            self.skip(size)?;
            self.line()?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn skip(&mut self, length: u64) -> Result<()> {
        let copied = std::io::copy(&mut (&mut self.stream).take(length), &mut std::io::sink())?;
        if copied < length {
            bail!("{} closed the connection inside an answer", self.authority);
        }
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("{} closed the connection", self.authority);
        }
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        Ok(line)
    }
}
