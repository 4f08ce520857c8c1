//! REST over JSON with a bearer key, as providers speak it.
//!
//! One rule: what comes out of here, errors included, never holds the key, and never quotes
//! an answer's body beyond the provider's own message (a body can hold passwords).
//!
//! Deliberately absent: trying again. Whoever calls knows what may be done twice, and has the
//! clock; [`ProviderError::may_pass`] and the pause in [`ProviderError::RateLimited`] say when.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER,
};
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use vault::Secret;

use crate::provider::{ProviderError, Result};

/// The longest answer that is read, in bytes.
const LONGEST: usize = 8 * 1024 * 1024;
/// The longest message of a provider that is passed on, in characters.
const LONGEST_MESSAGE: usize = 500;
/// Items asked for with one page of a list; the most that Render gives.
const PAGE: &str = "100";
/// A page with fewer items than this is the last one. Less than [`PAGE`]: a provider may
/// give pages of its usual size whatever it is asked for.
const SHORT: usize = 20;
/// Lists longer than so many pages are taken for a mistake.
const MOST_PAGES: usize = 100;
/// The pause after 429 where the answer does not tell one.
const USUAL_PAUSE: Duration = Duration::from_secs(60);
/// Where providers say when the limit ends: Render and Koyeb.
const RESETS: [&str; 2] = ["ratelimit-reset", "x-ratelimit-reset"];
/// Numbers there from here on are moments, smaller ones are seconds left.
const FIRST_MOMENT: i64 = 1_000_000_000;

/// A REST API and the key to it.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client,
    api: Url,
    key: Secret,
    bearer: HeaderValue,
}

/// An item of a list together with where the list goes on.
pub(crate) trait Paged {
    /// What to send to get the items after this one; empty at the end.
    fn cursor(&self) -> &str;
}

impl Http {
    /// Sets up connections to the API at this address.
    ///
    /// # Errors
    /// When the address is not one that a key may be sent to, the key is none, or the TLS
    /// set-up of the system cannot be read.
    pub fn new(api: &str, key: &Secret) -> Result<Self> {
        // Another part of the process may have installed the same provider; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            // The system's proxy settings are never baked in: see DESIGN.md, Libraries.
            .no_proxy()
            // The key must not follow one.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(60))
            .user_agent(concat!("gemini-balance/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ProviderError::Away(error.to_string()))?;
        let key = Secret::new(key.expose().trim().to_owned());
        let bearer = Secret::new(format!("Bearer {}", key.expose()));
        let mut bearer = HeaderValue::from_str(bearer.expose())
            .ok()
            .filter(|_| !key.expose().is_empty())
            .ok_or_else(|| {
                ProviderError::Unauthorized(
                    "it is empty or holds characters that no key has. Copy it again.".to_owned(),
                )
            })?;
        bearer.set_sensitive(true);
        Ok(Self {
            client,
            api: address(api)?,
            key,
            bearer,
        })
    }

    /// Reads something.
    ///
    /// # Errors
    /// What the provider says; an answer without a body is one that is not understood.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T> {
        let call = Call::new(Method::GET, path);
        let answer = self.call(&call, query, None).await?;
        answer.ok_or_else(|| ProviderError::Unexpected(format!("{call}: nothing")))
    }

    /// Reads all pages of a list.
    ///
    /// # Errors
    /// As [`Self::get`], and when the list does not end.
    pub async fn list<T: DeserializeOwned + Paged>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Vec<T>> {
        let mut all: Vec<T> = Vec::new();
        let mut cursor = String::new();
        for _ in 0..MOST_PAGES {
            let mut query = query.to_vec();
            query.push(("limit", PAGE));
            if !cursor.is_empty() {
                query.push(("cursor", &cursor));
            }
            let page: Vec<T> = self.get(path, &query).await?;
            let is_last = page.len() < SHORT;
            let next = page.last().map_or("", Paged::cursor).to_owned();
            all.extend(page);
            if is_last || next.is_empty() || next == cursor {
                return Ok(all);
            }
            cursor = next;
        }
        let call = Call::new(Method::GET, path);
        Err(ProviderError::Unexpected(format!(
            "{call}: the list does not end"
        )))
    }

    /// Sends something; `None` when the answer has no body.
    ///
    /// # Errors
    /// What the provider says.
    pub async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &(impl Serialize + Sync),
    ) -> Result<Option<T>> {
        self.send_with(method, path, &[], body).await
    }

