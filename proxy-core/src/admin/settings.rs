//! Settings: what holds and why, and changing it.

use std::collections::BTreeMap;

use axum::extract::State;
use contract::admin::{
    AuditAction, EnvFile, Provenance, SettingConflict, SettingDiff, SettingProblem, SettingView,
    SettingsChange, SettingsReport, SettingsView, Texts,
};
use contract::{ApiError, ErrorCode};
use vault::Secret;

use super::answer::{Failure, Json, Result};
use super::audit::Who;
use super::{Access, Admin};
use crate::Core;
use crate::settings::{DECLARATIONS, Declaration, SettingError, Settings, declaration};
use crate::store::{Change, SavedSetting, SettingsState, names_of};

/// The longest value, in bytes: a PEM file or thousands of headers fit.
const LONGEST: usize = 100_000;

/// All settings, in the order in which they are shown.
#[utoipa::path(get, path = "/api/settings", tag = "settings", security(("session" = [])),
    responses(
    (status = 200, body = SettingsView),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn list(State(admin): State<Admin>) -> Result<Json<SettingsView>> {
    let core = &admin.core;
    let state = core.store.settings_state().await?;
    // Another process may have saved what this one has not read yet.
    let settings = core.environment.with_valid(&state.saved);
    let view = |declaration| view(core, &state, &settings, declaration);
    Ok(Json(SettingsView {
        settings: DECLARATIONS.iter().map(view).collect(),
        revision: state.revision,
    }))
}

/// Saves settings, or says what that would change. Nothing is saved unless all is acceptable.
#[utoipa::path(patch, path = "/api/settings", tag = "settings", security(("session" = [])),
    request_body = SettingsChange, responses(
    (status = 200, body = SettingsReport, description = "Saved when there are no `problems`."),
    (status = 400, body = ApiError, description = "`invalid_input`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`, `password_again`"),
    (status = 409, body = ApiError, description = "`changed`, `sealing_key_needed`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn change(
    State(admin): State<Admin>,
    who: Who,
    Json(request): Json<SettingsChange>,
) -> Result<Json<SettingsReport>> {
    let core = &admin.core;
    let wanted: BTreeMap<String, Option<Secret>> = request
        .values
        .into_iter()
        .map(|(name, value)| (name, value.map(Secret::new)))
        .collect();
    let _changing = core.change.lock().await;
    let state = core.store.settings_state().await?;
    if state.revision != request.revision {
        return Err(changed());
    }
    let mut report = SettingsReport {
        revision: state.revision,
        ..SettingsReport::default()
    };
    let plan = match Plan::make(core, &state, &wanted) {
        Ok(plan) => plan,
        Err(problems) => {
            report.problems = problems;
            return Ok(Json(report));
        }
    };
    report.problems = plan.locks_out(&admin).await?;
    report.changes.clone_from(&plan.changes);
    if request.dry_run || !report.problems.is_empty() || plan.values.is_empty() {
        return Ok(Json(report));
    }
    plan.needs_password(&who, core).await?;
    let subject = names_of(&plan.changes);
    let entry = who.entry(AuditAction::SettingsChanged, subject, plan.changes);
    let change = Change {
        settings: plan.values,
        ..Change::default()
    };
    let saved = core
        .store
        .change(&core.environment, &change, state.revision, entry)
        .await?;
    report.audit_id = Some(saved.entry().ok_or_else(changed)?);
    core.show_changed().await?;
    report.revision = state.revision.saturating_add(1);
    Ok(Json(report))
}

/// The settings as a `.env` file. Secrets are named, not given.
#[utoipa::path(get, path = "/api/settings/env", tag = "settings", security(("session" = [])),
    responses(
    (status = 200, body = EnvFile),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn env(State(admin): State<Admin>) -> Result<Json<EnvFile>> {
    let core = &admin.core;
    let saved = core.store.saved_settings().await?;
    let text = env_file(&core.environment.with_valid(&saved));
    Ok(Json(EnvFile { text }))
}

/// Lines of a `.env` file for everything that is set.
pub(super) fn env_file(settings: &Settings) -> String {
    let mut text = String::from("# Settings of Gemini Balance. Secrets have to be filled in.\n");
    for declaration in DECLARATIONS {
        let Some(given) = settings.given(declaration.name) else {
            continue;
        };
        let (name, title) = (declaration.name, declaration.title.en);
        text.push_str(&match declaration.secret {
            true => format!("\n# {title} (a secret)\n# {name}=\n"),
            false => format!("\n# {title}\n{name}={}\n", env_value(given.expose())),
        });
    }
    text
}

/// A value as a `.env` file has it: in single quotes, where nothing has a meaning, or with
/// whatever has one escaped.
pub fn env_value(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/,@+".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    if !value.contains(['\'', '\n', '\r', '\\']) {
        return format!("'{value}'");
    }
    let mut text = String::from("\"");
    for c in value.chars() {
        match c {
            '\n' => text.push_str("\\n"),
            '\r' => {}
            '"' | '\\' | '$' => text.extend(['\\', c]),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

/// A change of settings that is acceptable.
pub(super) struct Plan {
    /// What the panel will have saved, by declared name.
    pub(super) values: BTreeMap<&'static str, Option<Secret>>,
    /// What is different then.
    pub(super) changes: Vec<SettingDiff>,
    before: Settings,
    after: Settings,
}

impl Plan {
    /// Compares what is wanted with what holds.
    pub(super) fn make(
        core: &Core,
        state: &SettingsState,
        wanted: &BTreeMap<String, Option<Secret>>,
    ) -> Result<Self, Vec<SettingProblem>> {
        let mut problems = Vec::new();
        let mut values = BTreeMap::new();
        let mut saved = state.saved.clone();
        let before = core.environment.with_valid(&saved);
        for (name, value) in wanted {
            let declaration = match settable(name) {
                Ok(declaration) => declaration,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            let value = value.as_ref().map(|value| value.expose().trim().into());
            if value
                .as_ref()
                .is_some_and(|value: &Secret| value.expose().len() > LONGEST)
            {
                problems.push(SettingProblem {
                    name: name.clone(),
                    reason: Texts::new(
                        format!("内容超过 {LONGEST} 字节"),
                        format!("the value is longer than {LONGEST} bytes"),
                    ),
                });
                continue;
            }
            match &value {
                // Equal to what holds anyway: it is not pinned down for that.
                Some(value)
                    if !saved.contains_key(name) && *value.expose() == before.text(declaration) =>
                {
                    continue;
                }
                Some(value) => {
                    let value = value.clone();
                    let setting = SavedSetting {
                        value: value.clone(),
                        changed_at: 0,
                    };
                    let was = saved.insert(name.clone(), setting);
                    if was.is_some_and(|was| was.value == value) {
                        continue;
                    }
                }
                None => {
                    if saved.remove(name).is_none() {
                        continue;
                    }
                }
            }
            values.insert(declaration.name, value);
        }
        let after = match core.environment.with_saved(&saved) {
            Ok(after) if problems.is_empty() => after,
            Ok(_) => return Err(problems),
            Err(errors) => {
                // What was wrong before must not stand in the way of mending something else,
                // but what is mended here must be right.
                problems.extend(errors.into_iter().map(problem));
                return Err(problems);
            }
        };
        let changes = DECLARATIONS
            .iter()
            .filter(|declaration| values.contains_key(declaration.name))
            .filter(|declaration| before.text(declaration) != after.text(declaration))
            .map(|declaration| {
                let shown = |settings: &Settings| {
                    (!declaration.secret).then(|| settings.text(declaration).to_owned())
                };
                SettingDiff {
                    name: declaration.name.to_owned(),
                    before: shown(&before),
                    after: shown(&after),
                    secret: declaration.secret,
                    applies: declaration.applies,
                }
            })
            .collect();
        Ok(Self {
            values,
            changes,
            before,
            after,
        })
    }

    /// Refuses another way to sign in, and another address to send keys to, to somebody who
    /// has not given the password lately.
    pub(super) async fn needs_password(&self, who: &Who, core: &Core) -> Result<(), ApiError> {
        let is_harmless = self.before.panel_token() == self.after.panel_token()
            && self.before.base_url == self.after.base_url;
        match is_harmless {
            true => Ok(()),
            false => who.has_confirmed(core).await,
        }
    }

    /// Whether nobody could sign in any more.
    pub(super) async fn locks_out(&self, admin: &Admin) -> Result<Vec<SettingProblem>> {
        let loses_token = self.before.panel_token().is_some() && self.after.panel_token().is_none();
        if !loses_token || admin.access == Access::Trusted {
            return Ok(Vec::new());
        }
        if admin.core.gate.password_hash(&admin.core).await?.is_some() {
            return Ok(Vec::new());
        }
        Ok(vec![SettingProblem {
            name: "AUTH_TOKEN".to_owned(),
            reason: Texts::new(
                "清空后将无人能够登录，因为还没有设置密码；请先在“账户”页设置密码",
                "without it nobody could sign in any more, because no password was chosen; choose \
                 one under Account first",
            ),
        }])
    }
}

/// The declaration of a setting that the panel may change.
pub(super) fn settable(name: &str) -> Result<&'static Declaration, SettingProblem> {
    let refused = |zh: &str, en: &str| SettingProblem {
        name: name.to_owned(),
        reason: Texts::new(zh, en),
    };
    match declaration(name) {
        None => Err(refused("没有这个设置项", "there is no such setting")),
        Some(declaration) if declaration.environment_only => Err(refused(
            "打开数据库之前就需要它，只能用环境变量或启动参数设置",
            "it is needed before the database is open, so only the environment or a flag of \
             the command line sets it",
        )),
        Some(declaration) => Ok(declaration),
    }
}

pub(super) fn problem(error: SettingError) -> SettingProblem {
    SettingProblem {
        name: error.name.to_owned(),
        reason: error.reason,
    }
}

pub(super) fn changed() -> Failure {
    Failure::new(
        ErrorCode::Changed,
        "Somebody else changed the settings meanwhile. Load them again, then make the change.",
    )
}

fn view(
    core: &Core,
    state: &SettingsState,
    settings: &Settings,
    declaration: &Declaration,
) -> SettingView {
    let name = declaration.name;
    let panel = state
        .saved
        .get(name)
        .filter(|_| !declaration.environment_only);
    let given = core.environment.given(name);
    let shown = |text: &str| (!declaration.secret).then(|| text.to_owned());
    let conflict = match (panel, given) {
        (Some(panel), Some(given)) if panel.value != *given => {
            Some(SettingConflict::EnvironmentIgnored {
                environment: shown(given.expose()),
            })
        }
        (None, Some(_)) => {
            state
                .replaced
                .get(name)
                .map(|replaced| SettingConflict::PanelReplaced {
                    at: replaced.at,
                    panel: replaced.panel.clone(),
                })
        }
        _ => None,
    };
    SettingView {
        name: name.to_owned(),
        group: declaration.group,
        kind: declaration.kind.into(),
        title: declaration.title.into(),
        help: declaration.help.into(),
        default: declaration.default.to_owned(),
        value: shown(settings.text(declaration)),
        is_set: settings.given(name).is_some(),
        secret: declaration.secret,
        provenance: match (panel, given) {
            (Some(panel), _) => Provenance::Panel {
                at: panel.changed_at,
            },
            (None, Some(_)) => Provenance::Environment,
            (None, None) => Provenance::Default,
        },
        applies: declaration.applies,
        environment_only: declaration.environment_only,
        // What the panel can change takes effect at once; a test holds the table to that.
        pending_restart: false,
        conflict,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::env_value;
    use crate::admin::transfer::env_lines;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever a value holds, it comes back as it was.
        #[test]
        fn a_value_survives_its_quotes(value in "[ -~\\n密钥’]{0,40}") {
            let value = value.trim();
            let text = format!("A=1\nB={}\nC='2'\n", env_value(value));
            let lines = env_lines(&text).unwrap();
            let read: Vec<(&str, &str)> = lines
                .iter()
                .map(|(name, value)| (name.as_str(), value.expose().as_str()))
                .collect();
            prop_assert_eq!(read, [("A", "1"), ("B", value), ("C", "2")]);
        }
    }
}
