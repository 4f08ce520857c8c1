//! Who changed what, and taking it back.

use std::collections::BTreeMap;

use axum::extract::{FromRequestParts, Query, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use contract::admin::{Actor, AuditAction, AuditPage, SettingDiff};
use contract::{ApiError, ErrorCode};
use http::StatusCode;
use http::request::Parts;
use serde::Deserialize;
use vault::Secret;

use super::answer::{Failure, Id, Json, Result};
use super::sessions::Hash;
use super::settings::{self, Plan};
use super::{Access, Admin, guard};
use crate::Core;
use crate::store::{Author, Change, Inverse, Made, NewAudit};

/// How many entries a page has unless the caller says so, and at most.
const PAGE: u32 = 50;
const LONGEST_PAGE: u32 = 500;

/// Through what a request came, and from where.
#[derive(Clone, Debug)]
pub struct Who {
    actor: Actor,
    address: Option<String>,
    /// The session it belongs to; absent for the desktop window.
    session: Option<Hash>,
}

impl Who {
    /// Refuses what wants the password once more, so that a browser left open is not enough.
    ///
    /// # Errors
    /// When it was not given lately; the error says how to give it. Or when the database cannot
    /// be asked whether it was.
    pub async fn has_confirmed(&self, core: &Core) -> Result<(), ApiError> {
        let confirmed = match self.session {
            None => self.is_window(),
            Some(session) => core.gate.sessions.is_confirmed(core, session).await?,
        };
        if confirmed {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorCode::PasswordAgain,
            "This needs the panel's password once more: send it to POST /api/account/confirm, \
             then try again within ten minutes.",
        ))
    }

    /// Whether the desktop window asks, whose webview no secret may reach.
    pub fn is_window(&self) -> bool {
        self.actor == Actor::Desktop
    }

    /// The same as the store has it.
    pub fn author(&self) -> Author {
        Author {
            actor: self.actor,
            address: self.address.clone(),
        }
    }

    /// Files what was done to something, without a way back.
    pub async fn tell(&self, core: &Core, action: AuditAction, subject: impl Into<String>) {
        self.did(core, action, subject, None).await;
    }

    /// An entry for the audit log, without a way back.
    pub(crate) fn entry(
        &self,
        action: AuditAction,
        subject: impl Into<String>,
        changes: Vec<SettingDiff>,
    ) -> NewAudit {
        NewAudit {
            actor: self.actor,
            address: self.address.clone(),
            action,
            subject: subject.into(),
            changes,
            inverse: None,
        }
    }

    /// Files what was done. That it was done stands, so a database that cannot be written
    /// now is only a line in the log.
    pub(crate) async fn did(
        &self,
        core: &Core,
        action: AuditAction,
        subject: impl Into<String>,
        inverse: Option<Inverse>,
    ) {
        let mut entry = self.entry(action, subject, Vec::new());
        entry.inverse = inverse;
        if let Err(error) = core.store.file_audit(&entry).await {
            tracing::warn!(?action, %error, "what was done is missing in the audit log");
        }
    }
}

impl FromRequestParts<Admin> for Who {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, admin: &Admin) -> Result<Self, Self::Rejection> {
        Ok(match admin.access {
            Access::Trusted => Self {
                actor: Actor::Desktop,
                address: None,
                session: None,
            },
            Access::Session => Self {
                actor: Actor::Panel,
                address: Some(
                    guard::client(&admin.core, &parts.extensions, &parts.headers).to_string(),
                ),
                session: guard::current(&parts.extensions),
            },
        })
    }
}

/// Gives the routes of an extension what they need for the audit log.
pub(super) async fn tell_who(who: Who, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(who);
    next.run(request).await
}

/// Which entries to show.
#[derive(Deserialize)]
pub(super) struct PageQuery {
    before: Option<i64>,
    limit: Option<u32>,
}

/// Changes of the configuration, newest first.
#[utoipa::path(get, path = "/api/audit", tag = "settings", security(("session" = [])),
    params(
    ("before" = Option<i64>, Query, description = "Only entries older than this one"),
    ("limit" = Option<u32>, Query, description = "How many at most, up to 500; else 50"),
    ), responses(
    (status = 200, body = AuditPage),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn list(
    State(admin): State<Admin>,
    query: Result<Query<PageQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<AuditPage>> {
    let Ok(Query(query)) = query else {
        return Err(Failure::invalid(
            "before is the number of an entry, limit a whole number up to 500.",
        ));
    };
    let limit = query.limit.unwrap_or(PAGE).clamp(1, LONGEST_PAGE);
    Ok(Json(admin.core.store.audit(query.before, limit).await?))
}

/// Takes a change back.
#[utoipa::path(post, path = "/api/audit/{id}/undo", tag = "settings", security(("session" = [])),
    params(("id" = i64, Path, description = "The entry's number")), responses(
    (status = 204, description = "Done."),
    (status = 400, body = ApiError, description = "`invalid_input`: there is no way back"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`, `password_again`"),
    (status = 404, body = ApiError, description = "`not_found`"),
    (status = 409, body = ApiError, description = "`changed`, `sealing_key_needed`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn undo(State(admin): State<Admin>, who: Who, Id(id): Id) -> Result<StatusCode> {
    let core = &admin.core;
    // What the pool learned last is written first, so that a key that comes back knows it.
    core.recorder.flush().await;
    let _changing = core.change.lock().await;
    let state = core.store.settings_state().await?;
    let inverse = match core.store.inverse(id).await? {
        Some(Some(inverse)) => inverse,
        Some(None) => {
            return Err(Failure::invalid(
                "This change cannot be taken back, or was already.",
            ));
        }
        None => {
            return Err(Failure::new(
                ErrorCode::NotFound,
                "There is no such entry in the audit log (any more).",
            ));
        }
    };
    let mut wanted = BTreeMap::new();
    for (name, setting) in &inverse.settings {
        let now = state.saved.get(name).map(|saved| saved.value.expose());
        if now != setting.became.as_ref() {
            return Err(overtaken(name));
        }
        wanted.insert(name.clone(), setting.was.as_deref().map(Secret::from));
    }
    let problem = |problems: Vec<contract::admin::SettingProblem>| {
        let reasons = problems
            .into_iter()
            .map(|problem| format!("{}: {}", problem.name, problem.reason.en));
        let reasons: Vec<String> = reasons.collect();
        Failure::invalid(format!(
            "What was there before is not acceptable any more. {}.",
            reasons.join("; ")
        ))
    };
    let plan = Plan::make(core, &state, &wanted).map_err(problem)?;
    plan.needs_password(&who, core).await?;
    let locked = plan.locks_out(&admin).await?;
    if !locked.is_empty() {
        return Err(problem(locked));
    }
    let entry = who.entry(AuditAction::Undone, format!("#{id}"), plan.changes);
    let change = Change {
        settings: plan.values,
        undo: Some((id, inverse)),
        ..Change::default()
    };
    let made = core
        .store
        .change(&core.environment, &change, state.revision, entry)
        .await?;
    match made {
        Made::Entry(_) => {}
        Made::Unexpected => return Err(settings::changed()),
        Made::Overtaken(name) => return Err(overtaken(&name)),
        Made::Wiped => {
            return Err(Failure::invalid(
                "A key can be brought back until the next start of a server: its secret has been \
                 wiped since. Add it once more under Keys.",
            ));
        }
    }
    core.show_changed().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn overtaken(name: &str) -> Failure {
    Failure::new(
        ErrorCode::Changed,
        format!(
            "{name} has been changed again since, so taking this back would undo that, too. Take \
             the later change back first, or set the value by hand."
        ),
    )
}
