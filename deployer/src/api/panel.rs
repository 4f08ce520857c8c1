//! A remote's panel inside this one: calls of its admin API are passed on, signed in with what
//! is known of it, so that neither password nor cookie of the remote reaches the page.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use contract::admin::SettingsChange;
use contract::{ApiError, ErrorCode};
use http::{Method, StatusCode, Uri, header};
use proxy_core::admin::Who;
use proxy_core::admin::answer::Result;

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
    let inside = path.strip_prefix("api/").unwrap_or_default();
    if let Some(why) = refusal(inside, &method, &body) {
        return Err(why.into());
    }
    // The remote does not ask again right after this instance signed in to it.
    if (&method, inside) == (&Method::POST, "transfer/export") {
        who.has_confirmed(&api.core).await?;
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
        who.has_confirmed(&api.core).await?;
        api.deployer.confirm_remote(id).await?;
        said = ask().await?;
    }
    Ok(answer(said))
}

/// Why a call is not passed on, if it is not. The password by which this instance signs in to
/// the remote is not changed from there: it would be shut out.
fn refusal(inside: &str, method: &Method, body: &[u8]) -> Option<ApiError> {
    let refused = |code, why: &str| Some(ApiError::new(code, why));
    let first = inside.split('/').next().unwrap_or_default();
    if !is_plain(inside) || KEPT.contains(&first) {
        let why = "That is not passed on to a remote's admin API.";
        return refused(ErrorCode::NotFound, why);
    }
    let changes_settings = (method, inside) == (&Method::PATCH, "settings");
    if changes_settings && names_auth_token(body) {
        let why = "AUTH_TOKEN is what this instance signs in to it with, so it is not changed \
                   from here: this instance would be shut out.";
        return refused(ErrorCode::InvalidInput, why);
    }
    let undoes = first == "audit" && inside.ends_with("/undo");
    if method == Method::POST && (inside == "transfer/import" || undoes) {
        let why = "This may bring another AUTH_TOKEN, which would shut this instance out. Do it \
                   in the panel at the remote's own address.";
        return refused(ErrorCode::InvalidInput, why);
    }
    None
}

/// Whether a change of settings is about `AUTH_TOKEN`, or cannot be read.
fn names_auth_token(body: &[u8]) -> bool {
    let change = serde_json::from_slice::<SettingsChange>(body);
    change.map_or(true, |change| change.values.contains_key("AUTH_TOKEN"))
}

/// A path that every reader understands alike: no segment is empty or leads elsewhere.
fn is_plain(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    path.split('/')
        .all(|segment| !["", ".", ".."].contains(&segment) && segment.chars().all(plain))
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
    use super::*;

    #[test]
    fn what_would_shut_this_instance_out_is_not_passed_on() {
        let refused = |method: Method, path: &str, body: &str| {
            refusal(path, &method, body.as_bytes()).map(|error| error.code)
        };
        let change = |name: &str| format!(r#"{{"values": {{"{name}": "x"}}, "revision": 1}}"#);
        let invalid = Some(ErrorCode::InvalidInput);
        assert_eq!(
            refused(Method::PATCH, "settings", &change("MAX_RETRIES")),
            None
        );
        assert_eq!(
            refused(Method::PATCH, "settings", &change("AUTH_TOKEN")),
            invalid
        );
        assert_eq!(refused(Method::PATCH, "settings", "what"), invalid);
        assert_eq!(refused(Method::POST, "transfer/import", "{}"), invalid);
        assert_eq!(refused(Method::POST, "audit/3/undo", "{}"), invalid);
        assert_eq!(refused(Method::POST, "keys/import", "{}"), None);
        for kept in [
            "login",
            "account/totp/off",
            "./login",
            "keys/./../login",
            "deploy",
        ] {
            let not_found = Some(ErrorCode::NotFound);
            assert_eq!(refused(Method::POST, kept, "{}"), not_found, "{kept}");
        }
    }

    #[test]
    fn only_plain_paths_are_passed_on() {
        assert!(is_plain("keys/3/check") && is_plain("data/backups/a-b_c.db/restore"));
        for odd in [
            "",
            "../login",
            "./login",
            "keys//x",
            "keys/",
            "keys%2f..",
            "keys?x",
            "keys\\x",
            "a b",
        ] {
            assert!(!is_plain(odd), "{odd}");
        }
    }
}
