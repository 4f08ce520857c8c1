//! Both languages say the same things, and every variant of the contract has a text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use contract::ErrorCode;
use contract::admin::{
    Actor, AuditAction, BackupReason, CitationStyle, CooldownReason, DatabaseState, Engine,
    FindingCode, KeyState, MediaStyle, NotAKey, Provenance, RejectReason, Sealing, SettingGroup,
    StatsRange, Surface, ThoughtStyle, TransferFormat, TryOutcome, Warning,
};
use contract::desktop::ProxyState;

use super::{Lang, wire_name};

const LANGS: [Lang; 2] = [Lang::En, Lang::Zh];

fn texts(lang: Lang) -> BTreeMap<String, String> {
    crate::_rust_i18n_backend()
        .messages_for_locale(lang.code())
        .unwrap_or_default()
        .into_iter()
        .map(|(key, text)| (key.into_owned(), text.into_owned()))
        .collect()
}

fn placeholders(text: &str) -> BTreeSet<&str> {
    text.split("%{")
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
        .collect()
}

#[test]
fn both_languages_have_the_same_texts() {
    let (en, zh) = (texts(Lang::En), texts(Lang::Zh));
    assert!(en.len() > 200, "the texts were not found: {}", en.len());
    let missing: Vec<_> = en.keys().filter(|key| !zh.contains_key(*key)).collect();
    assert!(missing.is_empty(), "not in Chinese: {missing:?}");
    let missing: Vec<_> = zh.keys().filter(|key| !en.contains_key(*key)).collect();
    assert!(missing.is_empty(), "not in English: {missing:?}");
}

#[test]
fn both_languages_fill_in_the_same_values() {
    let zh = texts(Lang::Zh);
    for (key, text) in texts(Lang::En) {
        let other = zh.get(&key).map(String::as_str).unwrap_or_default();
        assert_eq!(placeholders(&text), placeholders(other), "in {key}");
        assert!(
            !text.trim().is_empty() && !other.trim().is_empty(),
            "{key} is empty"
        );
    }
}

/// All variants; the match makes the compiler complain about one that is not listed.
macro_rules! variants {
    ($($variant:pat => $value:expr),+ $(,)?) => {{
        let all = vec![$($value),+];
        for value in &all {
            match value { $($variant => (),)+ }
        }
        all
    }};
}

fn every_one_has(keys: impl IntoIterator<Item = String>) {
    let keys: Vec<String> = keys.into_iter().collect();
    assert!(!keys.is_empty());
    for lang in LANGS {
        let texts = texts(lang);
        for key in &keys {
            assert!(texts.contains_key(key), "no text {key} in {}", lang.code());
        }
    }
}

#[test]
fn every_error_has_a_title_and_a_way_out() {
    use ErrorCode as E;
    let all = variants!(
        E::NotSignedIn => E::NotSignedIn, E::WrongPassword => E::WrongPassword,
        E::TooManyAttempts => E::TooManyAttempts, E::SetupRequired => E::SetupRequired,
        E::WrongSetupCode => E::WrongSetupCode, E::WeakPassword => E::WeakPassword,
        E::NotFound => E::NotFound, E::InvalidInput => E::InvalidInput,
        E::ForeignOrigin => E::ForeignOrigin, E::NoKeyAvailable => E::NoKeyAvailable,
        E::Upstream => E::Upstream, E::Database => E::Database,
        E::NotRunning => E::NotRunning, E::KeychainMissing => E::KeychainMissing,
        E::KeychainLocked => E::KeychainLocked, E::MasterKeyLost => E::MasterKeyLost,
        E::WrongPassphrase => E::WrongPassphrase,
        E::PassphraseNeeded => E::PassphraseNeeded, E::PortTaken => E::PortTaken,
        E::PasswordAgain => E::PasswordAgain,
        E::SecondFactorNeeded => E::SecondFactorNeeded,
        E::WrongSecondFactor => E::WrongSecondFactor,
        E::Changed => E::Changed, E::Busy => E::Busy, E::SealingKeyNeeded => E::SealingKeyNeeded,
        E::Unreachable => E::Unreachable, E::Internal => E::Internal,
        E::AccountRefused => E::AccountRefused, E::CardNeeded => E::CardNeeded,
        E::QuotaExceeded => E::QuotaExceeded, E::NameTaken => E::NameTaken,
        E::ChangedThere => E::ChangedThere,
        E::ImageRefused => E::ImageRefused, E::Provider => E::Provider,
    );
    every_one_has(all.iter().flat_map(|code| {
        let name = wire_name(code);
        [format!("error.{name}.title"), format!("error.{name}.hint")]
    }));
}

