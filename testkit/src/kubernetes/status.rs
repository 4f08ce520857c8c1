//! What an API server says when it does not do something, in its own words.

use http::StatusCode;
use serde_json::{Value, json};

use super::resource::Kind;

/// An answer that is not the one asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub code: u16,
    /// Seconds for the header `Retry-After`.
    pub retry_after: Option<u64>,
    pub body: Reply,
}

/// The body of a [`Failure`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    /// An object of kind `Status`.
    Status(Box<Value>),
    /// Text, from those parts of the server that know no objects.
    Text(String),
}

impl Failure {
    /// A `Status` of this reason.
    pub fn new(code: u16, reason: &str, message: impl Into<String>, details: Value) -> Self {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message.into(),
            "reason": reason,
            "code": code,
        });
        if !details.is_null() {
            status["details"] = details;
        }
        Self {
            code,
            retry_after: None,
            body: Reply::Status(Box::new(status)),
        }
    }

    fn text(code: u16, text: &str) -> Self {
        Self {
            code,
            retry_after: None,
            body: Reply::Text(format!("{text}\n")),
        }
    }

    pub fn message(&self) -> String {
        match &self.body {
            Reply::Status(status) => status["message"].as_str().unwrap_or_default().to_owned(),
            Reply::Text(text) => text.trim_end().to_owned(),
        }
    }

    pub fn no_such_path() -> Self {
        Self::text(404, "404 page not found")
    }

    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized", Value::Null)
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message, Value::Null)
    }

    /// The words of the authorizer (RBAC has no role that fits).
    pub fn not_allowed(
        user: &str,
        verb: &str,
        target: (&str, &str),
        name: &str,
        namespace: &str,
    ) -> Self {
        let (group, resource) = target;
        let place = if namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{namespace}\"")
        };
        let plain = resource.split('/').next().unwrap_or(resource);
        let what = qualified(plain, group);
        let named = if name.is_empty() {
            String::new()
        } else {
            format!(" \"{name}\"")
        };
        let mut details = json!({"kind": plain});
        if !name.is_empty() {
            details["name"] = json!(name);
        }
        if !group.is_empty() {
            details["group"] = json!(group);
        }
        Self::new(
            403,
            "Forbidden",
            format!(
                "{what}{named} is forbidden: User \"{user}\" cannot {verb} resource \
                 \"{resource}\" in API group \"{group}\" {place}"
            ),
            details,
        )
    }

    /// The words of an admission plugin, e.g. the one for quotas.
    pub fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        Self::new(
            403,
            "Forbidden",
            format!("{} \"{name}\" is forbidden: {why}", kind.id()),
            details(kind, name),
        )
    }

    pub fn not_found(kind: &Kind, name: &str) -> Self {
        Self::new(
            404,
            "NotFound",
            format!("{} \"{name}\" not found", kind.id()),
            details(kind, name),
        )
    }

    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        Self::new(
            409,
            "AlreadyExists",
            format!("{} \"{name}\" already exists", kind.id()),
            details(kind, name),
        )
    }

    pub fn modified_meanwhile(kind: &Kind, name: &str) -> Self {
        Self::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and \
             try again",
        )
    }

    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        Self::new(
            409,
            "Conflict",
            format!(
                "Operation cannot be fulfilled on {} \"{name}\": {why}",
                kind.id()
            ),
            details(kind, name),
        )
    }

    pub fn invalid(kind: &Kind, name: &str, causes: &[Cause]) -> Self {
        let mut told: Vec<String> = causes.iter().map(Cause::told).collect();
        let text = if told.len() == 1 {
            told.remove(0)
        } else {
            format!("[{}]", told.join(", "))
        };
        let mut details = json!({"name": name, "kind": kind.kind});
        if !kind.group.is_empty() {
            details["group"] = json!(kind.group);
        }
        details["causes"] = causes
            .iter()
            .map(|cause| {
                json!({"reason": cause.reason, "message": cause.detail(), "field": cause.field})
            })
            .collect();
        let what = qualified(kind.kind, kind.group);
        Self::new(
            422,
            "Invalid",
            format!("{what} \"{name}\" is invalid: {text}"),
            details,
        )
    }

    pub fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(
            410,
            "Expired",
            format!("too old resource version: {asked} ({oldest})"),
            Value::Null,
        )
    }

    pub fn expired_continue() -> Self {
        Self::new(
            410,
            "Expired",
            "The provided continue parameter is too old to display a consistent list result. You \
             can start a new list without the continue parameter, or use the continue token in \
             this response to retrieve the remainder of the results. Continuing with the \
             provided token results in an inconsistent list - objects that were created, \
             modified, or deleted between the time the first chunk was returned and now may show \
             up in the list.",
            Value::Null,
        )
    }

    pub fn method_not_allowed() -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
            json!({}),
        )
    }

    pub fn unsupported_media_type(accepted: &str) -> Self {
        Self::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types \
                 include: {accepted}"
            ),
            json!({}),
        )
    }

    /// What the server usually says with this HTTP status.
    pub fn usual(code: u16) -> Self {
        let (reason, message) = match code {
            401 => return Self::unauthorized(),
            429 => return Self::too_many_requests(1),
            500 => (
                "InternalError",
                "Internal error occurred: etcdserver: leader changed",
            ),
            503 => (
                "ServiceUnavailable",
                "the server is currently unable to handle the request",
            ),
            504 => (
                "Timeout",
                "Timeout: request did not complete within requested timeout - context deadline \
                 exceeded",
            ),
            other => {
                let known = StatusCode::from_u16(other)
                    .ok()
                    .and_then(|code| code.canonical_reason())
                    .unwrap_or("Unknown");
                return Self::new(other, "Unknown", known, Value::Null);
            }
        };
        Self::new(code, reason, message, Value::Null)
    }

    /// The server's limit of requests in flight answers before anything knows objects.
    pub fn too_many_requests(seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::text(429, "Too many requests, please try again later.")
        }
    }
}

