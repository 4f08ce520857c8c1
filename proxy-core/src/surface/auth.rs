//! Who is asking: client tokens in the four styles that clients use.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use contract::Millis;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};

/// The client tokens that are accepted now, by hash. The tokens themselves are not kept.
///
/// Looking one up hashes what the client sent and finds the hash in a map: how long that
/// takes depends on no part of a valid token, so it cannot be guessed piece by piece.
#[derive(Default)]
pub struct ClientTokens {
    by_hash: ArcSwap<HashMap<[u8; 32], Arc<Accepted>>>,
}

struct Accepted {
    id: i64,
    last_used_at: AtomicI64,
}

impl ClientTokens {
    /// Accepts exactly these tokens from now on: id in the store, SHA-256 of the token.
    pub fn replace(&self, tokens: impl IntoIterator<Item = (i64, [u8; 32])>) {
        let old = self.by_hash.load();
        let new = tokens
            .into_iter()
            .map(|(id, hash)| {
                let kept = old.get(&hash).filter(|accepted| accepted.id == id).cloned();
                let fresh = || {
                    Arc::new(Accepted {
                        id,
                        last_used_at: AtomicI64::new(0),
                    })
                };
                (hash, kept.unwrap_or_else(fresh))
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

    /// When a token was last used in this process.
    pub fn last_used(&self, id: i64) -> Option<Millis> {
        let tokens = self.by_hash.load();
        let accepted = tokens.values().find(|accepted| accepted.id == id)?;
        let at = accepted.last_used_at.load(Ordering::Relaxed);
        (at > 0).then_some(at)
    }

    /// The id of the token a client sent, if it is accepted.
    pub fn accept(&self, token: &str, now: Millis) -> Option<i64> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let tokens = self.by_hash.load();
        let accepted = tokens.get(&hash)?;
        accepted.last_used_at.store(now, Ordering::Relaxed);
        Some(accepted.id)
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
        let tokens = ClientTokens::default();
        assert_eq!(tokens.accept("sk-a", 1), None);
        tokens.replace([(4, hash("sk-a"))]);
        assert_eq!(tokens.accept("sk-a", 99), Some(4));
        assert_eq!(tokens.accept("sk-b", 99), None);
        tokens.replace([(4, hash("sk-a")), (5, hash("sk-b"))]);
        assert_eq!(
            tokens.last_used(4),
            Some(99),
            "kept over a change of the list"
        );
        assert_eq!(tokens.last_used(5), None);
    }
}