#[test]
fn every_warning_says_what_to_do() {
    use Warning as W;
    let all = variants!(
        W::NoKeys => W::NoKeys, W::NoKeyReady => W::NoKeyReady, W::NoTokens => W::NoTokens,
        W::DatabaseUnreachable => W::DatabaseUnreachable,
        W::NoSealingKey => W::NoSealingKey, W::StoredInClear => W::StoredInClear,
        W::RestartNeeded => W::RestartNeeded,
        W::DatabaseFailing => W::DatabaseFailing, W::LegacyKeys => W::LegacyKeys,
    );
    every_one_has(all.iter().flat_map(|warning| {
        let name = wire_name(warning);
        [
            format!("warning.{name}.title"),
            format!("warning.{name}.hint"),
        ]
    }));
}

#[test]
fn everything_that_a_check_up_finds_has_its_texts() {
    use FindingCode as F;
    let all = variants!(
        F::NameFound => F::NameFound, F::NameNotFound => F::NameNotFound,
        F::NameWrong => F::NameWrong, F::NameByProxy => F::NameByProxy,
        F::ProxyNone => F::ProxyNone, F::ProxySystem => F::ProxySystem,
        F::ProxyIgnored => F::ProxyIgnored, F::ProxyListed => F::ProxyListed,
        F::ProxyIsOurs => F::ProxyIsOurs, F::GoogleAnswers => F::GoogleAnswers,
        F::GoogleUnreachable => F::GoogleUnreachable, F::GoogleStrange => F::GoogleStrange,
        F::GoogleRegion => F::GoogleRegion, F::ClockRight => F::ClockRight,
        F::ClockWrong => F::ClockWrong, F::ClockUnknown => F::ClockUnknown,
        F::KeyAccepted => F::KeyAccepted, F::KeyRefused => F::KeyRefused,
        F::KeyUnknown => F::KeyUnknown, F::KeyNone => F::KeyNone, F::KeyNoneUsable => F::KeyNoneUsable,
        F::TokenThere => F::TokenThere, F::TokenNone => F::TokenNone,
        F::TokenUnknown => F::TokenUnknown,
        F::PortAnswers => F::PortAnswers, F::PortSilent => F::PortSilent,
        F::PortForeign => F::PortForeign, F::DatabaseReady => F::DatabaseReady,
        F::DatabaseAway => F::DatabaseAway, F::SealingOn => F::SealingOn,
        F::SealingOff => F::SealingOff, F::SecretsNotStored => F::SecretsNotStored,
    );
    every_one_has(
        all.iter()
            .map(|code| format!("doctor.found.{}", wire_name(code))),
    );
    // Those that are never bad need none.
    let fine = [
        F::NameFound,
        F::NameByProxy,
        F::ProxyNone,
        F::ProxySystem,
        F::ProxyListed,
        F::GoogleAnswers,
        F::ClockRight,
        F::ClockUnknown,
        F::KeyAccepted,
        F::TokenThere,
        F::TokenUnknown,
        F::PortAnswers,
        F::DatabaseReady,
        F::SealingOn,
    ];
    let others = all.iter().filter(|code| !fine.contains(code));
    every_one_has(others.map(|code| format!("doctor.advice.{}", wire_name(code))));
}

#[test]
fn every_state_of_a_key_and_every_reason_has_a_text() {
    use {CooldownReason as C, NotAKey as N, RejectReason as R};
    let states = variants!(
        KeyState::Unchecked => KeyState::Unchecked,
        KeyState::Ready => KeyState::Ready,
        KeyState::Limited => KeyState::Limited,
        KeyState::Cooling { .. } => KeyState::Cooling { until: 0 },
        KeyState::Rejected { .. } => KeyState::Rejected { reason: R::Invalid },
        KeyState::Disabled => KeyState::Disabled,
    );
    every_one_has(
        states
            .iter()
            .map(|s| format!("keys.state.{}", wire_name(s))),
    );
    let rejects = variants!(
        R::Invalid => R::Invalid, R::Suspended => R::Suspended, R::Leaked => R::Leaked,
        R::ServiceDisabled => R::ServiceDisabled, R::Refused => R::Refused,
    );
    every_one_has(rejects.iter().map(|r| format!("reject.{}", wire_name(r))));
    let cooldowns = variants!(
        C::PerMinute => C::PerMinute, C::TokensPerMinute => C::TokensPerMinute, C::PerDay => C::PerDay,
        C::NotInTier => C::NotInTier, C::ProjectRefused => C::ProjectRefused, C::Unexplained => C::Unexplained,
    );
    every_one_has(
        cooldowns
            .iter()
            .map(|c| format!("cooldown.{}", wire_name(c))),
    );
    let pieces = variants!(
        N::TooShort => N::TooShort, N::TooLong => N::TooLong,
        N::ShortLivedToken => N::ShortLivedToken, N::OtherVendor => N::OtherVendor,
        N::BadCharacters => N::BadCharacters,
    );
    every_one_has(pieces.iter().map(|n| format!("not_a_key.{}", wire_name(n))));
}

