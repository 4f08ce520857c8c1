//! Google's own error bodies.
//!
//! The shapes were read from error reports that people published for each case; they
//! matter to the byte, because a gateway classifies keys by them.

use serde_json::{Value, json};

/// The service that every one of Google's errors names.
const SERVICE: &str = "generativelanguage.googleapis.com";

/// An error as the Gemini API answers it: `{"error":{code,message,status,details}}`.
#[derive(Clone, Debug, PartialEq)]
pub struct GoogleError {
    /// HTTP status, repeated in the body.
    pub code: u16,
    /// Name of the `google.rpc.Code`, e.g. `INVALID_ARGUMENT`.
    pub status: &'static str,
    /// What went wrong, in Google's words.
    pub message: String,
    /// The typed details (`google.rpc.ErrorInfo` and so on); none leaves the field out.
    pub details: Vec<Value>,
}

/// The `google.rpc.Code` name that belongs to an HTTP status, and Google's usual words for it.
const USUAL: &[(u16, &str, &str)] = &[
    (
        400,
        "INVALID_ARGUMENT",
        "Request contains an invalid argument.",
    ),
    (
        401,
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid \
         authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
    ),
    (
        403,
        "PERMISSION_DENIED",
        "The caller does not have permission",
    ),
    (404, "NOT_FOUND", "Requested entity was not found."),
    (409, "ABORTED", "The operation was aborted."),
    (
        429,
        "RESOURCE_EXHAUSTED",
        "Resource has been exhausted (e.g. check quota).",
    ),
    (499, "CANCELLED", "The operation was cancelled."),
    (
        500,
        "INTERNAL",
        "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting",
    ),
    (
        501,
        "UNIMPLEMENTED",
        "Operation is not implemented, or supported, or enabled.",
    ),
    (
        503,
        "UNAVAILABLE",
        "The model is overloaded. Please try again later.",
    ),
    (
        504,
        "DEADLINE_EXCEEDED",
        "Deadline expired before operation could complete.",
    ),
];

impl GoogleError {
    /// The error Google gives for an HTTP status when it says nothing special.
    #[must_use]
    pub fn usual(code: u16) -> Self {
        let (status, message) = USUAL
            .iter()
            .find(|(known, ..)| *known == code)
            .map_or(("UNKNOWN", "Unknown error."), |(_, s, m)| (s, m));
        Self {
            code,
            status,
            message: message.to_owned(),
            details: Vec::new(),
        }
    }

    /// 400 `INVALID_ARGUMENT` with these words and no details.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::usual(400)
        }
    }

    /// 400 about fields of the JSON: each a path (empty at the top) and what is wrong with it.
    #[must_use]
    pub fn fields(violations: &[(String, String)]) -> Self {
        let listed: Vec<Value> = violations
            .iter()
            .map(|(field, description)| {
                if field.is_empty() {
                    json!({ "description": description })
                } else {
                    json!({ "field": field, "description": description })
                }
            })
            .collect();
        let message: Vec<&str> = violations
            .iter()
            .map(|(_, description)| description.as_str())
            .collect();
        Self {
            message: message.join("\n"),
            details: vec![
                json!({ "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": listed }),
            ],
            ..Self::usual(400)
        }
    }

    /// 403 for a call without any credential.
    #[must_use]
    pub fn no_credential() -> Self {
        Self {
            message: "Method doesn't allow unregistered callers (callers without established identity). Please use API \
                      Key or other form of API consumer identity to call this API."
                .to_owned(),
            ..Self::usual(403)
        }
    }

    /// 400 for a call with more than one credential.
    #[must_use]
    pub fn several_credentials() -> Self {
        Self::invalid("Multiple authentication credentials received. Please pass only one.")
    }

    /// 401 for an API key sent as a bearer token: the native API takes OAuth tokens there.
    #[must_use]
    pub fn token_type_unsupported(rpc: &str) -> Self {
        Self {
            details: vec![json!({
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "ACCESS_TOKEN_TYPE_UNSUPPORTED",
                "metadata": { "method": rpc, "service": SERVICE },
            })],
            ..Self::usual(401)
        }
    }

    /// 404 for a model that is not there or cannot do this.
    #[must_use]
    pub fn model_not_found(version: &str, model: &str, action: &str) -> Self {
        Self {
            message: format!(
                "models/{model} is not found for API version {version}, or is not supported for {action}. Call \
                 ListModels to see the list of available models and their supported methods."
            ),
            ..Self::usual(404)
        }
    }

    /// Adds `ErrorInfo` and, as Google does for key troubles, the message again as `LocalizedMessage`.
    fn with_reason(code: u16, reason: &str, message: String, metadata: Value) -> Self {
        Self {
            details: vec![
                json!({
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": reason,
                    "domain": "googleapis.com",
                    "metadata": metadata,
                }),
                json!({
                    "@type": "type.googleapis.com/google.rpc.LocalizedMessage",
                    "locale": "en-US",
                    "message": message,
                }),
            ],
            message,
            ..Self::usual(code)
        }
    }

    /// The number of the `google.rpc.Code`, by which errors within answers name it.
    pub(super) fn grpc_code(&self) -> u16 {
        const CODES: [&str; 17] = [
            "OK",
            "CANCELLED",
            "UNKNOWN",
            "INVALID_ARGUMENT",
            "DEADLINE_EXCEEDED",
            "NOT_FOUND",
            "ALREADY_EXISTS",
            "PERMISSION_DENIED",
            "RESOURCE_EXHAUSTED",
            "FAILED_PRECONDITION",
            "ABORTED",
            "OUT_OF_RANGE",
            "UNIMPLEMENTED",
            "INTERNAL",
            "UNAVAILABLE",
            "DATA_LOSS",
            "UNAUTHENTICATED",
        ];
        (0..)
            .zip(CODES)
            .find(|(_, name)| *name == self.status)
            .map_or(2, |(code, _)| code)
    }

    /// The body as Google sends it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut error =
            json!({ "code": self.code, "message": self.message, "status": self.status });
        if !self.details.is_empty() {
            error["details"] = Value::Array(self.details.clone());
        }
        json!({ "error": error })
    }
}

