use contract::admin::{CooldownReason, RejectReason};
use dialect::gemini::ApiStatus;
use http::StatusCode;

use crate::pool::{Limits, Outcome};

/// `ErrorInfo.reason`s that condemn the key, and as what. Seen in Google's answers; the
/// names are those of <https://cloud.google.com/apis/docs/reference/rest/google.api/ErrorReason>.
const KEY_REASONS: [(&str, RejectReason); 11] = [
    ("API_KEY_INVALID", RejectReason::Invalid),
    ("API_KEY_EXPIRED", RejectReason::Invalid),
    ("CONSUMER_INVALID", RejectReason::Invalid),
    ("CONSUMER_SUSPENDED", RejectReason::Suspended),
    ("SERVICE_DISABLED", RejectReason::ServiceDisabled),
    ("API_KEY_SERVICE_BLOCKED", RejectReason::Refused),
    ("API_KEY_HTTP_REFERRER_BLOCKED", RejectReason::Refused),
    ("API_KEY_IP_ADDRESS_BLOCKED", RejectReason::Refused),
    ("ACCESS_TOKEN_TYPE_UNSUPPORTED", RejectReason::Refused),
    ("BILLING_DISABLED", RejectReason::Refused),
    ("ACCOUNT_STATE_INVALID", RejectReason::Refused),
];

/// How Google begins to say in a 429 without details that a project has used up what it may, or
/// what it is paid for. Any other words there are about Google's capacity.
const USED_UP: [&str; 3] = [
    "You exceeded your current quota",
    "Your project has exceeded its",
    "Quota exceeded",
];

/// Whether Google refuses a model to one project for a reason that lasts, and for which it has no
/// code: only its words tell these from mistakes of the request.
fn is_refused_to_project(status: u16, name: &str, message: &str) -> bool {
    /// After the name of a product: Imagen, Veo.
    const PAID_ONLY: &str = " API is only accessible to billed users";
    let begins = |words: &str| message.starts_with(words);
    match (status, name) {
        (400, "FAILED_PRECONDITION") if begins("Gemini API free tier is not available") => true,
        (400, "FAILED_PRECONDITION" | "INVALID_ARGUMENT") => {
            // What clients have sent is quoted; a product is not.
            let is_product = |name: &str| name.chars().all(|c| c.is_alphanumeric() || c == ' ');
            let product = message.split_once(PAID_ONLY);
            product.is_some_and(|(product, _)| is_product(product))
        }
        (404, _) => {
            begins("This model ") && message.contains(" is no longer available to new users")
        }
        _ => false,
    }
}

/// Whether an error answer is none of Google's, nor of a gateway that speaks for it: what firewalls,
/// captive portals and proxies say is a page, and so is what Google tells an address that it takes
/// for a robot's.
pub fn is_not_googles(status: StatusCode, body: &[u8]) -> bool {
    let is_json = || serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    match status.as_u16() {
        300..=399 | 407 | 511 => true,
        401 | 403 | 429 => !is_json(),
        _ => false,
    }
}

/// What an error answer of Google means. A 400 or 403 condemns a key only when Google
/// names the key as the reason: most of them are about the request.
pub fn classify(status: StatusCode, said: Option<&ApiStatus>) -> Outcome {
    let reason = said.and_then(|said| said.reason.as_deref());
    if let Some((_, reject)) = KEY_REASONS.iter().find(|(name, _)| Some(*name) == reason) {
        return Outcome::KeyRefused(*reject);
    }
    let message = said.map_or("", |said| said.message.as_str());
    let name = said.map_or("", |said| said.status.as_str());
    match status.as_u16() {
        status if is_refused_to_project(status, name, message) => {
            Outcome::ProjectRefused { lasting: true }
        }
        400 if message.contains("location is not supported") => Outcome::LocationRefused,
        // Only where the words are Google's: it quotes what clients have sent.
        400 if message.starts_with("API key not valid") => {
            Outcome::KeyRefused(RejectReason::Invalid)
        }
        401 => Outcome::KeyRefused(RejectReason::Refused),
        403 if message.starts_with("Your API key was reported as leaked") => {
            Outcome::KeyRefused(RejectReason::Leaked)
        }
        // A tuned model or a file of another project, or all of the model: see
        // `Setback::seen_with`.
        403 => Outcome::Forbidden,
        429 => quota(said),
        408 => Outcome::Unreachable,
        500..=599 => Outcome::Overloaded,
        _ => Outcome::ClientFault,
    }
}