#[test]
fn every_protocol_and_every_state_of_the_proxy_has_a_text() {
    let surfaces = variants!(
        Surface::Openai => Surface::Openai,
        Surface::Gemini => Surface::Gemini,
        Surface::Anthropic => Surface::Anthropic,
    );
    every_one_has(surfaces.iter().flat_map(|surface| {
        let name = wire_name(surface);
        [format!("surface.{name}"), format!("surface_for.{name}")]
    }));
    let error = contract::ApiError::new(ErrorCode::Internal, "");
    let states = variants!(
        ProxyState::Stopped => ProxyState::Stopped,
        ProxyState::Starting => ProxyState::Starting,
        ProxyState::Running { .. } => ProxyState::Running { address: String::new() },
        ProxyState::Stopping => ProxyState::Stopping,
        ProxyState::PortTaken { .. } => ProxyState::PortTaken { port: 1, owner: None, next_free: 2 },
        ProxyState::Failed { .. } => ProxyState::Failed { error: error.clone() },
    );
    every_one_has(
        states
            .iter()
            .map(|s| format!("proxy.state.{}", wire_name(s))),
    );
}

fn each_has<T: serde::Serialize>(table: &str, all: &[T]) {
    every_one_has(all.iter().map(|one| format!("{table}.{}", wire_name(one))));
}

#[test]
fn every_end_of_a_call_has_a_text() {
    use TryOutcome as T;
    each_has(
        "try",
        &variants!(
            T::Answered => T::Answered, T::Empty => T::Empty, T::ClientFault => T::ClientFault,
            T::Quota => T::Quota, T::PromptTooLarge => T::PromptTooLarge,
            T::KeyRefused => T::KeyRefused, T::Forbidden => T::Forbidden,
            T::ProjectRefused => T::ProjectRefused,
            T::LocationRefused => T::LocationRefused, T::Overloaded => T::Overloaded,
            T::Unreachable => T::Unreachable, T::NotGoogle => T::NotGoogle,
            T::Unreadable => T::Unreadable, T::TooSlow => T::TooSlow,
            T::NoTurn => T::NoTurn, T::Cancelled => T::Cancelled, T::BrokenOff => T::BrokenOff,
        ),
    );
}

#[test]
fn everything_that_settings_and_their_history_name_has_a_text() {
    use {Actor as A, AuditAction as D, Provenance as P, SettingGroup as G, TransferFormat as F};
    each_has(
        "setting_group",
        &variants!(
            G::Access => G::Access, G::Upstream => G::Upstream, G::Models => G::Models,
            G::Server => G::Server, G::Data => G::Data, G::Logging => G::Logging,
        ),
    );
    each_has(
        "provenance",
        &variants!(
            P::Default => P::Default, P::Environment => P::Environment,
            P::Panel { .. } => P::Panel { at: 0 },
        ),
    );
    each_has(
        "transfer.format",
        &variants!(F::Json => F::Json, F::Encrypted => F::Encrypted, F::Env => F::Env),
    );
    each_has(
        "actor",
        &variants!(
            A::Panel => A::Panel, A::Desktop => A::Desktop, A::CommandLine => A::CommandLine,
            A::Environment => A::Environment, A::Program => A::Program,
        ),
    );
    each_has(
        "audit",
        &variants!(
            D::SettingsChanged => D::SettingsChanged, D::Imported => D::Imported,
            D::TakenOver => D::TakenOver, D::Undone => D::Undone,
            D::KeysAdded => D::KeysAdded, D::KeyChanged => D::KeyChanged,
            D::KeyDeleted => D::KeyDeleted, D::KeyReplaced => D::KeyReplaced, D::KeyRestored => D::KeyRestored,
            D::TokenCreated => D::TokenCreated, D::TokenChanged => D::TokenChanged,
            D::TokenRevoked => D::TokenRevoked, D::SignedIn => D::SignedIn,
            D::SignedOutEverywhere => D::SignedOutEverywhere,
            D::PasswordChanged => D::PasswordChanged,
            D::SecondFactorOn => D::SecondFactorOn, D::SecondFactorOff => D::SecondFactorOff,
            D::Exported => D::Exported, D::BackupRestored => D::BackupRestored,
            D::SealingKeyRotated => D::SealingKeyRotated,
            D::ClearStorageAgreed => D::ClearStorageAgreed,
            D::RecordsDeleted => D::RecordsDeleted,
            D::AccountAdded => D::AccountAdded, D::AccountRemoved => D::AccountRemoved,
            D::RemoteDeployed => D::RemoteDeployed, D::RemoteChanged => D::RemoteChanged,
            D::RemoteDeleted => D::RemoteDeleted, D::RouteChanged => D::RouteChanged,
        ),
    );
}

