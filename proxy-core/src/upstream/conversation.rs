//! Which conversation a call belongs to, so that one key answers all of it: Google caches
//! prompts by project, and thought signatures of one project may be refused by another.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Call, Expect};
use crate::surface::trace::Trace;

/// A conversation, and how much it matters that it stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Conversation {
    pub(super) id: u64,
    /// Also where nothing is paid for.
    pub(super) strongly: bool,
}

/// What is told of a conversation by how it begins.
#[derive(Deserialize)]
struct Beginning<'a> {
    #[serde(
        borrow,
        default,
        rename = "systemInstruction",
        alias = "system_instruction"
    )]
    system: Option<&'a RawValue>,
    #[serde(borrow, default)]
    contents: Vec<&'a RawValue>,
}

/// The conversation of a call, where that is of use: the client names it, a tool's result goes
/// back, the setting `AFFINITY` says so, or there are keys that are paid for.
pub(super) fn of(
    call: &Call<'_>,
    trace: &Trace,
    mode: &str,
    is_paid: bool,
) -> Option<Conversation> {
    if matches!(call.expect, Expect::Anything | Expect::Raw | Expect::Live) || mode == "off" {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    (trace.token_id(), call.model).hash(&mut hasher);
    if let Some(session) = trace.session() {
        session.hash(&mut hasher);
        return Some(Conversation {
            id: hasher.finish(),
            strongly: true,
        });
    }
    let is_tool_loop = memchr::memmem::find(&call.body, b"\"functionResponse\"").is_some();
    if !is_tool_loop && !is_paid && mode != "on" {
        return None;
    }
    let beginning: Beginning<'_> = serde_json::from_slice(&call.body).ok()?;
    beginning.system.map(RawValue::get).hash(&mut hasher);
    beginning.contents.first()?.get().hash(&mut hasher);
    Some(Conversation {
        id: hasher.finish(),
        strongly: is_tool_loop || mode == "on",
    })
}
