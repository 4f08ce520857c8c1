//! The methods that generate nothing: the list of models, counting, embedding.

use serde_json::{Value, json};

use super::World;
use super::answer;
use super::error::GoogleError;
use super::model::Model;
use super::proto::{get, int, list, text};
use super::target::Target;

pub(super) fn list_models(world: &World, target: &Target) -> Result<Value, GoogleError> {
    const USUAL: usize = 50;
    const MOST: usize = 1000;
    let size = match target
        .parameter("pageSize", "page_size")
        .map(str::parse::<i32>)
    {
        None | Some(Ok(0)) => USUAL,
        Some(Ok(size)) if size > 0 => usize::try_from(size).unwrap_or(MOST).min(MOST),
        Some(_) => {
            return Err(GoogleError::invalid(
                "* ListModelsRequest.page_size: page_size must be positive.\n",
            ));
        }
    };
    let start = match target
        .parameter("pageToken", "page_token")
        .filter(|token| !token.is_empty())
    {
        None => 0,
        Some(token) => token
            .strip_prefix("page-")
            .and_then(|start| start.parse().ok())
            .filter(|start| *start < world.models.len())
            .ok_or_else(|| GoogleError::invalid("Invalid page token."))?,
    };
    let end = (start + size).min(world.models.len());
    let mut page = json!({ "models": world.models[start..end].iter().map(Model::to_json).collect::<Vec<_>>() });
    if end < world.models.len() {
        page["nextPageToken"] = json!(format!("page-{end}"));
    }
    Ok(page)
}

/// The request whose tokens are counted: bare contents, or a whole request inside.
pub(super) fn counted(body: &Value) -> &Value {
    get(body, "generate_content_request").unwrap_or(body)
}

pub(super) fn count_tokens(tokens: u64, cached: u64) -> Value {
    let details = |count: u64| json!([{ "modality": "TEXT", "tokenCount": count }]);
    let mut counted = json!({ "totalTokens": tokens });
    if cached > 0 {
        counted["cachedContentTokenCount"] = json!(cached);
    }
    counted["promptTokensDetails"] = details(tokens);
    if cached > 0 {
        counted["cacheTokensDetails"] = details(cached);
    }
    counted
}

pub(super) fn embed_requests<'a>(action: &str, body: &'a Value) -> &'a [Value] {
    if action == "embedContent" {
        std::slice::from_ref(body)
    } else {
        list(body, "requests")
    }
}

/// The contents to embed, in the shape in which tokens are counted.
pub(super) fn embedded(body: &Value) -> Value {
    let of = |request: &Value| get(request, "content").cloned().unwrap_or_default();
    let contents: Vec<Value> = match list(body, "requests") {
        [] => vec![of(body)],
        requests => requests.iter().map(of).collect(),
    };
    json!({ "contents": contents })
}

pub(super) fn embed(model: &Model, action: &str, body: &Value) -> Value {
    /// `gemini-embedding-001` gives so many numbers unless told otherwise.
    const USUAL: usize = 3072;
    let vector = |request: &Value| {
        let content = get(request, "content").cloned().unwrap_or_default();
        let said: Vec<&str> = list(&content, "parts")
            .iter()
            .map(|part| text(part, "text"))
            .collect();
        let length = int(request, "output_dimensionality")
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(USUAL);
        let length = length.clamp(1, USUAL);
        json!({ "values": answer::embedding(&format!("{}\n{}", model.id, said.join("\n")), length) })
    };
    let requests = embed_requests(action, body);
    match (action, requests) {
        ("embedContent", [request]) => json!({ "embedding": vector(request) }),
        _ => json!({ "embeddings": requests.iter().map(vector).collect::<Vec<_>>() }),
    }
}

/// The one instance of a prediction, as a request to embed.
pub(super) fn of_instance(body: &Value) -> Value {
    let instance = list(body, "instances").first().cloned().unwrap_or_default();
    let parameters = get(body, "parameters").cloned().unwrap_or_default();
    let mut request = json!({"content": {"parts": [{"text": text(&instance, "content")}]}});
    if let Some(length) = int(&parameters, "output_dimensionality") {
        request["output_dimensionality"] = json!(length);
    }
    request
}

/// A prediction's answer.
pub(super) fn predict(model: &Model, request: &Value, tokens: u64) -> Value {
    let mut embeddings = embed(model, "embedContent", request)["embedding"].take();
    embeddings["statistics"] = json!({ "truncated": false, "token_count": tokens });
    json!({ "predictions": [{ "embeddings": embeddings }] })
}
