//! Addresses as people get them wrong, and what they mean.
//!
//! Clients are told a base URL and add paths of their own; what they add differs, and so does
//! what people paste: with or without `/v1`, with it twice, with the whole endpoint, with the
//! prefixes of the original program. Where the end of a path says without doubt what is meant,
//! it is answered.

use contract::admin::Surface;
use dialect::gemini::COLLECTIONS;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, Request, Uri, header};

/// Words before an endpoint that say nothing but whose protocol is spoken.
const PREFIXES: [&str; 8] = [
    "v1",
    "v1beta",
    "v1alpha",
    "openai",
    "gemini",
    "hf",
    "vertex-express",
    "api",
];

/// Endpoints below `/v1`, by their segments; `*` is any one.
const ENDPOINTS: [&[&str]; 17] = [
    &["chat", "completions"],
    &["responses"],
    &["responses", "*"],
    &["responses", "*", "input_items"],
    &["responses", "*", "cancel"],
    &["completions"],
    &["embeddings"],
    &["files"],
    &["files", "*"],
    &["files", "*", "content"],
    &["audio", "speech"],
    &["audio", "transcriptions"],
    &["audio", "translations"],
    &["images", "generations"],
    &["images", "edits"],
    &["messages"],
    &["messages", "count_tokens"],
];

/// What Google has beside its versions.
const BESIDE: [&str; 3] = ["upload", "download", "ws"];

/// Endpoints that OpenAI and Google both have.
const MODELS: [&[&str]; 2] = [&["models"], &["models", "*"]];

/// Gives a request the path that it means.
pub(crate) fn forgive<B>(request: &mut Request<B>) {
    let Some(path) = canonical(request.uri().path()) else {
        return;
    };
    let path = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = request.uri().clone().into_parts();
    if let Ok(path) = path.parse::<PathAndQuery>() {
        parts.path_and_query = Some(path);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
}

/// The protocol of the clients that use a path, for errors about the path itself; `None` when
/// it is none of theirs.
pub(super) fn speaks(path: &str) -> Option<Surface> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let first = segments.next()?;
    if first == "api" || !PREFIXES.contains(&first) {
        return None;
    }
    let mut surface = match first {
        "v1beta" | "v1alpha" | "gemini" | "vertex-express" => Surface::Gemini,
        _ => Surface::Openai,
    };
    for segment in segments {
        match segment {
            "openai" => surface = Surface::Openai,
            "messages" => surface = Surface::Anthropic,
            _ => {}
        }
    }
    Some(surface)
}

/// The address that a client has of this server, without a path; `…` when it does not say.
pub(super) fn asked_for(headers: &HeaderMap) -> String {
    let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(host) = header(header::HOST) else {
        return "…".to_owned();
    };
    // What a proxy in front that does TLS says.
    let first = |list: &str| list.split(',').next().unwrap_or_default().trim().to_owned();
    let scheme = header(HeaderName::from_static("x-forwarded-proto")).map(first);
    let scheme = match scheme.as_deref() {
        Some("https") => "https",
        _ => "http",
    };
    let forwarded = header(HeaderName::from_static("x-forwarded-host")).map(first);
    let forwarded = forwarded.filter(|host| !host.is_empty());
    let host = forwarded.as_deref().unwrap_or(host);
    format!("{scheme}://{host}")
}

/// The path that is meant by `path`; `None` when it is right as it is, or nobody's guess.
fn canonical(path: &str) -> Option<String> {
    let segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    // The admin API is below `/api`, and has no versions.
    if let ["api", rest @ ..] = &segments[..]
        && !matches!(rest, ["v1" | "v1beta" | "openai" | "gemini", ..])
    {
        return None;
    }
    if let Some(meant) = resource(&segments) {
        return (meant != path).then_some(meant);
    }
    let meant = (0..segments.len()).rev().find_map(|at| {
        let (before, end) = segments.split_at(at);
        before
            .iter()
            .all(|segment| means_nothing(segment))
            .then(|| endpoint(before, end))?
    })?;
    (meant != path).then_some(meant)
}

