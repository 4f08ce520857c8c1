//! Errors: what can go wrong in a translation, and error bodies in each protocol's shape.

use std::time::Duration;

use serde::Serialize;

use crate::gemini::ApiStatus;
use crate::text::to_json;

/// A client's request cannot be translated. Its own mistake: answer 400, blame no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// What was wrong and what to send instead, for the client's eyes.
    pub message: String,
    /// The field, as a path: `messages[2].content[0].image_url`.
    pub param: Option<String>,
    /// A word for programs, where the vendor has one.
    pub code: Option<&'static str>,
}

impl Invalid {
    pub(crate) fn new(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            param: Some(param.into()),
            code: None,
        }
    }

    /// A mistake of the whole body.
    fn of_body(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            param: None,
            code: None,
        }
    }

    /// The same with a word for programs.
    pub(crate) fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// Parses `body`; an error names the field and the position.
    pub(crate) fn parse<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, Self> {
        use serde_json::error::Category;

        // serde would also take a list of a struct's fields.
        let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
        if first == Some(&b'[') {
            return Err(Self::of_body(
                "The request body must be a JSON object, not a list.",
            ));
        }
        serde_json::from_slice(body).or_else(|error| {
            if error.classify() != Category::Data {
                let what = if first.is_none() {
                    "The request body is empty; send a JSON object.".to_owned()
                } else {
                    format!("The request body is not valid JSON: {error}.")
                };
                return Err(Self::of_body(what));
            }
            unacceptable(body, "")
        })
    }

    /// Parses a value of the body that is valid JSON; `at` is its path.
    pub(crate) fn parse_at<'a, T: serde::Deserialize<'a>>(
        json: &'a str,
        at: &str,
    ) -> Result<T, Self> {
        serde_json::from_str(json).or_else(|_| unacceptable(json.as_bytes(), at))
    }
}

/// What is wrong with JSON that does not fit. The path is found by parsing again: only failures
/// pay for it.
fn unacceptable<'a, T: serde::Deserialize<'a>>(json: &'a [u8], at: &str) -> Result<T, Invalid> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let within = error.path().to_string();
        let path = match (at, &*within) {
            (_, ".") => at.to_owned(),
            ("", _) => within,
            (_, index) if index.starts_with('[') => format!("{at}{index}"),
            (_, field) => format!("{at}.{field}"),
        };
        let inner = plain(&error.into_inner().to_string());
        if path.is_empty() {
            Invalid::of_body(format!("The request body is not acceptable: {inner}."))
        } else {
            let message = format!("`{path}` is not acceptable: {inner}.");
            Invalid::new(path, message)
        }
    })
}

/// serde's message in words that do not need Rust.
fn plain(message: &str) -> String {
    const WORDS: [(&str, &str); 6] = [
        ("expected u64", "expected a whole number from 0"),
        ("expected u32", "expected a whole number from 0"),
        ("expected i64", "expected a whole number"),
        ("expected a sequence", "expected a list"),
        ("type: map", "type: object"),
        ("type: sequence", "type: list"),
    ];
    let mut message = message.to_owned();
    for (theirs, ours) in WORDS {
        message = message.replace(theirs, ours);
    }
    if let Some((before, after)) = message.split_once("expected struct ") {
        let after = after.find(' ').map_or("", |at| &after[at..]);
        message = format!("{before}expected an object{after}");
    }
    message
}

/// Google's answer cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Malformed {
    /// What was wrong with it. Holds nothing of the conversation.
    pub message: String,
}

impl Malformed {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }

    pub(crate) fn json(error: &serde_json::Error) -> Self {
        Self::new(format!(
            "Google's answer is not the JSON expected: {error}."
        ))
    }
}

/// Why an answer that has begun cannot be completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamFailure {
    /// The HTTP status this would have been, had nothing been sent yet.
    pub status: u16,
    /// What went wrong and what to do, scrubbed of secrets.
    pub message: String,
    /// A word for programs, e.g. Google's `UNAVAILABLE`.
    pub code: Option<String>,
    /// The request's id, for protocols that name it in an error.
    pub request_id: Option<String>,
}

impl From<&ApiStatus> for UpstreamFailure {
    /// An error of Google's inside a stream.
    fn from(said: &ApiStatus) -> Self {
        Self {
            status: said.code,
            message: said.advised(said.code),
            code: said.word(said.code),
            request_id: None,
        }
    }
}

/// One row: what the vendors call an HTTP status.
struct Names {
    status: u16,
    /// `google.rpc.Code`, as Google maps it to HTTP.
    google: &'static str,
    /// OpenAI's `error.type`.
    openai: &'static str,
    /// OpenAI's `error.code` where it always sends one.
    openai_code: Option<&'static str>,
    /// Anthropic's `error.type`, from its page "Errors".
    anthropic: &'static str,
}

const fn names(
    status: u16,
    google: &'static str,
    openai: &'static str,
    openai_code: Option<&'static str>,
    anthropic: &'static str,
) -> Names {
    Names {
        status,
        google,
        openai,
        openai_code,
        anthropic,
    }
}

const INVALID: &str = "invalid_request_error";