/// One thing that is wrong with an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cause {
    reason: &'static str,
    words: &'static str,
    field: String,
    value: Option<Value>,
    message: String,
}

impl Cause {
    pub fn required(field: impl Into<String>, message: &str) -> Self {
        Self {
            reason: "FieldValueRequired",
            words: "Required value",
            field: field.into(),
            value: None,
            message: message.to_owned(),
        }
    }

    pub fn invalid(field: impl Into<String>, value: &Value, message: impl Into<String>) -> Self {
        Self {
            reason: "FieldValueInvalid",
            words: "Invalid value",
            field: field.into(),
            value: Some(value.clone()),
            message: message.into(),
        }
    }

    pub fn forbidden(field: impl Into<String>, message: &str) -> Self {
        Self {
            reason: "FieldValueForbidden",
            words: "Forbidden",
            field: field.into(),
            value: None,
            message: message.to_owned(),
        }
    }

    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self {
            reason: "FieldValueDuplicate",
            words: "Duplicate value",
            field: field.into(),
            value: Some(value.clone()),
            message: String::new(),
        }
    }

    fn detail(&self) -> String {
        let mut text = self.words.to_owned();
        if let Some(value) = &self.value {
            text.push_str(&format!(": {value}"));
        }
        if !self.message.is_empty() {
            text.push_str(&format!(": {}", self.message));
        }
        text
    }

    fn told(&self) -> String {
        format!("{}: {}", self.field, self.detail())
    }
}

fn qualified(what: &str, group: &str) -> String {
    if group.is_empty() {
        what.to_owned()
    } else {
        format!("{what}.{group}")
    }
}

fn details(kind: &Kind, name: &str) -> Value {
    let mut details = json!({"name": name});
    if !kind.group.is_empty() {
        details["group"] = json!(kind.group);
    }
    details["kind"] = json!(kind.plural);
    details
}
