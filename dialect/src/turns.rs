//! From a flat history to turns that Google accepts. Shared by all protocols.
//!
//! Google wants: the results of a model turn's calls, each exactly once and in one user
//! turn right behind it; no empty turn; a call never at the very beginning; and from
//! Gemini 3 on, a thought signature on the first call of each step. Clients' histories are
//! edited, cut and merged from several vendors, so all of this is mended here and nothing
//! is ever refused.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::aside::own_words;
use crate::explanation::is_explanation;
use crate::gemini::request::{Content, FunctionResponse, Part, Raw, ResultText, Role};
use crate::gemini::{FOREIGN_SIGNATURE, needs_signatures, signs_texts, takes_system};
use crate::media;
use crate::signature::{Signatures, restore, restore_said, split_id, tools_before};
use crate::text::{Str, empty_object, to_json};

/// One piece of the history, in order.
#[derive(Debug)]
pub(crate) enum Item<'a> {
    /// Told by the client to the model, wherever it stands.
    System(Cow<'a, str>),
    /// Said by the user.
    User(Part<'a>),
    /// Said by the model, calls included.
    Model(Part<'a>),
    /// The result of a call.
    Result(ToolResult<'a>),
}

/// The result of a call.
#[derive(Debug)]
pub(crate) struct ToolResult<'a> {
    pub id: Option<Cow<'a, str>>,
    /// The function, where the protocol tells.
    pub name: Option<Cow<'a, str>>,
    pub text: Cow<'a, str>,
    pub failed: bool,
    /// Media that came with it. Not every model takes media inside a result, so they
    /// follow it.
    pub media: Vec<Part<'a>>,
}

/// The history as Google wants it.
#[derive(Debug, Default)]
pub(crate) struct Turns<'a> {
    pub system: Option<Content<'a>>,
    pub contents: Vec<Content<'a>>,
}

/// A call of the last model turn, waiting for its result.
struct Call<'a> {
    id: Option<Cow<'a, str>>,
    name: Cow<'a, str>,
}

struct Builder<'a> {
    system: Vec<Part<'a>>,
    contents: Vec<Content<'a>>,
    calls: Vec<Call<'a>>,
    model: Vec<Part<'a>>,
    user: Vec<UserPiece<'a>>,
    sign_foreign: bool,
}

/// What stands between two model turns.
#[expect(
    clippy::large_enum_variant,
    reason = "most are of the large kind, and none lives long"
)]
enum UserPiece<'a> {
    Said(Part<'a>),
    Result(ToolResult<'a>),
}

/// Makes turns of `items`, as `model` takes them; `memory` knows signatures that are not among
/// them any more.
pub(crate) fn assemble<'a>(
    items: Vec<Item<'a>>,
    model: &str,
    memory: &dyn Signatures,
) -> Turns<'a> {
    let mut builder = Builder {
        system: Vec::new(),
        contents: Vec::new(),
        calls: Vec::new(),
        model: Vec::new(),
        user: Vec::new(),
        sign_foreign: needs_signatures(model),
    };
    let remembers = signs_texts(model);
    let last = items.len().saturating_sub(1);
    for (at, item) in items.into_iter().enumerate() {
        match item {
            Item::System(text) if text.is_empty() => {}
            Item::System(text) => builder.system.push(Part::text(text)),
            Item::Model(mut part) => {
                restore(&mut part, memory);
                // With the last the client begins the answer itself.
                let parts = said(part, at == last);
                if !parts.is_empty() && !builder.user.is_empty() {
                    builder.end_user();
                }
                for mut part in parts {
                    if remembers {
                        restore_said(&mut part, memory);
                        builder.model.extend(tools_before(&part, memory));
                    }
                    builder.model.push(part);
                }
            }
            Item::User(part) => {
                builder.end_model();
                builder.user.push(UserPiece::Said(part));
            }
            Item::Result(mut result) => {
                builder.end_model();
                result.id = result.id.map(|id| split_id(id).0);
                builder.user.push(UserPiece::Result(result));
            }
        }
    }
    builder.end_model();
    builder.end_user();
    builder.finish(takes_system(model))
}