#[test]
fn every_state_of_the_database_and_of_what_it_keeps_has_a_text() {
    use {BackupReason as B, DatabaseState as S, Engine as E, Sealing as K};
    let message = String::new;
    let states = variants!(
        S::Ready => S::Ready,
        S::Unreachable { .. } => S::Unreachable { since: 0, message: message() },
        S::ReadOnly { .. } => S::ReadOnly { since: 0, message: message() },
    );
    each_has("database.state", &states);
    each_has("database.state_help", &states[1..]);
    each_has(
        "database.engine",
        &variants!(
            E::Sqlite { .. } => E::Sqlite { path: message() },
            E::Mysql { .. } => E::Mysql {
                server: message(), database: message(), version: message(), tls: true,
            },
        ),
    );
    let sealings = variants!(
        K::SecretKey => K::SecretKey, K::KeyFile => K::KeyFile, K::Keychain => K::Keychain,
        K::NotStored => K::NotStored, K::Clear => K::Clear,
    );
    every_one_has(sealings.iter().flat_map(|sealing| {
        let name = wire_name(sealing);
        [
            format!("sealing.{name}.title"),
            format!("sealing.{name}.help"),
        ]
    }));
    each_has(
        "backup_reason",
        &variants!(
            B::Scheduled => B::Scheduled, B::Manual => B::Manual,
            B::BeforeMigration => B::BeforeMigration, B::BeforeRestore => B::BeforeRestore,
        ),
    );
}

#[test]
fn every_style_of_a_token_and_every_range_of_statistics_has_a_text() {
    use {CitationStyle as C, MediaStyle as M, StatsRange as R, ThoughtStyle as T};
    let thoughts = variants!(
        T::Native => T::Native, T::Inline => T::Inline, T::Hidden => T::Hidden,
    );
    each_has("thought_style", &thoughts);
    each_has(
        "media_style",
        &variants!(M::Markdown => M::Markdown, M::Field => M::Field),
    );
    each_has(
        "citation_style",
        &variants!(C::Native => C::Native, C::Text => C::Text),
    );
    let ranges = variants!(
        R::Day => R::Day, R::Week => R::Week, R::Month => R::Month, R::Year => R::Year,
    );
    each_has("stats.range", &ranges);
    each_has("stats.range_title", &ranges);
}

