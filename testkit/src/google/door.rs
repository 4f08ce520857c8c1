//! Who may come in: reading a request, its one credential, and what is known of it.

use bytes::{Bytes, BytesMut};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http_body_util::BodyExt as _;
use serde_json::{Map, Value};

use super::World;
use super::error::{GoogleError, Refusal};
use super::proto;
use super::shelf::Caller;
use super::target::Target;

/// More than this of a body is not even read to the end.
const DRAINED: usize = 256 * 1024 * 1024;

/// A body of at most so many bytes; `None` when there are more (or the client broke off).
/// The rest is read all the same, within reason, so that the client gets to read the refusal.
pub(super) async fn read_at_most<B>(body: B, most: usize) -> Option<Bytes>
where
    B: http_body::Body<Data = Bytes>,
{
    let mut body = std::pin::pin!(body);
    let (mut kept, mut seen) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else {
            continue;
        };
        seen += data.len();
        if seen > DRAINED {
            return None;
        }
        if seen <= most {
            kept.extend_from_slice(&data);
        } else {
            kept.clear();
        }
    }
    (seen <= most).then(|| kept.freeze())
}

/// How much of a body is taken. What is uploaded may be large: 2 GB at Google
/// (<https://ai.google.dev/gemini-api/docs/files>), here what fits in memory.
pub(super) fn most(world: &World, target: Option<&Target>) -> usize {
    match target.is_some_and(|target| target.is_upload) {
        true => DRAINED,
        false => world.max_body,
    }
}

/// The one credential of a call.
pub(super) fn credential(
    parts: &Parts,
    query: &[(String, String)],
    rpc: &str,
) -> Result<String, GoogleError> {
    let keys = parts
        .headers
        .get_all("x-goog-api-key")
        .iter()
        .map(|value| value.to_str().unwrap_or_default().to_owned());
    let in_query = query
        .iter()
        .filter(|(name, _)| name == "key")
        .map(|(_, value)| value.clone());
    let mut keys: Vec<String> = keys.chain(in_query).filter(|key| !key.is_empty()).collect();
    let tokens = parts.headers.get_all(AUTHORIZATION).iter().count()
        + query
            .iter()
            .filter(|(name, _)| matches!(name.as_str(), "access_token" | "oauth_token"))
            .count();
    match (keys.len(), tokens) {
        (0, 0) => Err(GoogleError::no_credential()),
        (1, 0) => Ok(keys.remove(0)),
        (0, 1) => Err(GoogleError::token_type_unsupported(rpc)),
        _ => Err(GoogleError::several_credentials()),
    }
}

/// Lets a call in by its key.
pub(super) fn admit(world: &World, parts: &Parts, target: &Target) -> Result<Caller, GoogleError> {
    let rpc = target.rpc();
    let key = credential(parts, &target.query, &rpc)?;
    let inner = world.inner.lock();
    match inner.keys.get(&key) {
        None => Err(Refusal::Invalid.error(&key, "", &rpc)),
        // Each kind of key is restricted to its own API.
        Some(state) if state.express != target.express => {
            Err(Refusal::ServiceBlocked.error(&key, &state.project, &rpc))
        }
        Some(state) => match state.refusal {
            Some(refusal) => Err(refusal.error(&key, &state.project, &rpc)),
            None => Ok(Caller {
                project: state.project.clone(),
                key,
            }),
        },
    }
}

/// A body as a JSON object. No body at all is an empty message to protobuf.
pub(super) fn json(body: &Bytes) -> Result<Map<String, Value>, GoogleError> {
    let body = if body.is_empty() { &b"{}"[..] } else { body };
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        let described = format!(
            "Invalid JSON payload received. {}",
            capital(&error.to_string())
        );
        GoogleError::fields(&[(String::new(), described)])
    })?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(GoogleError::fields(&[(
            String::new(),
            "Invalid JSON payload received. Root element must be a message.".to_owned(),
        )])),
    }
}

/// A body as the message that this method takes, with nothing in it that is none of its fields.
pub(super) fn message(action: &str, body: &Bytes) -> Result<Value, GoogleError> {
    let object = json(body)?;
    match proto::violations(action, &object) {
        wrong if wrong.is_empty() => Ok(Value::Object(object)),
        wrong => Err(GoogleError::fields(&wrong)),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
