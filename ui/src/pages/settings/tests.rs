// Rendered on the server's side, which needs no browser and has no wasm.
#![cfg(not(target_arch = "wasm32"))]

use std::collections::BTreeMap;
use std::rc::Rc;

use contract::admin::{
    Actor, Applies, AuditAction, AuditEntry, AuditPage, EnvFile, ExportFile, Provenance,
    SettingConflict, SettingDiff, SettingGroup, SettingKind, SettingProblem, SettingView,
    SettingsReport, SettingsView, Texts, TransferFormat, TransferReport,
};
use contract::{ApiError, ErrorCode};
use yew::{AttrValue, Callback, Reducible as _};

use super::edits::{self, Edit, Editing, Edits, Wrong};
use super::export::{EnvView, EnvViewProps, ExportView, ExportViewProps};
use super::history::{Came, History, HistoryView, HistoryViewProps};
use super::import::{ImportView, ImportViewProps};
use super::review::{ReviewView, ReviewViewProps};
use super::search::{Only, Search};
use super::values::{ValuesView, ValuesViewProps};
use crate::load::LoadResult;
use crate::testing::{in_chinese, render};

const NOW: i64 = 1_795_000_000_000;

fn setting(name: &str, kind: SettingKind, value: &str) -> SettingView {
    SettingView {
        name: name.into(),
        group: SettingGroup::Upstream,
        kind,
        title: Texts {
            zh: format!("标题 {name}"),
            en: format!("Title {name}"),
        },
        help: Texts {
            zh: "一些说明".into(),
            en: "Some help".into(),
        },
        default: String::new(),
        value: Some(value.into()),
        is_set: !value.is_empty(),
        secret: false,
        provenance: Provenance::Default,
        applies: Applies::Live,
        environment_only: false,
        pending_restart: false,
        conflict: None,
    }
}

fn view(settings: Vec<SettingView>) -> ValuesViewProps {
    ValuesViewProps {
        settings: LoadResult::default().after(Ok(SettingsView {
            settings,
            revision: 1,
        })),
        edits: Edits::default(),
        problems: BTreeMap::new(),
        search: Search::default(),
        onsearch: Callback::noop(),
        put: Callback::noop(),
        overtaken: false,
        busy: false,
        error: None,
        save: Callback::noop(),
        discard: Callback::noop(),
    }
}

fn edited(name: &str, edit: Edit) -> Edits {
    let edits = Rc::new(Edits::default()).reduce(Editing::Put(name.into(), Some(edit)));
    (*edits).clone()
}

