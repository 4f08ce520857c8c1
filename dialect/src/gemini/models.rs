//! Google's list of models.

use serde::{Deserialize, Serialize};

use crate::error::{Invalid, Malformed};

/// One page of `GET /v1beta/models`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// The models of this page.
    #[serde(default)]
    pub models: Vec<Model>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// One model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
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

/// What Vertex AI's express mode answers for, which lists nothing itself: its id, whether it
/// embeds, and the most tokens in and out. Source: ai.google.dev "Gemini deprecations" and
/// "Models", read in November 2026.
const KNOWN: [(&str, bool, u64, u64); 14] = [
    ("gemini-3.8-flash", false, 1_048_576, 65_536),
    ("gemini-3.7-flash", false, 1_048_576, 65_536),
    ("gemini-3.6-flash", false, 1_048_576, 65_536),
    ("gemini-3.5-flash", false, 1_048_576, 65_536),
    ("gemini-3.5-flash-lite", false, 1_048_576, 65_536),
    ("gemini-3.1-pro-preview", false, 1_048_576, 65_536),
    ("gemini-3.1-flash-lite", false, 1_048_576, 65_536),
    ("gemini-3-flash-preview", false, 1_048_576, 65_536),
    ("gemini-2.5-pro", false, 1_048_576, 65_536),
    ("gemini-2.5-flash", false, 1_048_576, 65_536),
    ("gemini-2.5-flash-lite", false, 1_048_576, 65_536),
    ("gemini-3-pro-image", false, 65_536, 32_768),
    ("gemini-3.1-flash-image", false, 65_536, 32_768),
    ("gemini-embedding-001", true, 2_048, 1),
];

impl Page {
    /// The models that this version knows, for where Google lists none.
    pub fn known() -> Self {
        let model = |(id, embeds, input, output): (&str, bool, u64, u64)| Model {
            name: format!("models/{id}"),
            display_name: id.to_owned(),
            description:
                "Known to this version of Gemini Balance; Vertex AI's express mode has no \
                          list of its own."
                    .to_owned(),
            input_token_limit: Some(input),
            output_token_limit: Some(output),
            supported_generation_methods: match embeds {
                true => vec!["embedContent".to_owned(), "batchEmbedContents".to_owned()],
                false => vec!["generateContent".to_owned(), "countTokens".to_owned()],
            },
        };
        Self {
            models: KNOWN.map(model).into(),
            next_page_token: None,
        }
    }

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

/// A client's `model` without what routers write before it.
pub(crate) fn without_prefix(requested: &str) -> &str {
    ["models/", "google/"]
        .iter()
        .find_map(|prefix| requested.strip_prefix(prefix))
        .unwrap_or(requested)
}

/// The bare id in a client's `model`: strips `models/` (or `google/`, as
/// routers write it) and refuses what would not be one segment of a path.
pub fn bare(requested: &str) -> Result<String, Invalid> {
    let bare = without_prefix(requested);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if bare.is_empty() || bare.len() > 200 || !bare.chars().all(fits) || bare.starts_with('.') {
        return Err(Invalid::new(
            "model",
            "`model` is not the name of a Gemini model; GET /v1/models lists them.",
        ));
    }
    Ok(bare.to_owned())
}