/// The path of what Google keeps for its clients, when that is meant: its own words lead to it,
/// whatever prefix they have. `files` are OpenAI's, too, and therefore an endpoint.
fn resource(segments: &[&str]) -> Option<String> {
    let leads = |segment: &&str| {
        BESIDE.contains(segment) || (*segment != "files" && COLLECTIONS.contains(segment))
    };
    let at = segments.iter().position(leads)?;
    // An operation may be one of a model's.
    let at = match segments.get(..at) {
        Some([.., "models", _]) if segments.get(at) == Some(&"operations") => at - 2,
        _ => at,
    };
    let (before, rest) = segments.split_at(at);
    let is_openais = before
        .iter()
        .any(|segment| matches!(*segment, "openai" | "hf"))
        || (before.is_empty() && rest.first() == Some(&"batches"));
    if is_openais || !before.iter().all(|segment| PREFIXES.contains(segment)) {
        return None;
    }
    let is_beside = rest.first().is_some_and(|first| BESIDE.contains(first));
    let rest = rest.join("/");
    if is_beside {
        return Some(format!("/{rest}"));
    }
    let version = before.iter().rfind(|segment| segment.starts_with("v1"));
    let version = version.copied().unwrap_or("v1beta");
    Some(format!("/{version}/{rest}"))
}

/// The path of the endpoint that `end` is, if it is one.
fn endpoint(before: &[&str], end: &[&str]) -> Option<String> {
    let is = |pattern: &&[&str]| {
        let fits = |(wanted, given): (&&str, &&str)| *wanted == "*" || wanted == given;
        pattern.len() == end.len() && pattern.iter().zip(end).all(fits)
    };
    // The end of `chat/completions` is no endpoint of its own.
    if matches!((before, end), ([.., "chat"], ["completions"])) {
        return None;
    }
    let version = if ENDPOINTS.iter().any(&is) {
        "v1"
    } else if MODELS.iter().any(is) {
        version_of_models(before, end)
    } else {
        return None;
    };
    Some(format!("/{version}/{}", end.join("/")))
}

/// Below which version the models are that are meant.
fn version_of_models(before: &[&str], end: &[&str]) -> &'static str {
    let is_call = end.last().is_some_and(|target| target.contains(':'));
    let has = |words: &[&str]| before.iter().any(|segment| words.contains(segment));
    if !is_call && has(&["openai", "hf"]) {
        return "v1";
    }
    let version = before.iter().rfind(|segment| segment.starts_with("v1"));
    match version {
        Some(&"v1alpha") => "v1alpha",
        Some(&"v1") if !has(&["gemini", "vertex-express"]) => "v1",
        None if !is_call && !has(&["gemini", "vertex-express"]) => "v1",
        _ => "v1beta",
    }
}