    /// Sends something with a query; `None` when the answer has no body.
    ///
    /// # Errors
    /// What the provider says.
    pub async fn send_with<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: &(impl Serialize + Sync),
    ) -> Result<Option<T>> {
        let call = Call::new(method, path);
        let body = serde_json::to_vec(body)
            .map_err(|error| ProviderError::Unexpected(format!("{call}: {error}")))?;
        self.call(&call, query, Some(body)).await
    }

    /// Has something done that needs no words, and whose answer does not matter.
    ///
    /// # Errors
    /// What the provider says.
    pub async fn act(&self, method: Method, path: &[&str]) -> Result<()> {
        let call = Call::new(method, path);
        self.answer(&call, &[], None).await?;
        Ok(())
    }

    async fn call<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        query: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Option<T>> {
        let answer = self.answer(call, query, body).await?;
        if answer.trim_ascii().is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(&answer).map(Some).map_err(|error| {
            // Not the error's own words: they quote values, and a value can be a password.
            let (line, column) = (error.line(), error.column());
            let kind = match error.classify() {
                serde_json::error::Category::Data => "other JSON than described",
                _ => "no JSON",
            };
            ProviderError::Unexpected(format!("{call}: {kind}, line {line} column {column}"))
        })
    }

    /// The body of an answer that reports success.
    async fn answer(
        &self,
        call: &Call<'_>,
        query: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Vec<u8>> {
        let mut url = self.api.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // Ids are encoded, so they cannot lead elsewhere.
            segments.pop_if_empty().extend(call.path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self
            .client
            .request(call.method.clone(), url)
            .header(AUTHORIZATION, self.bearer.clone())
            .header(ACCEPT, "application/json");
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let response = request.send().await.map_err(|error| self.away(error))?;
        let status = response.status();
        if status.is_success() {
            return self.read(response).await;
        }
        let headers = response.headers().clone();
        // An error whose words are lost is still that error.
        let said = self.read(response).await.ok();
        let said = said.as_deref().and_then(words);
        let message = match said {
            Some(said) => self.clean(&said),
            None => format!("{call}: HTTP {status}"),
        };
        Err(sorted(status, message, &headers))
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>> {
        let mut whole = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.away(error))? {
            if whole.len() + piece.len() > LONGEST {
                return Err(ProviderError::Unexpected(format!(
                    "it is larger than {LONGEST} bytes"
                )));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    fn away(&self, error: reqwest::Error) -> ProviderError {
        let error = error.without_url();
        let mut text = format!("{} does not answer: {error}", self.host());
        let mut source = error.source();
        while let Some(cause) = source {
            let more = format!(": {cause}");
            if !text.ends_with(&more) {
                text.push_str(&more);
            }
            source = cause.source();
        }
        ProviderError::Away(self.clean(&text))
    }

    /// `https`, or `http` where the API is on this machine.
    pub fn scheme(&self) -> &str {
        self.api.scheme()
    }

    fn host(&self) -> &str {
        self.api.host_str().unwrap_or_default()
    }

    /// Somebody else's words on one line, not too long and without the key.
    fn clean(&self, text: &str) -> String {
        cut(&text.replace(self.key.expose().as_str(), "***"))
    }
}

/// Somebody else's words on one line, and not too long.
pub(crate) fn cut(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST_MESSAGE)
        .collect();
    line.trim().to_owned()
}

/// A call as errors name it: `GET /users`.
struct Call<'a> {
    method: Method,
    path: &'a [&'a str],
}

impl<'a> Call<'a> {
    fn new(method: Method, path: &'a [&'a str]) -> Self {
        Self { method, path }
    }
}

impl std::fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} /{}", self.method, self.path.join("/"))
    }
}

