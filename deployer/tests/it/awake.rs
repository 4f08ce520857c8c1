//! The watch over a remote that sleeps: a real instance behind the fake Render, whose clock is
//! the server's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use contract::ErrorCode;
use contract::admin::{KeyView, Sealing};
use contract::deploy::{
    AccountView, DeployFeature, DeployState, PushReport, RemoteState, RemoteView, RemoteWarning,
};
use deployer::provider::{Data, Desired, Provider as _, Value as Variable};
use deployer::render;
use parking_lot::Mutex;
use proxy_core::clock::Clock;
use proxy_core::settings::Settings;
use proxy_core::{CoreConfig, Running};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::cloud::{Launched, OnLive};
use testkit::registry::{FakeRegistry, Pushed};
use testkit::render::{FakeRender, KEY, OWNER, Pace};
use vault::{MasterKey, Secret};

use crate::remotes::REMOTES;
use crate::world::{Ground, World};

const GEMINI: &str = "AIzaSyA1234567890abcdefghijklmnopqrstuv";
const ONE: &str = "/api/deploy/remotes/1";
const STEP: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const WAKE: Duration = Duration::from_secs(30);

/// Instances that run, with their data.
type Instances = Arc<Mutex<Vec<(Running, TempDir)>>>;

/// Starts a core in this process for every container.
fn on_live(instances: &Instances) -> OnLive {
    let instances = instances.clone();
    Arc::new(move |launch| {
        let instances = instances.clone();
        Box::pin(async move {
            let data = tempfile::tempdir().unwrap();
            let folder = data.path().display().to_string();
            let settings = Settings::load(|name| match name {
                "HOST" => Some("127.0.0.1".to_owned()),
                "PORT" => Some("0".to_owned()),
                "DATA_DIR" => Some(folder.clone()),
                "BASE_URL" => Some("http://127.0.0.1:1/v1beta".to_owned()),
                name => launch.environment.get(name).cloned(),
            })
            .unwrap();
            let running = Box::pin(proxy_core::start(CoreConfig {
                settings,
                on_settings: None,
                master: MasterKey::from_bytes([9; 32]),
                sealing: Sealing::SecretKey,
                clock: Clock::system(),
                panel: None,
                extend: None,
            }))
            .await
            .unwrap();
            let address = running.socket();
            instances.lock().push((running, data));
            Ok(Launched::at(address))
        })
    })
}

/// A server with one remote on the free plan of Render, which runs and has no keys.
struct Sky {
    ground: Ground,
    world: World,
    render: FakeRender,
    service: String,
    _instances: Instances,
}

impl Sky {
    async fn new() -> Self {
        // Nobody answers there, and nobody need.
        Self::with_image("127.0.0.1:1/owner/gemini-balance:latest").await
    }

    async fn with_image(image: &str) -> Self {
        let ground = Ground::new(deployer::providers()).with(&[("API_KEYS", GEMINI)]);
        let instances = Instances::default();
        let render = FakeRender::builder()
            .clock(&ground.clock)
            .pace(Pace::every(STEP))
            .wake(WAKE)
            .on_live(on_live(&instances))
            .start()
            .await;
        let world = ground.start().await;
        let api = render.base_url();
        let account = json!({ "provider": "render", "secret": KEY, "api": api });
        let _: AccountView = world.post("/api/deploy/accounts", account).await;
        let keys: Vec<KeyView> = world.get("/api/keys").await;
        let wish = json!({
            "name": "one", "account": 1, "plan": "free", "keys": [keys[0].id],
            "image": image,
            "database": {"kind": "none"}, "time_zone": "UTC",
        });
        let _: RemoteView = world.post(REMOTES, wish).await;

        // Deployed without the pauses of a run, and without its keys.
        let store = world.running.core().store().clone();
        let document = store.documents("remote/1").await.unwrap().remove(0);
        let mut record: Value = serde_json::from_str(document.text.expose()).unwrap();
        let token = record["secrets"]["auth_token"].as_str().unwrap();
        let variables = [
            (
                "AUTH_TOKEN".to_owned(),
                Variable::Secret(Secret::from(token)),
            ),
            ("DEPLOYER".to_owned(), Variable::Plain("false".to_owned())),
        ];
        let provider = render::account(Secret::from(KEY), Some(&api)).unwrap();
        let made = provider
            .create(&Desired {
                name: "one".to_owned(),
                workspace: Some(OWNER.to_owned()),
                region: None,
                plan: Some("free".to_owned()),
                image: "ghcr.io/owner/gemini-balance:latest".to_owned(),
                image_tag: "ghcr.io/owner/gemini-balance:latest".to_owned(),
                variables: BTreeMap::from(variables),
                data: Data::Elsewhere,
                over: false,
            })
            .await
            .unwrap();
        ground.clock.advance(STEP * 5);
        render.settle().await;
        assert!(render.is_up(&made.id).await);
        record["remote_id"] = json!(made.id);
        record["url"] = json!(made.url);
        record["state"] = json!({"state": "running"});
        record["state_since"] = json!(ground.clock.now());
        let text = Secret::new(record.to_string());
        store.save_document("remote/1", &text).await.unwrap();
        Self {
            ground,
            world,
            render,
            service: made.id,
            _instances: instances,
        }
    }

