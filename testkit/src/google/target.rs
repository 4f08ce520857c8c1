//! What a call asks for: the paths, methods and parameters that the API has.

use bytes::Bytes;
use http::request::Parts;

use super::error::GoogleError;
use super::reply::Form;

/// The methods of the API: HTTP method, path after the version, the action (the fake's name, and
/// the verb where the path has one), and the method's full name without the version. `*` is any
/// one segment. Of several that fit, the first counts.
const METHODS: &[(&str, &str, &str, &str)] = &[
    ("GET", "models", "models", "ModelService.ListModels"),
    ("GET", "models/*", "get", "ModelService.GetModel"),
    (
        "POST",
        "models/*:generateContent",
        "generateContent",
        "GenerativeService.GenerateContent",
    ),
    (
        "POST",
        "models/*:streamGenerateContent",
        "streamGenerateContent",
        "GenerativeService.StreamGenerateContent",
    ),
    (
        "POST",
        "models/*:countTokens",
        "countTokens",
        "GenerativeService.CountTokens",
    ),
    (
        "POST",
        "models/*:embedContent",
        "embedContent",
        "GenerativeService.EmbedContent",
    ),
    (
        "POST",
        "models/*:batchEmbedContents",
        "batchEmbedContents",
        "GenerativeService.BatchEmbedContents",
    ),
    ("GET", "files", "files.list", "FileService.ListFiles"),
    (
        "GET",
        "files/*:download",
        "files.download",
        "FileService.DownloadFile",
    ),
    ("GET", "files/*", "files.get", "FileService.GetFile"),
    (
        "DELETE",
        "files/*",
        "files.delete",
        "FileService.DeleteFile",
    ),
    (
        "POST",
        "cachedContents",
        "cachedContents.create",
        "CacheService.CreateCachedContent",
    ),
    (
        "GET",
        "cachedContents",
        "cachedContents.list",
        "CacheService.ListCachedContents",
    ),
    (
        "GET",
        "cachedContents/*",
        "cachedContents.get",
        "CacheService.GetCachedContent",
    ),
    (
        "PATCH",
        "cachedContents/*",
        "cachedContents.patch",
        "CacheService.UpdateCachedContent",
    ),
    (
        "DELETE",
        "cachedContents/*",
        "cachedContents.delete",
        "CacheService.DeleteCachedContent",
    ),
    (
        "POST",
        "models/*:predict",
        "predict",
        "PredictionService.Predict",
    ),
    (
        "POST",
        "models/*:predictLongRunning",
        "predictLongRunning",
        "PredictionService.PredictLongRunning",
    ),
    (
        "GET",
        "models/*/operations/*",
        "operations.get",
        "Operations.GetOperation",
    ),
    (
        "POST",
        "models/*:batchGenerateContent",
        "batchGenerateContent",
        "BatchService.BatchGenerateContent",
    ),
    (
        "POST",
        "models/*:asyncBatchEmbedContent",
        "asyncBatchEmbedContent",
        "BatchService.AsyncBatchEmbedContent",
    ),
    (
        "GET",
        "batches",
        "batches.list",
        "Operations.ListOperations",
    ),
    ("GET", "batches/*", "batches.get", "Operations.GetOperation"),
    (
        "POST",
        "batches/*:cancel",
        "batches.cancel",
        "Operations.CancelOperation",
    ),
    (
        "DELETE",
        "batches/*",
        "batches.delete",
        "Operations.DeleteOperation",
    ),
    (
        "POST",
        "interactions",
        "interactions.create",
        "InteractionService.CreateInteraction",
    ),
    (
        "GET",
        "interactions/*",
        "interactions.get",
        "InteractionService.GetInteraction",
    ),
    (
        "POST",
        "interactions/*/cancel",
        "interactions.cancel",
        "InteractionService.CancelInteraction",
    ),
    (
        "DELETE",
        "interactions/*",
        "interactions.delete",
        "InteractionService.DeleteInteraction",
    ),
    (
        "GET",
        "models/*/operations",
        "operations.list",
        "Operations.ListOperations",
    ),
    (
        "POST",
        "fileSearchStores",
        "fileSearchStores.create",
        "FileSearchStoreService.CreateFileSearchStore",
    ),
    (
        "GET",
        "fileSearchStores",
        "fileSearchStores.list",
        "FileSearchStoreService.ListFileSearchStores",
    ),
    (
        "GET",
        "fileSearchStores/*",
        "fileSearchStores.get",
        "FileSearchStoreService.GetFileSearchStore",
    ),
    (
        "DELETE",
        "fileSearchStores/*",
        "fileSearchStores.delete",
        "FileSearchStoreService.DeleteFileSearchStore",
    ),
    (
        "POST",
        "fileSearchStores/*:importFile",
        "fileSearchStores.importFile",
        "FileSearchStoreService.ImportFile",
    ),
    (
        "GET",
        "fileSearchStores/*/operations/*",
        "fileSearchStores.operation",
        "Operations.GetOperation",
    ),
    (
        "GET",
        "fileSearchStores/*/upload/operations/*",
        "fileSearchStores.operation",
        "Operations.GetOperation",
    ),
    (
        "GET",
        "fileSearchStores/*/documents",
        "fileSearchStores.documents.list",
        "FileSearchStoreService.ListDocuments",
    ),
    (
        "GET",
        "fileSearchStores/*/documents/*",
        "fileSearchStores.documents.get",
        "FileSearchStoreService.GetDocument",
    ),
    (
        "DELETE",
        "fileSearchStores/*/documents/*",
        "fileSearchStores.documents.delete",
        "FileSearchStoreService.DeleteDocument",
    ),
];

