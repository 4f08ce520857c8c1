//! The whole configuration as one file, and taking one in.
//!
//! Without a passphrase the file is plain JSON and holds no secret. With one it is an
//! armoured age file, which any age program opens, too. What only the environment can set
//! (the database, ports) stays out: it belongs to the machine.
//!
//! A `.env` is read like the original program's Python reads it: what is not in quotes is
//! taken as it stands. Deliberately absent: `$NAME` in values. It would put the server's own
//! environment, with its secrets, into what the import shows.

use std::collections::BTreeMap;

use axum::extract::State;
use contract::admin::{
    AuditAction, ExportFile, ExportRequest, KeyRules, Origin, SettingProblem, Texts, TokenRules,
    TransferFormat, TransferReport, TransferRequest,
};
use contract::{ApiError, ErrorCode, Millis};
use vault::Secret;
use zeroize::Zeroizing;

use super::answer::{Failure, Json, Result};
use super::audit::Who;
use super::settings::{self, Plan, settable};
use super::{Admin, import};
use crate::settings::original::{Becomes, original};
use crate::settings::{DECLARATIONS, list_items, refuse_placeholder};
use crate::store::{Change, FoundKey, FoundToken, sha256};
use crate::transfer::{self, Content, KeyContent, TokenContent, hex, unhex};

/// The shortest passphrase, in characters.
const MIN_PASSPHRASE: usize = 8;
/// The shortest client token that may be kept as a plain hash, in characters: a shorter one
/// could be guessed from it.
const MIN_TOKEN: usize = 16;
/// The longest name of a token, in characters.
const NAME_CHARS: usize = 100;

