//! Which of two values wins, against a model in a few lines.

use std::collections::BTreeMap;

use contract::admin::{Actor, AuditAction, Sealing};
use proptest::prelude::*;
use vault::Secret;

use super::World;
use crate::settings::Settings;
use crate::store::{Change, NewAudit, Store, StoreError};

/// A setting that is shown, and one that is not.
const NAMES: [&str; 2] = ["MAX_RETRIES", "METRICS_TOKEN"];

/// What can happen to a setting.
#[derive(Clone, Debug)]
enum Event {
    /// The server starts with these variables.
    Start([Option<u8>; 2]),
    /// The panel saves a value, or forgets its own.
    Panel(usize, Option<u8>),
}

fn event() -> impl Strategy<Value = Event> {
    let value = || proptest::option::of(1..4_u8);
    prop_oneof![
        [value(), value()].prop_map(Event::Start),
        (0..2_usize, value()).prop_map(|(at, value)| Event::Panel(at, value)),
    ]
}

/// The rule itself.
#[derive(Clone, Copy, Default)]
struct Model {
    environment: Option<u8>,
    seen: Option<u8>,
    panel: Option<u8>,
}

impl Model {
    fn start(&mut self, environment: Option<u8>) {
        if environment.is_some() && environment != self.seen {
            self.panel = None;
        }
        self.environment = environment;
        self.seen = environment;
    }

    fn holds(self) -> Option<u8> {
        self.panel.or(self.environment)
    }
}

fn environment(values: [Option<u8>; 2]) -> Settings {
    Settings::load(|name| {
        let at = NAMES.iter().position(|known| *known == name);
        let value = at.and_then(|at| values[at]).map(|value| value.to_string());
        value.or_else(|| (name == "DATA_DIR").then(|| "/data".to_owned()))
    })
    .unwrap()
}

fn entry(action: AuditAction) -> NewAudit {
    NewAudit {
        actor: Actor::Panel,
        address: None,
        action,
        subject: String::new(),
        changes: Vec::new(),
        inverse: None,
    }
}

async fn save(
    store: &Store,
    environment: &Settings,
    name: &'static str,
    value: Option<&str>,
) -> Result<Option<i64>, StoreError> {
    let change = Change {
        settings: BTreeMap::from([(name, value.map(Secret::from))]),
        ..Change::default()
    };
    let revision = store.settings_state().await?.revision;
    let entry = entry(AuditAction::SettingsChanged);
    let made = store.change(environment, &change, revision, entry).await?;
    Ok(made.entry())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_newer_value_wins(events in proptest::collection::vec(event(), 1..14)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let store = world.open().await;
            let mut model = [Model::default(); 2];
            let mut current = environment([None; 2]);
            store.settle_environment(&current).await.unwrap();
            for event in &events {
                match *event {
                    Event::Start(values) => {
                        current = environment(values);
                        store.settle_environment(&current).await.unwrap();
                        for (model, value) in model.iter_mut().zip(values) {
                            model.start(value);
                        }
                    }
                    Event::Panel(at, value) => {
                        let text = value.map(|value| value.to_string());
                        save(&store, &current, NAMES[at], text.as_deref()).await.unwrap().unwrap();
                        model[at].panel = value;
                    }
                }
                let saved = store.saved_settings().await.unwrap();
                let holds = current.with_saved(&saved).unwrap();
                for (name, model) in NAMES.iter().zip(model) {
                    let found = holds.given(name).map(|given| given.expose().clone());
                    let expected = model.holds().map(|value| value.to_string());
                    assert_eq!(found, expected, "{name} after {events:?}");
                }
            }
            store.close().await;
        });
    }
}

#[tokio::test]
async fn without_a_sealing_key_no_secret_is_stored_and_the_rest_is() {
    let mut world = World::on_mysql().await;
    world.sealing = Sealing::NotStored;
    let store = world.open().await;
    let given = environment([Some(4), Some(2)]);
    store.settle_environment(&given).await.unwrap();
    save(&store, &given, "MAX_RETRIES", Some("5"))
        .await
        .unwrap()
        .unwrap();
    let refused = save(&store, &given, "METRICS_TOKEN", Some("hunter2")).await;
    assert!(matches!(refused, Err(StoreError::NoSealingKey)));
    let saved = store.saved_settings().await.unwrap();
    assert_eq!(saved.keys().collect::<Vec<_>>(), ["MAX_RETRIES"]);
    // Nor is there a way back, which would hold what was there before.
    let entries = store.audit(None, 10).await.unwrap().entries;
    assert!(entries.iter().all(|entry| !entry.undoable), "{entries:?}");
    let (server, config) = world.mysql.as_ref().unwrap();
    let database = &config.database;
    let seen = server
        .execute(&format!("SELECT name FROM `{database}`.environment_seen"))
        .await;
    assert_eq!(seen.trim(), "MAX_RETRIES");
}

#[tokio::test]
async fn what_the_panel_saved_holds_without_the_server() {
    let mut world = World::on_mysql().await;
    let store = world.open().await;
    let given = environment([Some(4), Some(2)]);
    store.settle_environment(&given).await.unwrap();
    save(&store, &given, "METRICS_TOKEN", Some("hunter2"))
        .await
        .unwrap()
        .unwrap();
    store.load().await.unwrap();
    store.write_snapshot(|_| None).await;
    store.close().await;
    let file = std::fs::read(world.folder.path().join("snapshot.sealed")).unwrap();
    assert!(!super::contains(&file, "hunter2"), "it is sealed");

    world.mysql.as_mut().unwrap().1.port = 1;
    let store = world.open().await;
    let loaded = store.load_offline(&[], &[]);
    let holds = given.with_valid(&loaded.settings);
    assert_eq!(holds.metrics_token, Some("hunter2".into()));
    assert_eq!(holds.max_attempts, 4);
}
