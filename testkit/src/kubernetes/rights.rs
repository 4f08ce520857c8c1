//! Who somebody is, and what they may do.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::status::Failure;
use super::store::hash;

/// What a user may do in the namespace of theirs; without, nothing but asking about
/// themselves (and [`Self::Admin`] everything).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Everything within: the Role `*` on `*.*` that owners and managers have.
    Owner,
    /// `get`, `list` and `watch` within.
    Developer,
    /// Everything everywhere, as on a cluster of one's own.
    Admin,
}

#[derive(Clone, Debug)]
pub(super) struct User {
    pub name: String,
    pub namespace: String,
    right: Right,
    pub token: String,
    lives: Option<Duration>,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    expires: Option<i64>,
    number: usize,
}

impl User {
    pub fn new(
        name: &str,
        namespace: &str,
        right: Right,
        lives: Option<Duration>,
        number: usize,
    ) -> Self {
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            right,
            token: String::new(),
            lives,
            expires: None,
            number,
        }
    }

    /// The same user with a token that begins to live now.
    pub fn born(mut self, now: i64) -> Self {
        self.expires = self
            .lives
            .map(|lives| now.saturating_add(i64::try_from(lives.as_millis()).unwrap_or(i64::MAX)));
        let mut claims = json!({
            "aud": ["https://kubernetes.default.svc.cluster.local"],
            "iat": now / 1000,
            "iss": "https://kubernetes.default.svc.cluster.local",
            "sub": self.username(),
        });
        if let Some(expires) = self.expires {
            claims["exp"] = json!(expires / 1000);
        }
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let head = part(&json!({"alg": "RS256", "kid": "fake"}));
        let body = part(&claims);
        let seal = hash(&format!("{head}.{body}.{}", self.number));
        let seal = BASE64_URL_SAFE_NO_PAD.encode(format!("{seal:032x}"));
        self.token = format!("{head}.{body}.{seal}");
        self
    }

    pub fn renewed(mut self, number: usize, now: i64) -> Self {
        self.number += number + 1;
        self.born(now)
    }

    pub fn is_current(&self, now: i64) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    pub fn username(&self) -> String {
        format!("system:serviceaccount:user-system:{}", self.name)
    }

    /// Whether this is allowed; an empty namespace is the whole cluster.
    pub fn may(&self, verb: &str, group: &str, namespace: &str) -> bool {
        if group == "authorization.k8s.io" || group == "authentication.k8s.io" {
            return verb == "create";
        }
        match self.right {
            Right::Admin => true,
            Right::Owner => namespace == self.namespace,
            Right::Developer => {
                namespace == self.namespace && matches!(verb, "get" | "list" | "watch")
            }
        }
    }

    /// Refuses what is not allowed.
    pub fn must(
        &self,
        verb: &str,
        target: (&str, &str),
        name: &str,
        namespace: &str,
    ) -> Result<(), Failure> {
        if self.may(verb, target.0, namespace) {
            return Ok(());
        }
        Err(Failure::not_allowed(
            &self.username(),
            verb,
            target,
            name,
            namespace,
        ))
    }

    /// Answers a `SelfSubjectAccessReview`.
    pub fn review(&self, review: &Value) -> Value {
        let asked = &review["spec"]["resourceAttributes"];
        let text = |name: &str| asked[name].as_str().unwrap_or_default();
        let allowed = if asked.is_object() {
            self.may(text("verb"), text("group"), text("namespace"))
        } else {
            review["spec"]["nonResourceAttributes"]["verb"] == "get"
        };
        let mut status = json!({"allowed": allowed});
        if allowed && self.right != Right::Admin {
            let place = text("namespace");
            status["reason"] = json!(format!(
                "RBAC: allowed by RoleBinding \"{}/{place}\" of Role \"{}\" to ServiceAccount \
                 \"{}/user-system\"",
                self.role(),
                self.role(),
                self.name
            ));
        }
        status
    }

    fn role(&self) -> &'static str {
        match self.right {
            Right::Admin => "admin",
            Right::Owner => "owner",
            Right::Developer => "developer",
        }
    }

    /// Answers a `SelfSubjectRulesReview`.
    pub fn rules(&self, namespace: &str) -> Value {
        let mut rules = vec![json!({
            "verbs": ["create"],
            "apiGroups": ["authorization.k8s.io"],
            "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        })];
        let verbs = match self.right {
            Right::Developer => json!(["get", "list", "watch"]),
            Right::Owner | Right::Admin => json!(["*"]),
        };
        if self.right == Right::Admin || namespace == self.namespace {
            rules.insert(
                0,
                json!({"verbs": verbs, "apiGroups": ["*"], "resources": ["*"]}),
            );
        }
        json!({
            "resourceRules": rules,
            "nonResourceRules": [{
                "verbs": ["get"],
                "nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/version"],
            }],
            "incomplete": false,
        })
    }

    /// Answers a `SelfSubjectReview`.
    pub fn info(&self) -> Value {
        json!({"userInfo": {
            "username": self.username(),
            "groups": [
                "system:serviceaccounts",
                "system:serviceaccounts:user-system",
                "system:authenticated",
            ],
        }})
    }
}
