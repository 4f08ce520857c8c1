use std::collections::HashSet;
use std::time::Duration;

use super::{DECLARATIONS, Kind, SettingError, Settings};
use crate::store::{DatabaseConfig, TlsMode};

fn load(set: &[(&str, &str)]) -> Result<Settings, Vec<SettingError>> {
    Settings::load(|name| {
        let given = set.iter().find(|(given, _)| *given == name);
        let fallback = (name == "DATA_DIR").then_some("/data");
        given
            .map(|(_, value)| *value)
            .or(fallback)
            .map(str::to_owned)
    })
}

fn error(name: &str, value: &str) -> String {
    let errors = load(&[(name, value)]).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].name, name);
    errors[0].to_string()
}

#[test]
fn nothing_set_gives_the_defaults() {
    let settings = load(&[]).unwrap();
    assert!(settings.api_keys.is_empty() && settings.allowed_tokens.is_empty());
    assert!(
        settings.panel_token().is_none(),
        "there is no default token"
    );
    assert_eq!(settings.host.to_string(), "127.0.0.1");
    assert_eq!(settings.port, 8000);
    assert_eq!(
        settings.base_url,
        "https://generativelanguage.googleapis.com/v1beta"
    );
    assert_eq!(settings.max_attempts, 3);
    assert_eq!(settings.timeout, Duration::from_secs(300));
    assert_eq!(settings.max_body_bytes(), 100 * 1024 * 1024);
    assert_eq!(settings.log_level, "info");
    // Platforms set untouched variables to nothing.
    let empty: Vec<(&str, &str)> = DECLARATIONS
        .iter()
        .filter(|declaration| declaration.name != "DATA_DIR")
        .map(|declaration| (declaration.name, " "))
        .collect();
    assert_eq!(load(&empty).unwrap().port, 8000);
}

#[test]
fn lists_are_read_in_every_way_of_writing_them() {
    for text in [
        r#"["key-one","key-two"]"#,
        r#"["key-one", "key-two",]"#,
        "['key-one','key-two']",
        "[key-one, key-two]",
        "key-one,key-two",
        "key-one, key-two,",
        "key-one\nkey-two\n",
        "key-one;key-two;key-one",
        "key-one，key-two",
        "\"key-one\",\"key-two\"",
    ] {
        let settings = load(&[("API_KEYS", text)]).unwrap();
        let keys: Vec<&String> = settings
            .api_keys
            .iter()
            .map(vault::Secret::expose)
            .collect();
        assert_eq!(keys, ["key-one", "key-two"], "{text}");
    }
}

#[test]
fn the_panel_token_is_auth_token_else_the_first_allowed() {
    let token = |set| {
        let settings = load(set).unwrap();
        settings.panel_token().map(|token| token.expose().clone())
    };
    assert_eq!(
        token(&[("ALLOWED_TOKENS", "first,second")]).as_deref(),
        Some("first")
    );
    let both = [("ALLOWED_TOKENS", "first"), ("AUTH_TOKEN", "own")];
    assert_eq!(token(&both).as_deref(), Some("own"));
}

#[test]
fn an_error_names_the_variable_what_was_found_and_what_is_accepted() {
    assert_eq!(
        error("PORT", "80000"),
        "PORT=80000 is not acceptable: expected is a whole number from 0 to 65535"
    );
    assert!(error("MAX_RETRIES", "0").contains("from 1 to 10"));
    assert!(error("TIME_OUT", "5m").contains("TIME_OUT=5m"));
    assert!(error("HOST", "everywhere").contains("0.0.0.0"));
    assert!(error("TZ", "Mars/Olympus").contains("Asia/Shanghai"));
    assert!(error("LOG_LEVEL", "loud").contains("error, warn, info"));
    for address in [
        "ftp://x",
        "generativelanguage",
        "https://u:p@x/v1",
        "https://x/v1?key=1",
    ] {
        assert!(error("BASE_URL", address).contains("https://"), "{address}");
    }
    let all = load(&[("PORT", "x"), ("HOST", "y"), ("MAX_BODY_MB", "z")]).unwrap_err();
    assert_eq!(all.len(), 3, "all of them at once");
}

#[test]
fn a_secret_value_is_never_in_an_error() {
    for (name, value) in [
        ("API_KEYS", "AIzaGood1, bad key hunter2"),
        ("ALLOWED_TOKENS", "[\"令牌hunter2\"]"),
        ("AUTH_TOKEN", "your_hunter2"),
    ] {
        let text = error(name, value);
        assert!(
            !text.contains("hunter2") && !text.contains("AIza"),
            "{text}"
        );
        assert!(text.contains("not shown"), "{text}");
    }
}