    async fn seen(&self) -> RemoteView {
        self.world.get(ONE).await
    }

    /// How the remote is as soon as it is like this, while the time goes on by `step` again and
    /// again.
    async fn until(&self, step: Duration, is_so: impl Fn(&RemoteView) -> bool) -> RemoteView {
        for _ in 0..10_000 {
            let seen = self.seen().await;
            if is_so(&seen) {
                return seen;
            }
            self.ground.clock.advance(step);
        }
        panic!("{:?}", self.seen().await);
    }

    /// The same while the time stands still, or nearly: the watch may have looked at the clock
    /// just before it was moved.
    async fn soon(&self, is_so: impl Fn(&RemoteView) -> bool) -> RemoteView {
        self.within(20, is_so).await
    }

    /// The same where the machine's own time is needed as well: an instance starts in that, and
    /// patience is in ours.
    async fn in_its_time(&self, is_so: impl Fn(&RemoteView) -> bool) -> RemoteView {
        self.within(400, is_so).await
    }

    async fn within(&self, looks: u32, is_so: impl Fn(&RemoteView) -> bool) -> RemoteView {
        for _ in 0..10_000 {
            for _ in 0..looks {
                let seen = self.seen().await;
                if is_so(&seen) {
                    return seen;
                }
            }
            self.ground.clock.advance(STEP);
        }
        panic!("{:?}", self.seen().await);
    }
}

