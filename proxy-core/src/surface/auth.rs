//! Who is asking: client tokens in the four styles that clients use, and what each may do.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use contract::Millis;
use contract::admin::{TokenRules, TokenUsage};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};

use super::limits::{Accepted, Admitted, DayCounts, Limit};
use crate::clock::Clock;
use crate::store::StoredToken;

/// What a token is called where others can read it. Nothing of the token can be told from it.
fn word_of(hash: &[u8; 32]) -> Box<str> {
    let word = Sha256::new_with_prefix("whose")
        .chain_update(hash)
        .finalize();
    let digits = word.iter().take(8).map(|byte| format!("{byte:02x}"));
    digits.collect::<String>().into()
}

/// The client tokens that are accepted now, by hash. The tokens themselves are not kept.
///
/// Looking one up hashes what the client sent and finds the hash in a map: how long that
/// takes depends on no part of a valid token, so it cannot be guessed piece by piece.
pub struct ClientTokens {
    by_hash: ArcSwap<HashMap<[u8; 32], Arc<Accepted>>>,
    /// Whose midnight begins a day of the limits.
    time_zone: ArcSwap<TimeZone>,
}

/// A token to accept.
#[derive(Clone, Debug)]
pub struct TokenEntry {
    /// Its number in the store.
    pub id: i64,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// What the user calls it; its client is told when it meets a limit.
    pub name: String,
    /// What it may do.
    pub rules: TokenRules,
}

impl From<&StoredToken> for TokenEntry {
    fn from(token: &StoredToken) -> Self {
        Self {
            id: token.id,
            hash: token.hash,
            name: token.name.clone(),
            rules: token.rules.clone(),
        }
    }
}

/// Why a token does not let a request in.
#[derive(Debug)]
pub enum Refused {
    /// There is no such token.
    Unknown,
    /// The token is known, and this stands in the way.
    Limit {
        /// Its number.
        id: i64,
        /// What the user calls it.
        name: String,
        /// What stands in the way.
        limit: Limit,
        /// It is told in the request log, and not only in the numbers.
        is_filed: bool,
    },
}

impl ClientTokens {
    /// From now on days begin at midnight of `time_zone`.
    pub fn set_time_zone(&self, time_zone: TimeZone) {
        self.time_zone.store(Arc::new(time_zone));
    }

    /// No tokens yet; days begin at midnight of `time_zone`.
    pub fn new(time_zone: TimeZone) -> Self {
        Self {
            by_hash: ArcSwap::default(),
            time_zone: ArcSwap::from_pointee(time_zone),
        }
    }

    /// Accepts exactly these tokens from now on. What was counted of those that were there
    /// before stays counted.
    pub fn replace(&self, tokens: impl IntoIterator<Item = TokenEntry>) {
        let old = self.by_hash.load();
        let new = tokens
            .into_iter()
            .map(|entry| {
                let known = old.get(&entry.hash).filter(|known| known.id == entry.id);
                let used = known.map(|known| known.used.clone()).unwrap_or_default();
                let mut accepted = Accepted::new(entry.id, entry.name, entry.rules, used);
                accepted.word = word_of(&entry.hash);
                (entry.hash, Arc::new(accepted))
            })
            .collect();
        self.by_hash.store(Arc::new(new));
    }

    /// Accepts a token no more.
    pub fn remove(&self, id: i64) {
        self.by_hash.rcu(|tokens| {
            let kept = tokens.iter().filter(|(_, accepted)| accepted.id != id);
            kept.map(|(hash, accepted)| (*hash, accepted.clone()))
                .collect::<HashMap<_, _>>()
        });
    }

    /// Takes over what was counted today before this process started, so that a restart
    /// opens no limit. What this process has counted itself by then is not added: whichever
    /// is more holds, because the store may have heard of it already.
    pub fn seed(&self, now: Millis, counts: impl IntoIterator<Item = (i64, DayCounts)>) {
        let counts: HashMap<_, _> = counts.into_iter().collect();
        for accepted in self.by_hash.load().values() {
            if let Some(counts) = counts.get(&accepted.id) {
                accepted.used.seed(now, &self.time_zone.load(), *counts);
            }
        }
    }

    /// When a token was last used in this process.
    pub fn last_used(&self, id: i64) -> Option<Millis> {
        self.find(id)?.used.last_at()
    }

    /// What was done with a token today.
    pub fn usage(&self, id: i64, now: Millis) -> TokenUsage {
        self.find(id)
            .map(|accepted| accepted.used.usage(now, &self.time_zone.load()))
            .unwrap_or_default()
    }

    fn find(&self, id: i64) -> Option<Arc<Accepted>> {
        let tokens = self.by_hash.load();
        tokens.values().find(|accepted| accepted.id == id).cloned()
    }

