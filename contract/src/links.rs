//! Links that lead out: import links of client programs, and pages of cloud providers.
//!
//! Window and browser both hand them out (the window has Rust open them), and a client must
//! take the two for the same instance, so they are built here only. Deliberately absent:
//! addresses that come from anywhere else, so the window opens nothing that a page made up.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A page of a provider that the user is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Page {
    /// Render's API keys.
    RenderKeys,
    /// Render's form for a new web service.
    RenderNew,
    /// Where a payment card is added at Render.
    RenderBilling,
    /// ClawCloud Run's console.
    ClawCloud,
    /// Koyeb's API tokens.
    KoyebKeys,
    /// Koyeb's control panel.
    Koyeb,
    /// Aiven's console.
    Aiven,
    /// TiDB Cloud's console.
    TidbCloud,
    /// A free monitor that asks an address every few minutes.
    UptimeRobot,
}

impl Page {
    /// Its address.
    pub fn url(self) -> &'static str {
        match self {
            Self::RenderKeys => "https://dashboard.render.com/u/settings#api-keys",
            Self::RenderNew => "https://dashboard.render.com/web/new",
            Self::RenderBilling => "https://dashboard.render.com/billing",
            Self::ClawCloud => "https://console.run.claw.cloud",
            Self::KoyebKeys => "https://app.koyeb.com/user/settings/api",
            Self::Koyeb => "https://app.koyeb.com",
            Self::Aiven => "https://console.aiven.io",
            Self::TidbCloud => "https://tidbcloud.com",
            Self::UptimeRobot => "https://uptimerobot.com",
        }
    }
}

/// A provider's form for a new app, and what can be filled in before it is shown. None of
/// them lets secrets in, which have no place in an address anyway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case", deny_unknown_fields)]
pub enum NewApp {
    /// App Launchpad of ClawCloud Run.
    ClawCloud {
        /// The region, e.g. `ap-southeast-1`, which is part of the console's host name.
        region: String,
        /// What the app is called.
        name: String,
        /// Its image.
        image: String,
    },
    /// Koyeb.
    Koyeb {
        /// What the app is called.
        name: String,
        /// Its image.
        image: String,
    },
}

impl NewApp {
    /// Its address. (Sources: labring/sealos, applaunchpad `src/pages/redirect.tsx`, of
    /// which ClawCloud Run is a fork; koyeb.com/docs/build-and-deploy/deploy-to-koyeb-button.)
    pub fn url(&self) -> String {
        match self {
            Self::ClawCloud {
                region,
                name,
                image,
            } => {
                // The host must stay the provider's, whatever the region is said to be.
                let region: String = region
                    .chars()
                    .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
                    .collect();
                let form = serde_json::json!({
                    "appName": name,
                    "imageName": image,
                    "replicas": 1,
                    "cpu": 200,
                    "memory": 256,
                    "networks": [{ "port": 8000, "protocol": "http", "openPublicDomain": true }],
                });
                let query = format!("formData={}", percent(&form.to_string()));
                format!(
                    "https://{region}.run.claw.cloud/?openapp=system-applaunchpad%3F{}",
                    percent(&query)
                )
            }
            Self::Koyeb { name, image } => format!(
                "https://app.koyeb.com/deploy?type=docker&name={}&image={}&instance_type=free&ports=8000%3Bhttp%3B%2F",
                percent(name),
                percent(image)
            ),
        }
    }
}

/// Everything but letters, digits and `-_.~` percent-encoded.
fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

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
    fn a_form_is_filled_in_and_stays_at_its_provider() {
        let link = NewApp::ClawCloud {
            region: "evil.example/#".into(),
            name: "a&b".into(),
            image: "ghcr.io/o/n:latest".into(),
        }
        .url();
        assert!(link.starts_with("https://evilexample.run.claw.cloud/?openapp="));
        assert_eq!(link.matches('?').count(), 1, "{link}");
        assert_eq!(link.matches('&').count(), 0, "{link}");
        // Encoded twice: once for the console, once for the app within it.
        assert!(link.contains("formData%3D%257B"), "{link}");
        let koyeb = NewApp::Koyeb {
            name: "gb".into(),
            image: "ghcr.io/o/n:latest".into(),
        };
        assert_eq!(
            koyeb.url(),
            "https://app.koyeb.com/deploy?type=docker&name=gb&image=ghcr.io%2Fo%2Fn%3Alatest\
             &instance_type=free&ports=8000%3Bhttp%3B%2F"
        );
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
