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
    /// Where the sources of a search go.
    pub citations: Citations,
    /// Whether the id of a call holds its thought signature, too: for clients that return
    /// nothing else.
    pub signed_ids: bool,
}

/// Where the sources of a search go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Citations {
    /// Where the protocol has a place for them: `annotations`, `web_search_tool_result`.
    #[default]
    Native,
    /// Also behind the text, as a list in Markdown.
    Text,
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