/// What is uploaded, at paths that begin with `/upload`. The first command of a resumable upload
/// is the call; all others go to the address that its answer gave.
const UPLOADS: &[(&str, &str, &str, &str)] = &[
    ("POST", "files", "files.create", "FileService.CreateFile"),
    ("PUT", "files", "files.create", "FileService.CreateFile"),
    (
        "POST",
        "fileSearchStores/*:uploadToFileSearchStore",
        "fileSearchStores.upload",
        "FileSearchStoreService.UploadToFileSearchStore",
    ),
    (
        "PUT",
        "fileSearchStores/*:uploadToFileSearchStore",
        "fileSearchStores.upload",
        "FileSearchStoreService.UploadToFileSearchStore",
    ),
];

/// What is downloaded at paths that begin with `/download`.
const DOWNLOADS: &[(&str, &str, &str, &str)] = &[(
    "GET",
    "files/*:download",
    "files.download",
    "FileService.DownloadFile",
)];

/// Those of Vertex AI's express mode.
const EXPRESS_METHODS: &[(&str, &str, &str, &str)] = &[
    (
        "POST",
        "models/*:generateContent",
        "generateContent",
        "PredictionService.GenerateContent",
    ),
    (
        "POST",
        "models/*:streamGenerateContent",
        "streamGenerateContent",
        "PredictionService.StreamGenerateContent",
    ),
    (
        "POST",
        "models/*:countTokens",
        "countTokens",
        "LlmUtilityService.CountTokens",
    ),
    (
        "POST",
        "models/*:predict",
        "predict",
        "PredictionService.Predict",
    ),
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
    "upload_id",
];

/// What a call asks for.
pub(super) struct Target {
    pub version: String,
    pub action: &'static str,
    rpc: &'static str,
    /// The model that is called, without `models/`.
    pub model: Option<String>,
    /// What the path names, e.g. `files/abc`, without a verb.
    pub resource: String,
    /// Its path begins with `/upload`.
    pub is_upload: bool,
    /// Its path begins with `/download`.
    pub is_download: bool,
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
        let path = path.strip_prefix('/')?;
        let (direction, path) = match path.split_once('/')? {
            (way @ ("upload" | "download"), rest) => (way, rest),
            _ => ("", path),
        };
        let (version, rest) = path.split_once('/')?;
        let vertex = rest
            .strip_prefix("publishers/google/")
            .filter(|_| matches!(version, "v1" | "v1beta1") && direction.is_empty());
        if vertex.is_none() && !matches!(version, "v1" | "v1beta" | "v1alpha") {
            return None;
        }
        let (methods, rest) = match (direction, vertex) {
            ("upload", _) => (UPLOADS, rest),
            ("download", _) => (DOWNLOADS, rest),
            (_, Some(rest)) => (EXPRESS_METHODS, rest),
            (_, None) => (METHODS, rest),
        };
        let mut fitting = methods.iter().filter_map(|(method, pattern, action, rpc)| {
            let resource = fits(pattern, rest)?;
            (parts.method.as_str() == *method).then_some((pattern, resource, action, rpc))
        });
        let (pattern, resource, action, rpc) = fitting.next()?;
        let model = (pattern.starts_with("models/*") && !pattern.contains("/operations"))
            .then(|| resource.strip_prefix("models/"))
            .flatten();
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
            resource: resource
                .strip_suffix("/cancel")
                .unwrap_or(resource)
                .to_owned(),
            is_upload: direction == "upload",
            is_download: direction == "download",
            form,
            query,
            express: vertex.is_some(),
        })
    }

    /// The upload that a command goes on with.
    pub fn upload(&self) -> Option<&str> {
        self.parameter("upload_id", "upload_id")
            .filter(|_| self.is_upload)
    }

    pub fn rpc(&self) -> String {
        match self.express {
            true => format!("google.cloud.aiplatform.{}.{}", self.version, self.rpc),
            false => format!("google.ai.generativelanguage.{}.{}", self.version, self.rpc),
        }
    }

    /// A parameter that is true. Python's SDK writes `True`.
    pub fn flag(&self, name: &str) -> bool {
        self.parameter(name, name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// A parameter of the query, in either spelling.
    pub fn parameter(&self, camel: &str, snake: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(name, _)| name == camel || name == snake)
            .map(|(_, value)| value.as_str())
    }
}

/// What a path names, without its verb, when it is of this pattern.
fn fits<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let (pattern, verb) = pattern.split_once(':').unwrap_or((pattern, ""));
    let path = match verb {
        "" => path,
        verb => path.strip_suffix(verb)?.strip_suffix(':')?,
    };
    let mut given = path.split('/');
    let fit = pattern.split('/').all(|wanted| {
        given.next().is_some_and(|given| match wanted {
            "*" => !given.is_empty(),
            wanted => given == wanted,
        })
    });
    (fit && given.next().is_none()).then_some(path)
}

pub(super) fn unknown_parameters(target: &Target) -> Result<(), GoogleError> {
    let own: &[&str] = match target.action {
        "models" => &["pageSize", "pageToken", "page_size", "page_token", "filter"],
        "cachedContents.patch" => &["updateMask", "update_mask"],
        "fileSearchStores.delete" | "fileSearchStores.documents.delete" => &["force"],
        "interactions.get" => &["stream", "last_event_id", "include_input"],
        // Lists of operations take these, whatever they are lists of.
        "batches.list" | "operations.list" => &[
            "pageSize",
            "pageToken",
            "page_size",
            "page_token",
            "filter",
            "returnPartialSuccess",
        ],
        action if action.ends_with(".list") => {
            &["pageSize", "pageToken", "page_size", "page_token"]
        }
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
