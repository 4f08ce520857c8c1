//! The one error shape of the admin API and of the desktop commands.

use serde::{Deserialize, Serialize};

/// What went wrong, and what to do about it.
///
/// The panel shows its own text for [`ApiError::code`] in the user's language and
/// `message` beneath it as detail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApiError {
    /// What kind of error this is; what programs branch on.
    pub code: ErrorCode,
    /// One or two English sentences: what was wrong and the way out. Never holds a secret.
    pub message: String,
    /// For [`ErrorCode::TooManyAttempts`]: seconds until another try is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
}

impl ApiError {
    /// An error of `code` with its explanation.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after_seconds: None,
        }
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

/// The kinds of error that the panel tells apart. A variant exists only when it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// No session, or it has ended: show the login page.
    NotSignedIn,
    /// The password (or `AUTH_TOKEN`) is not right.
    WrongPassword,
    /// The password is needed once more for this: `POST /api/account/confirm`, then again.
    PasswordAgain,
    /// A code of the authenticator app is needed besides the password.
    SecondFactorNeeded,
    /// The code of the authenticator app is not right, or was used.
    WrongSecondFactor,
    /// Too many wrong passwords; `retry_after_seconds` says how long to wait.
    TooManyAttempts,
    /// No password exists yet: show the set-up page.
    SetupRequired,
    /// The set-up code is not the one printed at start, or was used.
    WrongSetupCode,
    /// The new password is too short.
    WeakPassword,
    /// The thing addressed does not exist (any more).
    NotFound,
    /// The request's content is not acceptable; the message says which part.
    InvalidInput,
    /// The request came from another site (Host or Origin do not match).
    ForeignOrigin,
    /// No key of the pool can answer now.
    NoKeyAvailable,
    /// Google, or the way to it, failed.
    Upstream,
    /// The database cannot be read or written.
    Database,
    /// Somebody else changed it meanwhile: load again, then change.
    Changed,
    /// Something else is being done to it at this moment.
    Busy,
    /// There is no sealing key, so a secret cannot be stored.
    SealingKeyNeeded,
    /// The local proxy is not running, so there is nothing to ask.
    NotRunning,
    /// The operating system has no keychain that answers.
    KeychainMissing,
    /// The keychain is locked, or the user refused to unlock it.
    KeychainLocked,
    /// The keychain does not hold the key this data was sealed with.
    MasterKeyLost,
    /// The vault is opened by a passphrase, which has to be typed.
    PassphraseNeeded,
    /// The passphrase does not open the vault.
    WrongPassphrase,
    /// The address is in use by another program.
    PortTaken,
    /// The instance could not be reached.
    Unreachable,
    /// A cloud provider does not accept the key or kubeconfig, or its rights do not suffice.
    AccountRefused,
    /// A cloud provider wants a payment card first.
    CardNeeded,
    /// A quota, a credit or a limit of the provider is used up.
    QuotaExceeded,
    /// Something of that name is there already and was not made here.
    NameTaken,
    /// At the provider, somebody else has changed what this program had set: undo that there, or
    /// deploy over it.
    ChangedThere,
    /// The image does not exist, or not for the platform, or may not be read.
    ImageRefused,
    /// A cloud provider refused or failed; its own words are in the message.
    Provider,
    /// A bug or a broken environment; the message is for a bug report.
    Internal,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_code_and_message_on_the_wire() {
        let wire = serde_json::to_value(ApiError::new(ErrorCode::WrongPassword, "no")).unwrap();
        assert_eq!(
            wire,
            serde_json::json!({"code": "wrong_password", "message": "no"})
        );
    }
}
