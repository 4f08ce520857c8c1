//! Google's error body.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::text::Str;

/// Google's error body, parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiStatus {
    /// `error.code`, the HTTP status. 0 when Google sent none.
    pub code: u16,
    /// `error.status`, e.g. `RESOURCE_EXHAUSTED`; may be empty.
    pub status: String,
    /// `error.message`. May hold the key that was used: scrub before showing.
    pub message: String,
    /// `reason` of the `google.rpc.ErrorInfo`, e.g. `API_KEY_INVALID`.
    pub reason: Option<String>,
    /// The number of the key's project, from `metadata.consumer` of the `google.rpc.ErrorInfo`.
    pub project: Option<String>,
    /// All violations of the `google.rpc.QuotaFailure`; where there is none, the one limit that the
    /// metadata of the `google.rpc.ErrorInfo` names.
    pub violations: Vec<Violation>,
    /// `google.rpc.RetryInfo`, or what the message says ("Please retry in 5.2s").
    /// Not to be believed for daily quotas.
    pub retry_after: Option<Duration>,
    /// The first address of the `google.rpc.Help`: what to do about it.
    pub help: Option<String>,
}

/// One exceeded quota.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violation {
    /// E.g. `generativelanguage.googleapis.com/generate_content_free_tier_requests`.
    pub quota_metric: String,
    /// E.g. `GenerateRequestsPerDayPerProjectPerModel-FreeTier`.
    pub quota_id: String,
    /// The limit; 0 means that the model is not part of the tier.
    pub quota_value: Option<u64>,
    /// The dimension `model`.
    pub model: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct WireError<'a> {
    #[serde(borrow, default)]
    code: Option<Code<'a>>,
    #[serde(borrow, default)]
    status: Option<Str<'a>>,
    #[serde(borrow, default)]
    message: Option<Str<'a>>,
    #[serde(borrow, default)]
    details: Option<Vec<Detail<'a>>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Code<'a> {
    Number(u16),
    Name(#[serde(borrow)] Cow<'a, str>),
    Other(IgnoredAny),
}

/// All kinds of detail at once: their fields do not collide.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail<'a> {
    #[serde(borrow, default)]
    reason: Option<Str<'a>>,
    #[serde(borrow, default)]
    metadata: Option<Metadata<'a>>,
    #[serde(borrow, default)]
    violations: Option<Vec<WireViolation<'a>>>,
    #[serde(borrow, default)]
    retry_delay: Option<Str<'a>>,
    #[serde(borrow, default)]
    links: Option<Vec<Link<'a>>>,
}

#[derive(Deserialize)]
struct Link<'a> {
    #[serde(borrow, default)]
    url: Option<Str<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireViolation<'a> {
    #[serde(borrow, default)]
    quota_metric: Option<Str<'a>>,
    #[serde(borrow, default)]
    quota_id: Option<Str<'a>>,
    #[serde(borrow, default)]
    quota_value: Option<QuotaValue<'a>>,
    #[serde(borrow, default)]
    quota_dimensions: Option<Dimensions<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum QuotaValue<'a> {
    Number(u64),
    Text(#[serde(borrow)] Cow<'a, str>),
    Other(IgnoredAny),
}

impl QuotaValue<'_> {
    fn number(self) -> Option<u64> {
        match self {
            Self::Number(value) => Some(value),
            Self::Text(text) => text.parse().ok(),
            Self::Other(_) => None,
        }
    }
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow, default)]
    consumer: Option<Str<'a>>,
    /// E.g. `GenerateContentRequestsPerMinutePerProjectPerRegion`.
    #[serde(borrow, default)]
    quota_limit: Option<Str<'a>>,
    #[serde(borrow, default)]
    quota_limit_value: Option<QuotaValue<'a>>,
    #[serde(borrow, default)]
    quota_metric: Option<Str<'a>>,
}

impl Metadata<'_> {
    /// The limit that it names.
    fn violation(self) -> Option<Violation> {
        Some(Violation {
            quota_id: self.quota_limit?.into_cow().into_owned(),
            quota_value: self.quota_limit_value.and_then(QuotaValue::number),
            quota_metric: self
                .quota_metric
                .map(|metric| metric.into_cow().into_owned())
                .unwrap_or_default(),
            model: None,
        })
    }
}

#[derive(Deserialize)]
struct Dimensions<'a> {
    #[serde(borrow, default)]
    model: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    error: WireError<'a>,
}

impl ApiStatus {
    /// Parses an error body, also when Google wraps it in an array (as it does for streams
    /// without `alt=sse`). `None` when it is not Google's shape.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let first = body.iter().find(|byte| !byte.is_ascii_whitespace())?;
        let error = if *first == b'[' {
            let bodies: Vec<Body<'_>> = serde_json::from_slice(body).ok()?;
            bodies.into_iter().next()?.error
        } else {
            serde_json::from_slice::<Body<'_>>(body).ok()?.error
        };
        Some(error.into())
    }
}

impl From<WireError<'_>> for ApiStatus {
    fn from(wire: WireError<'_>) -> Self {
        let owned = |text: Option<Str<'_>>| text.map(|text| text.into_cow().into_owned());
        let mut status = Self {
            status: owned(wire.status).unwrap_or_default(),
            message: owned(wire.message).unwrap_or_default(),
            ..Self::default()
        };
        match wire.code {
            Some(Code::Number(code)) => status.code = code,
            // The Interactions API has words here.
            Some(Code::Name(name)) if status.status.is_empty() => status.status = name.into_owned(),
            _ => {}
        }
        let mut named = None;
        for detail in wire.details.unwrap_or_default() {
            if status.reason.is_none() {
                status.reason = owned(detail.reason);
            }
            if let Some(mut metadata) = detail.metadata {
                if let Some(consumer) = metadata.consumer.take() {
                    let consumer = consumer.into_cow();
                    // `projects/123`; a key that is refused can stand here, too: `api_key:AIza…`.
                    if let Some(project) = consumer.strip_prefix("projects/") {
                        status.project = Some(project.to_owned());
                    }
                }
                named = metadata.violation().or(named);
            }
            if status.help.is_none() {
                let links = detail.links.unwrap_or_default();
                status.help = links.into_iter().find_map(|link| owned(link.url));
            }
            if let Some(delay) = detail.retry_delay {
                status.retry_after = seconds(&delay);
            }
            for violation in detail.violations.unwrap_or_default() {
                status.violations.push(Violation {
                    quota_metric: owned(violation.quota_metric).unwrap_or_default(),
                    quota_id: owned(violation.quota_id).unwrap_or_default(),
                    quota_value: violation.quota_value.and_then(QuotaValue::number),
                    model: owned(violation.quota_dimensions.and_then(|d| d.model)),
                });
            }
        }
        if status.violations.is_empty() {
            status.violations.extend(named);
        }
        if status.retry_after.is_none() {
            status.retry_after = delay_in(&status.message);
        }
        status
    }
}

/// `google.protobuf.Duration` in JSON: `38.922534355s`.
fn seconds(text: &str) -> Option<Duration> {
    let number: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(number).ok()
}

/// The delay in "Please retry in 5.237548564s." (also written in `ms`).
fn delay_in(message: &str) -> Option<Duration> {
    let (_, rest) = message.split_once("retry in ")?;
    let word = rest.split_whitespace().next()?.trim_end_matches('.');
    if let Some(millis) = word.strip_suffix("ms") {
        return Duration::try_from_secs_f64(millis.parse::<f64>().ok()? / 1000.0).ok();
    }
    seconds(word)
}
