//! Taking over the database of the original program (snailyp/gemini-balance): at the first
//! start on one its keys, client tokens, `AUTH_TOKEN`, settings and the sums of its log become
//! ours. Its tables are only read, so one can go back.
//!
//! On MySQL they lie in the database that the settings name; on SQLite in a file that the
//! original calls `default_db`, looked for in the data folder, or named on the command line.
//! The SQL is in `store/original.rs`.
//!
//! The log may be long, so its sums come later, in pieces ([`sum_up_log`]); until then, and
//! whatever becomes of that, keys, tokens and settings serve.
//!
//! Without a sealing key (MySQL only) nothing secret is stored: keys and tokens are read from
//! the original's table at every start, like those of the environment, until a key comes.
//!
//! What each of its settings becomes is one table, in `settings/original.rs`.

use std::path::{Path, PathBuf};

use contract::admin::{Actor, KeyRules, Sealing, SettingProblem, Takeover, Texts};
use jiff::tz::TimeZone;
use vault::{MasterKey, Secret};

use crate::admin::hash_password;
use crate::clock::Clock;
use crate::settings::original::{self, Becomes};
use crate::settings::{DECLARATIONS, Settings, Text, list_items, refuse_placeholder};
use crate::store::{Findings, FoundKey, FoundSetting, Original, Source, Store, StoreError};

/// Where the original's file may lie below the data folder.
const FILES: [&str; 2] = ["default_db", "data/default_db"];
/// `TZ` in the original's image (its Dockerfile).
const IMAGE_ZONE: &str = "Asia/Shanghai";
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
    let Some(findings) = find(store, settings, &source).await? else {
        return Ok(Unstored::default());
    };
    let now = store.take_over(&source, &findings, Actor::Program).await?;
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
) -> Result<Option<Findings>, StoreError> {
    let Some(original) = store.read_original(source).await? else {
        return Ok(None);
    };
    let mut findings = understand(&original, settings);
    if let Some(password) = panel_password(&original, &mut findings) {
        // It takes a core for a tenth of a second.
        let hash = tokio::task::spawn_blocking(move || hash_password(&password)).await;
        match hash {
            Ok(Ok(hash)) => findings.password_hash = Some(hash),
            Ok(Err(what)) => findings.ignore(PANEL_TOKEN, untold(&what)),
            Err(error) => findings.ignore(PANEL_TOKEN, untold(&error)),
        }
    }
    if store.sealing() == Sealing::NotStored {
        findings.ignore(
            "SECRET_KEY",
            Text {
                zh: "没有设置，因此不保存机密：每次启动时从原版的表中读取密钥和令牌。设置后，\
                     下次启动时会正式接管",
                en: "it is not set, so no secret is stored: keys and tokens are read from the \
                     original's table at every start. Set it, and they are taken over for good at \
                     the next start",
            },
        );
    }
    Ok(Some(findings))
}

impl Findings {
    fn ignore(&mut self, name: &str, reason: impl Into<Texts>) {
        self.ignored.push(SettingProblem {
            name: name.to_owned(),
            reason: reason.into(),
        });
    }
}

/// Why the password cannot be kept, as the system says it.
fn untold(what: &impl ToString) -> Texts {
    let what = what.to_string();
    Texts::new(format!("密码无法保存：{what}"), what)
}

/// What the original's tables mean here; without the panel's password.
fn understand(original: &Original, settings: &Settings) -> Findings {
    let mut findings = Findings {
        files: original.files,
        ..Findings::default()
    };
    for (name, value) in &original.settings {
        let Some(value) = value else {
            findings.ignore(
                name,
                Text {
                    zh: "它的值不是文本",
                    en: "its value is no text",
                },
            );
            continue;
        };
        if is_empty(value.expose()) {
            continue;
        }
        let known = original::original(name);
        if known.is_some_and(|setting| setting.is_default(value.expose())) {
            // Nobody chose it, so it says nothing here.
            continue;
        }
        match known.map(|setting| setting.becomes) {
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
            Some(Becomes::Nothing(reason)) => findings.ignore(name, reason),
            None => findings.ignore(
                name,
                Text {
                    zh: "原版没有这个名称的设置项",
                    en: "the original has no setting of this name",
                },
            ),
        }
    }
    findings
        .tokens
        .retain(|(_, token)| !settings.allowed_tokens.contains(token));
    findings
}