/// Which limits a 429 is about. The longest gives the reason. One that names no limit is about
/// Google's capacity and no project's, unless its words say that something is used up.
fn quota(said: Option<&ApiStatus>) -> Outcome {
    let violations = said.map_or(&[][..], |said| &said.violations);
    let message = said.map_or("", |said| said.message.as_str());
    if violations.is_empty() && !USED_UP.iter().any(|words| message.starts_with(words)) {
        return Outcome::Overloaded;
    }
    let mut limits = Limits::default();
    let (mut day, mut tokens, mut minute) = (false, false, false);
    for violation in violations {
        let id = violation.quota_id.as_str();
        let value = violation.quota_value.filter(|value| *value > 0);
        let value = value.map(|value| u32::try_from(value).unwrap_or(u32::MAX));
        // `GenerateContentInputTokensPerModelPerMinute-FreeTier` and the like.
        match (
            id.contains("PerDay"),
            id.contains("PerMinute"),
            id.contains("Tokens"),
        ) {
            (true, _, is_tokens) => {
                day = true;
                // Of a day, only requests are counted here.
                limits.rpd = value.filter(|_| !is_tokens).or(limits.rpd);
            }
            (false, true, true) => {
                tokens = true;
                limits.tpm = value.or(limits.tpm);
            }
            (false, true, false) => {
                minute = true;
                limits.rpm = value.or(limits.rpm);
            }
            (false, false, _) => {}
        }
    }
    let not_in_tier = violations
        .iter()
        .any(|violation| violation.quota_value == Some(0))
        || message.contains("limit: 0,");
    let reason = if not_in_tier {
        CooldownReason::NotInTier
    } else {
        match (day, tokens, minute) {
            (true, _, _) => CooldownReason::PerDay,
            (_, true, _) => CooldownReason::TokensPerMinute,
            (_, _, true) => CooldownReason::PerMinute,
            (false, false, false) => CooldownReason::Unexplained,
        }
    };
    Outcome::Quota {
        reason,
        limits,
        retry_after: said.and_then(|said| said.retry_after),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn of(status: u16, body: &Value) -> Outcome {
        let said = ApiStatus::parse(body.to_string().as_bytes());
        classify(StatusCode::from_u16(status).unwrap(), said.as_ref())
    }

    fn over(ids: &[(&str, &str)], delay: &str) -> Outcome {
        let violations: Vec<Value> = ids
            .iter()
            .map(|(id, value)| json!({"quotaId": id, "quotaValue": value}))
            .collect();
        let body = json!({"error": {"code": 429, "message": "over", "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
        ]}});
        of(429, &body)
    }

    #[test]
    fn each_limit_is_told_from_the_others_by_its_id_and_the_longest_wins() {
        const DAY: &str = "GenerateRequestsPerDayPerProjectPerModel-FreeTier";
        const MINUTE: &str = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier";
        const TOKENS: &str = "GenerateContentInputTokensPerModelPerMinute-FreeTier";
        let limits = |rpm, tpm, rpd| Limits { rpm, tpm, rpd };
        let quota = |reason, limits| Outcome::Quota {
            reason,
            limits,
            retry_after: Some(Duration::from_nanos(45_837_906_927)),
        };
        let delay = "45.837906927s";
        assert_eq!(
            over(&[(MINUTE, "10")], delay),
            quota(CooldownReason::PerMinute, limits(Some(10), None, None))
        );
        assert_eq!(
            over(&[(TOKENS, "250000")], delay),
            quota(
                CooldownReason::TokensPerMinute,
                limits(None, Some(250_000), None)
            )
        );
        assert_eq!(
            over(&[(MINUTE, "10"), (DAY, "20"), (TOKENS, "9")], delay),
            quota(CooldownReason::PerDay, limits(Some(10), Some(9), Some(20)))
        );
        assert_eq!(
            over(&[(DAY, "0")], delay),
            quota(CooldownReason::NotInTier, limits(None, None, None))
        );
        assert_eq!(
            over(&[("SomethingElse", "5")], delay),
            quota(CooldownReason::Unexplained, limits(None, None, None))
        );
        let unexplained = json!({"error": {"code": 429, "message": "Resource has been exhausted"}});
        assert_eq!(of(429, &unexplained), Outcome::Overloaded);
    }

    #[test]
    fn a_project_that_is_out_of_money_is_told_from_googles_capacity() {
        for message in [
            "Your project has exceeded its monthly spending cap. Please go to AI Studio.",
            "You exceeded your current quota, please check your plan and billing details.",
        ] {
            let body = json!({"error": {"code": 429, "message": message}});
            let unexplained = Outcome::Quota {
                reason: CooldownReason::Unexplained,
                limits: Limits::default(),
                retry_after: None,
            };
            assert_eq!(of(429, &body), unexplained, "{message}");
        }
    }

    #[test]
    fn a_limit_that_only_the_metadata_names_is_one() {
        let named = |value| {
            of(
                429,
                &json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED",
                "message": "Quota exceeded for quota metric 'Requests'.", "details": [{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "RATE_LIMIT_EXCEEDED", "domain": "googleapis.com", "metadata": {
                    "quota_limit": "GenerateContentRequestsPerMinutePerProjectPerRegion",
                    "quota_limit_value": value,
                    "quota_metric": "generativelanguage.googleapis.com/generate_requests",
                    "consumer": "projects/123",
                }}]}}),
            )
        };
        let quota = |reason, rpm| Outcome::Quota {
            reason,
            limits: Limits {
                rpm,
                ..Limits::default()
            },
            retry_after: None,
        };
        assert_eq!(named("0"), quota(CooldownReason::NotInTier, None));
        assert_eq!(named("60"), quota(CooldownReason::PerMinute, Some(60)));
    }

    #[test]
    fn what_is_refused_to_one_project_is_no_mistake_of_the_request() {
        let said = |status: u16, name: &str, message: &str| {
            of(
                status,
                &json!({"error": {"code": status, "status": name, "message": message}}),
            )
        };
        for (status, name, message) in [
            (
                400,
                "FAILED_PRECONDITION",
                "Gemini API free tier is not available in your country. Please enable billing on \
                 your project in Google AI Studio.",
            ),
            (
                400,
                "INVALID_ARGUMENT",
                "Imagen API is only accessible to billed users at this time.",
            ),
            (
                400,
                "FAILED_PRECONDITION",
                "Veo 3 API is only accessible to billed users at this time.",
            ),
            (
                404,
                "NOT_FOUND",
                "This model models/gemini-2.5-flash is no longer available to new users. Please \
                 update your code to use a newer model.",
            ),
        ] {
            let lasting = Outcome::ProjectRefused { lasting: true };
            assert_eq!(said(status, name, message), lasting, "{message}");
        }
        for (status, name, message) in [
            // What a client has sent, quoted.
            (
                400,
                "INVALID_ARGUMENT",
                "Unknown name \"Veo API is only accessible to billed users\": Cannot find field.",
            ),
            (
                404,
                "NOT_FOUND",
                "models/This model is no longer available to new users is not found",
            ),
            (
                400,
                "INVALID_ARGUMENT",
                "Gemini API free tier is not available",
            ),
        ] {
            assert_eq!(
                said(status, name, message),
                Outcome::ClientFault,
                "{message}"
            );
        }
    }

    #[test]
    fn a_page_is_nothing_that_google_says() {
        let is_not = |status: u16, body: &str| {
            is_not_googles(StatusCode::from_u16(status).unwrap(), body.as_bytes())
        };
        for status in [302, 401, 403, 407, 429] {
            assert!(is_not(status, "<html>Blocked</html>"), "{status}");
            assert!(is_not(status, ""), "{status}");
        }
        // A gateway that BASE_URL names may have a shape of its own.
        for body in [r#"{"error":{"code":403}}"#, r#"{"detail":"no"}"#] {
            assert!(!is_not(403, body), "{body}");
            assert!(!is_not(401, body), "{body}");
        }
        // What lies between it and us answers so, too, and another try helps.
        assert!(!is_not(503, "<html>Unavailable</html>"));
    }

    /// Any JSON, with the words that Google uses.
    fn anything() -> impl Strategy<Value = Value> {
        let word = prop_oneof![
            Just("error"),
            Just("code"),
            Just("message"),
            Just("status"),
            Just("details"),
            Just("reason"),
            Just("violations"),
            Just("quotaId"),
            Just("quotaValue"),
            Just("retryDelay"),
            Just("metadata"),
            Just("consumer"),
            Just("PerDay"),
            Just("quotaDimensions"),
            Just("model"),
            Just("@type"),
            Just(""),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
            Just(Value::from("-1.5s")),
            Just(Value::from("1e300s")),
            Just(Value::from("RATE_LIMIT_EXCEEDED")),
            Just(Value::from("GenerateRequestsPerMinute")),
        ];
        leaf.prop_recursive(6, 60, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((word.clone(), inner), 0..6).prop_map(|pairs| {
                    pairs
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect()
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_body_disables_a_key_unless_google_names_the_key(
            status in 400..600_u16,
            body in anything(),
            wrapped in any::<bool>(),
        ) {
            let body = if wrapped { json!({ "error": body }) } else { body };
            let refused = matches!(of(status, &body), Outcome::KeyRefused(_));
            // 401 is about the credential by definition.
            prop_assert_eq!(refused, status == 401, "{} {}", status, body);
        }

        #[test]
        fn any_bytes_can_be_read_and_condemn_no_key(
            status in 300..600_u16,
            body in any::<Vec<u8>>(),
        ) {
            let is_json = serde_json::from_slice::<Value>(&body).is_ok();
            let status = StatusCode::from_u16(status).unwrap();
            let outcome = crate::upstream::failure::refused(status, body.into()).outcome;
            let is_refused = matches!(outcome, Outcome::KeyRefused(_));
            prop_assert_eq!(is_refused, status == StatusCode::UNAUTHORIZED && is_json);
        }
    }
}
