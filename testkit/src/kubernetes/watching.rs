//! Answers that go on: watches and followed logs.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http_body::Frame;
use http_body_util::StreamBody;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::World;
use super::handle::{Query, Shape};
use super::resource::{self, Kind};
use super::selector::Selector;
use super::server::{Body, streamed};
use super::status::{Failure, Reply};
use super::store::{Change, uid};
use crate::launch::{Line, Log};

/// The server's least patience with a watch that names none.
const USUAL_TIMEOUT: Duration = Duration::from_secs(1800);
/// How often the server sends a bookmark by itself.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

struct Watch {
    world: Arc<World>,
    kind: &'static Kind,
    namespace: String,
    selector: Selector,
    shape: Shape,
    bookmarks: bool,
    /// Changes up to here were sent.
    cursor: u64,
    ready: VecDeque<Value>,
    ended: bool,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    until: i64,
    next_bookmark: i64,
    changed: watch::Receiver<u64>,
    bookmark: watch::Receiver<u64>,
    end: watch::Receiver<u64>,
}

/// Answers a watch.
pub(super) fn watch(
    world: &Arc<World>,
    kind: &'static Kind,
    namespace: &str,
    selector: Selector,
    query: &Query,
    shape: Shape,
) -> Result<Response<Body>, Failure> {
    let now = world.clock.now();
    let timeout = query
        .number("timeoutSeconds")
        .map_or(USUAL_TIMEOUT, Duration::from_secs);
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let initial = query.get("sendInitialEvents") == "true";
    let bookmarks = query.get("allowWatchBookmarks") == "true";
    let given = query.get("resourceVersion");
    let mut ready = VecDeque::new();
    // The receivers come first, so that no change falls between.
    let (changed, bookmark, end) = (
        world.changed.clone(),
        world.bookmarks.subscribe(),
        world.watches.subscribe(),
    );
    let cursor = {
        let inner = world.inner.lock();
        let store = &inner.cluster.store;
        if initial || matches!(given, "" | "0") {
            for object in store.list(kind, namespace) {
                if selector.matches(&object) {
                    ready.push_back(json!({"type": "ADDED", "object": shape.of(&object)}));
                }
            }
            if initial && bookmarks {
                ready.push_back(bookmark_at(kind, store.revision(), true));
            }
            store.revision()
        } else {
            let given: u64 = given.parse().map_err(|_| {
                Failure::bad_request(format!("invalid resource version \"{given}\""))
            })?;
            if given < store.oldest() {
                let expired = Failure::expired(given, store.oldest());
                if let Reply::Status(status) = expired.body {
                    ready.push_back(json!({"type": "ERROR", "object": status}));
                }
            }
            given
        }
    };
    let ended = ready.front().is_some_and(|event| event["type"] == "ERROR");
    let watch = Watch {
        world: Arc::clone(world),
        kind,
        namespace: namespace.to_owned(),
        selector,
        shape,
        bookmarks,
        cursor,
        ready,
        ended,
        until: now.saturating_add(millis(timeout)),
        next_bookmark: now.saturating_add(millis(BOOKMARK_EVERY)),
        changed,
        bookmark,
        end,
    };
    let body = StreamBody::new(stream::unfold(watch, Watch::next));
    Ok(streamed("application/json", body))
}

fn bookmark_at(kind: &Kind, revision: u64, initial: bool) -> Value {
    let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
    if initial {
        metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    json!({
        "type": "BOOKMARK",
        "object": {
            "kind": kind.kind,
            "apiVersion": kind.api_version(),
            "metadata": metadata,
        },
    })
}

impl Watch {
    async fn next(mut self) -> Option<(Result<Frame<Bytes>, Infallible>, Self)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                let line = format!("{event}\n");
                return Some((Ok(Frame::data(line.into())), self));
            }
            if self.ended {
                return None;
            }
            self.changed.borrow_and_update();
            if self.collect() {
                continue;
            }
            let now = self.world.clock.now();
            if now >= self.until {
                if self.bookmarks {
                    self.ready
                        .push_back(bookmark_at(self.kind, self.cursor, false));
                }
                self.ended = true;
                continue;
            }
            if self.bookmarks && now >= self.next_bookmark {
                self.next_bookmark = now.saturating_add(60_000);
                self.ready
                    .push_back(bookmark_at(self.kind, self.cursor, false));
                continue;
            }
            let pause = self.until.min(self.next_bookmark).saturating_sub(now);
            let pause = Duration::from_millis(u64::try_from(pause).unwrap_or_default());
            let clock = self.world.clock.clone();
            tokio::select! {
                changed = self.changed.changed() => if changed.is_err() { self.ended = true },
                _ = self.bookmark.changed() => if self.bookmarks {
                    self.ready.push_back(bookmark_at(self.kind, self.cursor, false));
                },
                _ = self.end.changed() => self.ended = true,
                () = clock.sleep(pause) => {}
            }
        }
    }

    /// Takes up what has changed; whether there is something to send.
    fn collect(&mut self) -> bool {
        let inner = self.world.inner.lock();
        let store = &inner.cluster.store;
        let Some(changes) = store.changes_after(self.cursor) else {
            let expired = Failure::expired(self.cursor, store.oldest());
            if let Reply::Status(status) = expired.body {
                self.ready
                    .push_back(json!({"type": "ERROR", "object": status}));
            }
            self.ended = true;
            return true;
        };
        for change in changes {
            if let Some(event) = self.event(change) {
                self.ready.push_back(event);
            }
        }
        self.cursor = store.revision().max(self.cursor);
        !self.ready.is_empty()
    }

    fn event(&self, change: &Change) -> Option<Value> {
        let elsewhere = !self.namespace.is_empty()
            && change.new["metadata"]["namespace"].as_str() != Some(&self.namespace);
        if change.kind != self.kind || elsewhere {
            return None;
        }
        let old = change.old.as_ref();
        let was = old.is_some_and(|old| self.selector.matches(old));
        let is = !change.deleted && self.selector.matches(&change.new);
        let kind = match (was, is) {
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
            (false, false) => return None,
        };
        let mut object = match (kind, old) {
            // One that is out of the selection is shown as it was within.
            ("DELETED", Some(old)) => self.shape.of(old),
            _ => self.shape.of(&change.new),
        };
        object["metadata"]["resourceVersion"] = json!(change.revision.to_string());
        Some(json!({"type": kind, "object": object}))
    }
}

