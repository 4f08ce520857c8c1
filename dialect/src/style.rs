//! How an answer's thoughts and media reach a client. Protocols have places for some of them,
//! and not every client looks there.

/// The style of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Where thoughts go.
    pub thoughts: Thoughts,
    /// Where generated media go. Only OpenAI's chat has a choice; its Responses API has items for
    /// images.
    pub media: Media,
}

/// Where thoughts go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thoughts {
    /// Where the protocol has a place for them: `reasoning_content`, thinking blocks.
    #[default]
    Native,
    /// Into the text, between `<think>` and `</think>`.
    Inline,
    /// Nowhere.
    Hidden,
}

/// Where generated media go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Media {
    /// Into the text, as Markdown with a data URL.
    #[default]
    Markdown,
    /// Into `message.images`, beside the text.
    Field,
}

/// What begins thoughts inside the text.
pub(crate) const THINK: &str = "<think>\n";
/// What ends them.
pub(crate) const THOUGHT: &str = "\n</think>\n\n";