#[test]
fn what_stands_in_example_files_is_refused() {
    for (name, value) in [
        ("ALLOWED_TOKENS", "[\"sk-123456\"]"),
        ("ALLOWED_TOKENS", "your_token_1"),
        ("AUTH_TOKEN", "sk-123456"),
        ("API_KEYS", "[\"your_api_key_1\",\"your_api_key_2\"]"),
        ("API_KEYS", "AIzaSyxxxxxxxxxxxxxxxxxxx"),
    ] {
        assert!(error(name, value).contains("example"), "{name}={value}");
    }
}

#[test]
fn values_are_tidied() {
    let settings = load(&[
        ("BASE_URL", "http://127.0.0.1:9999/v1beta/"),
        ("HOST", "localhost"),
        ("LOG_LEVEL", "WARN"),
        ("TZ", ":Asia/Shanghai"),
        ("PORT", " 0 "),
    ])
    .unwrap();
    assert_eq!(settings.base_url, "http://127.0.0.1:9999/v1beta");
    assert!(settings.host.is_loopback());
    assert_eq!(settings.log_level, "warn");
    assert_eq!(settings.time_zone_name(), "Asia/Shanghai");
    assert_eq!(settings.port, 0);
    assert_eq!(load(&[("HOST", "[::]")]).unwrap().host.to_string(), "::");
}

#[test]
fn every_declaration_is_complete_and_its_default_valid() {
    let mut names = HashSet::new();
    for declaration in DECLARATIONS {
        let name = declaration.name;
        assert!(
            names.insert(name) && names.insert(declaration.flag),
            "{name} comes twice"
        );
        let flag = name.to_lowercase().replace('_', "-");
        assert_eq!(
            declaration.flag, flag,
            "the flag is the variable, written as a flag"
        );
        for text in [declaration.title, declaration.help] {
            assert!(
                !text.zh.is_empty() && !text.en.is_empty(),
                "{name} lacks a text"
            );
            assert!(!text.zh.is_ascii(), "{name} lacks Chinese");
            assert!(text.en.is_ascii(), "{name}: {}", text.en);
        }
        if let Kind::Integer(from, to) = declaration.kind {
            let default: u32 = declaration.default.parse().unwrap();
            assert!((from..=to).contains(&default), "{name}");
        }
    }
    let shown = format!("{:?}", load(&[("API_KEYS", "AIzaHunter2")]).unwrap());
    assert!(
        !shown.contains("Hunter2"),
        "settings can be logged: {shown}"
    );
}

#[test]
fn the_master_key_comes_from_secret_key_or_from_the_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let from_file = load(&[("DATA_DIR", path)])
        .unwrap()
        .sealing_key()
        .unwrap()
        .0;
    let again = load(&[("DATA_DIR", path)])
        .unwrap()
        .sealing_key()
        .unwrap()
        .0;
    assert_eq!(from_file.expose(), again.expose());
    let secret = [
        ("DATA_DIR", path),
        ("SECRET_KEY", "a long enough passphrase"),
    ];
    let from_text = load(&secret).unwrap().sealing_key().unwrap().0;
    assert_ne!(from_file.expose(), from_text.expose());
}

