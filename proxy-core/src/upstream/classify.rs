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

/// What an error answer of Google means. A 400 or 403 condemns a key only when Google
/// names the key as the reason: most of them are about the request.
pub fn classify(status: StatusCode, said: Option<&ApiStatus>) -> Outcome {
    let reason = said.and_then(|said| said.reason.as_deref());
    if let Some((_, reject)) = KEY_REASONS.iter().find(|(name, _)| Some(*name) == reason) {
        return Outcome::KeyRefused(*reject);
    }
    let message = said.map_or("", |said| said.message.as_str());
    match status.as_u16() {
        400 if message.contains("location is not supported") => Outcome::LocationRefused,
        // Only where the words are Google's: it quotes what clients have sent.
        400 if message.starts_with("API key not valid") => {
            Outcome::KeyRefused(RejectReason::Invalid)
        }
        401 => Outcome::KeyRefused(RejectReason::Refused),
        403 if message.starts_with("Your API key was reported as leaked") => {
            Outcome::KeyRefused(RejectReason::Leaked)
        }
        // A tuned model or a file of another project: another key may be allowed.
        403 => Outcome::Forbidden,
        429 => quota(said),
        408 => Outcome::Unreachable,
        500..=599 => Outcome::Overloaded,
        _ => Outcome::ClientFault,
    }
}

/// Which limits a 429 is about. The longest gives the reason. One that names no limit is about
/// Google's capacity, and no project's.
fn quota(said: Option<&ApiStatus>) -> Outcome {
    let violations = said.map_or(&[][..], |said| &said.violations);
    if violations.is_empty() {
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
        || said.is_some_and(|said| said.message.contains("limit: 0,"));
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
        fn any_bytes_can_be_read(status in 400..600_u16, body in any::<Vec<u8>>()) {
            let said = ApiStatus::parse(&body);
            let outcome = classify(StatusCode::from_u16(status).unwrap(), said.as_ref());
            prop_assert_eq!(matches!(outcome, Outcome::KeyRefused(_)), status == 401);
        }
    }
}