struct Follow {
    world: Arc<World>,
    uid: String,
    number: u64,
    log: Log,
    sent: usize,
    times: bool,
    ready: VecDeque<Bytes>,
}

/// Answers `pods/log`.
pub(super) fn log(
    world: &Arc<World>,
    pod: &Value,
    query: &Query,
) -> Result<Response<Body>, Failure> {
    let kind = resource::by_id("pods").ok_or_else(Failure::no_such_path)?;
    let called = pod["metadata"]["name"].as_str().unwrap_or_default();
    let containers = pod["spec"]["containers"].as_array();
    let first = containers
        .and_then(|all| all.first())
        .and_then(|one| one["name"].as_str())
        .unwrap_or_default();
    let container = match query.get("container") {
        "" => first,
        given => given,
    };
    if container != first {
        return Err(Failure::bad_request(format!(
            "container {container} is not valid for pod {called}"
        )));
    }
    let (log, number) = {
        let inner = world.inner.lock();
        let waiting = |reason: &str| {
            let why = match reason {
                "ErrImagePull" | "ImagePullBackOff" => "trying and failing to pull image",
                "" => "ContainerCreating",
                other => other,
            };
            Failure::bad_request(format!(
                "container \"{container}\" in pod \"{called}\" is waiting to start: {why}"
            ))
        };
        let run = inner.cluster.runs.get(uid(pod));
        let Some(run) = run else {
            return Err(waiting(""));
        };
        if query.get("previous") == "true" {
            let previous = run.previous.clone().ok_or_else(|| {
                Failure::bad_request(format!(
                    "previous terminated container \"{container}\" in pod \"{called}\" not found"
                ))
            })?;
            (previous, 0)
        } else if run.has_started() {
            (run.log.clone(), run.number)
        } else {
            return Err(waiting(run.waits_for()));
        }
    };
    let now = world.clock.now();
    let mut since = i64::MIN;
    if let Some(seconds) = query.number("sinceSeconds") {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        since = now.saturating_sub(seconds.saturating_mul(1000));
    }
    if let Ok(time) = query.get("sinceTime").parse::<Timestamp>() {
        since = time.as_millisecond();
    }
    let all = log.lines();
    let sent = all.len();
    let mut lines: Vec<&Line> = all.iter().filter(|line| line.at >= since).collect();
    if !query.get("tailLines").is_empty() {
        let tail = query.number("tailLines").ok_or_else(|| {
            let causes = [super::status::Cause::invalid(
                "tailLines",
                &json!(query.get("tailLines")),
                "must be greater than or equal to 0",
            )];
            Failure::invalid(kind, called, &causes)
        })?;
        let tail = usize::try_from(tail).unwrap_or(usize::MAX);
        lines.drain(..lines.len().saturating_sub(tail));
    }
    let times = query.get("timestamps") == "true";
    let mut first: Vec<u8> = Vec::new();
    for line in lines {
        first.extend_from_slice(&written(line, times));
    }
    if let Some(limit) = query.number("limitBytes") {
        first.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    let ready = VecDeque::from([Bytes::from(first)]);
    let follow = Follow {
        world: Arc::clone(world),
        uid: uid(pod).to_owned(),
        // What has no number does not run, so nothing follows.
        number: if query.get("follow") == "true" {
            number
        } else {
            0
        },
        log,
        sent,
        times,
        ready,
    };
    let body = StreamBody::new(stream::unfold(follow, Follow::next));
    Ok(streamed("text/plain", body))
}

fn written(line: &Line, times: bool) -> Vec<u8> {
    let time = Timestamp::from_millisecond(line.at).unwrap_or_default();
    if times {
        format!("{time:.9} {}\n", line.text).into_bytes()
    } else {
        format!("{}\n", line.text).into_bytes()
    }
}

impl Follow {
    async fn next(mut self) -> Option<(Result<Frame<Bytes>, Infallible>, Self)> {
        loop {
            while let Some(bytes) = self.ready.pop_front() {
                if !bytes.is_empty() {
                    return Some((Ok(Frame::data(bytes)), self));
                }
            }
            let mut changed = self.world.changed.clone();
            changed.borrow_and_update();
            let runs = self.runs();
            let lines = self.log.lines_after(self.sent);
            self.sent += lines.len();
            for line in &lines {
                self.ready.push_back(written(line, self.times).into());
            }
            if !self.ready.is_empty() {
                continue;
            }
            if !runs {
                return None;
            }
            tokio::select! {
                () = self.log.more_than(self.sent) => {}
                // The end of a process shows in its pod.
                _ = changed.changed() => {}
            }
        }
    }

    /// Whether the process whose log this is can still write.
    fn runs(&self) -> bool {
        let inner = self.world.inner.lock();
        let run = inner.cluster.runs.get(&self.uid);
        self.number > 0 && run.is_some_and(|run| run.number == self.number && run.is_running())
    }
}
