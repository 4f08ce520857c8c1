//! Quotas as Google counts them: per project and model, requests and input tokens over
//! the last sixty seconds, requests since midnight in California.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::error::GoogleError;

/// How much one project may ask of one model. `None` is no limit; `Some(0)` is how
/// Google says that a model is not in this tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Requests in any 60 seconds.
    pub rpm: Option<u64>,
    /// Input tokens in any 60 seconds.
    pub tpm: Option<u64>,
    /// Requests since the last midnight in `America/Los_Angeles`.
    pub rpd: Option<u64>,
}

impl Quota {
    /// No limits at all.
    pub const UNLIMITED: Self = Self {
        rpm: None,
        tpm: None,
        rpd: None,
    };

    /// Only a limit of requests a minute.
    #[must_use]
    pub const fn rpm(limit: u64) -> Self {
        Self {
            rpm: Some(limit),
            ..Self::UNLIMITED
        }
    }

    /// Only a limit of input tokens a minute.
    #[must_use]
    pub const fn tpm(limit: u64) -> Self {
        Self {
            tpm: Some(limit),
            ..Self::UNLIMITED
        }
    }

    /// Only a limit of requests a day.
    #[must_use]
    pub const fn rpd(limit: u64) -> Self {
        Self {
            rpd: Some(limit),
            ..Self::UNLIMITED
        }
    }
}

/// One limit that Google enforces, with the names it has in an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Requests a minute.
    RequestsPerMinute,
    /// Input tokens a minute.
    TokensPerMinute,
    /// Requests a day.
    RequestsPerDay,
}

impl Limit {
    /// `quotaMetric` and `quotaId` of a project on the free tier.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::RequestsPerMinute => (
                "generate_content_free_tier_requests",
                "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
            ),
            Self::TokensPerMinute => (
                "generate_content_free_tier_input_token_count",
                "GenerateContentInputTokensPerModelPerMinute-FreeTier",
            ),
            Self::RequestsPerDay => (
                "generate_content_free_tier_requests",
                "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
            ),
        }
    }
}

/// 429 with `QuotaFailure`, `Help` and `RetryInfo`, for these limits and their values.
#[must_use]
pub fn exhausted(model: &str, violations: &[(Limit, u64)], retry: Duration) -> GoogleError {
    let retry = format!("{}s", Seconds(retry));
    let mut message = "You exceeded your current quota, please check your plan and billing details. For more information \
                       on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits. To monitor your current \
                       usage, head to: https://ai.dev/rate-limit. "
        .to_owned();
    let mut listed = Vec::new();
    for (limit, value) in violations {
        let (metric, id) = limit.names();
        let metric = format!("generativelanguage.googleapis.com/{metric}");
        message.push_str(&format!(
            "\n* Quota exceeded for metric: {metric}, limit: {value}, model: {model}"
        ));
        let mut violation = json!({
            "quotaMetric": metric,
            "quotaId": id,
            "quotaDimensions": { "location": "global", "model": model },
        });
        // A zero is the default of a protobuf field, so Google's JSON leaves it out.
        if *value > 0 {
            violation["quotaValue"] = Value::String(value.to_string());
        }
        listed.push(violation);
    }
    message.push_str(&format!("\nPlease retry in {retry}."));
    GoogleError {
        message,
        details: vec![
            json!({ "@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": listed }),
            json!({
                "@type": "type.googleapis.com/google.rpc.Help",
                "links": [{
                    "description": "Learn more about Gemini API quotas",
                    "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
                }],
            }),
            json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": retry }),
        ],
        ..GoogleError::usual(429)
    }
}

/// A duration the way protobuf's JSON writes it: `26.412`, `26`, nothing rounded away.
struct Seconds(Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seconds, nanos) = (self.0.as_secs(), self.0.subsec_nanos());
        match nanos {
            0 => write!(f, "{seconds}"),
            n if n % 1_000_000 == 0 => write!(f, "{seconds}.{:03}", n / 1_000_000),
            n if n % 1_000 == 0 => write!(f, "{seconds}.{:06}", n / 1_000),
            n => write!(f, "{seconds}.{n:09}"),
        }
    }
}

