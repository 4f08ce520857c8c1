// Rendered on the server's side, which needs no browser and has no wasm.
#![cfg(not(target_arch = "wasm32"))]

use contract::admin::{
    Cooldown, CooldownReason, ImportReport, KeyRules, KeyState, NotAKey, Origin, RejectReason,
    RejectedPiece,
};

use super::add::{AddKeysView, AddKeysViewProps, Outcome};
use super::filter::Filter;
use super::*;
use crate::testing::{in_chinese, render};

const NOW: Millis = 1_800_000_000_000;

fn key(id: i64, state: KeyState) -> KeyView {
    KeyView {
        id,
        label: format!("label {id}"),
        masked: format!("AQ.A…{id}xyz"),
        origin: Origin::Panel,
        state,
        cooldowns: Vec::new(),
        requests_today: 0,
        errors_today: 0,
        last_used_at: None,
        last_error: None,
        added_at: NOW,
        rules: KeyRules::default(),
        project: None,
    }
}

fn props(keys: Vec<KeyView>) -> KeysViewProps {
    KeysViewProps {
        pool: None,
        keys: LoadResult::default().after(Ok(keys)),
        now: NOW,
        busy: BTreeSet::new(),
        run: CheckRun::default(),
        act: Callback::noop(),
        adder: Html::default(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_empty_pool_says_how_to_get_a_key() {
    let html = render::<KeysView>(props(Vec::new())).await;
    assert!(html.contains("No keys yet"));
    assert!(html.contains("Create API key"));
}

#[tokio::test(flavor = "current_thread")]
async fn every_state_is_told_in_words() {
    let mut resting = key(1, KeyState::Ready);
    resting.cooldowns.push(Cooldown {
        model: "gemini-3-pro".into(),
        until: NOW + 90_000,
        reason: CooldownReason::PerDay,
    });
    let rejected = key(
        2,
        KeyState::Rejected {
            reason: RejectReason::Suspended,
        },
    );
    let cooling = key(3, KeyState::Cooling { until: NOW + 5_000 });
    let html = in_chinese::<KeysView>(props(vec![resting, rejected, cooling])).await;
    assert!(
        html.contains("gemini-3-pro") && html.contains("1 分钟 30 秒后恢复"),
        "{html}"
    );
    assert!(html.contains("Google 项目已被暂停"));
    assert!(html.contains("5 秒后恢复"));
}

#[tokio::test(flavor = "current_thread")]
async fn a_cooldown_that_has_passed_is_not_shown() {
    let mut over = key(1, KeyState::Ready);
    over.cooldowns.push(Cooldown {
        model: "gemini-3-pro".into(),
        until: NOW - 1,
        reason: CooldownReason::PerMinute,
    });
    let html = render::<KeysView>(props(vec![over])).await;
    assert!(!html.contains("gemini-3-pro"));
}

#[tokio::test(flavor = "current_thread")]
async fn a_key_of_the_environment_cannot_be_deleted_here() {
    let mut env = key(7, KeyState::Ready);
    env.origin = Origin::Environment;
    let html = render::<KeysView>(props(vec![env])).await;
    let button = html
        .split("<button")
        .find(|b| b.contains("key-delete-7"))
        .unwrap_or_default();
    assert!(button.contains("disabled"), "{button}");
    assert!(
        button.contains("API_KEYS"),
        "it says where to do it: {button}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_preview_names_every_piece_and_its_reason() {
    let report = ImportReport {
        added: vec!["AQ.A…new1".into()],
        duplicates: vec!["AIza…old1".into()],
        rejected: vec![RejectedPiece {
            line: 3,
            masked: "sk-p…zz".into(),
            reason: NotAKey::OtherVendor,
        }],
    };
    let html = render::<AddKeysView>(AddKeysViewProps {
        text: "something".into(),
        busy: false,
        outcome: Outcome::Preview(report),
        oninput: Callback::noop(),
        send: Callback::noop(),
        open_studio: None,
    })
    .await;
    assert!(html.contains("Add 1 key"), "{html}");
    assert!(html.contains("is there already"));
    assert!(html.contains("line 3") && html.contains("a key of another vendor"));
}

#[tokio::test(flavor = "current_thread")]
async fn thousands_of_keys_are_shown_by_portions() {
    let keys = (1..=1_234).map(|id| key(id, KeyState::Ready)).collect();
    let html = render::<KeysView>(props(keys)).await;
    assert_eq!(html.matches("data-testid=\"key-row-").count(), 100);
    assert!(html.contains("1,234 keys"), "all are counted");
    assert!(html.contains("Show 100 more"));
}

#[test]
fn search_looks_at_label_key_and_error_and_keeps_the_order() {
    let mut failed = key(2, KeyState::Disabled);
    failed.last_error = Some("Quota exceeded".into());
    let keys = [key(1, KeyState::Ready), failed, key(3, KeyState::Ready)];
    let ids = |text: &str, state: &str| {
        let filter = Filter {
            text: text.into(),
            state: state.into(),
        };
        filter.apply(&keys).iter().map(|k| k.id).collect::<Vec<_>>()
    };
    assert_eq!(ids("", ""), [1, 2, 3]);
    assert_eq!(ids(" QUOTA ", ""), [2]);
    assert_eq!(ids("label", "ready"), [1, 3]);
    assert_eq!(ids("3xyz", ""), [3]);
    assert_eq!(ids("nothing like it", ""), Vec::<i64>::new());
}

#[test]
fn keys_that_are_switched_off_are_not_checked() {
    let keys = [key(1, KeyState::Ready), key(2, KeyState::Disabled)];
    assert_eq!(check::in_turn(&keys), [1]);
}
