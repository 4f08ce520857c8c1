//! From a flat history to turns that Google accepts. Shared by all protocols.
//!
//! Google wants: the results of a model turn's calls, each exactly once and in one user
//! turn right behind it; no empty turn; a call never at the very beginning; and from
//! Gemini 3 on, a thought signature on the first call of each step. Clients' histories are
//! edited, cut and merged from several vendors, so all of this is mended here and nothing
//! is ever refused.

use std::borrow::Cow;

use crate::gemini::FOREIGN_SIGNATURE;
use crate::gemini::request::{Content, FunctionResponse, Part, ResultText, Role};

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
    user: Vec<Part<'a>>,
    results: Vec<ToolResult<'a>>,
    sign_foreign: bool,
}

/// Makes turns of `items`. `sign_foreign` marks steps that no Gemini model made.
pub(crate) fn assemble(items: Vec<Item<'_>>, sign_foreign: bool) -> Turns<'_> {
    let mut builder = Builder {
        system: Vec::new(),
        contents: Vec::new(),
        calls: Vec::new(),
        model: Vec::new(),
        user: Vec::new(),
        results: Vec::new(),
        sign_foreign,
    };
    for item in items {
        match item {
            Item::System(text) if text.is_empty() => {}
            Item::System(text) => builder.system.push(Part::text(text)),
            Item::Model(part) => {
                if !builder.user.is_empty() || !builder.results.is_empty() {
                    builder.end_user();
                }
                builder.model.push(part);
            }
            Item::User(part) => {
                builder.end_model();
                builder.user.push(part);
            }
            Item::Result(result) => {
                builder.end_model();
                builder.results.push(result);
            }
        }
    }
    builder.end_model();
    builder.end_user();
    builder.finish()
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

    /// Closes a user turn: results in the order of their calls, then orphans, then the rest.
    fn end_user(&mut self) {
        let mut parts = Vec::new();
        let mut media = Vec::new();
        let mut results = std::mem::take(&mut self.results);
        for call in std::mem::take(&mut self.calls) {
            let mine = position_of(&results, &call).map(|at| results.remove(at));
            let response = match mine {
                Some(result) => {
                    media.extend(result.media);
                    if result.failed {
                        ResultText::Error(result.text)
                    } else {
                        ResultText::Output(result.text)
                    }
                }
                None => ResultText::Error("This call was not answered.".into()),
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
        for orphan in results {
            let name = orphan.name.or(orphan.id).unwrap_or("a tool".into());
            parts.push(Part::text(format!("Result of {name}: {}", orphan.text)));
            parts.extend(orphan.media);
        }
        parts.append(&mut self.user);
        if !parts.is_empty() {
            self.contents.push(Content {
                role: Some(Role::User),
                parts,
            });
        }
    }

    fn finish(self) -> Turns<'a> {
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
fn position_of(results: &[ToolResult<'_>], call: &Call<'_>) -> Option<usize> {
    let by_id = || {
        results
            .iter()
            .position(|r| r.id.is_some() && r.id == call.id)
    };
    let nameless = |r: &ToolResult<'_>| r.id.is_none() || call.id.is_none();
    let by_name = || {
        results
            .iter()
            .position(|r| nameless(r) && r.name.as_ref() == Some(&call.name))
    };
    let next = || results.iter().position(|r| nameless(r) && r.name.is_none());
    by_id().or_else(by_name).or_else(next)
}
