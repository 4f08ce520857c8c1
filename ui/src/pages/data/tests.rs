// Rendered on the server's side, which needs no browser and has no wasm.
#![cfg(not(target_arch = "wasm32"))]

use contract::admin::{
    BackupReason, BackupView, DatabaseState, Engine, Sealing, SettingProblem, Takeover, Texts,
};

use super::*;
use crate::testing::{in_chinese, render};

const NOW: Millis = 1_795_000_000_000;

fn data() -> DataView {
    DataView {
        engine: Engine::Sqlite {
            path: "/data/gemini-balance.db".into(),
        },
        state: DatabaseState::Ready,
        schema: 2,
        size_bytes: Some(5 * 1024 * 1024),
        request_rows: 1_234,
        oldest_request: Some(NOW),
        spooled_records: 0,
        dropped_records: 0,
        sealing: Sealing::KeyFile,
        takeover: None,
        backups_supported: true,
        backups: Vec::new(),
    }
}

fn page(data: DataView) -> DataPageProps {
    DataPageProps {
        data: LoadResult::default().after(Ok(data)),
        now: NOW,
        changed: Callback::noop(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_database_that_works_is_told_without_alarm() {
    let html = render::<DataPage>(page(data())).await;
    assert!(html.contains("/data/gemini-balance.db") && html.contains("5.0 MiB"));
    assert!(html.contains("1,234, the oldest from"), "{html}");
    assert!(!html.contains("database-trouble") && !html.contains("agree-clear"));
    assert!(!html.contains("takeover-card"));
}

#[tokio::test(flavor = "current_thread")]
async fn an_unreachable_database_says_since_when_why_and_that_requests_go_on() {
    let mut data = data();
    data.engine = Engine::Mysql {
        server: "db:3306".into(),
        database: "gb".into(),
        version: String::new(),
        tls: true,
    };
    data.state = DatabaseState::Unreachable {
        since: NOW - 5 * 60_000,
        message: "connection refused".into(),
    };
    data.spooled_records = 412;
    data.backups_supported = false;
    let html = render::<DataPage>(page(data)).await;
    assert!(html.contains("role=\"alert\"") && html.contains("connection refused"));
    assert!(html.contains("5 min ago") && html.contains("answered from memory"));
    assert!(html.contains("412") && html.contains("in order and none twice"));
    assert!(html.contains("MySQL, not reached yet") && html.contains("encrypted (TLS)"));
    assert!(html.contains("belong to its host") && !html.contains("backup-make"));
}

#[tokio::test(flavor = "current_thread")]
async fn storing_in_clear_is_offered_only_where_nothing_is_stored() {
    for (sealing, offered) in [
        (Sealing::NotStored, true),
        (Sealing::Clear, false),
        (Sealing::SecretKey, false),
        (Sealing::Keychain, false),
    ] {
        let html = render::<DataPage>(page(DataView { sealing, ..data() })).await;
        assert_eq!(html.contains("agree-clear"), offered, "{sealing:?}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn each_backup_can_be_restored_and_says_why_it_was_made() {
    let mut data = data();
    data.backups = vec![BackupView {
        name: "one.db".into(),
        at: NOW,
        size_bytes: 2_048,
        reason: BackupReason::BeforeMigration,
    }];
    let html = in_chinese::<DataPage>(page(data)).await;
    assert!(
        html.contains("升级表结构之前") && html.contains("2.0 KiB"),
        "{html}"
    );
    assert!(html.contains("backup-restore-one.db") && html.contains("backup-delete-one.db"));
}

#[tokio::test(flavor = "current_thread")]
async fn a_takeover_tells_what_came_and_why_the_rest_did_not() {
    let mut data = data();
    data.takeover = Some(Takeover {
        keys: 12,
        settings: vec!["MAX_RETRIES".into()],
        auth_token: true,
        ignored: vec![SettingProblem {
            name: "PAID_KEY".into(),
            reason: Texts::new("与其他密钥一样", "a key like others"),
        }],
        ..Takeover::default()
    });
    let html = render::<DataPage>(page(data)).await;
    assert!(html.contains("the old one signs in") && html.contains("MAX_RETRIES"));
    assert!(html.contains("1 setting means nothing here") && html.contains("a key like others"));
}