/// Reads the address of an API. Without encryption only on this machine: everybody on the way
/// would read the key.
pub(crate) fn address(api: &str) -> Result<Url> {
    let refused = |why: &str| {
        ProviderError::Refused(format!(
            "{api} is no address of an API: {why}. It is written like https://api.example.com/v1."
        ))
    };
    let url: Url = api.trim().parse().map_err(|_| refused("it is no URL"))?;
    let host = url.host_str().unwrap_or_default();
    let is_here = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse()
            .is_ok_and(|ip: IpAddr| ip.is_loopback());
    if !url.username().is_empty() || url.password().is_some() {
        // Not repeated: a password may be in it.
        return Err(ProviderError::Refused(
            "The address of an API has no user and no password in it.".to_owned(),
        ));
    }
    match url.scheme() {
        "https" => {}
        "http" if is_here => {}
        _ => return Err(refused("the key is sent over https only")),
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("it ends with a path"));
    }
    Ok(url)
}

/// The message in an error's body, with what is wrong with which field where it tells.
fn words(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let message = ["/message", "/error/message", "/error", "/detail"]
        .into_iter()
        .filter_map(|place| body.pointer(place)?.as_str())
        .find(|text| !text.trim().is_empty())?;
    let fields = body.get("fields").and_then(Value::as_array);
    let field = |field: &Value| {
        let text = |name: &str| field.get(name).and_then(Value::as_str);
        Some(format!("{} {}", text("field")?, text("description")?))
    };
    let fields: Vec<String> = fields.into_iter().flatten().filter_map(field).collect();
    Some(match fields.is_empty() {
        true => message.to_owned(),
        false => format!("{message}: {}", fields.join("; ")),
    })
}

fn sorted(status: StatusCode, message: String, headers: &HeaderMap) -> ProviderError {
    use ProviderError as E;
    match status.as_u16() {
        401 => E::Unauthorized(message),
        402 => E::CardNeeded(message),
        403 => E::Forbidden(message),
        404 => E::NotFound(message),
        409 => E::Conflict(message),
        429 => E::RateLimited {
            after: pause(headers),
            message,
        },
        408 | 500..=599 => E::Away(message),
        400..=499 => E::Refused(message),
        _ => E::Unexpected(message),
    }
}

/// How long to wait after 429, however long that is. Render's `Ratelimit-Reset` holds seconds
/// left in recordings and a moment by its page (api-docs.render.com/reference/rate-limiting); a
/// moment is compared with the answer's own `Date`, so this machine's clock may be wrong.
pub(crate) fn pause(headers: &HeaderMap) -> Duration {
    let text = |value: &HeaderValue| value.to_str().ok().map(|text| text.trim().to_owned());
    let number = |value: Option<&HeaderValue>| -> Option<i64> { text(value?)?.parse().ok() };
    let now = || {
        let date = headers.get(DATE).and_then(text)?;
        let date: Timestamp = rfc2822::DateTimeParser::new().parse_timestamp(&date).ok()?;
        Some(date.as_second())
    };
    let left = match number(headers.get(RETRY_AFTER)) {
        Some(seconds) => Some(seconds),
        None => {
            let reset = RESETS.iter().find_map(|name| number(headers.get(*name)));
            reset.and_then(|reset| match reset {
                FIRST_MOMENT.. => Some(reset - now()?),
                seconds => Some(seconds),
            })
        }
    };
    let Some(left) = left else {
        return USUAL_PAUSE;
    };
    // Not at once: windows end a little later than they say.
    Duration::from_secs(left.max(1).unsigned_abs())
}

/// A moment in milliseconds since 1970-01-01T00:00:00Z; `None` when it is none.
pub(crate) fn millis(text: &str) -> Option<i64> {
    let moment: Timestamp = text.parse().ok()?;
    Some(moment.as_millisecond())
}

