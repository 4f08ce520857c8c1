//! How often one may call (api-docs.render.com/reference/rate-limiting).

use std::collections::HashMap;
use std::time::Duration;

use super::view;
use crate::cloud::http::Answer;

/// What `Ratelimit-Reset` means: Render's page says one, recordings show the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetStyle {
    /// Seconds that are left.
    Seconds,
    /// Seconds since 1970-01-01T00:00:00Z.
    Epoch,
}

/// Windows of calls.
#[derive(Debug, Default)]
pub(super) struct Limits {
    windows: HashMap<String, Window>,
}

#[derive(Debug)]
struct Window {
    began: i64,
    calls: u32,
}

/// Where a call stands in its window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    limit: u32,
    remaining: u32,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    reset: i64,
    pub is_over: bool,
}

/// Which window a call falls into, how many it holds, and its length in seconds.
fn window(method: &str, segments: &[&str]) -> (String, u32, i64) {
    match (method, segments) {
        ("GET", _) => ("get".to_owned(), 400, 60),
        ("POST", ["services"]) => ("create".to_owned(), 20, 3600),
        ("PATCH", ["services", id])
        | ("POST", ["services", id, "deploys" | "suspend" | "resume"]) => {
            (format!("service {id}"), 10, 60)
        }
        _ => ("change".to_owned(), 30, 60),
    }
}

impl Limits {
    /// Counts a call.
    pub fn count(&mut self, now: i64, method: &str, segments: &[&str]) -> Standing {
        let (name, limit, seconds) = window(method, segments);
        let window = self.windows.entry(name).or_insert(Window {
            began: now,
            calls: 0,
        });
        let length = seconds * 1000;
        if now - window.began >= length {
            *window = Window {
                began: now,
                calls: 0,
            };
        }
        window.calls = window.calls.saturating_add(1);
        Standing {
            limit,
            remaining: limit.saturating_sub(window.calls),
            reset: window.began + length,
            is_over: window.calls > limit,
        }
    }

    /// 429 that a fault demands.
    pub fn refusal(&self, style: ResetStyle, now: i64, after: Duration) -> Answer {
        let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        let standing = Standing {
            limit: 10,
            remaining: 0,
            reset: now.saturating_add(after),
            is_over: true,
        };
        standing.tell(view::error(429, view::usual_message(429)), style, now)
    }
}

impl Standing {
    /// Adds the headers to an answer.
    pub fn tell(self, answer: Answer, style: ResetStyle, now: i64) -> Answer {
        let seconds = |millis: i64| (millis + 999).div_euclid(1000).max(0);
        let reset = match style {
            ResetStyle::Seconds => seconds(self.reset - now),
            ResetStyle::Epoch => seconds(self.reset),
        };
        answer
            .header("ratelimit-limit", self.limit.to_string())
            .header("ratelimit-remaining", self.remaining.to_string())
            .header("ratelimit-reset", reset.to_string())
    }
}