#[test]
fn a_list_is_typed_line_by_line_and_sent_so_that_no_comma_parts_it() {
    let list = SettingKind::List;
    assert_eq!(edits::readable(&list, "a, b;c"), "a\nb\nc");
    assert_eq!(edits::readable(&list, r#"["a,b","c"]"#), "a,b\nc");
    let setting = setting("L", list, "a,b");
    assert_eq!(
        edits::typed(&setting, "a\nb\n".into()),
        None,
        "the same list"
    );
    let edit = edits::typed(&setting, "a\nx,y\n\n".into()).unwrap();
    let values = edited("L", edit).values(&[setting]);
    assert_eq!(values["L"].as_deref(), Some(r#"["a","x,y"]"#));
}

#[test]
fn typing_the_saved_value_again_is_no_change() {
    let map = setting("M", SettingKind::Map, r#"{"a":1}"#);
    assert_eq!(edits::typed(&map, "{ \"a\": 1 }".into()), None);
    assert!(edits::typed(&map, "{\"a\": 2}".into()).is_some());
    let mut secret = setting("S", SettingKind::Text, "");
    secret.secret = true;
    secret.value = None;
    assert_eq!(edits::typed(&secret, String::new()), None);
    assert!(edits::typed(&secret, "new".into()).is_some());
}

#[test]
fn forgetting_the_panels_value_is_sent_as_none() {
    let one = setting("N", SettingKind::Text, "x");
    let values = edited("N", Edit::Reset).values(&[one]);
    assert_eq!(values.get("N"), Some(&None));
    assert!(
        edited("GONE", Edit::Reset).values(&[]).is_empty(),
        "what the server does not know is not sent"
    );
}

#[test]
fn a_number_out_of_range_and_a_broken_map_are_seen_at_once() {
    let number = SettingKind::Integer { min: 1, max: 10 };
    assert_eq!(edits::wrong(&number, "11"), Some(Wrong::Number(1, 10)));
    assert_eq!(edits::wrong(&number, "1.5"), Some(Wrong::Number(1, 10)));
    assert_eq!(edits::wrong(&number, " 10 "), None);
    assert_eq!(edits::wrong(&SettingKind::Map, "[1]"), Some(Wrong::Map));
    assert_eq!(edits::wrong(&SettingKind::Map, "{}"), None);
}

#[test]
fn the_search_looks_at_names_and_texts_of_both_languages() {
    let one = setting("MAX_RETRIES", SettingKind::Text, "");
    let finds = |text: &str, only: Only| {
        let text = text.into();
        Search { text, only }.finds(&one, &Edits::default())
    };
    assert!(finds("retries", Only::All));
    assert!(finds("标题 help", Only::All), "words of both at once");
    assert!(
        !finds("retries nothing", Only::All),
        "every word must occur"
    );
    assert!(finds("", Only::Group(SettingGroup::Upstream)));
    assert!(!finds("", Only::Group(SettingGroup::Server)));
    assert!(!finds("", Only::Set) && !finds("", Only::Attention));
    let only = Only::Edited;
    let text = String::new();
    assert!(Search { text, only }.finds(&one, &edited("MAX_RETRIES", Edit::Reset)));
}

#[tokio::test(flavor = "current_thread")]
async fn what_only_the_environment_sets_says_so_and_has_no_control() {
    let mut host = setting("HOST", SettingKind::Ip, "0.0.0.0");
    host.environment_only = true;
    host.provenance = Provenance::Environment;
    let html = render::<ValuesView>(view(vec![host])).await;
    assert!(
        html.contains("set by the variable HOST or a flag"),
        "{html}"
    );
    assert!(html.contains("0.0.0.0") && html.contains("From the environment"));
    assert!(!html.contains("<input id=\"setting-HOST\""), "{html}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_secret_tells_only_that_it_is_set() {
    let mut secret = setting("AUTH_TOKEN", SettingKind::Text, "");
    secret.secret = true;
    secret.value = None;
    secret.is_set = true;
    let html = in_chinese::<ValuesView>(view(vec![secret])).await;
    assert!(
        html.contains("type=\"password\"") && html.contains("已设置"),
        "{html}"
    );
    assert!(html.contains("标题 AUTH_TOKEN"));
}

#[tokio::test(flavor = "current_thread")]
async fn a_conflict_says_which_value_holds_and_offers_the_other() {
    let mut ignored = setting("A", SettingKind::Text, "mine");
    ignored.provenance = Provenance::Panel { at: NOW };
    ignored.conflict = Some(SettingConflict::EnvironmentIgnored {
        environment: Some("theirs".into()),
    });
    let mut replaced = setting("B", SettingKind::Text, "new");
    replaced.provenance = Provenance::Environment;
    replaced.conflict = Some(SettingConflict::PanelReplaced {
        at: NOW,
        panel: Some("old".into()),
    });
    let html = render::<ValuesView>(view(vec![ignored, replaced])).await;
    assert!(html.contains("The variable A says “theirs”"), "{html}");
    assert!(html.contains("Use the environment's value"));
    assert!(html.contains("after “old” had been saved here"));
    assert!(html.contains("setting-again-B"));
}

#[tokio::test(flavor = "current_thread")]
async fn a_refused_value_is_told_at_its_field_and_counted() {
    let mut props = view(vec![setting("URL", SettingKind::Url, "x")]);
    props.edits = edited("URL", Edit::Typed("ftp://x".into()));
    let reason = AttrValue::from("not an address");
    props.problems = BTreeMap::from([("URL".into(), reason)]);
    let html = render::<ValuesView>(props).await;
    let row = html.split("setting-row-URL").nth(1).unwrap();
    assert!(row.contains("not an address") && row.contains("ftp://x"));
    assert!(html.contains("1 change<") && html.contains("1 value is not accepted"));
}

#[tokio::test(flavor = "current_thread")]
async fn nothing_changed_shows_no_bar_and_being_overtaken_is_explained() {
    let settings = vec![setting("A", SettingKind::Text, "x")];
    let html = render::<ValuesView>(view(settings.clone())).await;
    assert!(!html.contains("settings-bar"), "{html}");
    let mut props = view(settings);
    props.edits = edited("A", Edit::Typed("y".into()));
    props.overtaken = true;
    let html = render::<ValuesView>(props).await;
    assert!(html.contains("your changes are still here"), "{html}");
}

fn diff(name: &str, before: &str, after: &str) -> SettingDiff {
    SettingDiff {
        name: name.into(),
        before: Some(before.into()),
        after: Some(after.into()),
        secret: false,
        applies: Applies::Live,
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_review_shows_both_values_never_a_secret_and_what_waits_for_a_restart() {
    let mut restart = diff("B", "1", "2");
    restart.applies = Applies::Restart;
    let secret = SettingDiff {
        before: None,
        after: None,
        secret: true,
        ..diff("S", "", "")
    };
    let html = render::<ReviewView>(ReviewViewProps {
        report: SettingsReport {
            changes: vec![diff("A", "", "five"), restart, secret],
            ..SettingsReport::default()
        },
        settings: Some(Rc::new(SettingsView {
            settings: vec![setting("A", SettingKind::Text, "")],
            revision: 1,
        })),
        error: None,
    })
    .await;
    let row = html.split("diff-A").nth(1).unwrap();
    assert!(row.contains("Title A") && row.contains("none") && row.contains("five"));
    assert!(html.contains("changed, not shown"));
    assert!(html.contains("1 change takes effect when"), "{html}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_file_is_downloaded_where_that_works_and_copied_where_not() {
    let env = LoadResult::default().after(Ok(EnvFile { text: "A=1".into() }));
    for saves in [true, false] {
        let html = render::<EnvView>(EnvViewProps {
            env: env.clone(),
            saves,
        })
        .await;
        assert!(html.contains("A=1") && html.contains("env-copy"));
        assert_eq!(html.contains("env-download"), saves, "{html}");
    }
    let export = |saves: bool, passphrase: &'static str, again: &'static str| ExportViewProps {
        passphrase: passphrase.into(),
        again: again.into(),
        onpassphrase: Callback::noop(),
        onagain: Callback::noop(),
        onsubmit: Callback::noop(),
        busy: false,
        error: None,
        file: Some(ExportFile {
            file_name: "x.json".into(),
            text: "whole".into(),
        }),
        saves,
    };
    let html = render::<ExportView>(export(false, "", "")).await;
    assert!(
        html.contains("whole") && html.contains("export-copy"),
        "{html}"
    );
    let html = render::<ExportView>(export(true, "long enough", "long enouhg")).await;
    let button = html.split("<button").find(|b| b.contains("export-submit"));
    assert!(button.is_some_and(|b| b.contains("disabled")), "{html}");
}

fn import(text: &'static str, error: Option<ErrorCode>) -> ImportViewProps {
    ImportViewProps {
        text: text.into(),
        passphrase: AttrValue::default(),
        ontext: Callback::noop(),
        onpassphrase: Callback::noop(),
        send: Callback::noop(),
        busy: false,
        error: error.map(|code| ApiError::new(code, "")),
        report: None,
        settings: None,
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_passphrase_is_asked_for_only_for_an_encrypted_file() {
    let html = render::<ImportView>(import("A=1", None)).await;
    assert!(!html.contains("import-passphrase"), "{html}");
    let text = "-----BEGIN AGE ENCRYPTED FILE-----\nabc";
    let html = render::<ImportView>(import(text, None)).await;
    assert!(html.contains("import-passphrase"), "{html}");
    let html = render::<ImportView>(import(text, Some(ErrorCode::WrongPassphrase))).await;
    assert!(html.contains("does not open this file"), "{html}");
    assert!(!html.contains("the vault"), "it is about a file: {html}");
}

#[tokio::test(flavor = "current_thread")]
async fn an_import_is_confirmed_only_after_a_preview_without_problems() {
    let report = TransferReport {
        format: TransferFormat::Env,
        settings: vec![diff("A", "1", "2")],
        keys_added: vec!["AIza…0001".into()],
        keys_known: Vec::new(),
        tokens_added: Vec::new(),
        tokens_known: Vec::new(),
        ignored: Vec::new(),
        problems: Vec::new(),
        audit_id: None,
    };
    let mut props = import("A=2", None);
    props.report = Some((report.clone(), false));
    let html = render::<ImportView>(props).await;
    assert!(
        html.contains("import-confirm") && html.contains("AIza…0001"),
        "{html}"
    );
    let mut props = import("A=2", None);
    let problem = SettingProblem {
        name: "A".into(),
        reason: Texts::new("不是数字", "not a number"),
    };
    let problems = vec![problem];
    props.report = Some((TransferReport { problems, ..report }, false));
    let html = render::<ImportView>(props).await;
    assert!(!html.contains("import-confirm"), "{html}");
    assert!(html.contains("not a number") && html.contains("nothing can be imported"));
}

fn entry(id: i64) -> AuditEntry {
    AuditEntry {
        id,
        at: NOW,
        actor: Actor::CommandLine,
        address: None,
        action: AuditAction::KeyDeleted,
        subject: "<b>AIza…0001</b>".into(),
        changes: Vec::new(),
        undoable: id == 2,
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_history_names_who_and_what_and_undoes_only_what_can_be() {
    let page = |entries, next| AuditPage { entries, next };
    let history = Rc::new(History::default())
        .reduce(Came::Newest(Ok(page(vec![entry(3), entry(2)], Some(2)))))
        .reduce(Came::Older(Ok(page(vec![entry(1)], None))));
    let html = render::<HistoryView>(HistoryViewProps {
        history: (*history).clone(),
        settings: None,
        busy: false,
        older: Callback::noop(),
        undo: Callback::noop(),
    })
    .await;
    assert!(
        html.contains("audit-3") && html.contains("audit-1"),
        "{html}"
    );
    assert!(html.contains("audit-undo-2") && !html.contains("audit-undo-3"));
    assert!(html.contains("Gemini key deleted") && html.contains("the command line"));
    assert!(!html.contains("<b>AIza"), "texts are no markup");
    assert!(!html.contains("history-older"), "that was the last page");
    let failed = history.reduce(Came::Older(Err(ApiError::new(ErrorCode::Database, ""))));
    assert_eq!(failed.entries.as_ref().map(Vec::len), Some(3));
}
