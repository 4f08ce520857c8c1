//! Import links of client programs. Window and browser both hand them out, and a client
//! must take the two for the same instance, so they are built here only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The link from which Cherry Studio imports the instance at `base_url` as a provider
/// called `name`. It holds `token`, so whoever has the link has the token.
///
/// Its handler turns `+` and `/` of base64 into other characters and back, the reverse
/// of base64url, so only standard base64 with padding, percent-encoded, survives every
/// version. Quotes and brackets are kept out of the name because some versions strip
/// them from the decoded text. The id is our own and holds the address: an id that
/// exists updates that provider, and two instances must not overwrite one another.
/// (Source: CherryHQ/cherry-studio, `handle-providers.ts` and `providersImport.ts`.)
pub fn cherry_studio(name: &str, base_url: &str, token: &str) -> String {
    let place: String = base_url
        .split("://")
        .nth(1)
        .unwrap_or(base_url)
        .split('/')
        .next()
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let name: String = name
        .chars()
        .filter(|c| !matches!(c, '\'' | '(' | ')'))
        .collect();
    let payload = serde_json::json!({
        "id": format!("gemini-balance-{place}"),
        "baseUrl": base_url,
        "apiKey": token,
        "name": name,
        "type": "openai",
    });
    let encoded = STANDARD
        .encode(payload.to_string())
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    format!("cherrystudio://providers/api-keys?v=1&data={encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Cherry Studio's handler (as of 2026-08) does with the raw query before it
    /// decodes: `+` and `/` to `_` and `-`, percent-decoding, and the characters back.
    fn as_cherry_studio_reads(link: &str) -> serde_json::Value {
        let data = link.split("data=").nth(1).unwrap();
        let data = data.replace('+', "_").replace('/', "-");
        let data = data
            .replace("%2B", "+")
            .replace("%2F", "/")
            .replace("%3D", "=");
        let data = data.replace('_', "+").replace('-', "/");
        serde_json::from_slice(&STANDARD.decode(data).unwrap()).unwrap()
    }

    #[test]
    fn a_chinese_name_survives_the_way_into_cherry_studio() {
        // Name and token bring both `+` and `/` into base64, on which base64url breaks.
        let name = "Gemini Balance 钥匙均衡~本机?";
        let link = cherry_studio(name, "http://127.0.0.1:8000/v1", "sk-~~~???>>>");
        assert!(link.starts_with("cherrystudio://providers/api-keys?v=1&data="));
        let data = link.split("data=").nth(1).unwrap();
        assert!(
            data.contains("%2B") && data.contains("%2F"),
            "no proof without them: {data}"
        );
        assert!(!data.contains(['+', '/', '=', '_', '-']), "{data}");
        let payload = as_cherry_studio_reads(&link);
        assert_eq!(payload["name"], name);
        assert_eq!(payload["apiKey"], "sk-~~~???>>>");
        assert_eq!(payload["baseUrl"], "http://127.0.0.1:8000/v1");
        assert_eq!(payload["type"], "openai");
    }

    #[test]
    fn two_instances_do_not_overwrite_one_another() {
        let id = |url| as_cherry_studio_reads(&cherry_studio("x", url, "t"))["id"].clone();
        assert_eq!(
            id("http://127.0.0.1:8000/v1"),
            "gemini-balance-127-0-0-1-8000"
        );
        assert_eq!(
            id("https://gb.example.com/v1"),
            "gemini-balance-gb-example-com"
        );
    }

    #[test]
    fn quotes_and_brackets_are_kept_out_of_the_name() {
        let link = cherry_studio("Bob's (local)", "http://h/v1", "t");
        assert_eq!(as_cherry_studio_reads(&link)["name"], "Bobs local");
    }
}