fn last_ok(remote: &RemoteView) -> Option<i64> {
    remote.keep_alive_state.as_ref()?.last_ok_at
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_sleeps_is_not_woken_by_watching_and_wakes_when_it_is_asked() {
    let sky = Sky::new().await;
    let began = sky.ground.clock.now();
    // Due by then, and long before it sleeps, however slow this machine is.
    sky.ground.clock.advance(MINUTE * 6);
    let seen = sky
        .in_its_time(|remote| remote.checked_at > Some(began))
        .await;
    assert_eq!(seen.state, RemoteState::Running);
    assert_eq!(seen.state_since, began);
    assert_eq!(seen.health, None, "asking it keeps it from sleeping");

    let asleep = sky
        .until(MINUTE, |remote| remote.state == RemoteState::Asleep)
        .await;
    assert!(!sky.render.is_up(&sky.service).await, "it was woken");
    let refresh = json!({ "action": "refresh" });
    let still: RemoteView = sky.world.post(&format!("{ONE}/action"), refresh).await;
    assert_eq!(still.state, RemoteState::Asleep);
    assert_eq!(still.state_since, asleep.state_since);
    assert!(!sky.render.is_up(&sky.service).await, "it was woken");

    let path = format!("{ONE}/wake");
    let waking = sky.world.post::<RemoteView>(&path, json!({}));
    let too = sky.world.post::<RemoteView>(&path, json!({}));
    let time = async {
        sky.soon(|remote| remote.state == RemoteState::Waking).await;
        while sky.render.launches().len() < 2 {
            sky.ground.clock.advance(STEP);
            sky.seen().await;
        }
        sky.in_its_time(|remote| remote.state == RemoteState::Running)
            .await
    };
    let (first, second, seen) = tokio::join!(waking, too, time);
    assert_eq!(first.state, RemoteState::Running);
    assert_eq!(second.state, RemoteState::Running);
    assert!(seen.health.is_some(), "{seen:?}");
    assert_eq!(
        sky.render.launches().len(),
        2,
        "it was started twice in all"
    );
    sky.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_kept_awake_sleeps_in_its_quiet_hours_only() {
    let sky = Sky::new().await;
    let state: DeployState = sky.world.get("/api/deploy").await;
    assert!(state.features.contains(&DeployFeature::KeepAlive));
    let path = format!("{ONE}/keep-alive");
    let wrong = json!({"enabled": true, "quiet": {"from": 3, "to": 24}});
    let (status, refused) = sky.world.refused(Method::PUT, &path, Some(wrong)).await;
    assert_eq!((status, refused.code), (400, ErrorCode::InvalidInput));

    let on = json!({ "enabled": true });
    let changed: RemoteView = sky.world.send(Method::PUT, &path, on).await;
    assert!(changed.keep_alive.enabled && changed.wish.unwrap().keep_alive.enabled);
    assert_eq!(
        sky.world.audit().await[0],
        ("remote_changed".to_owned(), "one".to_owned())
    );
    let mut seen = sky.soon(|remote| last_ok(remote).is_some()).await;
    for _ in 0..14 {
        let next = seen.keep_alive_state.unwrap().next_at.unwrap();
        let wait = u64::try_from(next - sky.ground.clock.now()).unwrap_or(0);
        assert!(wait <= 11 * 60 * 1000, "{wait} ms");
        sky.ground.clock.advance(Duration::from_millis(wait));
        seen = sky.soon(|remote| last_ok(remote) >= Some(next)).await;
        assert!(sky.render.is_up(&sky.service).await);
    }
    assert_eq!(sky.render.launches().len(), 1, "it slept meanwhile");
    let state = seen.keep_alive_state.unwrap();
    assert_eq!((state.hours_used, state.hours_limit), (2, Some(750)));
    assert!(!state.paused_by_budget);

    // It is about half past two in the afternoon.
    let quiet = json!({"enabled": true, "quiet": {"from": 13, "to": 18}});
    let changed: RemoteView = sky.world.send(Method::PUT, &path, quiet).await;
    assert_eq!(changed.keep_alive_state.unwrap().next_at, None);
    sky.until(MINUTE, |remote| remote.state == RemoteState::Asleep)
        .await;
    let awake = sky.until(MINUTE, |remote| remote.state != RemoteState::Asleep);
    let awake = awake.await;
    assert!(matches!(
        awake.state,
        RemoteState::Waking | RemoteState::Running
    ));
    let six = crate::world::NOON + 6 * 3_600_000;
    assert!(awake.state_since >= six, "before the quiet hours ended");
    sky.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_lost_its_keys_is_given_them_once_for_each_start() {
    let sky = Sky::new().await;
    let refresh = json!({ "action": "refresh" });
    let path = format!("{ONE}/action");
    let fed: RemoteView = sky.world.post(&path, refresh.clone()).await;
    assert_eq!(fed.health.unwrap().keys_total, Some(1), "it was not fed");
    assert_eq!(fed.warnings, []);
    let there: Vec<KeyView> = sky.world.get(&format!("{ONE}/panel/api/keys")).await;
    let key = format!("{ONE}/panel/api/keys/{}", there[0].id);
    let (status, said) = sky.world.call(Method::DELETE, &key, None).await;
    assert!(status < 300, "{said}");
    let bare: RemoteView = sky.world.post(&path, refresh).await;
    assert_eq!(bare.health.unwrap().keys_total, Some(0));
    assert_eq!(bare.warnings, [RemoteWarning::KeysLost]);
    sky.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_differs_is_told_of_until_it_is_made_alike() {
    let sky = Sky::new().await;
    let on = json!({ "enabled": true });
    let _: RemoteView = sky
        .world
        .send(Method::PUT, &format!("{ONE}/keep-alive"), on)
        .await;
    let differs = |remote: &RemoteView| remote.warnings.contains(&RemoteWarning::Drift);
    // A look is due by then, and it does not sleep yet. One that did would take the machine's
    // time to wake, in which minutes of ours could let it fall asleep again for ever.
    sky.ground.clock.advance(MINUTE * 6);
    // It was deployed without its keys among its variables.
    sky.in_its_time(differs).await;
    let password = json!({ "password": crate::world::PASSWORD });
    let confirm = "/api/account/confirm";
    let (status, said) = sky.world.call(Method::POST, confirm, Some(password)).await;
    assert_eq!(status, 204, "{said}");
    let all = json!({ "keys": true, "tokens": true, "settings": true });
    let path = format!("{ONE}/push");
    let (report, _) = tokio::join!(
        sky.world.post::<PushReport>(&path, all),
        sky.in_its_time(|remote| !differs(remote)),
    );
    assert_eq!(report.problems, []);
    sky.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_refused_is_told_of_and_comes_back() {
    let sky = Sky::new().await;
    sky.render.revoke_key(KEY);
    let seen = sky
        .until(MINUTE, |remote| !remote.warnings.is_empty())
        .await;
    assert!(
        matches!(&seen.warnings[0], RemoteWarning::Account { error }
            if error.code == ErrorCode::AccountRefused),
        "{seen:?}"
    );
    assert!(matches!(seen.state, RemoteState::Unknown { .. }));
    sky.render.add_key(KEY);
    let accounts = "/api/deploy/accounts/1/check";
    let checked: AccountView = sky.world.post(accounts, json!({})).await;
    assert_eq!(checked.problem, None);
    let seen = sky.until(MINUTE, |remote| {
        matches!(remote.state, RemoteState::Running | RemoteState::Asleep)
    });
    assert_eq!(seen.await.warnings, []);
    sky.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_image_under_its_tag_is_told_of_and_seldom_asked_for() {
    let registry = FakeRegistry::builder()
        .image(Pushed::new("owner/gemini-balance", "latest"))
        .start()
        .await;
    let sky = Sky::with_image(&registry.reference("owner/gemini-balance", "latest")).await;
    let seen = sky
        .until(MINUTE, |remote| !remote.warnings.is_empty())
        .await;
    let [RemoteWarning::NewerImage { digest }] = &*seen.warnings else {
        panic!("{:?}", seen.warnings);
    };
    let runs = seen.image.unwrap();
    assert!(digest.starts_with("sha256:") && !runs.ends_with(digest));
    let asked = registry.calls().len();
    let later = seen.checked_at.map(|at| at + 3_600_000);
    sky.until(MINUTE, |remote| remote.checked_at > later).await;
    assert_eq!(registry.calls().len(), asked);
    sky.world.stop().await;
}
