//! Where a call goes that is about something of a project's, and whose what it made is.

use dialect::gemini::references;

use super::super::super::problem::Problem;
use super::super::super::trace::Trace;
use super::super::super::{App, files};
use crate::memory::{Owner, Unknown};
use crate::upstream::At;

/// The key that a body needs because of what it refers to; `None` when it refers to nothing.
///
/// # Errors
/// When something is another client's, when no key reaches all of it, or when the key that does is
/// gone.
pub(in crate::surface) async fn place(
    app: &App,
    body: &[u8],
    trace: &Trace,
) -> Result<Option<At>, Problem> {
    let names = named_in(body)?;
    at(app, &names, trace).await
}

/// What a body refers to.
///
/// # Errors
/// When that cannot be told.
pub(in crate::surface) fn named_in(body: &[u8]) -> Result<Vec<String>, Problem> {
    references(body).map_err(|error| {
        Problem::bad_request(format!(
            "The body seems to refer to a file, a cache or the like, and is not valid JSON: {error}."
        ))
    })
}

/// The key that reaches everything of these names; `None` when there are none.
///
/// What nobody is known to own (it was made before the database was lost, or not by this program)
/// is looked for where this client's things are.
///
/// # Errors
/// As [`place`].
pub(in crate::surface) async fn at(
    app: &App,
    names: &[String],
    trace: &Trace,
) -> Result<Option<At>, Problem> {
    let Some(first) = names.first() else {
        return Ok(None);
    };
    let named: Vec<&str> = names.iter().map(String::as_str).collect();
    let owners = app.core.owners.find(&app.core.store, &named).await;
    let owners = owners.map_err(|Unknown| cannot_be_known())?;
    let mut found: Option<(&str, i64)> = None;
    for name in named {
        let Some(owner) = owners.get(name) else {
            continue;
        };
        if *owner.client != *trace.token_word() {
            return Err(nobodys(name));
        }
        match found {
            Some((other, key)) if key != owner.key => {
                return Err(Problem::bad_request(format!(
                    "{other} and {name} were made with different Gemini keys, and no key reaches \
                     both. Make one of them again, and use them together then."
                )));
            }
            _ => found = Some((name, owner.key)),
        }
    }
    let key = match found {
        Some((name, key)) => {
            files::check_key(app, key, name, "Make it again.")?;
            key
        }
        None if first.starts_with("interactions/") || first.starts_with("sessions/") => {
            // Those are where there was room, and nobody knows any more where that was.
            return Ok(Some(At::Here));
        }
        None => files::home(app, trace)?,
    };
    Ok(Some(At::Only(key)))
}

/// Something that is not there for this client. What is another's is not told from it.
pub(super) fn nobodys(name: &str) -> Problem {
    let shown: String = name.chars().take(100).collect();
    Problem::not_found(format!(
        "There is no {shown} for this client token. It may have expired, or another token made it."
    ))
}

/// Whose something is cannot be found out.
pub(super) fn cannot_be_known() -> Problem {
    Problem::away(
        "The database does not answer, so it is not known which Gemini key has the file, cache or \
         the like that this is about. Please try again in a moment.",
    )
}

/// Notes that the client of `trace` has what the key that answered last has made.
pub(in crate::surface) fn made(app: &App, name: &str, trace: &Trace) {
    if let Some(key) = trace.key_id() {
        let client = trace.token_word().into();
        app.core.owners.remember(name, Owner { client, key });
    }
}

/// The same for everything that an answer names, unless it is somebody's already: a client can
/// have Google quote a name.
pub(super) async fn mentioned(app: &App, names: &[String], trace: &Trace) {
    if names.is_empty() {
        return;
    }
    let named: Vec<&str> = names.iter().map(String::as_str).collect();
    let Ok(known) = app.core.owners.find(&app.core.store, &named).await else {
        return;
    };
    for name in named.iter().filter(|name| !known.contains_key(**name)) {
        made(app, name, trace);
    }
}