/// Whether a segment before the endpoint can be passed over: a prefix, or a part of an
/// endpoint that was taken for the base URL.
fn means_nothing(segment: &str) -> bool {
    let of_endpoint = |pattern: &&[&str]| pattern.contains(&segment);
    PREFIXES.contains(&segment)
        || segment.contains(':')
        || ENDPOINTS.iter().any(of_endpoint)
        || MODELS.iter().any(of_endpoint)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_meant_by_a_path() {
        for (given, meant) in [
            // The original program's prefixes.
            ("/hf/v1/chat/completions", "/v1/chat/completions"),
            ("/openai/v1/chat/completions", "/v1/chat/completions"),
            ("/openai/v1/models", "/v1/models"),
            ("/gemini/v1beta/models", "/v1beta/models"),
            (
                "/gemini/v1beta/models/m:generateContent",
                "/v1beta/models/m:generateContent",
            ),
            (
                "/vertex-express/v1beta/models/m:streamGenerateContent",
                "/v1beta/models/m:streamGenerateContent",
            ),
            (
                "/gemini/v1beta/cachedContents/x",
                "/v1beta/cachedContents/x",
            ),
            ("/gemini/upload/v1beta/files", "/upload/v1beta/files"),
            ("//ws/google.x", "/ws/google.x"),
            ("/gemini/ws/google.x", "/ws/google.x"),
            (
                "/gemini/v1beta/models/veo/operations/o",
                "/v1beta/models/veo/operations/o",
            ),
            (
                "/models/veo/operations/o",
                "/v1beta/models/veo/operations/o",
            ),
            (
                "/vertex-express/interactions/x/cancel",
                "/v1beta/interactions/x/cancel",
            ),
            // Google's own address for OpenAI's clients.
            ("/v1beta/openai/chat/completions", "/v1/chat/completions"),
            ("/v1beta/openai/models", "/v1/models"),
            ("/v1beta/openai/models/m", "/v1/models/m"),
            ("/gemini/v1beta/openai/embeddings", "/v1/embeddings"),
            // Other gateways'.
            ("/api/v1/chat/completions", "/v1/chat/completions"),
            ("/api/v1/models", "/v1/models"),
            ("/api/v1/messages", "/v1/messages"),
            // No version, or too many.
            ("/chat/completions", "/v1/chat/completions"),
            ("/responses", "/v1/responses"),
            ("/models", "/v1/models"),
            ("/messages/count_tokens", "/v1/messages/count_tokens"),
            (
                "/models/m:generateContent",
                "/v1beta/models/m:generateContent",
            ),
            ("/v1/v1/chat/completions", "/v1/chat/completions"),
            ("/v1/v1/messages", "/v1/messages"),
            (
                "/v1beta/v1beta/models/m:countTokens",
                "/v1beta/models/m:countTokens",
            ),
            (
                "/v1/v1beta/models/m:countTokens",
                "/v1beta/models/m:countTokens",
            ),
            ("/v1beta/chat/completions", "/v1/chat/completions"),
            // Slashes.
            ("//v1/chat/completions", "/v1/chat/completions"),
            ("/v1//chat//completions/", "/v1/chat/completions"),
            ("/v1/models/", "/v1/models"),
            (
                "/v1beta/models/m:generateContent/",
                "/v1beta/models/m:generateContent",
            ),
            ("/v1/responses/resp_1/", "/v1/responses/resp_1"),
            // The endpoint as base URL.
            (
                "/v1/chat/completions/chat/completions",
                "/v1/chat/completions",
            ),
            (
                "/v1/chat/completions/v1/chat/completions",
                "/v1/chat/completions",
            ),
            ("/v1/chat/completions/models", "/v1/models"),
            ("/v1/messages/v1/messages", "/v1/messages"),
            (
                "/v1/messages/v1/messages/count_tokens",
                "/v1/messages/count_tokens",
            ),
            ("/v1/responses/responses", "/v1/responses"),
            (
                "/v1beta/models/m:generateContent/v1beta/models/n:generateContent",
                "/v1beta/models/n:generateContent",
            ),
            ("/v1/models/models/m", "/v1/models/m"),
        ] {
            assert_eq!(canonical(given).as_deref(), Some(meant), "{given}");
            assert_eq!(canonical(meant), None, "{meant} is right");
        }
    }

    #[test]
    fn other_paths_are_left_alone() {
        for path in [
            "/",
            "/v1",
            "/v1/",
            "/health",
            "/ready",
            "/metrics",
            "/index.html",
            "/assets/models.js",
            "/api/keys",
            "/api/models",
            "/api/tokens/1",
            "/api/openapi.json",
            "/api/deploy/remotes/1/panel/api/models",
            "/static/v1/models",
            "/v1/models/m",
            "/v1/models/m:generateContent",
            "/v1/responses/resp_1/input_items",
            "/v1/responses/resp_1/cancel",
            "/v1/fine_tuning/jobs",
            "/v2/chat/completions",
            "/foo/v1/chat/completions",
        ] {
            assert_eq!(canonical(path), None, "{path}");
        }
    }

    #[test]
    fn a_path_tells_the_protocol() {
        for (path, surface) in [
            ("/v1", Some(Surface::Openai)),
            ("/v1/engines", Some(Surface::Openai)),
            ("/v1beta/x", Some(Surface::Gemini)),
            ("/v1beta/openai/x", Some(Surface::Openai)),
            ("/gemini/v1beta/x", Some(Surface::Gemini)),
            ("/openai/x", Some(Surface::Openai)),
            ("/v1/messages/batches", Some(Surface::Anthropic)),
            ("/", None),
            ("/api/keys", None),
            ("/v1x", None),
            ("/assets/v1", None),
        ] {
            assert_eq!(speaks(path), surface, "{path}");
        }
    }

    #[test]
    fn the_query_stays() {
        let mut request = Request::new(());
        *request.uri_mut() = "/gemini/v1beta/models?key=a%20b".parse().unwrap();
        forgive(&mut request);
        assert_eq!(request.uri(), "/v1beta/models?key=a%20b");
    }

    proptest! {
        #[test]
        fn what_is_meant_is_right_itself(
            words in prop::collection::vec(
                prop::sample::select(vec!["", "v1", "v1beta", "openai", "api", "models", "chat", "completions", "responses", "x", "m:generateContent"]),
                0..8,
            ),
        ) {
            let path = format!("/{}", words.join("/"));
            if let Some(meant) = canonical(&path) {
                prop_assert_eq!(canonical(&meant), None, "{} → {}", path, meant);
                prop_assert!(meant.starts_with("/v1"));
            }
        }
    }
}