/// Brings the next piece of the original's log into the sums, whose days begin at midnight of
/// `zone`; false when nothing is left to do.
///
/// # Errors
/// When a database cannot be used; the next call goes on from there.
pub(crate) async fn sum_up_log(
    store: &Store,
    environment: &Settings,
    zone: &TimeZone,
) -> Result<bool, StoreError> {
    store.sum_up_original(&their_zone(environment), zone).await
}

/// The time zone of the original's clock, which is that of its container: the one that the
/// environment names, which was likely handed over with everything else, or its image's.
fn their_zone(environment: &Settings) -> TimeZone {
    match environment.given("TZ") {
        Some(_) => environment.time_zone.clone(),
        None => TimeZone::get(IMAGE_ZONE).unwrap_or(TimeZone::UTC),
    }
}

/// The secrets that can be used; of the others it is said why not.
fn accepted(findings: &mut Findings, name: &str, texts: Vec<String>) -> Vec<Secret> {
    let mut accepted = Vec::new();
    for (at, text) in texts.into_iter().enumerate() {
        match usable(&text) {
            Ok(()) => accepted.push(Secret::new(text)),
            Err(reason) => {
                let number = at + 1;
                findings.ignore(
                    name,
                    Texts::new(
                        format!("第 {number} 项：{}", reason.zh),
                        format!("number {number}: {}", reason.en),
                    ),
                );
            }
        }
    }
    accepted
}

fn usable(text: &str) -> Result<(), Text> {
    if text.contains(EMPTY_FIELD) {
        return Err(Text {
            zh: "这是原版页面空白输入框里的提示文字，不是值",
            en: "it is the text of an empty field of the original's page, not a value",
        });
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Text {
            zh: "含有空格或非 ASCII 字符",
            en: "it has a space or a character that is not ASCII",
        });
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
                Text {
                    zh: "登录原版面板用的是示例中的值，人人都知道；请用初始化链接设置密码",
                    en: "what signed in to the original's panel is the value of an example, which \
                         everybody knows; choose a password with the set-up link",
                },
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
            self.keys.push(FoundKey {
                secret,
                label,
                rules: KeyRules::default(),
            });
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
                Text {
                    zh: "打开数据库之前就需要它，因此只从环境变量读取",
                    en: "it is needed before the database is open, so it is read from the \
                         environment only",
                },
            );
            return;
        };
        let text = Secret::new(translate(value.expose()));
        let given = settings.given(ours);
        // What holds anyway is not pinned down. Where the environment gives another value, what
        // somebody chose in the original's panel held there, even if it is the default here.
        let holds = given.map_or(declaration.default, |given| given.expose());
        if original::is_same(text.expose(), holds) {
            return;
        }
        let alone = |name: &str| (name == ours).then(|| text.expose().clone());
        let refused = Settings::load(alone).err().unwrap_or_default();
        if let Some(error) = refused.into_iter().find(|error| error.name == ours) {
            // Its value must not be shown, whatever setting it is.
            return self.ignore(theirs, error.reason);
        }
        self.settings.push(FoundSetting {
            name: ours,
            is_secret: declaration.secret,
            environment: given.cloned(),
            text,
        });
    }
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

    /// Takes over the file; gives what came of it. When its log cannot be summed up to its end,
    /// the server does the rest.
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
        // The server may have to find it again.
        let path = file.canonicalize().unwrap_or_else(|_| file.to_path_buf());
        let source = Source::File(path);
        let findings = find(&self.store, settings, &source)
            .await?
            .ok_or_else(|| TakeoverError::NotOriginal(file.to_path_buf()))?;
        self.store
            .take_over(&source, &findings, Actor::CommandLine)
            .await?;
        // What the panel has saved decides about the sums' days.
        let saved = self.store.saved_settings().await?;
        let zone = settings.with_valid(&saved).time_zone;
        loop {
            match sum_up_log(&self.store, settings, &zone).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(
                        %error,
                        "the original's log is not summed up to its end; the server goes on"
                    );
                    break;
                }
            }
        }
        Ok(self.store.takeover().await?.unwrap_or_default())
    }

    /// Closes our database.
    pub async fn close(self) {
        self.store.close().await;
    }
}
