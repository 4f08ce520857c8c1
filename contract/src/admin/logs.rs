//! The request log, the error log and the statistics.

use serde::{Deserialize, Serialize};

use super::Surface;
use crate::Millis;

/// Which requests to list; sent as query parameters. Everything absent means all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct RequestQuery {
    /// At or after this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Millis>,
    /// Before this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Millis>,
    /// Of this client token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<i64>,
    /// Answered or last tried with this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<i64>,
    /// For this model, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// In this protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surface: Option<Surface>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", param(inline))]
    pub result: Option<RequestResult>,
    /// With exactly this HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// With this in the error's text, or exactly this request id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// Continues after the page that gave this as `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many, 1 to 200; 50 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RequestResult {
    /// With an answer.
    Ok,
    /// With an error.
    Failed,
}

/// A page of the request log, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RequestPage {
    /// At most `limit` requests.
    pub requests: Vec<RequestView>,
    /// What to send as `after` for older ones; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One request as recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RequestView {
    /// Its number in the log.
    pub id: i64,
    /// Its id in the `x-request-id` header and in the server's log.
    pub request_id: String,
    /// When it ended.
    pub at: Millis,
    /// The protocol the client spoke.
    pub surface: Surface,
    /// The model asked for; empty when the request did not get that far.
    pub model: String,
    /// The client token; absent for the panel's own test, or when none was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Named>,
    /// The key that answered or was last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Named>,
    /// What the remote is called that it went through, which chose a key of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// The Google project of that key, when Google told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The HTTP status the client got.
    pub status: u16,
    /// Whether the answer was streamed.
    pub stream: bool,
    /// How many calls to Google it took.
    pub attempts: u8,
    /// From arrival to the end of the answer, in milliseconds.
    pub latency_ms: u32,
    /// From arrival to the first byte of the answer, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<u32>,
    /// Input tokens as Google counted them.
    pub prompt_tokens: u32,
    /// Output tokens, thoughts not included.
    pub output_tokens: u32,
    /// Tokens of thoughts.
    pub thought_tokens: u32,
    /// Input tokens from Google's cache; part of `prompt_tokens`.
    pub cached_tokens: u32,
    /// What it would have cost on the paid tier, in millionths of a US dollar; absent when
    /// the model's price is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micros: Option<u64>,
    /// What the client was told when it went wrong, scrubbed of secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A key or a token by number and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Named {
    /// Its number.
    pub id: i64,
    /// The user's name for it, or the masked value; a deleted one keeps its name.
    pub name: String,
}

/// One request with everything that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RequestDetail {
    /// What the list shows.
    pub request: RequestView,
    /// Keys that were tried before the last one and failed, in order.
    pub failed_keys: Vec<Named>,
    /// Each call, in order; none for one whose only call went well, straight and at once.
    #[serde(default)]
    pub tries: Vec<TryView>,
    /// What Google said when it failed, scrubbed of secrets; absent for one that went well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_message: Option<String>,
    /// What the client called itself (`User-Agent`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The client's request body, when recording bodies is switched on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Only the beginning of the body was kept.
    pub body_truncated: bool,
}

/// One call to Google, or to another instance, for a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TryView {
    /// The key; absent when another instance chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Named>,
    /// The proxy that it went through, without its credential; absent when it went straight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// How it ended.
    pub outcome: TryOutcome,
    /// How long a key, or the pause before it, was waited for, in milliseconds.
    pub waited_ms: u32,
    /// How long it took until it failed or its answer began, in milliseconds.
    pub took_ms: u32,
}

/// How one call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TryOutcome {
    /// With an answer.
    Answered,
    /// With an answer in which nothing was.
    Empty,
    /// The request itself was refused.
    ClientFault,
    /// A limit of the key's project was met.
    Quota,
    /// The request has more tokens than a whole minute allows.
    PromptTooLarge,
    /// The key was refused.
    KeyRefused,
    /// The key's project may not use that.
    Forbidden,
    /// Google refuses the model to the key's project, whatever is asked of it.
    ProjectRefused,
    /// Google does not serve the country that the call came from.
    LocationRefused,
    /// The model was overloaded or broken.
    Overloaded,
    /// It did not leave: as many calls were under way by its way out as may be.
    NoTurn,
    /// No connection, or it broke.
    Unreachable,
    /// Something else than Google answered, on the way there.
    NotGoogle,
    /// What Google answered could not be read.
    Unreadable,
    /// Nothing came in time.
    TooSlow,
    /// Another call that ran at the same time was faster, so it was broken off here.
    Cancelled,
    /// The client went away before it had ended.
    #[serde(other)]
    BrokenOff,
}

/// Which records to delete.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordsDelete {
    /// Only those that ended before this moment; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Millis>,
    /// Only those that failed.
    #[serde(default)]
    pub failed_only: bool,
}

/// How many records were deleted. The statistics keep their sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordsDeleted {
    /// That many.
    pub deleted: u64,
}

/// What statistics to give; sent as query parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct StatsQuery {
    /// How far back.
    #[cfg_attr(feature = "openapi", param(inline))]
    pub range: StatsRange,
    /// The curve of this client token only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<i64>,
    /// The curve of this key only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<i64>,
    /// The curve of this model only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// How far back statistics go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StatsRange {
    /// 24 hours, by the hour.
    #[default]
    Day,
    /// 7 days, by the hour.
    Week,
    /// 30 days, by the day.
    Month,
    /// 365 days, by the day.
    Year,
}

/// What happened over a range of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stats {
    /// The beginning of the first point.
    pub since: Millis,
    /// IANA name of the time zone whose hours and days these are.
    pub time_zone: String,
    /// Points without a request are present, with zeros.
    pub points: Vec<StatsPoint>,
    /// The sum of all points.
    pub total: Sums,
    /// The most used models, most requests first; at most 20.
    pub models: Vec<StatsRow>,
    /// The most used keys; at most 20.
    pub keys: Vec<StatsRow>,
    /// The most used client tokens; at most 20.
    pub tokens: Vec<StatsRow>,
    /// By protocol.
    pub surfaces: Vec<StatsRow>,
    /// By HTTP status.
    pub statuses: Vec<StatsRow>,
}

/// One hour or day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatsPoint {
    /// Its beginning.
    pub at: Millis,
    /// What happened in it.
    #[serde(flatten)]
    pub sums: Sums,
}

/// What happened with one model, key, token, protocol or status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatsRow {
    /// Number of the key or token; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// What to show.
    pub name: String,
    /// What happened with it.
    #[serde(flatten)]
    pub sums: Sums,
}

/// Sums over requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sums {
    /// Requests, failed ones included. Of keys: attempts.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Input tokens.
    pub prompt_tokens: u64,
    /// Output tokens, thoughts not included.
    pub output_tokens: u64,
    /// Tokens of thoughts.
    pub thought_tokens: u64,
    /// Input tokens from Google's cache.
    pub cached_tokens: u64,
    /// Estimated cost on the paid tier, in millionths of a US dollar, as far as known.
    pub cost_micros: u64,
    /// Mean time to the end of the answer, in milliseconds.
    pub mean_latency_ms: u32,
    /// Mean time to the first byte, in milliseconds.
    pub mean_ttft_ms: u32,
}
