//! What a call asks for: the paths, methods and parameters that the API has.

use bytes::Bytes;
use http::Method;
use http::request::Parts;

use super::error::GoogleError;
use super::reply::Form;

/// A method of the API: its name in the path (or the fake's name for it), and its full name without the version.
const METHODS: &[(&str, &str)] = &[
    ("models", "ModelService.ListModels"),
    ("get", "ModelService.GetModel"),
    ("generateContent", "GenerativeService.GenerateContent"),
    (
        "streamGenerateContent",
        "GenerativeService.StreamGenerateContent",
    ),
    ("countTokens", "GenerativeService.CountTokens"),
    ("embedContent", "GenerativeService.EmbedContent"),
    ("batchEmbedContents", "GenerativeService.BatchEmbedContents"),
    ("files.create", "FileService.CreateFile"),
    ("files.list", "FileService.ListFiles"),
    ("files.get", "FileService.GetFile"),
    ("files.delete", "FileService.DeleteFile"),
];

/// Those of Vertex AI's express mode.
const EXPRESS_METHODS: &[(&str, &str)] = &[
    ("generateContent", "PredictionService.GenerateContent"),
    (
        "streamGenerateContent",
        "PredictionService.StreamGenerateContent",
    ),
    ("countTokens", "LlmUtilityService.CountTokens"),
    ("predict", "PredictionService.Predict"),
];

/// Parameters that every method takes beside its own fields.
const SYSTEM_PARAMETERS: &[&str] = &[
    "key",
    "alt",
    "$alt",
    "access_token",
    "oauth_token",
    "prettyPrint",
    "$prettyPrint",
    "fields",
    "$fields",
    "quotaUser",
    "callback",
    "$.xgafv",
    "uploadType",
    "upload_protocol",
];

/// What a call asks for.
pub(super) struct Target {
    pub version: String,
    pub action: &'static str,
    rpc: &'static str,
    pub model: Option<String>,
    /// Without `files/`.
    pub file: Option<String>,
    pub form: Form,
    pub query: Vec<(String, String)>,
    /// It goes to Vertex AI, as express mode is called.
    pub express: bool,
}

impl Target {
    /// `None` is a path that the API does not have.
    pub fn parse(parts: &Parts) -> Option<Self> {
        let query: Vec<(String, String)> = parts
            .uri
            .query()
            .map(|query| {
                form_urlencoded::parse(query.as_bytes())
                    .into_owned()
                    .collect()
            })
            .unwrap_or_default();
        let path = percent_encoding::percent_decode_str(parts.uri.path())
            .decode_utf8()
            .ok()?;
        let (is_upload, path) = match path.strip_prefix("/upload/") {
            Some(rest) => (true, rest),
            None => (false, path.strip_prefix('/')?),
        };
        let (version, rest) = path.split_once('/')?;
        let vertex = rest
            .strip_prefix("publishers/google/")
            .filter(|_| matches!(version, "v1" | "v1beta1"));
        if vertex.is_none() && !matches!(version, "v1" | "v1beta" | "v1alpha") {
            return None;
        }
        let (methods, rest) = match vertex {
            Some(rest) => (EXPRESS_METHODS, rest),
            None => (METHODS, rest),
        };
        let mut file = None;
        let (method, model) = match (&parts.method, rest) {
            (&Method::POST, "files") if is_upload => ("files.create", None),
            _ if is_upload => return None,
            (&Method::GET, "files") => ("files.list", None),
            (method @ (&Method::GET | &Method::DELETE), rest) if rest.starts_with("files/") => {
                file = rest.strip_prefix("files/").map(str::to_owned);
                let get = method == Method::GET;
                (if get { "files.get" } else { "files.delete" }, None)
            }
            (&Method::GET, "models") => ("models", None),
            (&Method::GET, rest) => ("get", Some(rest.strip_prefix("models/")?)),
            (&Method::POST, rest) => {
                let (model, action) = rest.strip_prefix("models/")?.rsplit_once(':')?;
                (action, Some(model))
            }
            _ => return None,
        };
        let (action, rpc) = methods.iter().find(|(action, _)| *action == method)?;
        let sse = query
            .iter()
            .any(|(name, value)| matches!(name.as_str(), "alt" | "$alt") && value == "sse");
        let form = match (*action, sse) {
            ("streamGenerateContent", true) => Form::Sse,
            ("streamGenerateContent", false) => Form::Array,
            _ => Form::Whole,
        };
        Some(Self {
            version: version.to_owned(),
            action,
            rpc,
            model: model.map(str::to_owned),
            file,
            form,
            query,
            express: vertex.is_some(),
        })
    }

    pub fn rpc(&self) -> String {
        match self.express {
            true => format!("google.cloud.aiplatform.{}.{}", self.version, self.rpc),
            false => format!("google.ai.generativelanguage.{}.{}", self.version, self.rpc),
        }
    }

    /// A parameter of the query, in either spelling.
    pub fn parameter(&self, camel: &str, snake: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(name, _)| name == camel || name == snake)
            .map(|(_, value)| value.as_str())
    }
}

pub(super) fn unknown_parameters(target: &Target) -> Result<(), GoogleError> {
    let own: &[&str] = match target.action {
        "models" => &["pageSize", "pageToken", "page_size", "page_token", "filter"],
        "files.list" => &["pageSize", "pageToken", "page_size", "page_token"],
        _ => &[],
    };
    let unknown: Vec<(String, String)> = target
        .query
        .iter()
        .filter(|(name, _)| !SYSTEM_PARAMETERS.contains(&name.as_str()) && !own.contains(&name.as_str()))
        .map(|(name, _)| {
            let message = format!(
                "Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter. Field '{name}' \
                 could not be found in request message."
            );
            (String::new(), message)
        })
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(GoogleError::fields(&unknown))
    }
}

/// Google's answer to a path it does not have is a page, not JSON.
pub(super) fn not_found(parts: &Parts) -> Bytes {
    let path = parts.uri.path().replace('&', "&amp;").replace('<', "&lt;");
    Bytes::from(format!(
        "<!DOCTYPE html>\n<html lang=en>\n<title>Error 404 (Not Found)!!1</title>\n<p><b>404.</b> <ins>That's an \
         error.</ins>\n<p>The requested URL <code>{path}</code> was not found on this server.\n"
    ))
}
