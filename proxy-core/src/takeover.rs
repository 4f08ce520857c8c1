//! Taking over the database of the original program (snailyp/gemini-balance): at the first
//! start on one its keys, client tokens, `AUTH_TOKEN`, settings and the sums of its log become
//! ours. Its tables are only read, so one can go back.
//!
//! On MySQL they lie in the database that the settings name; on SQLite in a file that the
//! original calls `default_db`, looked for in the data folder, or named on the command line.
//! The SQL is in `store/original.rs`.
//!
//! Without a sealing key (MySQL only) nothing secret is stored: keys and tokens are read from
//! the original's table at every start, like those of the environment, until a key comes.
//!
//! What each of its settings becomes is one table, in `settings/original.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use contract::admin::{Actor, Sealing, SettingProblem, Takeover};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use vault::{MasterKey, Secret};

use crate::admin::hash_password;
use crate::clock::Clock;
use crate::settings::original::{self, Becomes};
use crate::settings::{DECLARATIONS, Settings, list_items, refuse_placeholder};
use crate::store::{
    Findings, FoundKey, FoundSetting, FoundSum, Original, OriginalSum, Source, Store, StoreError,
    SumOf,
};

/// Where the original's file may lie below the data folder.
const FILES: [&str; 2] = ["default_db", "data/default_db"];
/// What the original's page writes into an empty list of keys, and saves as one.
const EMPTY_FIELD: &str = "请在此处输入";

/// Signs in to the original's panel, and lets clients in.
const PANEL_TOKEN: &str = "AUTH_TOKEN";

/// Keys and tokens of the original that are served although they are stored nowhere else.
#[derive(Default)]
pub(crate) struct Unstored {
    pub(crate) keys: Vec<Secret>,
    pub(crate) tokens: Vec<Secret>,
}

/// Takes over what there is to take over and was not before. Only an outage of the database
/// is an error: what else stands in the way is logged, and tried again at the next start.
pub(crate) async fn at_start(store: &Store, settings: &Settings) -> Result<Unstored, StoreError> {
    match try_at_start(store, settings).await {
        Err(error) if store.is_mysql() && error.may_pass() => Err(error),
        Err(error) => {
            tracing::error!(
                %error,
                "the original program's database is not taken over; that is tried again at the \
                 next start"
            );
            Ok(Unstored::default())
        }
        taken => taken,
    }
}

async fn try_at_start(store: &Store, settings: &Settings) -> Result<Unstored, StoreError> {
    let done = store.taken_over().await?;
    if done.secrets && done.rest {
        return Ok(Unstored::default());
    }
    let source = match store.is_mysql() {
        true => Source::Here,
        false => match file_in(&settings.data_dir) {
            Some(path) => Source::File(path),
            None => return Ok(Unstored::default()),
        },
    };
    // The log may be long, and is read again only for its sums by keys, when those come.
    let with_log = !done.rest || store.sealing() != Sealing::NotStored;
    let Some(findings) = find(store, settings, &source, with_log).await? else {
        return Ok(Unstored::default());
    };
    let now = store.take_over(&findings, Actor::Program).await?;
    if now != done {
        tracing::info!(
            keys = findings.keys.len(),
            tokens = findings.tokens.len(),
            settings = findings.settings.len(),
            "the original program's database was taken over; it was left as it is"
        );
    }
    match now.secrets {
        true => Ok(Unstored::default()),
        false => Ok(Unstored {
            keys: findings.keys.into_iter().map(|key| key.secret).collect(),
            tokens: findings
                .tokens
                .into_iter()
                .map(|(_, token)| token)
                .collect(),
        }),
    }
}

fn file_in(folder: &Path) -> Option<PathBuf> {
    let paths = FILES.iter().map(|name| folder.join(name));
    paths.into_iter().find(|path| path.is_file())
}

async fn find(
    store: &Store,
    settings: &Settings,
    source: &Source,
    with_log: bool,
) -> Result<Option<Findings>, StoreError> {
    let Some(original) = store.read_original(source, with_log).await? else {
        return Ok(None);
    };
    let mut findings = understand(&original, settings);
    if let Some(password) = panel_password(&original, &mut findings) {
        // It takes a core for a tenth of a second.
        let hash = tokio::task::spawn_blocking(move || hash_password(&password)).await;
        match hash {
            Ok(Ok(hash)) => findings.password_hash = Some(hash),
            Ok(Err(what)) => findings.ignore(PANEL_TOKEN, &what),
            Err(error) => findings.ignore(PANEL_TOKEN, &error.to_string()),
        }
    }
    if store.sealing() == Sealing::NotStored {
        findings.ignore(
            "SECRET_KEY",
            "it is not set, so no secret is stored: keys and tokens are read from the original's \
             table at every start. Set it, and they are taken over for good at the next start",
        );
    }
    Ok(Some(findings))
}