/// A file with the whole configuration.
#[utoipa::path(post, path = "/api/transfer/export", tag = "settings",
    security(("session" = [])), request_body = ExportRequest, responses(
    (status = 200, body = ExportFile),
    (status = 400, body = ApiError, description = "`invalid_input`: the passphrase is too short"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`, `password_again`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn export(
    State(admin): State<Admin>,
    who: Who,
    Json(request): Json<ExportRequest>,
) -> Result<Json<ExportFile>> {
    let core = &admin.core;
    let passphrase = request.passphrase.map(Secret::new);
    if passphrase
        .as_ref()
        .is_some_and(|passphrase| passphrase.expose().chars().count() < MIN_PASSPHRASE)
    {
        return Err(Failure::invalid(format!(
            "The passphrase protects every secret in the file: it needs at least \
             {MIN_PASSPHRASE} characters."
        )));
    }
    let with_secrets = passphrase.is_some();
    if with_secrets {
        who.has_confirmed(core).await?;
    }
    let saved = core.store.saved_settings().await?;
    let settings = core.environment.with_valid(&saved);
    let mut content = Content {
        exported_at: core.clock.now(),
        settings: DECLARATIONS
            .iter()
            .filter(|one| !one.environment_only && (with_secrets || !one.secret))
            .filter_map(|one| {
                let given = settings.given(one.name)?;
                Some((one.name.to_owned(), given.expose().clone()))
            })
            .collect(),
        ..Content::default()
    };
    if with_secrets {
        for key in core.store.keys().await? {
            content.keys.push(KeyContent {
                key: key.secret.expose().clone(),
                label: key.label,
                enabled: key.enabled,
                rules: key.rules,
            });
        }
        let lasting: Vec<[u8; 32]> = core
            .environment
            .allowed_tokens
            .iter()
            .filter(|token| may_be_hashed(token))
            .map(sha256)
            .collect();
        for token in core.store.tokens().await? {
            if token.origin == Origin::Panel || lasting.contains(&token.hash) {
                content.tokens.push(TokenContent {
                    name: token.name,
                    masked: token.masked,
                    hash: hex(&token.hash),
                    rules: token.rules,
                });
            }
        }
    }
    let text = content.text()?;
    let (text, ending) = match passphrase {
        None => ((*text).clone(), "json"),
        Some(passphrase) => (transfer::encrypted(text, passphrase).await?, "age"),
    };
    let day = day_of(core.clock.now(), &settings.time_zone);
    let file_name = format!("gemini-balance-{day}.{ending}");
    who.did(core, AuditAction::Exported, &file_name, None).await;
    Ok(Json(ExportFile { file_name, text }))
}

/// Takes a configuration in, or says what it would change. All of it is taken in, or nothing.
#[utoipa::path(post, path = "/api/transfer/import", tag = "settings",
    security(("session" = [])), request_body = TransferRequest, responses(
    (status = 200, body = TransferReport, description = "Saved when there are no `problems`."),
    (status = 400, body = ApiError, description = "`invalid_input`, `passphrase_needed`, \
        `wrong_passphrase`"),
    (status = 401, body = ApiError, description = "`not_signed_in`"),
    (status = 403, body = ApiError, description = "`foreign_origin`, `password_again`"),
    (status = 409, body = ApiError, description = "`changed`, `sealing_key_needed`"),
    (status = 503, body = ApiError, description = "`database`"),
))]
pub(super) async fn import(
    State(admin): State<Admin>,
    who: Who,
    Json(request): Json<TransferRequest>,
) -> Result<Json<TransferReport>> {
    let core = &admin.core;
    let text = Zeroizing::new(request.text);
    let passphrase = request.passphrase.map(Secret::new);
    let found = Found::read(&text, passphrase).await?;

    let _changing = core.change.lock().await;
    let state = core.store.settings_state().await?;
    let mut report = TransferReport {
        format: found.format,
        settings: Vec::new(),
        keys_added: Vec::new(),
        keys_known: Vec::new(),
        tokens_added: Vec::new(),
        tokens_known: Vec::new(),
        ignored: found.ignored,
        problems: Vec::new(),
        audit_id: None,
    };
    let keys: Vec<FoundKey> = found.keys.iter().map(|(key, _)| key.clone()).collect();
    let known = core.store.known_keys(&keys).await?;
    for (key, known) in keys.iter().zip(&known) {
        let list = match known {
            true => &mut report.keys_known,
            false => &mut report.keys_added,
        };
        list.push(key.secret.masked());
    }
    // By what they are, also those of the environment, which the database knows by another hash.
    let known = core.store.tokens().await?;
    let revoked = core.store.revoked_tokens().await?;
    let mut tokens = Vec::new();
    for token in found.tokens {
        if known.iter().any(|known| known.hash == token.hash) {
            report.tokens_known.push(token.name);
        } else if revoked.contains(&token.hash) {
            report.ignored.push(SettingProblem {
                name: token.name,
                reason: Texts::new(
                    "此令牌已在这里吊销，不会恢复；请在“令牌”页创建新的",
                    "this token was revoked here and stays so; make a new one under Tokens",
                ),
            });
        } else {
            report.tokens_added.push(token.name.clone());
            tokens.push(token);
        }
    }
    let plan = match Plan::make(core, &state, &found.settings) {
        Ok(plan) => plan,
        Err(problems) => {
            report.problems = problems;
            return Ok(Json(report));
        }
    };
    report.problems = plan.locks_out(&admin).await?;
    report.settings.clone_from(&plan.changes);
    let nothing =
        plan.values.is_empty() && report.keys_added.is_empty() && report.tokens_added.is_empty();
    if request.dry_run || nothing || !report.problems.is_empty() {
        return Ok(Json(report));
    }
    plan.needs_password(&who, core).await?;
    let subject = format!(
        "{} settings, {} keys, {} tokens",
        report.settings.len(),
        report.keys_added.len(),
        report.tokens_added.len()
    );
    let entry = who.entry(AuditAction::Imported, subject, plan.changes);
    let change = Change {
        settings: plan.values,
        keys: found.keys,
        tokens,
        undo: None,
    };
    let saved = core
        .store
        .change(&core.environment, &change, state.revision, entry)
        .await?;
    report.audit_id = Some(saved.entry().ok_or_else(settings::changed)?);
    core.show_changed().await?;
    Ok(Json(report))
}

/// What a file holds.
struct Found {
    format: TransferFormat,
    settings: BTreeMap<String, Option<Secret>>,
    /// Each with whether it is switched on.
    keys: Vec<(FoundKey, bool)>,
    tokens: Vec<FoundToken>,
    ignored: Vec<SettingProblem>,
}

impl Found {
    fn of(format: TransferFormat) -> Self {
        Self {
            format,
            settings: BTreeMap::new(),
            keys: Vec::new(),
            tokens: Vec::new(),
            ignored: Vec::new(),
        }
    }

    async fn read(text: &str, passphrase: Option<Secret>) -> Result<Self> {
        let text = text.trim_start_matches('\u{feff}').trim_start();
        if text.starts_with(transfer::AGE) {
            let passphrase = passphrase
                .filter(|passphrase| !passphrase.expose().is_empty())
                .ok_or_else(|| {
                    Failure::new(
                        ErrorCode::PassphraseNeeded,
                        "The file is encrypted: give the passphrase that it was exported with.",
                    )
                })?;
            let content = transfer::decrypted(text.to_owned(), passphrase).await?;
            return Self::json(&content, TransferFormat::Encrypted);
        }
        if text.starts_with('{') {
            return Self::json(text, TransferFormat::Json);
        }
        let lines = env_lines(text).map_err(|line| {
            Failure::invalid(format!(
                "Line {line} is neither NAME=value nor a comment, or its quotes are not closed. \
                 A configuration is an export of Gemini Balance or a .env file."
            ))
        })?;
        if lines.is_empty() {
            return Err(Failure::invalid(
                "There is no configuration in this text: neither an export of Gemini Balance \
                 nor a line NAME=value.",
            ));
        }
        Ok(Self::env(lines))
    }

    fn json(text: &str, format: TransferFormat) -> Result<Self> {
        let content = Content::read(text)?;
        let mut found = Self::of(format);
        for (name, value) in content.settings {
            found.setting(&name, &name, Secret::new(value));
        }
        for key in content.keys {
            let label = key.label.chars().filter(|c| !c.is_control());
            let with_rules = FoundKey {
                secret: Secret::new(key.key),
                label: label.take(import::LABEL_CHARS).collect(),
                rules: key.rules,
            };
            found.key(with_rules, key.enabled);
        }
        for token in content.tokens {
            let name: String = token
                .name
                .chars()
                .filter(|c| !c.is_control())
                .take(NAME_CHARS)
                .collect();
            match unhex(&token.hash) {
                Some(hash) if !name.trim().is_empty() => found.token(FoundToken {
                    name,
                    masked: token.masked.chars().take(20).collect(),
                    hash,
                    rules: token.rules,
                }),
                _ => found.ignore(
                    "tokens",
                    Texts::new(
                        "有一项没有名称，或者没有 64 位的哈希值",
                        "one has no name, or no hash of 64 digits",
                    ),
                ),
            }
        }
        Ok(found)
    }

    fn env(lines: BTreeMap<String, Secret>) -> Self {
        let mut found = Self::of(TransferFormat::Env);
        for (name, value) in lines {
            if value.expose().trim().is_empty() {
                continue;
            }
            let becomes = original(&name).map(|original| original.becomes);
            match becomes {
                None => found.setting(&name, &name, value),
                Some(Becomes::Setting {
                    name: ours,
                    translate,
                }) => {
                    let value = Secret::new(translate(value.expose()));
                    found.setting(&name, ours, value);
                }
                Some(Becomes::Nothing(reason)) => found.ignore(&name, reason),
                Some(Becomes::Keys) => {
                    for item in list_items(value.expose()) {
                        let key = FoundKey {
                            secret: Secret::new(item),
                            label: String::new(),
                            rules: KeyRules::default(),
                        };
                        found.key(key, true);
                    }
                }
                Some(Becomes::Tokens) => {
                    for (at, item) in list_items(value.expose()).into_iter().enumerate() {
                        found.typed_token(&format!("{name} {}", at + 1), &Secret::new(item));
                    }
                }
            }
        }
        found
    }

    fn ignore(&mut self, name: &str, reason: impl Into<Texts>) {
        self.ignored.push(SettingProblem {
            name: name.to_owned(),
            reason: reason.into(),
        });
    }

    /// A setting that is called `ours` here. What only the environment sets is no mistake in
    /// a `.env`, it just is not taken in.
    fn setting(&mut self, name: &str, ours: &str, value: Secret) {
        match settable(ours) {
            Ok(_) => {
                self.settings.insert(ours.to_owned(), Some(value));
            }
            Err(problem) => self.ignore(name, problem.reason),
        }
    }

    fn key(&mut self, key: FoundKey, enabled: bool) {
        let secret = &key.secret;
        let text = secret.expose();
        if let Err(reason) = refuse_placeholder(text) {
            let masked = secret.masked();
            self.ignore(
                "API_KEYS",
                Texts::new(
                    format!("{masked}：{}", reason.zh),
                    format!("{masked}: {}", reason.en),
                ),
            );
        } else if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.ignore(
                "API_KEYS",
                Texts::new(
                    "有一项含有空格或非 ASCII 字符，不是密钥",
                    "one has a space or a character that is not ASCII, so it is no key",
                ),
            );
        } else if !self.keys.iter().any(|(known, _)| known.secret == *secret) {
            self.keys.push((key, enabled));
        }
    }

    /// A token that is there in clear.
    fn typed_token(&mut self, name: &str, token: &Secret) {
        if let Err(reason) = refuse_placeholder(token.expose()) {
            return self.ignore(name, reason);
        }
        if !may_be_hashed(token) {
            return self.ignore(
                name,
                Texts::new(
                    format!(
                        "少于 {MIN_TOKEN} 个字符的令牌可能从数据库保存的内容中被猜出。请在“令牌”页\
                         创建新的，或用环境变量 ALLOWED_TOKENS 提供它"
                    ),
                    format!(
                        "a token of fewer than {MIN_TOKEN} characters could be guessed from what \
                         the database keeps of it. Make a new one under Tokens, or give this one \
                         with the environment variable ALLOWED_TOKENS"
                    ),
                ),
            );
        }
        self.token(FoundToken {
            name: name.to_owned(),
            masked: token.masked(),
            hash: sha256(token),
            rules: TokenRules::default(),
        });
    }

    fn token(&mut self, token: FoundToken) {
        if !self.tokens.iter().any(|known| known.hash == token.hash) {
            self.tokens.push(token);
        }
    }
}

/// The variables of a `.env` file; the last of a name counts. The error is the number of the
/// line that is none.
pub(super) fn env_lines(text: &str) -> Result<BTreeMap<String, Secret>, usize> {
    let mut found = BTreeMap::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let number = at + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').ok_or(number)?;
        let (name, value) = (name.trim(), value.trim());
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(number);
        }
        let value = match value.chars().next() {
            Some(quote @ ('\'' | '"')) => {
                let mut chunk = Zeroizing::new(value.to_owned());
                while !is_closed(&chunk, quote) {
                    let (_, next) = lines.next().ok_or(number)?;
                    chunk.push('\n');
                    chunk.push_str(next);
                }
                unquoted(&chunk).ok_or(number)?
            }
            _ => Secret::from(without_comment(value)),
        };
        found.insert(name.to_owned(), value);
    }
    Ok(found)
}

/// Whether what begins with `quote` has its end.
fn is_closed(value: &str, quote: char) -> bool {
    let mut escaped = false;
    for c in value.chars().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return true,
            _ => {}
        }
    }
    false
}

/// What is in the quotes. A `$` is one: it stands in for nothing.
fn unquoted(value: &str) -> Option<Secret> {
    /// In place of `$` while the quotes are read; no text has this character.
    const DOLLAR: char = '\u{f8ff}';
    let mut safe = Zeroizing::new(String::with_capacity(value.len() + 3));
    safe.push_str("V=");
    let mut backslashes = 0_usize;
    for c in value.chars() {
        if c == '$' {
            if backslashes % 2 == 1 {
                safe.pop();
            }
            safe.push(DOLLAR);
        } else {
            safe.push(c);
        }
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
    }
    let mut lines = dotenvy::from_read_iter(safe.as_bytes());
    // What dotenvy says quotes the line.
    let (_, value) = lines.next()?.ok()?;
    let value = Zeroizing::new(value);
    lines
        .next()
        .is_none()
        .then(|| Secret::new(value.replace(DOLLAR, "$")))
}

fn without_comment(value: &str) -> &str {
    if value.starts_with('#') {
        return "";
    }
    let end = [" #", "\t#"]
        .iter()
        .filter_map(|comment| value.find(comment))
        .min();
    value
        .get(..end.unwrap_or(value.len()))
        .map_or("", str::trim)
}

fn may_be_hashed(token: &Secret) -> bool {
    token.expose().chars().count() >= MIN_TOKEN
}

fn day_of(now: Millis, zone: &jiff::tz::TimeZone) -> String {
    jiff::Timestamp::from_millisecond(now).map_or_else(
        |_| String::from("export"),
        |now| now.to_zoned(zone.clone()).date().to_string(),
    )
}
