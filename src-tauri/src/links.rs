//! The links this app opens: import links of clients, and two pages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::{ApiError, ErrorCode};
use tauri::Url;
use vault::Secret;

/// Where Google hands out keys.
pub const GOOGLE_KEYS: &str = "https://aistudio.google.com/apikey";
/// This project's home page.
pub const PROJECT: &str = env!("CARGO_PKG_REPOSITORY");

/// The link with which Cherry Studio adds this instance as a provider.
///
/// Payload and encoding as Cherry Studio's `providersImport.ts` reads them: standard
/// Base64 with padding, percent-encoded. Base64url breaks there as soon as the name is
/// not plain ASCII, because the handler swaps `-` and `_`. The `id` is our own: one that
/// exists already would be overwritten.
pub fn cherry_studio(base_url: &str, token: &Secret, name: &str) -> Result<Secret, ApiError> {
    let payload = serde_json::json!({
        "id": "gemini-balance",
        "baseUrl": base_url,
        "apiKey": token.expose().as_str(),
        "name": name,
        "type": "openai",
    });
    let data = STANDARD.encode(payload.to_string());
    Url::parse_with_params(
        "cherrystudio://providers/api-keys",
        [("v", "1"), ("data", &data)],
    )
    .map(|url| Secret::new(url.into()))
    .map_err(|error| {
        ApiError::new(
            ErrorCode::Internal,
            format!("The link cannot be built: {error}"),
        )
    })
}

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

#[cfg(test)]
mod tests {
    use super::*;

    /// What Cherry Studio does with the query, in the version of 2026-08: it turns the
    /// alphabet around twice and decodes.
    fn as_cherry_studio_reads(link: &Secret) -> serde_json::Value {
        let (_, data) = link.expose().split_once("data=").unwrap();
        let turned = data.replace('+', "_").replace('/', "-");
        let url = Url::parse(&format!("cherrystudio://x?data={turned}")).unwrap();
        let (_, data) = url.query_pairs().next().unwrap();
        let bytes = STANDARD
            .decode(data.replace('_', "+").replace('-', "/"))
            .unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn cherry_studio_reads_a_chinese_name() {
        // The name and token are such that Base64 needs both `+` and `/`.
        let name = "Gemini Balance 钥匙均衡~本机?";
        let link = cherry_studio("http://127.0.0.1:8000/v1", &"sk-~~~???>>>".into(), name).unwrap();
        assert!(
            link.expose().contains("%2B") && link.expose().contains("%2F"),
            "{}",
            link.expose()
        );
        let read = as_cherry_studio_reads(&link);
        assert_eq!(read["name"], name);
        assert_eq!(read["apiKey"], "sk-~~~???>>>");
        assert_eq!(read["baseUrl"], "http://127.0.0.1:8000/v1");
        assert_eq!(read["type"], "openai");
    }
}