impl Findings {
    fn ignore(&mut self, name: &str, reason: &str) {
        self.ignored.push(SettingProblem {
            name: name.to_owned(),
            reason: reason.to_owned(),
        });
    }
}

/// What the original's tables mean here; without the panel's password.
fn understand(original: &Original, settings: &Settings) -> Findings {
    let mut findings = Findings {
        files: original.files,
        ..Findings::default()
    };
    for (name, value) in &original.settings {
        let Some(value) = value else {
            findings.ignore(name, "its value is no text");
            continue;
        };
        if is_empty(value.expose()) {
            continue;
        }
        match original::original(name).map(|setting| setting.becomes) {
            // For the panel see `panel_password`.
            _ if name == PANEL_TOKEN => {
                let token = vec![value.expose().trim().to_owned()];
                for token in accepted(&mut findings, name, token) {
                    findings.add_token(format!("{name} (original)"), token);
                }
            }
            Some(Becomes::Keys) => {
                for secret in accepted(&mut findings, name, list_items(value.expose())) {
                    findings.add_key(secret);
                }
            }
            Some(Becomes::Tokens) => {
                let tokens = accepted(&mut findings, name, list_items(value.expose()));
                for (at, token) in tokens.into_iter().enumerate() {
                    findings.add_token(format!("{name} {} (original)", at + 1), token);
                }
            }
            Some(Becomes::Setting {
                name: ours,
                translate,
            }) => findings.add_setting(name, ours, translate, value, settings),
            Some(Becomes::Nothing(reason)) => findings.ignore(name, reason.en),
            None => findings.ignore(name, "the original has no setting of this name"),
        }
    }
    findings
        .tokens
        .retain(|(_, token)| !settings.allowed_tokens.contains(token));
    findings.sum_up(&original.sums, &settings.time_zone);
    findings
}

/// The secrets that can be used; of the others it is said why not.
fn accepted(findings: &mut Findings, name: &str, texts: Vec<String>) -> Vec<Secret> {
    let mut accepted = Vec::new();
    for (at, text) in texts.into_iter().enumerate() {
        match usable(&text) {
            Ok(()) => accepted.push(Secret::new(text)),
            Err(reason) => findings.ignore(name, &format!("number {}: {reason}", at + 1)),
        }
    }
    accepted
}

fn usable(text: &str) -> Result<(), String> {
    if text.contains(EMPTY_FIELD) {
        return Err(
            "it is the text of an empty field of the original's page, not a value".to_owned(),
        );
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it has a space or a character that is not ASCII".to_owned());
    }
    refuse_placeholder(text)
}

/// What signs in to the original's panel: `AUTH_TOKEN`, else the first of `ALLOWED_TOKENS`.
fn panel_password(original: &Original, findings: &mut Findings) -> Option<Secret> {
    let value = |wanted: &str| {
        let mut settings = original.settings.iter();
        let found = settings.find(|(name, _)| name == wanted)?.1.as_ref()?;
        (!is_empty(found.expose())).then_some(found)
    };
    let password = match value(PANEL_TOKEN) {
        Some(token) => Secret::from(token.expose().trim()),
        None => Secret::new(
            list_items(value("ALLOWED_TOKENS")?.expose())
                .into_iter()
                .next()?,
        ),
    };
    match refuse_placeholder(password.expose()) {
        Ok(()) => Some(password),
        Err(_) => {
            findings.ignore(
                PANEL_TOKEN,
                "what signed in to the original's panel is the value of an example, which \
                 everybody knows; choose a password with the set-up link",
            );
            None
        }
    }
}

/// Whether a value says nothing, in any of the ways in which the original writes that.
fn is_empty(text: &str) -> bool {
    matches!(
        text.trim(),
        "" | "[]" | "{}" | "\"\"" | "''" | "null" | "None" | "NaN" | "nan" | "[\"\"]" | "['']"
    )
}

impl Findings {
    fn add_key(&mut self, secret: Secret) {
        if !self.keys.iter().any(|known| known.secret == secret) {
            let label = String::new();
            self.keys.push(FoundKey { secret, label });
        }
    }

    fn add_token(&mut self, name: String, token: Secret) {
        if !self.tokens.iter().any(|(_, known)| *known == token) {
            self.tokens.push((name, token));
        }
    }