#[test]
fn the_new_kinds_are_read_as_people_write_them() {
    for (text, value) in [("true", true), ("ON", true), ("1", true), ("No", false)] {
        assert_eq!(
            load(&[("RECORD_BODIES", text)]).unwrap().record_bodies,
            value
        );
    }
    assert!(error("RECORD_BODIES", "maybe").contains("true or false"));

    let filtered = [("FILTERED_MODELS", r#"["models/gemini-old","gemini-pro"]"#)];
    let settings = load(&filtered).unwrap();
    assert!(settings.filters("gemini-old") && settings.filters("gemini-pro"));
    assert!(!settings.filters("gemini-pro-2"));
    assert!(error("FILTERED_MODELS", "gemini pro").contains("name of a model"));

    for text in [r#"{"X-Team":"a"}"#, "{'X-Team': 'a'}"] {
        let settings = load(&[("CUSTOM_HEADERS", text)]).unwrap();
        let headers = settings.custom_headers.headers();
        assert_eq!(headers["x-team"], "a");
        assert!(!format!("{settings:?}").contains("\"a\""));
    }
    for (text, why) in [
        (r#"{"x-goog-api-key":"a"}"#, "leave it out"),
        (r#"{"bad name":"a"}"#, "not the name of a header"),
        (r#"{"x":"a\nb"}"#, "cannot hold"),
        (r#"{"x":{}}"#, "JSON object"),
        ("x: a", "JSON object"),
    ] {
        assert!(error("CUSTOM_HEADERS", text).contains(why), "{text}");
    }
}

#[test]
fn the_database_follows_from_what_is_given_for_it() {
    let settings = load(&[]).unwrap();
    assert!(!settings.uses_mysql());
    assert_eq!(settings.database_limit_bytes(), 2048 << 20);

    let tidb = [
        (
            "MYSQL_HOST",
            "gateway01.eu-central-1.prod.aws.tidbcloud.com",
        ),
        ("MYSQL_USER", "2abc.root"),
    ];
    let settings = load(&tidb).unwrap();
    assert!(settings.uses_mysql());
    assert_eq!(settings.mysql_tls(), TlsMode::VerifyIdentity);
    assert_eq!(settings.database_limit_bytes(), 700 << 20);

    let local = [("MYSQL_SOCKET", "/run/mysqld.sock"), ("MYSQL_USER", "me")];
    assert_eq!(load(&local).unwrap().mysql_tls(), TlsMode::Preferred);
    let certificate = "-----BEGIN CERTIFICATE-----\\nMII\\n-----END CERTIFICATE-----";
    let with_ca = [
        ("MYSQL_HOST", "db"),
        ("MYSQL_USER", "me"),
        ("MYSQL_SSL_CA", certificate),
    ];
    let settings = load(&with_ca).unwrap();
    assert_eq!(settings.mysql_tls(), TlsMode::VerifyIdentity);
    let DatabaseConfig::Mysql(config) = settings.database() else {
        panic!("a host is given");
    };
    assert_eq!((config.host.as_str(), config.port), ("db", 3306));
    assert_eq!(config.tls_ca.as_deref(), Some(certificate));
    let chosen = [
        ("MYSQL_HOST", "db"),
        ("MYSQL_USER", "me"),
        ("MYSQL_SSL_MODE", "VERIFY-CA"),
    ];
    assert_eq!(load(&chosen).unwrap().mysql_tls(), TlsMode::VerifyCa);

    let errors = load(&[("DATABASE_TYPE", "mysql")]).unwrap_err();
    let names: Vec<_> = errors.iter().map(|error| error.name).collect();
    assert_eq!(names, ["MYSQL_HOST", "MYSQL_USER"]);
    let sqlite_after_all = [("DATABASE_TYPE", "sqlite"), ("MYSQL_HOST", "db")];
    assert!(!load(&sqlite_after_all).unwrap().uses_mysql());
}

#[test]
fn what_the_panel_can_change_takes_effect_at_once() {
    for declaration in DECLARATIONS {
        let live = declaration.applies == contract::admin::Applies::Live;
        assert_eq!(live, !declaration.environment_only, "{}", declaration.name);
    }
    let order: Vec<_> = DECLARATIONS
        .iter()
        .map(|declaration| declaration.group)
        .collect();
    assert!(order.is_sorted(), "groups are shown one after the other");
}

#[test]
fn each_setting_of_the_original_becomes_one_of_ours_or_has_a_reason() {
    use super::original::{Becomes, ORIGINAL, original};
    assert_eq!(ORIGINAL.len(), 73);
    let mut names = HashSet::new();
    for setting in ORIGINAL {
        assert!(names.insert(setting.name), "{} comes twice", setting.name);
        match setting.becomes {
            Becomes::Setting { name, .. } => assert!(
                DECLARATIONS
                    .iter()
                    .any(|declaration| declaration.name == name),
                "{} becomes {name}, which is not declared",
                setting.name
            ),
            Becomes::Nothing(reason) => {
                assert!(!reason.zh.is_ascii() && reason.en.is_ascii(), "{reason:?}");
                let ours = DECLARATIONS.iter().any(|ours| ours.name == setting.name);
                assert!(!ours, "{} is declared here, too", setting.name);
            }
            Becomes::Keys | Becomes::Tokens => {}
        }
    }
    let translated = |name: &str, value: &str| match original(name).unwrap().becomes {
        Becomes::Setting { name, translate } => {
            let value = translate(value);
            load(&[(name, &value)]).unwrap();
            (name, value)
        }
        other => panic!("{name}: {other:?}"),
    };
    for (name, value, ours, ours_value) in [
        ("ADMIN_SESSION_EXPIRE", "3600", "SESSION_HOURS", "1"),
        ("ADMIN_SESSION_EXPIRE", "3601", "SESSION_HOURS", "2"),
        ("LOG_LEVEL", "WARNING", "LOG_LEVEL", "warn"),
        ("MAX_RETRIES", "0", "MAX_RETRIES", "1"),
        ("TIME_OUT", "300.0", "TIME_OUT", "300"),
        (
            "ERROR_LOG_RECORD_REQUEST_BODY",
            "True",
            "RECORD_BODIES",
            "True",
        ),
    ] {
        let expected = (ours, ours_value.to_owned());
        assert_eq!(translated(name, value), expected);
    }
    // However the original has written its default into its table.
    for (name, value, is_default) in [
        ("TIME_OUT", "300.0", true),
        ("TIME_OUT", "301", false),
        ("LOG_LEVEL", "info", true),
        ("SHOW_SEARCH_LINK", "True", true),
        ("SHOW_SEARCH_LINK", "false", false),
        ("CUSTOM_HEADERS", "{ }", true),
        (
            "SEARCH_MODELS",
            r#"["gemini-2.5-flash", "gemini-2.5-pro"]"#,
            true,
        ),
        (
            "SEARCH_MODELS",
            "['gemini-2.5-flash', 'gemini-2.5-pro']",
            true,
        ),
        ("SEARCH_MODELS", "gemini-2.5-flash,gemini-2.5-pro", true),
        ("SEARCH_MODELS", r#"["gemini-2.5-pro"]"#, false),
    ] {
        let found = original(name).unwrap().is_default(value);
        assert_eq!(found, is_default, "{name}={value}");
    }
}

/// A cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// `docs/settings.md`, as the two tables in the code have it.
fn document() -> String {
    use super::original::{Becomes, ORIGINAL};
    let mut text = String::from(
        "# Settings\n\n\
         This file is written by a test from the declarations in \
         `proxy-core/src/settings/table.rs`; run `UPDATE_DOCS=1 cargo nextest run -p proxy-core \
         the_document_shows` after a change.\n\n\
         Each can be given as an environment variable or as a flag of `gemini-balance serve` \
         (`--max-retries`), which counts as the environment; an empty value means the default. \
         Those without a mark can be changed in the panel as well, and take effect at once.\n\n\
         **Which value holds.** Default < panel and environment, of which the newer one wins: \
         a variable that differs from the one at the last start replaces what the panel saved \
         (the panel shows both, and the audit log can take it back); one that is as it was \
         does not. So a variable edited at the provider takes effect, and a value edited in the \
         panel survives a restart. Without its database a server uses the environment and what \
         the panel had saved when the database was last there.\n\n\
         **Several servers on one database** need the same variables for what the panel can change: \
         each start compares with the one before, whichever server that was, so a different value \
         counts as a new one and replaces the panel's. Keys and tokens may differ: each server \
         serves those of its own environment.\n\n\
         ¹ needed before the database is open: environment or flag only, at the next start. \
         ² a secret: stored sealed, never shown.\n\n",
    );
    let mut group = None;
    for declaration in DECLARATIONS {
        if group != Some(declaration.group) {
            group = Some(declaration.group);
            text += &format!(
                "## {:?}\n\n| variable | default | accepted | what it does |\n|---|---|---|---|\n",
                declaration.group
            );
        }
        let marks = match (declaration.environment_only, declaration.secret) {
            (true, true) => " ¹ ²",
            (true, false) => " ¹",
            (false, true) => " ²",
            (false, false) => "",
        };
        let default = match declaration.default {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        text += &format!(
            "| `{}`{marks} | {default} | {} | {} |\n",
            declaration.name,
            cell(&declaration.kind.accepted().en),
            cell(declaration.help.en),
        );
        let next = DECLARATIONS
            .iter()
            .skip_while(|other| other.name != declaration.name)
            .nth(1);
        if next.is_none_or(|next| next.group != declaration.group) {
            text.push('\n');
        }
    }
    text += "## From the original program\n\n\
             What each of the 73 settings of snailyp/gemini-balance (v2.2.8) is here. A `.env` \
             of it can be imported in the panel.\n\n\
             | there | here |\n|---|---|\n";
    for setting in ORIGINAL {
        let here = match setting.becomes {
            Becomes::Setting { name, .. } => format!("`{name}`"),
            Becomes::Keys => "`API_KEYS`; imported as keys of the panel".to_owned(),
            Becomes::Tokens => "`ALLOWED_TOKENS`; imported as client tokens".to_owned(),
            Becomes::Nothing(reason) => cell(reason.en),
        };
        text += &format!("| `{}` | {here} |\n", setting.name);
    }
    text
}

#[test]
fn the_document_shows_what_is_declared() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/settings.md");
    let wanted = document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/settings.md is stale: run this test with UPDATE_DOCS=1"
    );
}
