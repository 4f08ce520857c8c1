//! Who may use the panel: password, sessions, second factor.

use serde::{Deserialize, Serialize};

use crate::Millis;

/// How one signs in, and who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Account {
    /// A password was chosen in the panel.
    pub has_password: bool,
    /// `AUTH_TOKEN` (or the first of `ALLOWED_TOKENS`) signs in, too.
    pub has_auth_token: bool,
    /// Signing in asks for a code of an authenticator app.
    pub second_factor: bool,
    /// Recovery codes that are left.
    pub recovery_codes_left: u32,
    /// Sessions that have not ended, the newest first.
    pub sessions: Vec<SessionView>,
}

/// One session of the panel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionView {
    /// Names it; not what its cookie holds.
    pub id: String,
    /// When somebody signed in.
    pub created_at: Millis,
    /// When it was last used, to within a minute.
    pub last_seen_at: Millis,
    /// When it ends unless it is used.
    pub expires_at: Millis,
    /// The address it was begun from.
    pub address: String,
    /// What the browser called itself.
    pub user_agent: String,
    /// It is the session of whoever asks.
    pub current: bool,
}

/// A wish for another password. Ends all other sessions.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The present password or `AUTH_TOKEN`. A secret, typed in.
    pub current: String,
    /// The new password; at least 8 characters. A secret, typed in.
    pub new: String,
}

/// What an authenticator app needs. Shown once; in force only after [`TotpConfirm`].
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TotpSetup {
    /// The secret in base32, to type in. A secret, shown once.
    pub secret: String,
    /// The `otpauth://` link. Holds the secret.
    pub link: String,
    /// The link as a QR code: the text of an SVG image. Holds the secret.
    pub qr_svg: String,
}

/// Proves that the authenticator app works.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TotpConfirm {
    /// The six digits that the app shows.
    pub code: String,
}

/// The second factor is in force.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TotpEnabled {
    /// Each signs in once when the app is lost. Secrets, shown once.
    pub recovery_codes: Vec<String>,
}

/// Confirms a step that needs the password once more.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PasswordConfirm {
    /// The password or `AUTH_TOKEN`. A secret, typed in.
    pub password: String,
}
