//! Splitting a stream of bytes into server-sent events, wherever the bytes were cut.

use bytes::Bytes;
use memchr::{memchr, memchr2};

/// An event grew beyond the bound; the stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {max} bytes")]
pub struct EventTooLong {
    /// The bound that was given.
    pub max: usize,
}

/// Bytes in, the `data` of each event out.
///
/// Understands LF, CRLF and CR, several `data` lines in one event, comments, a byte-order
/// mark, and ignores other fields. An event that lies in one piece of input is a slice of
/// it; only what is cut is copied, once.
///
/// ```
/// let mut events = dialect::sse::Events::new(1024);
/// events.push(bytes::Bytes::from_static(b"data: {\"a\":1}\r\n\r\ndata: {\"b\""));
/// assert_eq!(events.next().unwrap().unwrap(), "{\"a\":1}");
/// assert!(events.next().is_none(), "more input is needed");
/// events.push(bytes::Bytes::from_static(b":2}\r\n\r\n"));
/// assert_eq!(events.next().unwrap().unwrap(), "{\"b\":2}");
/// ```
#[derive(Debug)]
pub struct Events {
    max: usize,
    /// Input not looked at yet.
    input: Bytes,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    data: Data,
    /// The last line ended with CR, so an LF at once belongs to it.
    after_cr: bool,
    /// Nothing but a byte-order mark may have come.
    at_start: bool,
    failed: bool,
}

/// The `data` lines of the event so far.
#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    One(Bytes),
    Joined(Vec<u8>),
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(line) => line.len(),
            Self::Joined(lines) => lines.len(),
        }
    }

    fn add(&mut self, line: Bytes) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(line),
            Self::One(first) => {
                let mut lines = Vec::with_capacity(first.len() + 1 + line.len());
                lines.extend_from_slice(&first);
                lines.push(b'\n');
                lines.extend_from_slice(&line);
                Self::Joined(lines)
            }
            Self::Joined(mut lines) => {
                lines.push(b'\n');
                lines.extend_from_slice(&line);
                Self::Joined(lines)
            }
        };
    }

    fn take(&mut self) -> Option<Bytes> {
        match std::mem::take(self) {
            Self::None => None,
            Self::One(line) => Some(line),
            Self::Joined(lines) => Some(Bytes::from(lines)),
        }
    }
}

impl Events {
    /// A splitter that refuses events of more than `max_event_bytes`.
    pub fn new(max_event_bytes: usize) -> Self {
        Self {
            max: max_event_bytes,
            input: Bytes::new(),
            line: Vec::new(),
            data: Data::None,
            after_cr: false,
            at_start: true,
            failed: false,
        }
    }

    /// Takes the next piece of the stream. Read the events it completes with the iterator
    /// before pushing more.
    pub fn push(&mut self, piece: Bytes) {
        if self.input.is_empty() {
            self.input = piece;
        } else {
            let mut joined = Vec::with_capacity(self.input.len() + piece.len());
            joined.extend_from_slice(&self.input);
            joined.extend_from_slice(&piece);
            self.input = Bytes::from(joined);
        }
    }

    /// The stream has ended: the event that lacks its empty line, if there is one.
    pub fn finish(&mut self) -> Option<Bytes> {
        if self.failed {
            return None;
        }
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.end_line(Bytes::from(line));
        }
        self.data.take()
    }

    /// One line is complete; gives the event when it was the empty one.
    fn end_line(&mut self, mut line: Bytes) -> Option<Bytes> {
        if self.at_start {
            self.at_start = false;
            if line.starts_with(b"\xef\xbb\xbf") {
                line = line.slice(3..);
            }
        }
        if line.is_empty() {
            return self.data.take();
        }
        let colon = memchr(b':', &line).unwrap_or(line.len());
        if &line[..colon] == b"data" {
            let mut start = (colon + 1).min(line.len());
            if line.get(start) == Some(&b' ') {
                start += 1;
            }
            self.data.add(line.slice(start..));
        }
        None
    }

    fn too_long(&mut self, more: usize) -> bool {
        self.failed = self.line.len() + self.data.len() + more > self.max;
        self.failed
    }
}

impl Iterator for Events {
    type Item = Result<Bytes, EventTooLong>;

    /// The data of the next complete event, or `None` until more is pushed.
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        loop {
            if self.after_cr && !self.input.is_empty() {
                self.after_cr = false;
                if self.input[0] == b'\n' {
                    self.input = self.input.slice(1..);
                }
            }
            let end = memchr2(b'\n', b'\r', &self.input);
            if self.too_long(end.unwrap_or(self.input.len())) {
                return Some(Err(EventTooLong { max: self.max }));
            }
            let Some(end) = end else {
                self.line.extend_from_slice(&self.input);
                self.input = Bytes::new();
                return None;
            };
            self.after_cr = self.input[end] == b'\r';
            let piece = self.input.split_to(end);
            self.input = self.input.slice(1..);
            let line = if self.line.is_empty() {
                piece
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&piece);
                Bytes::from(line)
            };
            if let Some(event) = self.end_line(line) {
                return Some(Ok(event));
            }
        }
    }
}
