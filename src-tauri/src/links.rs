//! The links this app opens: import links of clients ([`contract::links`]), and two pages.

use contract::{ApiError, ErrorCode};
use vault::Secret;

/// Where Google hands out keys.
pub const GOOGLE_KEYS: &str = "https://aistudio.google.com/apikey";
/// This project's home page.
pub const PROJECT: &str = env!("CARGO_PKG_REPOSITORY");

/// Opens `url` with the program the system has for it.
pub fn open(url: &Secret, program: &str) -> Result<(), ApiError> {
    // The error of the opener holds the link, and the link may hold the token.
    tauri_plugin_opener::open_url(url.expose(), None::<&str>).map_err(|_| {
        ApiError::new(
            ErrorCode::NotFound,
            format!("The system knows no program that opens this link. Is {program} installed?"),
        )
    })
}
