//! A remote's panel inside this one: calls of its admin API are passed on, signed in with what
//! is known of it, so that neither password nor cookie of the remote reaches the page.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use contract::{ApiError, ErrorCode};
use http::{Method, StatusCode, Uri, header};
use proxy_core::admin::Who;
use proxy_core::admin::answer::{Failure, Result};

use super::Api;
use crate::instance::Said;

/// What is not passed on: this instance signs in, and a remote deploys nothing.
const KEPT: [&str; 5] = ["login", "logout", "setup", "account", "deploy"];

/// Passes a call on. Not in the description: what it takes and gives is the remote's own API.
pub(super) async fn pass_on(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Path((id, path)): Path<(i64, String)>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Result<Response> {
    let inside = path.strip_prefix("api/").filter(|inside| is_plain(inside));
    let first = inside.and_then(|inside| inside.split('/').next());
    if first.is_none_or(|first| KEPT.contains(&first)) {
        return Err(Failure::from(ApiError::new(
            ErrorCode::NotFound,
            "That is not passed on to a remote's admin API.",
        )));
    }
    let query = uri
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    let target = format!("/{path}{query}");
    let ask = || {
        api.deployer
            .ask_remote(id, method.clone(), &target, Some(&body))
    };
    let mut said = ask().await?;
    if said
        .error()
        .is_some_and(|error| error.code == ErrorCode::PasswordAgain)
    {
        // The remote's password is known here, so that of this instance has to do.
        who.has_confirmed()?;
        api.deployer.confirm_remote(id).await?;
        said = ask().await?;
    }
    Ok(answer(said))
}

/// A path without anything that another reader could understand otherwise.
fn is_plain(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    !path.is_empty() && !path.contains("..") && path.chars().all(plain)
}

fn answer(said: Said) -> Response {
    // A session of the remote's that has ended is none of the caller's.
    let status = match said.status {
        StatusCode::UNAUTHORIZED => StatusCode::BAD_GATEWAY,
        status => status,
    };
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, said.body).into_response()
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn only_plain_paths_are_passed_on() {
        assert!(is_plain("keys/3/check") && is_plain("data/backups/a-b_c.db/restore"));
        for odd in ["", "../login", "keys%2f..", "keys?x", "keys\\x", "a b"] {
            assert!(!is_plain(odd), "{odd}");
        }
    }
}
