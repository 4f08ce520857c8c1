//! Google's list of models.

use serde::Deserialize;

use crate::error::{Invalid, Malformed};

/// One page of `GET /v1beta/models`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// The models of this page.
    #[serde(default)]
    pub models: Vec<Model>,
    /// Where the next page begins; absent on the last.
    #[serde(default)]
    pub next_page_token: Option<String>,
}

/// One model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// `models/gemini-…`
    pub name: String,
    /// For people.
    #[serde(default)]
    pub display_name: String,
    /// For people, longer.
    #[serde(default)]
    pub description: String,
    /// In tokens.
    #[serde(default)]
    pub input_token_limit: Option<u64>,
    /// In tokens.
    #[serde(default)]
    pub output_token_limit: Option<u64>,
    /// `generateContent`, `embedContent`, …
    #[serde(default)]
    pub supported_generation_methods: Vec<String>,
}

impl Page {
    /// Parses one page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        serde_json::from_slice(body).map_err(|e| Malformed::json(&e))
    }
}

impl Model {
    /// Parses the answer of `GET /v1beta/models/{id}`.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        serde_json::from_slice(body).map_err(|e| Malformed::json(&e))
    }

    /// The name without `models/`.
    pub fn id(&self) -> &str {
        self.name.strip_prefix("models/").unwrap_or(&self.name)
    }

    /// Whether it answers `generateContent`.
    pub fn generates(&self) -> bool {
        self.supported_generation_methods
            .iter()
            .any(|method| method == "generateContent")
    }
}

/// The bare id in a client's `model`: strips `models/` (or `google/`, as
/// routers write it) and refuses what would not be one segment of a path.
pub fn bare(requested: &str) -> Result<String, Invalid> {
    let bare = ["models/", "google/"]
        .iter()
        .find_map(|prefix| requested.strip_prefix(prefix))
        .unwrap_or(requested);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if bare.is_empty() || bare.len() > 200 || !bare.chars().all(fits) || bare.starts_with('.') {
        return Err(Invalid::new(
            "model",
            "`model` is not the name of a Gemini model; GET /v1/models lists them.",
        ));
    }
    Ok(bare.to_owned())
}