/// A series in thousandths of its unit, as the panel has it.
pub(crate) fn thousandths(series: BTreeMap<i64, f64>) -> Vec<(i64, i64)> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "thousandths of CPUs, MiB and requests are far below 2^53"
    )]
    let thousandths = |value: f64| (value * 1000.0).round() as i64;
    series
        .into_iter()
        .map(|(at, value)| (at, thousandths(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause_of(headers: &[(&'static str, &str)]) -> u64 {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                let name = http_name(name);
                (name, HeaderValue::from_str(value).unwrap())
            })
            .collect();
        pause(&headers).as_secs()
    }

    fn http_name(name: &'static str) -> reqwest::header::HeaderName {
        reqwest::header::HeaderName::from_static(name)
    }

    #[test]
    fn the_pause_is_read_in_every_style() {
        let date = ("date", "Mon, 21 Sep 2026 14:13:20 GMT");
        assert_eq!(pause_of(&[("ratelimit-reset", "1093")]), 1093);
        assert_eq!(pause_of(&[("ratelimit-reset", "0")]), 1);
        assert_eq!(pause_of(&[("ratelimit-reset", "1790000042"), date]), 42);
        assert_eq!(pause_of(&[("ratelimit-reset", "1789999999"), date]), 1);
        assert_eq!(
            pause_of(&[("ratelimit-reset", "1790999999"), date]),
            999_999
        );
        assert_eq!(pause_of(&[("ratelimit-reset", "1790000042")]), 60);
        let both = [("retry-after", "7"), ("ratelimit-reset", "1093")];
        assert_eq!(pause_of(&both), 7);
        // Koyeb's: seconds left
        assert_eq!(pause_of(&[("x-ratelimit-reset", "58")]), 58);
        // a day is a day: whoever waits decides whether that is too long
        assert_eq!(pause_of(&[("retry-after", "86400")]), 86_400);
        assert_eq!(pause_of(&[]), 60);
    }

    #[test]
    fn keys_go_only_where_nobody_reads_them() {
        for fine in [
            "https://api.render.com/v1",
            "http://127.0.0.1:80/v1",
            "http://[::1]:80",
            "http://localhost:1",
        ] {
            assert!(address(fine).is_ok(), "{fine}");
        }
        for (bad, why) in [
            ("http://api.render.com/v1", "https only"),
            ("ftp://127.0.0.1/", "https only"),
            ("api.render.com", "no URL"),
            ("https://api.render.com/v1?x=1", "ends with a path"),
        ] {
            let error = address(bad).unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
        let error = address("https://u:hunter2@x.example/").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn neither_key_nor_bearer_can_be_seen() {
        let key = Secret::from("rnd_secretsecretsecret");
        let http = Http::new("https://api.render.com/v1", &key).unwrap();
        let debug = format!("{http:?}");
        assert!(!debug.contains("rnd_secret"), "{debug}");
        let clean = http.clean("bad key\nrnd_secretsecretsecret!");
        assert_eq!(clean, "bad key ***!");
        for none in ["", " \n", "a\u{1}b"] {
            let error = Http::new("https://x.example", &Secret::from(none)).unwrap_err();
            assert!(matches!(error, ProviderError::Unauthorized(_)), "{error}");
        }
    }

    #[test]
    fn every_status_has_its_error() {
        use ProviderError as E;
        let error = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            sorted(status, "why".to_owned(), &HeaderMap::new())
        };
        let why = || "why".to_owned();
        assert_eq!(error(400), E::Refused(why()));
        assert_eq!(error(401), E::Unauthorized(why()));
        assert_eq!(error(402), E::CardNeeded(why()));
        assert_eq!(error(403), E::Forbidden(why()));
        assert_eq!(error(404), E::NotFound(why()));
        assert_eq!(error(409), E::Conflict(why()));
        assert_eq!(error(422), E::Refused(why()));
        assert!(error(429).may_pass());
        assert_eq!(error(503), E::Away(why()));
        assert_eq!(error(302), E::Unexpected(why()));
    }

    #[test]
    fn messages_are_found_where_providers_put_them() {
        for (body, said) in [
            (
                r#"{"message":"not found: srv-1"}"#,
                Some("not found: srv-1"),
            ),
            (r#"{"id":"x","error":{"message":"no"}}"#, Some("no")),
            (r#"{"error":"nope"}"#, Some("nope")),
            (r#"{"message":""}"#, None),
            (
                r#"{"message":"Invalid argument","fields":[{"field":"name","description":"is taken"}]}"#,
                Some("Invalid argument: name is taken"),
            ),
            ("<html>502</html>", None),
        ] {
            assert_eq!(words(body.as_bytes()).as_deref(), said);
        }
    }
}