/// Why Google turns a key away, whatever is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 400 `API_KEY_INVALID`: Google does not know the key (any more).
    Invalid,
    /// 400 `API_KEY_INVALID` with the words for an expired key.
    Expired,
    /// 403 `CONSUMER_SUSPENDED`. Google puts the whole key into message and metadata.
    Suspended,
    /// 403 without details: the key was found in public.
    Leaked,
    /// 403 `SERVICE_DISABLED`: the API is not enabled in the key's project.
    ServiceDisabled,
    /// 403 `API_KEY_SERVICE_BLOCKED`: the key is restricted to other APIs.
    ServiceBlocked,
    /// 400 `FAILED_PRECONDITION`: not the key's fault, but that of the address the call came from.
    Location,
    /// 401 `ACCESS_TOKEN_TYPE_UNSUPPORTED`, seen for some accounts' `AQ.` keys.
    TokenTypeUnsupported,
}

/// Names for the command line.
const REFUSALS: &[(&str, Refusal)] = &[
    ("invalid", Refusal::Invalid),
    ("expired", Refusal::Expired),
    ("suspended", Refusal::Suspended),
    ("leaked", Refusal::Leaked),
    ("service-disabled", Refusal::ServiceDisabled),
    ("service-blocked", Refusal::ServiceBlocked),
    ("location", Refusal::Location),
    ("token-type", Refusal::TokenTypeUnsupported),
];

impl std::str::FromStr for Refusal {
    type Err = String;

    /// Reads a refusal by its name, e.g. `service-disabled`; the error lists the names.
    fn from_str(name: &str) -> Result<Self, String> {
        let known = REFUSALS.iter().find(|(known, _)| *known == name);
        known.map(|(_, refusal)| *refusal).ok_or_else(|| {
            let names: Vec<&str> = REFUSALS.iter().map(|(name, _)| *name).collect();
            format!("there is no refusal {name}; there are {}", names.join(", "))
        })
    }
}

impl Refusal {
    /// Google's words. `project` is the project's number or name, `rpc` the full name of the method.
    #[must_use]
    pub fn error(self, key: &str, project: &str, rpc: &str) -> GoogleError {
        let consumer = format!("projects/{project}");
        match self {
            Self::Invalid => GoogleError::with_reason(
                400,
                "API_KEY_INVALID",
                "API key not valid. Please pass a valid API key.".to_owned(),
                json!({ "service": SERVICE }),
            ),
            Self::Expired => GoogleError::with_reason(
                400,
                "API_KEY_INVALID",
                "API key expired. Please renew the API key.".to_owned(),
                json!({ "service": SERVICE }),
            ),
            Self::Suspended => GoogleError::with_reason(
                403,
                "CONSUMER_SUSPENDED",
                format!("Permission denied: Consumer 'api_key:{key}' has been suspended."),
                json!({ "consumer": consumer, "service": SERVICE, "containerInfo": format!("api_key:{key}") }),
            ),
            Self::Leaked => GoogleError {
                message: "Your API key was reported as leaked. Please use another API key."
                    .to_owned(),
                ..GoogleError::usual(403)
            },
            Self::ServiceDisabled => {
                let url = format!(
                    "https://console.developers.google.com/apis/api/{SERVICE}/overview?project={project}"
                );
                let mut error = GoogleError::with_reason(
                    403,
                    "SERVICE_DISABLED",
                    format!(
                        "Generative Language API has not been used in project {project} before or it is disabled. \
                         Enable it by visiting {url} then retry. If you enabled this API recently, wait a few minutes \
                         for the action to propagate to our systems and retry."
                    ),
                    json!({
                        "serviceTitle": "Generative Language API",
                        "containerInfo": project,
                        "activationUrl": url,
                        "consumer": consumer,
                        "service": SERVICE,
                    }),
                );
                error.details.push(json!({
                    "@type": "type.googleapis.com/google.rpc.Help",
                    "links": [{ "description": "Google developers console API activation", "url": url }],
                }));
                error
            }
            Self::ServiceBlocked => GoogleError::with_reason(
                403,
                "API_KEY_SERVICE_BLOCKED",
                format!("Requests to this API {SERVICE} method {rpc} are blocked."),
                json!({ "consumer": consumer, "service": SERVICE, "apiName": SERVICE, "methodName": rpc }),
            ),
            Self::Location => GoogleError {
                status: "FAILED_PRECONDITION",
                message: "User location is not supported for the API use.".to_owned(),
                ..GoogleError::usual(400)
            },
            Self::TokenTypeUnsupported => GoogleError::token_type_unsupported(rpc),
        }
    }
}