/// What the model said, media that stand in a text apart, and without what was put beside its
/// words, unless they are the client's. A signature is that of the last text.
fn said(mut part: Part<'_>, by_client: bool) -> Vec<Part<'_>> {
    let Some(text) = part.text.take() else {
        return vec![part];
    };
    let mut parts = media::from_markdown(text);
    if !by_client {
        for part in &mut parts {
            part.text = part.text.take().map(own_words);
        }
    }
    if let Some(last) = parts.iter_mut().rfind(|part| part.text.is_some()) {
        last.thought_signature = part.thought_signature;
    }
    parts.retain(|part| {
        let text = part.text.as_deref();
        // Why an answer was cut are not the model's words either.
        !text.is_some_and(is_explanation) && (text != Some("") || part.thought_signature.is_some())
    });
    parts
}

impl<'a> Builder<'a> {
    fn end_model(&mut self) {
        if self.model.is_empty() {
            return;
        }
        let mut parts = std::mem::take(&mut self.model);
        self.calls = parts
            .iter()
            .filter_map(|part| part.function_call.as_ref())
            .map(|call| Call {
                id: call.id.clone(),
                name: call.name.clone(),
            })
            .collect();
        if self.sign_foreign {
            // Only the first call of a step is signed, also by Google itself. One
            // signature therefore shows that a Gemini model made the step.
            let signed =
                |part: &Part<'_>| part.function_call.is_some() && part.thought_signature.is_some();
            if !parts.iter().any(signed)
                && let Some(first) = parts.iter_mut().find(|part| part.function_call.is_some())
            {
                first.thought_signature = Some(FOREIGN_SIGNATURE.into());
            }
        }
        self.contents.push(Content {
            role: Some(Role::Model),
            parts,
        });
    }

    /// Closes a user turn: results in the order of their calls, then everything else in its
    /// order. A result that belongs to no call stays as text.
    fn end_user(&mut self) {
        let mut parts = Vec::with_capacity(self.user.len());
        let mut media = Vec::new();
        let mut pieces = std::mem::take(&mut self.user);
        for call in std::mem::take(&mut self.calls) {
            let mine = position_of(&pieces, &call).map(|at| pieces.remove(at));
            let response = match mine {
                Some(UserPiece::Result(result)) => {
                    media.extend(result.media);
                    if result.failed {
                        ResultText::Error(result.text)
                    } else {
                        ResultText::Output(result.text)
                    }
                }
                _ => ResultText::Error("This call was not answered.".into()),
            };
            parts.push(Part {
                function_response: Some(FunctionResponse {
                    id: call.id,
                    name: call.name,
                    response,
                }),
                ..Part::default()
            });
        }
        parts.append(&mut media);
        for piece in pieces {
            match piece {
                UserPiece::Said(part) => parts.push(part),
                UserPiece::Result(orphan) => {
                    let name = orphan.name.or(orphan.id).unwrap_or("a tool".into());
                    parts.push(Part::text(format!("Result of {name}: {}", orphan.text)));
                    parts.extend(orphan.media);
                }
            }
        }
        if !parts.is_empty() {
            self.contents.push(Content {
                role: Some(Role::User),
                parts,
            });
        }
    }

    /// What should be system instruction becomes the beginning of the first user turn.
    fn system_to_user(&mut self) {
        let parts = std::mem::take(&mut self.system);
        match self.contents.first_mut() {
            Some(first) if first.role == Some(Role::User) => {
                first.parts.splice(0..0, parts);
            }
            _ if parts.is_empty() => {}
            _ => self.contents.insert(
                0,
                Content {
                    role: Some(Role::User),
                    parts,
                },
            ),
        }
    }

    fn finish(mut self, takes_system: bool) -> Turns<'a> {
        if !takes_system {
            self.system_to_user();
        }
        let mut turns = Turns {
            system: None,
            contents: self.contents,
        };
        if turns.contents.is_empty() {
            // Google needs a user turn; a conversation of instructions only becomes one.
            if !self.system.is_empty() {
                turns.contents.push(Content {
                    role: Some(Role::User),
                    parts: self.system,
                });
            }
            return turns;
        }
        if !self.system.is_empty() {
            turns.system = Some(Content {
                role: None,
                parts: self.system,
            });
        }
        let begins_with_call = turns.contents.first().is_some_and(|first| {
            first.role == Some(Role::Model)
                && first.parts.iter().any(|part| part.function_call.is_some())
        });
        if begins_with_call {
            // A client that cuts old messages may cut here; Google wants a user turn first.
            turns.contents.insert(
                0,
                Content {
                    role: Some(Role::User),
                    parts: vec![Part::text("…")],
                },
            );
        }
        turns
    }
}

/// The result of `call`: by id; else, where ids are missing, by name; else the next one.
fn position_of(pieces: &[UserPiece<'_>], call: &Call<'_>) -> Option<usize> {
    let find = |fits: &dyn Fn(&ToolResult<'_>) -> bool| {
        pieces
            .iter()
            .position(|piece| matches!(piece, UserPiece::Result(result) if fits(result)))
    };
    let nameless = |r: &ToolResult<'_>| r.id.is_none() || call.id.is_none();
    find(&|r| r.id.is_some() && r.id == call.id)
        .or_else(|| find(&|r| nameless(r) && r.name.as_ref() == Some(&call.name)))
        .or_else(|| find(&|r| nameless(r) && r.name.is_none()))
}

/// A tool's result of several parts: its texts, a line for each, and its media.
pub(crate) fn text_and_media(parts: Vec<Part<'_>>) -> (Cow<'_, str>, Vec<Part<'_>>) {
    let mut text = Cow::Borrowed("");
    let mut media = Vec::new();
    for part in parts {
        match part.text {
            Some(more) if text.is_empty() => text = more,
            Some(more) => {
                let joined = text.to_mut();
                joined.push('\n');
                joined.push_str(&more);
            }
            None => media.push(part),
        }
    }
    (text, media)
}

/// Arguments as a JSON object. What is no object (cut off by a token limit, say) is kept as
/// text, so that the model sees what it wrote.
pub(crate) fn arguments(raw: Option<&RawValue>) -> Raw<'_> {
    let empty = || Cow::Owned(empty_object());
    let Some(raw) = raw else {
        return empty();
    };
    if raw.get().starts_with('{') {
        return Cow::Borrowed(raw);
    }
    let Ok(text) = serde_json::from_str::<Str<'_>>(raw.get()) else {
        return empty();
    };
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed == "null" {
        return empty();
    }
    if trimmed.starts_with('{')
        && let Ok(object) = RawValue::from_string(trimmed.to_owned())
    {
        return Cow::Owned(object);
    }
    let kept = to_json(
        &serde_json::json!({ "malformed_arguments": &*text }),
        text.len(),
    );
    Cow::Owned(crate::text::raw(
        String::from_utf8_lossy(&kept).into_owned(),
    ))
}