#[test]
fn every_state_and_warning_of_a_remote_has_a_text() {
    use contract::deploy::{
        DatabaseWish, DeployProgress, MysqlWish, ProviderKind as P, RemoteState as S,
        RemoteWarning as W, UsageKind as U,
    };
    let error = || contract::ApiError::new(ErrorCode::Internal, "");
    let states = variants!(
        S::Draft => S::Draft, S::Deploying => S::Deploying,
        S::Interrupted { .. } => S::Interrupted { error: None },
        S::Starting => S::Starting, S::Running => S::Running, S::Asleep => S::Asleep,
        S::Waking => S::Waking, S::Suspended => S::Suspended,
        S::StoppedByProvider { .. } => S::StoppedByProvider { reason: String::new() },
        S::Failing { .. } => S::Failing { error: error() },
        S::Unknown { .. } => S::Unknown { error: error() },
        S::Deleting => S::Deleting, S::Gone => S::Gone,
    );
    each_has("instances.state", &states);
    each_has("instances.state_help", &states);
    let warnings = variants!(
        W::HoursRunOut { .. } => W::HoursRunOut { used: 1, limit: 2 },
        W::SignInDue { .. } => W::SignInDue { by: 0 },
        W::Drift => W::Drift, W::KeysLost => W::KeysLost,
        W::NewerImage { .. } => W::NewerImage { digest: String::new() },
        W::Account { .. } => W::Account { error: error() },
        W::CredentialEnds { .. } => W::CredentialEnds { at: 0 },
    );
    every_one_has(warnings.iter().flat_map(|warning| {
        let name = wire_name(warning);
        [
            format!("instances.warning.{name}.title"),
            format!("instances.warning.{name}.hint"),
        ]
    }));
    each_has(
        "provider",
        &variants!(
            P::Render => P::Render, P::ClawCloud => P::ClawCloud,
            P::Kubernetes => P::Kubernetes, P::Koyeb => P::Koyeb,
        ),
    );
    each_has(
        "instances.usage.kind",
        &variants!(
            U::Cpu => U::Cpu, U::Memory => U::Memory,
            U::Bandwidth => U::Bandwidth, U::Requests => U::Requests,
        ),
    );
    use DeployProgress as D;
    each_has(
        "instances.deploys.state",
        &variants!(
            D::Queued => D::Queued, D::UnderWay { .. } => D::UnderWay { detail: String::new() },
            D::Live => D::Live, D::Replaced => D::Replaced,
            D::Failed { .. } => D::Failed { detail: String::new() }, D::Cancelled => D::Cancelled,
        ),
    );
    let mysql = || MysqlWish {
        host: String::new(),
        port: 1,
        user: String::new(),
        password: None,
        database: String::new(),
        ssl_mode: String::new(),
        ssl_ca: None,
    };
    let places = variants!(
        DatabaseWish::None => DatabaseWish::None,
        DatabaseWish::Volume { .. } => DatabaseWish::Volume { gib: 1 },
        DatabaseWish::InCluster { .. } => DatabaseWish::InCluster { gib: 1 },
        DatabaseWish::Mysql(_) => DatabaseWish::Mysql(mysql()),
    );
    each_has("deploy.data", &places);
    each_has("deploy.data_help", &places);
    each_has("deploy.data_lost", &places);
    let parts = crate::pages::instances::Part::ALL;
    every_one_has(parts.iter().map(|part| format!("instances.tab.{part}")));
}

#[test]
fn everything_that_a_deployment_names_has_a_text() {
    use crate::pages::deploy::{Door, Step};
    use contract::deploy::{
        FoundDatabase as F, ImageProgram as I, RunState as R, StepKind as K, StepState as S,
        VariableSource as V, VariablesFormat as T,
    };
    let error = || contract::ApiError::new(ErrorCode::Internal, "");
    each_has("deploy.step", &Step::ALL);
    every_one_has(Door::ALL.iter().flat_map(|door| {
        let name = wire_name(door);
        ["name", "what", "free", "sleep", "region", "disk", "card"]
            .map(|fact| format!("deploy.door.{name}.{fact}"))
    }));
    every_one_has(
        Door::ALL
            .iter()
            .map(|door| format!("deploy.hand.{}.title", wire_name(door))),
    );
    each_has(
        "deploy.run.step",
        &variants!(
            K::CheckImage => K::CheckImage, K::CheckDatabase => K::CheckDatabase,
            K::CreateDatabase => K::CreateDatabase, K::CreateApp => K::CreateApp,
            K::SetVariables => K::SetVariables, K::ChangeApp => K::ChangeApp,
            K::Deploy => K::Deploy, K::WaitLive => K::WaitLive,
            K::WaitHealthy => K::WaitHealthy, K::SignIn => K::SignIn,
            K::ChangePassword => K::ChangePassword, K::CreateToken => K::CreateToken,
            K::TryRequest => K::TryRequest, K::RevokeOld => K::RevokeOld,
        ),
    );
    each_has(
        "deploy.run.step_state",
        &variants!(
            S::Waiting => S::Waiting, S::Running => S::Running,
            S::Retrying { .. } => S::Retrying { at: 0, error: error() },
            S::Done => S::Done, S::Failed { .. } => S::Failed { error: error() },
        ),
    );
    let runs = variants!(
        R::None => R::None, R::Running => R::Running,
        R::Done { .. } => R::Done { url: String::new() },
        R::Failed { .. } => R::Failed { error: error() },
        R::Cancelled => R::Cancelled, R::BrokeOff => R::BrokeOff,
    );
    each_has("deploy.run.state", &runs);
    each_has("deploy.run.state_help", &runs);
    let found = variants!(
        F::Empty => F::Empty, F::Others => F::Others, F::Ours => F::Ours,
        F::Newer => F::Newer, F::Original => F::Original,
    );
    each_has("deploy.mysql.found", &found);
    each_has("deploy.mysql.found_help", &found);
    each_has(
        "deploy.image.program",
        &variants!(I::Ours => I::Ours, I::Original => I::Original),
    );
    each_has(
        "variables.source",
        &variants!(
            V::Generated => V::Generated, V::Keys => V::Keys, V::Chosen => V::Chosen,
            V::Needed => V::Needed, V::Provider => V::Provider,
        ),
    );
    let formats = variants!(
        T::Env => T::Env, T::Lines => T::Lines, T::Json => T::Json,
        T::Compose => T::Compose, T::RenderYaml => T::RenderYaml, T::Template => T::Template,
    );
    each_has("variables.format", &formats);
    each_has("variables.format_for", &formats);
}