    fn add_setting(
        &mut self,
        theirs: &str,
        ours: &'static str,
        translate: fn(&str) -> String,
        value: &Secret,
        settings: &Settings,
    ) {
        let declaration = DECLARATIONS.iter().find(|one| one.name == ours);
        let Some(declaration) = declaration.filter(|one| !one.environment_only) else {
            self.ignore(
                theirs,
                "it is needed before the database is open, so it is read from the environment only",
            );
            return;
        };
        let text = Secret::new(translate(value.expose()));
        if text.expose() == declaration.default {
            return;
        }
        let alone = |name: &str| (name == ours).then(|| text.expose().clone());
        let refused = Settings::load(alone).err().unwrap_or_default();
        if let Some(error) = refused.into_iter().find(|error| error.name == ours) {
            // Its value must not be shown, whatever setting it is.
            return self.ignore(theirs, &error.reason);
        }
        self.settings.push(FoundSetting {
            name: ours,
            is_secret: declaration.secret,
            environment: settings.given(ours).cloned(),
            text,
        });
    }

    /// The log's hours, which are of the wall clock, as ours.
    fn sum_up(&mut self, sums: &[OriginalSum], zone: &TimeZone) {
        let mut days = BTreeSet::new();
        let mut rows: BTreeMap<(&'static str, SumOf, i64, &str), [u64; 3]> = BTreeMap::new();
        for sum in sums {
            let Some((day, hour)) = day_and_hour(&sum.hour) else {
                continue;
            };
            let name = sum.name.expose().as_str();
            let is_status = |name: &str| matches!(name.parse(), Ok(100_u16..=599));
            if sum.of == SumOf::Status && !is_status(name) {
                continue;
            }
            let moment = |hour| {
                let at = day.at(hour, 0, 0, 0).to_zoned(zone.clone()).ok()?;
                Some(at.timestamp().as_millisecond())
            };
            let begins = [("h", moment(hour)), ("d", begin_of_day(day, zone))];
            days.insert(day);
            for (period, at) in begins {
                let Some(at) = at else { continue };
                let row = rows.entry((period, sum.of, at, name)).or_default();
                for (total, more) in row
                    .iter_mut()
                    .zip([sum.requests, sum.errors, sum.latency_ms])
                {
                    *total = total.saturating_add(more);
                }
            }
        }
        self.log_days = u32::try_from(days.len()).unwrap_or(u32::MAX);
        let rows = rows.into_iter();
        self.sums = rows
            .map(
                |((period, of, at, name), [requests, errors, latency_ms])| FoundSum {
                    period,
                    of,
                    at,
                    name: Secret::from(name),
                    requests,
                    errors,
                    latency_ms,
                },
            )
            .collect();
    }
}

fn begin_of_day(day: Date, zone: &TimeZone) -> Option<i64> {
    let start = day.to_zoned(zone.clone()).ok()?;
    Some(start.timestamp().as_millisecond())
}

/// Of `2026-11-25 13`; SQLite files may have a `T` in it.
fn day_and_hour(text: &str) -> Option<(Date, i8)> {
    let day = text.get(..10)?.parse().ok()?;
    let hour = text.get(11..13)?.parse().ok()?;
    (0..24).contains(&hour).then_some((day, hour))
}

/// A file of the original that is taken over by hand.
pub struct FileTakeover {
    store: Store,
}

/// Why a file is not taken over.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// A database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is another program's.
    #[error(
        "{} is no database of the original gemini-balance: it has no table t_settings", .0.display()
    )]
    NotOriginal(PathBuf),
    /// There is no such file.
    #[error("there is no file {}; the original's is called default_db, in its folder data", .0.display())]
    Missing(PathBuf),
    /// It was done before.
    #[error(
        "a database of the original was taken over already, and that is done once. Keys and \
         settings can be imported in the panel"
    )]
    Done,
}

impl FileTakeover {
    /// Opens our database, which the settings name.
    ///
    /// # Errors
    /// When it cannot be used, or not be reached.
    pub async fn open(
        settings: &Settings,
        master: MasterKey,
        sealing: Sealing,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let store = Store::reach(settings.store(master, sealing), clock).await?;
        Ok(Self { store })
    }

    /// Takes over the file; gives what came of it.
    ///
    /// # Errors
    /// When the file or our database cannot be used, or one was taken over before. Then
    /// nothing has changed.
    pub async fn run(&self, settings: &Settings, file: &Path) -> Result<Takeover, TakeoverError> {
        if self.store.sealing() == Sealing::NotStored {
            return Err(StoreError::NoSealingKey.into());
        }
        let done = self.store.taken_over().await?;
        if done.rest || done.secrets {
            return Err(TakeoverError::Done);
        }
        if !file.is_file() {
            return Err(TakeoverError::Missing(file.to_path_buf()));
        }
        let source = Source::File(file.to_path_buf());
        let findings = find(&self.store, settings, &source, true)
            .await?
            .ok_or_else(|| TakeoverError::NotOriginal(file.to_path_buf()))?;
        self.store.take_over(&findings, Actor::CommandLine).await?;
        Ok(self.store.takeover().await?.unwrap_or_default())
    }

    /// Closes our database.
    pub async fn close(self) {
        self.store.close().await;
    }
}
