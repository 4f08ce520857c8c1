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
        400 if message.contains("API key") && message.contains("not valid") => {
            Outcome::KeyRefused(RejectReason::Invalid)
        }
        401 => Outcome::KeyRefused(RejectReason::Refused),
        403 if message.contains("reported as leaked") => Outcome::KeyRefused(RejectReason::Leaked),
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