    /// Lets in a request with the token that a client sent, and counts it, unless the token
    /// is not accepted or its rules are against it.
    ///
    /// # Errors
    /// See [`Refused`]; a request that is refused counts towards no limit.
    pub fn admit(&self, token: &str, clock: &Clock) -> Result<Admitted, Refused> {
        self.accepted(token)?
            .admit(clock, &self.time_zone.load())
            .map_err(|turned| Refused::Limit {
                id: turned.token.id,
                name: turned.token.name.clone(),
                limit: turned.limit,
                is_filed: turned.is_filed,
            })
    }

    /// Lets in a question about what was asked for earlier, which counts for nothing.
    ///
    /// # Errors
    /// When the token is not known, or no longer accepted.
    pub fn admit_beside(&self, token: &str, clock: &Clock) -> Result<Admitted, Refused> {
        match self.accepted(token)?.admit_beside(clock) {
            Some(admitted) => Ok(admitted),
            None => self.admit(token, clock),
        }
    }

    /// Lets in what the token with this number has begun, which counts for nothing. `None` when it is
    /// not accepted any more.
    pub fn admit_of(&self, id: i64, clock: &Clock) -> Option<Admitted> {
        self.find(id)?.admit_beside(clock)
    }

    fn accepted(&self, token: &str) -> Result<Arc<Accepted>, Refused> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let known = self.by_hash.load().get(&hash).cloned();
        known.ok_or(Refused::Unknown)
    }
}

/// How a client sent its token; tells Google's clients from others where paths collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `Authorization: Bearer …` (OpenAI's SDKs, most clients).
    Bearer,
    /// `x-goog-api-key` or `?key=` (Google's SDKs).
    Google,
    /// `x-api-key` (Anthropic's SDKs).
    Anthropic,
}

/// The token in a request's headers or query, and its style. Headers come first.
pub fn presented(headers: &HeaderMap, query: Option<&str>) -> Option<(String, Style)> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(token) = header("x-goog-api-key") {
        return Some((token.trim().to_owned(), Style::Google));
    }
    if let Some(token) = header("x-api-key") {
        return Some((token.trim().to_owned(), Style::Anthropic));
    }
    if let Some(value) = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
    {
        // RFC 9110 §11.1: the scheme is case-insensitive.
        let token = match value.split_at_checked(7) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer ") => token,
            _ => value,
        };
        return Some((token.trim().to_owned(), Style::Bearer));
    }
    let token = query?
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| *name == "key")?
        .1;
    Some((percent_decode(token), Style::Google))
}

fn percent_decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(token: &str) -> [u8; 32] {
        Sha256::digest(token.as_bytes()).into()
    }

    #[test]
    fn tokens_of_two_installations_are_called_differently_although_their_numbers_are_the_same() {
        let (one, other) = (word_of(&hash("sk-one")), word_of(&hash("sk-other")));
        assert_ne!(one, other);
        assert_eq!((&one, one.len()), (&word_of(&hash("sk-one")), 16));
    }

    #[test]
    fn all_four_styles_are_read() {
        let with = |name: &'static str, value: &str| {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(name),
                value.parse().unwrap(),
            )]);
            presented(&headers, None)
        };
        let token = |style| Some(("tok".to_owned(), style));
        assert_eq!(with("authorization", "Bearer tok"), token(Style::Bearer));
        assert_eq!(with("authorization", "bearer  tok "), token(Style::Bearer));
        assert_eq!(with("x-goog-api-key", "tok"), token(Style::Google));
        assert_eq!(with("x-api-key", "tok"), token(Style::Anthropic));
        assert_eq!(
            presented(&HeaderMap::new(), Some("alt=sse&key=t%6Fk")),
            token(Style::Google)
        );
        assert_eq!(presented(&HeaderMap::new(), Some("alt=sse")), None);
    }

    #[test]
    fn only_accepted_tokens_get_in_and_their_use_is_remembered() {
        let tokens = ClientTokens::new(TimeZone::UTC);
        let clock = Clock::new(|| 99);
        let entry = |id, token| TokenEntry {
            id,
            hash: hash(token),
            name: token.to_owned(),
            rules: TokenRules::default(),
        };
        let admitted = |token| tokens.admit(token, &clock).map(|admitted| admitted.id());
        assert!(matches!(admitted("sk-a"), Err(Refused::Unknown)));
        tokens.replace([entry(4, "sk-a")]);
        assert_eq!(admitted("sk-a").unwrap(), 4);
        assert!(matches!(admitted("sk-b"), Err(Refused::Unknown)));
        tokens.replace([entry(4, "sk-a"), entry(5, "sk-b")]);
        assert_eq!(
            tokens.last_used(4),
            Some(99),
            "kept over a change of the list"
        );
        assert_eq!(tokens.usage(4, 99).requests_today, 1);
        assert_eq!(tokens.last_used(5), None);
        tokens.remove(4);
        assert!(matches!(admitted("sk-a"), Err(Refused::Unknown)));
    }
}