/// What a project has used of one model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests in the last 60 seconds.
    pub requests_last_minute: u64,
    /// Input tokens in the last 60 seconds.
    pub tokens_last_minute: u64,
    /// Requests since midnight in `America/Los_Angeles`.
    pub requests_today: u64,
}

/// Length of the window for RPM and TPM, in milliseconds.
const MINUTE: i64 = 60_000;

/// A project's limits and its count against them.
#[derive(Debug, Default)]
pub(super) struct Project {
    /// For every model without a quota of its own.
    pub quota: Quota,
    /// For single models.
    pub per_model: HashMap<String, Quota>,
    ledgers: HashMap<String, Ledger>,
}

#[derive(Debug, Default)]
struct Ledger {
    /// Moment in milliseconds and input tokens of each request in the last minute.
    minute: VecDeque<(i64, u64)>,
    day: Option<Date>,
    today: u64,
}

impl Project {
    /// Counts a request, or says which limits it would exceed; then nothing is counted.
    pub fn admit(&mut self, now: i64, model: &str, tokens: u64) -> Result<(), GoogleError> {
        let quota = self.per_model.get(model).copied().unwrap_or(self.quota);
        let ledger = self.ledgers.entry(model.to_owned()).or_default();
        ledger.forget(now);
        let used = ledger.usage();
        let over = |limit: Option<u64>, after: u64| limit.filter(|limit| after > *limit);
        let checks = [
            (
                Limit::RequestsPerDay,
                over(quota.rpd, used.requests_today + 1),
            ),
            (
                Limit::RequestsPerMinute,
                over(quota.rpm, used.requests_last_minute + 1),
            ),
            (
                Limit::TokensPerMinute,
                over(quota.tpm, used.tokens_last_minute + tokens),
            ),
        ];
        let violations: Vec<(Limit, u64)> = checks
            .iter()
            .filter_map(|(l, value)| value.map(|v| (*l, v)))
            .collect();
        if violations.is_empty() {
            ledger.minute.push_back((now, tokens));
            ledger.today += 1;
            return Ok(());
        }
        let free_at = |limit: Limit| match limit {
            Limit::RequestsPerMinute => ledger.minute.front().map(|(at, _)| at + MINUTE),
            Limit::TokensPerMinute => {
                let mut left = used.tokens_last_minute;
                ledger.minute.iter().find_map(|(at, spent)| {
                    left -= spent;
                    (left + tokens <= quota.tpm.unwrap_or(0)).then_some(at + MINUTE)
                })
            }
            // Google's advice for a daily limit is known to be wrong: seconds, although
            // only midnight helps. A gateway must not believe it, so the fake lies too.
            Limit::RequestsPerDay => Some(now + MINUTE - now.rem_euclid(MINUTE)),
        };
        let retry = violations
            .iter()
            .filter_map(|(limit, _)| free_at(*limit))
            .max()
            .unwrap_or(now + MINUTE)
            - now;
        Err(exhausted(
            model,
            &violations,
            Duration::from_millis(u64::try_from(retry.max(1)).unwrap_or(1)),
        ))
    }

    /// What has been used of a model.
    pub fn usage(&mut self, now: i64, model: &str) -> Usage {
        let ledger = self.ledgers.entry(model.to_owned()).or_default();
        ledger.forget(now);
        ledger.usage()
    }
}

impl Ledger {
    /// Drops what no longer counts.
    fn forget(&mut self, now: i64) {
        while self
            .minute
            .front()
            .is_some_and(|(at, _)| at + MINUTE <= now)
        {
            self.minute.pop_front();
        }
        let day = pacific_day(now);
        if self.day != day {
            self.day = day;
            self.today = 0;
        }
    }

    fn usage(&self) -> Usage {
        Usage {
            requests_last_minute: self.minute.len() as u64,
            tokens_last_minute: self.minute.iter().map(|(_, tokens)| tokens).sum(),
            requests_today: self.today,
        }
    }
}

/// The date in California, which decides when a daily quota starts anew.
fn pacific_day(now: i64) -> Option<Date> {
    Timestamp::from_millisecond(now)
        .ok()?
        .in_tz("America/Los_Angeles")
        .ok()
        .map(|zoned| zoned.date())
}
