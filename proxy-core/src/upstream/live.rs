//! Sessions of the Live API: a WebSocket whose first message says what is wanted
//! (<https://ai.google.dev/api/live>).
//!
//! Google lets any key in at first and says by closing what it has against it, in words only: a
//! session counts as begun when the first message has come.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use reqwest::Upgraded;
use serde_json::json;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::failure::{Failure, Setback, refused};
use crate::pool::Outcome;

/// The largest message that is passed on, in bytes: media comes in small pieces.
pub(crate) const LARGEST_MESSAGE: usize = 16 * 1024 * 1024;

/// A session that has begun.
pub struct LiveSession {
    /// The way to Google and back.
    pub socket: Box<WebSocketStream<Upgraded>>,
    /// What Google said first.
    pub first: Message,
}

/// The headers that ask for a WebSocket (RFC 6455 §4.1).
pub(super) fn ask_for_socket(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(
        header::SEC_WEBSOCKET_VERSION,
        HeaderValue::from_static("13"),
    );
    if let Ok(key) = HeaderValue::from_str(&generate_key()) {
        headers.insert(header::SEC_WEBSOCKET_KEY, key);
    }
}

/// Sends the client's first message and waits for Google's. `scrub` takes the key out of what is
/// said.
pub(super) async fn begin(
    response: reqwest::Response,
    setup: Bytes,
    scrub: impl Fn(Bytes) -> Bytes,
) -> Result<LiveSession, Setback> {
    let upgraded = response.upgrade().await;
    let upgraded = upgraded.map_err(|error| super::failure::lost(error.into()))?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE));
    let socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config));
    let mut socket = Box::new(socket.await);
    let setup = Utf8Bytes::try_from(setup).map_err(|_| Setback::malformed())?;
    if let Err(error) = socket.send(Message::Text(setup)).await {
        return Err(broken(&error));
    }
    loop {
        match socket.next().await {
            Some(Ok(first @ (Message::Text(_) | Message::Binary(_)))) => {
                return Ok(LiveSession { socket, first });
            }
            Some(Ok(Message::Close(said))) => return Err(closed(said, scrub)),
            // A ping is answered by the library.
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(broken(&error)),
            None => return Err(closed(None, scrub)),
        }
    }
}

fn broken(error: &tokio_tungstenite::tungstenite::Error) -> Setback {
    Setback {
        outcome: Outcome::Unreachable,
        failure: Failure::Unreachable(format!("the connection to Google broke ({error})")),
    }
}

/// What a session that was closed before it began says of its key: the close codes say little
/// (RFC 6455 §7.4.1), so Google's words are read as those of the same refusal over HTTP.
fn closed(said: Option<CloseFrame>, scrub: impl Fn(Bytes) -> Bytes) -> Setback {
    let Some(said) = said else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, Bytes::new());
    };
    // Google quotes what the client has sent, so words count only where they are Google's.
    let reason = said.reason.as_str();
    let begins = |words: &[&str]| words.iter().any(|words| reason.starts_with(words));
    let (status, why) = match said.code {
        _ if begins(&["API key not valid", "API key expired", "API Key not found"]) => {
            (StatusCode::BAD_REQUEST, Some("API_KEY_INVALID"))
        }
        _ if begins(&["Your API key was reported as leaked"]) => (StatusCode::FORBIDDEN, None),
        _ if begins(&["Permission denied: Consumer"]) => {
            (StatusCode::FORBIDDEN, Some("CONSUMER_SUSPENDED"))
        }
        _ if begins(&["Your project has been denied access"]) => (StatusCode::FORBIDDEN, None),
        _ if begins(&[
            "You exceeded your current quota",
            "Your project has exceeded its",
            "Resource has been exhausted",
            "Quota exceeded",
        ]) =>
        {
            (StatusCode::TOO_MANY_REQUESTS, None)
        }
        _ if begins(&["This model "]) => (StatusCode::NOT_FOUND, None),
        CloseCode::Policy if reason.contains(" is not found for API version") => {
            (StatusCode::NOT_FOUND, None)
        }
        CloseCode::Policy | CloseCode::Invalid | CloseCode::Unsupported | CloseCode::Protocol => {
            (StatusCode::BAD_REQUEST, None)
        }
        _ => (StatusCode::SERVICE_UNAVAILABLE, None),
    };
    let details = match why {
        Some(why) => json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": why,
        }]),
        None => json!([]),
    };
    let name = match status {
        StatusCode::BAD_REQUEST if begins(&["Gemini API free tier"]) => "FAILED_PRECONDITION",
        StatusCode::BAD_REQUEST => "INVALID_ARGUMENT",
        _ => "",
    };
    let body = json!({"error": {
        "code": status.as_u16(),
        "status": name,
        "message": reason,
        "details": details,
    }});
    refused(status, scrub(body.to_string().into()))
}

#[cfg(test)]
mod tests {
    use contract::admin::{CooldownReason, RejectReason};

    use super::*;
    use crate::pool::Limits;

    #[test]
    fn what_google_says_by_closing() {
        for (code, reason, outcome) in [
            (
                1007,
                "API key not valid. Please pass a valid API key.",
                Outcome::KeyRefused(RejectReason::Invalid),
            ),
            (
                1008,
                "Your API key was reported as leaked. Please use another API key.",
                Outcome::KeyRefused(RejectReason::Leaked),
            ),
            (
                1008,
                "Permission denied: Consumer 'api_key:…' has been suspended.",
                Outcome::KeyRefused(RejectReason::Suspended),
            ),
            (
                1011,
                "You exceeded your current quota, please check your plan and billing details.",
                Outcome::Quota {
                    reason: CooldownReason::Unexplained,
                    limits: Limits::default(),
                    retry_after: None,
                },
            ),
            (
                1011,
                "Resource has been exhausted (e.g. check quota).",
                Outcome::Overloaded,
            ),
            (
                1008,
                "Gemini API free tier is not available in your country. Please enable billing on",
                Outcome::ProjectRefused { lasting: true },
            ),
            (
                1008,
                "This model models/x is no longer available to new users. Please update your code",
                Outcome::ProjectRefused { lasting: true },
            ),
            (
                1008,
                "Your project has been denied access. Please contact support.",
                Outcome::Forbidden,
            ),
            (1011, "Internal error encountered.", Outcome::Overloaded),
            (
                1008,
                "models/x is not found for API version v1beta, or is not supported for bidiGenerateContent.",
                Outcome::ClientFault,
            ),
            (
                1007,
                "Request contains an invalid argument.",
                Outcome::ClientFault,
            ),
            (
                1007,
                "API key expired. Please renew the API key.",
                Outcome::KeyRefused(RejectReason::Invalid),
            ),
            // What a client wrote, quoted.
            (
                1008,
                "models/suspended API key not valid is not found for API version v1beta, or is not \
                 supported for bidiGenerateContent.",
                Outcome::ClientFault,
            ),
            (
                1007,
                "Invalid JSON payload received. Unknown name \"API key not valid\": Cannot find field.",
                Outcome::ClientFault,
            ),
        ] {
            let said = CloseFrame {
                code: code.into(),
                reason: reason.into(),
            };
            assert_eq!(closed(Some(said), |said| said).outcome, outcome, "{reason}");
        }
        assert_eq!(closed(None, |said| said).outcome, Outcome::Overloaded);
    }
}