/// All of the panel's source text except its tests.
fn sources(dir: &Path, out: &mut String) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.file_name().is_some_and(|name| name != "tests.rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            out.push_str(text.split("#[cfg(test)]\nmod tests {").next().unwrap());
        }
    }
}

fn all_sources() -> String {
    let mut out = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut out);
    out
}

#[test]
fn every_text_that_the_code_asks_for_exists() {
    let en = texts(Lang::En);
    let code = all_sources();
    let mut asked = 0;
    for (call, count) in [(".t(\"", false), (".f(\"", false), (".n(\"", true)] {
        for rest in code.split(call).skip(1) {
            let key = rest.split('"').next().unwrap();
            asked += 1;
            for form in if count {
                &[".one", ".other"][..]
            } else {
                &[""][..]
            } {
                let key = format!("{key}{form}");
                assert!(en.contains_key(&key), "the code asks for {key}");
            }
        }
    }
    assert!(asked > 100, "the search for texts found only {asked}");
}

#[test]
fn no_text_is_left_over() {
    let code = all_sources();
    // Named by the variants of an enum of the contract, checked above, or by a theme.
    let tables = [
        "error.",
        "warning.",
        "keys.state.",
        "keys.column.",
        "keys.models.",
        "reject.",
        "cooldown.",
        "not_a_key.",
        "surface.",
        "surface_for.",
        "proxy.state.",
        "theme.",
        "setting_group.",
        "settings.only.",
        "provenance.",
        "transfer.format.",
        "actor.",
        "audit.",
        "database.state.",
        "database.state_help.",
        "database.engine.",
        "sealing.secret_key.",
        "sealing.key_file.",
        "sealing.keychain.",
        "sealing.not_stored.",
        "sealing.clear.",
        "backup_reason.",
        "tokens.column.",
        "tokens.limit.",
        "tokens.field.",
        "thought_style.",
        "citation_style.",
        "media_style.",
        "requests.column.",
        "requests.span.",
        "stats.range.",
        "stats.range_title.",
        "stats.measure.",
        "stats.by.",
        "stats.column.",
        "stats.no_",
        "instances.state.",
        "instances.state_help.",
        "instances.warning.",
        "instances.tab.",
        "instances.usage.kind.",
        "instances.deploys.state.",
        "instances.drift.group.",
        "instances.drift.group_help.",
        "instances.rotate.what.",
        "instances.rotate.what_help.",
        "provider.",
        "variables.column.",
        "variables.source.",
        "variables.format.",
        "variables.format_for.",
        "deploy.step.",
        "deploy.fact.",
        "deploy.door.",
        "deploy.hand.",
        "deploy.data.",
        "deploy.data_help.",
        "deploy.data_lost.",
        "deploy.account.guide.",
        "deploy.mysql.from.",
        "deploy.mysql.ssl.",
        "deploy.mysql.guide.",
        "deploy.mysql.found.",
        "deploy.mysql.found_help.",
        "deploy.image.which.",
        "deploy.image.program.",
        "deploy.run.state.",
        "deploy.run.state_help.",
        "deploy.run.step.",
        "deploy.run.step_state.",
        "doctor.state.",
        "doctor.found.",
        "doctor.advice.",
        "try.",
    ];
    for key in texts(Lang::En).keys() {
        let plain = key.trim_end_matches(".one").trim_end_matches(".other");
        let named = code.contains(&format!("\"{plain}\"")) || code.contains(&format!("\"{key}\""));
        let listed = tables.iter().any(|table| key.starts_with(table));
        assert!(named || listed, "nothing shows the text {key}");
    }
}