/// Sorted by status. Other statuses take the row of 400 or 500.
const NAMES: [Names; 16] = [
    names(400, "INVALID_ARGUMENT", INVALID, None, INVALID),
    names(
        401,
        "UNAUTHENTICATED",
        INVALID,
        Some("invalid_api_key"),
        "authentication_error",
    ),
    names(
        402,
        "FAILED_PRECONDITION",
        "insufficient_quota",
        None,
        "billing_error",
    ),
    names(
        403,
        "PERMISSION_DENIED",
        "permission_error",
        None,
        "permission_error",
    ),
    names(404, "NOT_FOUND", INVALID, None, "not_found_error"),
    names(405, "UNIMPLEMENTED", INVALID, None, INVALID),
    names(
        408,
        "DEADLINE_EXCEEDED",
        "timeout_error",
        None,
        "timeout_error",
    ),
    names(409, "ABORTED", INVALID, None, INVALID),
    names(413, "OUT_OF_RANGE", INVALID, None, "request_too_large"),
    names(
        429,
        "RESOURCE_EXHAUSTED",
        "rate_limit_error",
        Some("rate_limit_exceeded"),
        "rate_limit_error",
    ),
    names(499, "CANCELLED", "server_error", None, "api_error"),
    names(500, "INTERNAL", "server_error", None, "api_error"),
    names(502, "UNAVAILABLE", "server_error", None, "api_error"),
    names(503, "UNAVAILABLE", "server_error", None, "overloaded_error"),
    names(
        504,
        "DEADLINE_EXCEEDED",
        "timeout_error",
        None,
        "timeout_error",
    ),
    names(529, "UNAVAILABLE", "server_error", None, "overloaded_error"),
];

fn names_of(status: u16) -> &'static Names {
    let exact = |wanted: u16| NAMES.iter().find(|row| row.status == wanted);
    exact(status)
        .or_else(|| {
            exact(if (400..500).contains(&status) {
                400
            } else {
                500
            })
        })
        .unwrap_or(&NAMES[0])
}

/// Google's `error.status` for an HTTP status, e.g. `RESOURCE_EXHAUSTED`.
pub fn google_status(status: u16) -> &'static str {
    names_of(status).google
}

/// OpenAI's `error.type` for an HTTP status.
pub fn openai_type(status: u16) -> &'static str {
    names_of(status).openai
}

/// Anthropic's `error.type` for an HTTP status.
pub fn anthropic_type(status: u16) -> &'static str {
    names_of(status).anthropic
}

/// An error body as OpenAI sends it. `param` names a field of the request; `code` is for
/// programs and defaults to OpenAI's own for the status.
pub fn openai(status: u16, message: &str, param: Option<&str>, code: Option<&str>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        error: Inner<'a>,
    }
    #[derive(Serialize)]
    struct Inner<'a> {
        message: &'a str,
        r#type: &'a str,
        param: Option<&'a str>,
        code: Option<&'a str>,
    }
    let row = names_of(status);
    to_json(
        &Body {
            error: Inner {
                message,
                r#type: row.openai,
                param,
                code: code.or(row.openai_code),
            },
        },
        0,
    )
}

/// An error body as Google sends it. `reason` becomes the `google.rpc.ErrorInfo`,
/// `retry_after` the `google.rpc.RetryInfo` that Google's own clients wait by.
pub fn gemini(
    status: u16,
    message: &str,
    reason: Option<&str>,
    retry_after: Option<Duration>,
) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        error: Inner<'a>,
    }
    #[derive(Serialize)]
    struct Inner<'a> {
        code: u16,
        message: &'a str,
        status: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        details: Vec<Detail<'a>>,
    }
    #[derive(Serialize)]
    #[serde(tag = "@type")]
    enum Detail<'a> {
        #[serde(rename = "type.googleapis.com/google.rpc.ErrorInfo")]
        Info { reason: &'a str, domain: &'a str },
        #[serde(
            rename = "type.googleapis.com/google.rpc.RetryInfo",
            rename_all = "camelCase"
        )]
        Retry { retry_delay: String },
    }
    let info = reason.map(|reason| Detail::Info {
        reason,
        domain: "gemini-balance",
    });
    // The JSON form of google.protobuf.Duration.
    let retry = retry_after.map(|wait| Detail::Retry {
        retry_delay: format!("{}.{:03}s", wait.as_secs(), wait.subsec_millis()),
    });
    to_json(
        &Body {
            error: Inner {
                code: status,
                message,
                status: names_of(status).google,
                details: info.into_iter().chain(retry).collect(),
            },
        },
        0,
    )
}

/// The code of a request that wants the server to hold its conversation. By this word
/// Anthropic's SDKs know that they have to send the whole of it instead: their runners of tools
/// hold conversations so unless they are told otherwise (`BetaToolRunner` of `@anthropic-ai/sdk`).
pub const UNTHREADED: &str = "thread_unsupported_request";

/// An error body as Anthropic sends it; also the data of a stream's `error` event.
pub fn anthropic(status: u16, message: &str, request_id: Option<&str>) -> Vec<u8> {
    anthropic_with(status, message, None, request_id)
}

/// The same with a word for programs.
pub fn anthropic_with(
    status: u16,
    message: &str,
    code: Option<&str>,
    request_id: Option<&str>,
) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        r#type: &'a str,
        error: Inner<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        request_id: Option<&'a str>,
    }
    #[derive(Serialize)]
    struct Inner<'a> {
        r#type: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        details: Option<Details<'a>>,
    }
    #[derive(Serialize)]
    struct Details<'a> {
        error_code: &'a str,
        #[serde(skip_serializing_if = "<[&str]>::is_empty")]
        unsupported: &'a [&'a str],
    }
    to_json(
        &Body {
            r#type: "error",
            error: Inner {
                r#type: names_of(status).anthropic,
                message,
                details: code.map(|error_code| Details {
                    error_code,
                    unsupported: match error_code {
                        UNTHREADED => &["thread"],
                        _ => &[],
                    },
                }),
            },
            request_id,
        },
        0,
    )
}
