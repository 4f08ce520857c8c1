//! Runs over HTTP: real instances in a cloud in memory, the fake Google, the fake registry.

use contract::ErrorCode;
use contract::admin::KeyView;
use contract::deploy::{
    ApplyWish, DeployView, RemoteAction, RemoteState, RemoteView, RunState, RunView, StepKind,
    StepState,
};
use deployer::provider::ProviderError;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::google::{FakeGoogle, Quota};
use testkit::registry::{FakeRegistry, Pushed};

use crate::cloud::Cloud;
use crate::remotes::{REMOTES, with_account};
use crate::world::{Ground, World};

pub const GEMINI: &str = "AIzaSyA1234567890abcdefghijklmnopqrstuv";
const IMAGE: &str = "owner/gemini-balance";
const ORIGINAL: &str = "snailyp/gemini-balance";

/// Everything that a run meets.
pub struct Sky {
    pub cloud: Cloud,
    pub registry: FakeRegistry,
    pub ground: Ground,
    _google: FakeGoogle,
}

impl Sky {
    pub async fn new() -> Self {
        let google = FakeGoogle::builder()
            .project("p1", Quota::UNLIMITED)
            .key(GEMINI, "p1")
            .start()
            .await;
        let registry = FakeRegistry::builder()
            .image(Pushed::new(IMAGE, "latest"))
            .image(Pushed::new(ORIGINAL, "latest"))
            .start()
            .await;
        let cloud = Cloud::new().with_google(&google.base_url());
        let ground = Ground::new(cloud.providers()).with(&[("API_KEYS", GEMINI)]);
        Self {
            cloud,
            registry,
            ground,
            _google: google,
        }
    }

    /// A wish for `one` with the first key of this instance.
    pub async fn wish(&self, world: &World) -> Value {
        let keys: Vec<KeyView> = world.get("/api/keys").await;
        json!({
            "name": "one", "account": 1, "region": "singapore", "plan": "free",
            "image": self.registry.reference(IMAGE, "latest"),
            "database": {"kind": "none"}, "keys": [keys[0].id], "time_zone": "Asia/Shanghai",
        })
    }

    /// A draft called `one` with the key of this instance.
    async fn draft(&self, world: &World) {
        let _: RemoteView = world.post(REMOTES, self.wish(world).await).await;
    }

    /// A server whose remote `one` runs; `change` makes its wish another one.
    pub async fn deployed(&self, change: impl FnOnce(&mut Value)) -> World {
        let world = with_account(&self.ground).await;
        let mut wish = self.wish(&world).await;
        change(&mut wish);
        let _: RemoteView = world.post(REMOTES, wish).await;
        apply(&world).await;
        world
    }
}

/// Has a run of `one` end well.
pub async fn apply(world: &World) -> RunView {
    let _: RunView = world.post(&path("apply"), json!({})).await;
    let run = ended(world).await;
    assert!(matches!(run.state, RunState::Done { .. }), "{run:?}");
    run
}

pub fn path(rest: &str) -> String {
    format!("{REMOTES}/1/{rest}")
}

/// What came of the run.
pub async fn ended(world: &World) -> RunView {
    loop {
        let run: RunView = world.get(&path("run")).await;
        if run.state != RunState::Running {
            return run;
        }
    }
}

/// Returns when the step waits for the cloud.
async fn waits(world: &World) {
    loop {
        let run: RunView = world.get(&path("run")).await;
        assert_eq!(run.state, RunState::Running, "{run:?}");
        let mut steps = run.steps.iter();
        let kind = serde_json::json!("wait_live");
        let waiting = |kind_of: &Value| *kind_of == kind;
        if steps.any(|step| {
            waiting(&serde_json::to_value(step.step.kind).unwrap())
                && step.state == StepState::Running
        }) {
            return;
        }
    }
}

#[tokio::test]
async fn a_draft_becomes_an_instance_that_answers_and_is_looked_after() {
    let sky = Sky::new().await;
    let world = with_account(&sky.ground).await;
    sky.draft(&world).await;
    let begun: RunView = world.post(&path("apply"), json!({})).await;
    assert_eq!(begun.state, RunState::Running);
    let run = ended(&world).await;
    let RunState::Done { url } = &run.state else {
        panic!("{run:?}");
    };
    assert!(run.steps.iter().all(|step| step.state == StepState::Done));
    let text = serde_json::to_string(&run).unwrap();
    assert!(!text.contains(GEMINI), "{text}");
    let remote: RemoteView = world.get(&format!("{REMOTES}/1")).await;
    assert_eq!(remote.state, RemoteState::Running);
    assert_eq!(remote.url.as_ref(), Some(url));
    assert!(remote.image.unwrap().contains("@sha256:"));
    assert_eq!(sky.cloud.calls(), ["create"]);

    // All is as it should be, so nothing is done.
    let _: RunView = world.post(&path("apply"), json!({})).await;
    let again = ended(&world).await;
    assert_eq!(
        (again.steps.len(), sky.cloud.calls().len()),
        (0, 1),
        "{again:?}"
    );

    let _: RemoteView = world
        .post(&path("action"), json!({"action": "suspend"}))
        .await;
    let remote: RemoteView = world.get(&format!("{REMOTES}/1")).await;
    assert_eq!(remote.state, RemoteState::Suspended);
    let resumed: RemoteView = world
        .post(&path("action"), json!({"action": "resume"}))
        .await;
    assert_eq!(resumed.state, RemoteState::Running);

    let _: RemoteView = world
        .post(&path("action"), json!({"action": "redeploy"}))
        .await;
    assert!(matches!(ended(&world).await.state, RunState::Done { .. }));
    let deploys: Vec<DeployView> = world.get(&path("deploys")).await;
    assert_eq!(deploys.len(), 2);
    let back = json!({"action": "roll_back", "deploy": deploys[1].id});
    let _: RemoteView = world.post(&path("action"), back).await;

    let delete = json!({"action": "delete", "name": "one"});
    let gone: RemoteView = world.post(&path("action"), delete).await;
    assert_eq!(gone.state, RemoteState::Gone);
    assert!(sky.cloud.apps().is_empty());
    let audit = world.audit().await;
    assert_eq!(audit[0], ("remote_deleted".to_owned(), "one".to_owned()));
    assert!(audit.contains(&("remote_deployed".to_owned(), "one".to_owned())));
}

#[tokio::test]
async fn there_is_one_run_at_a_time_and_one_that_was_stopped_goes_on() {
    let sky = Sky::new().await;
    let world = with_account(&sky.ground).await;
    sky.draft(&world).await;
    sky.cloud.hold();
    let _: RunView = world.post(&path("apply"), json!({})).await;
    waits(&world).await;
    for (rest, body) in [
        ("apply", json!({})),
        ("action", json!({"action": "delete", "name": "one"})),
        ("action", json!({"action": "forget"})),
    ] {
        let (status, busy) = world.refused(Method::POST, &path(rest), Some(body)).await;
        assert_eq!((status, busy.code), (409, ErrorCode::Busy));
    }
    let _: RunView = world.post(&path("cancel"), json!({})).await;
    assert_eq!(ended(&world).await.state, RunState::Cancelled);
    sky.cloud.release();
    let _: RunView = world.post(&path("apply"), json!({})).await;
    let run = ended(&world).await;
    assert!(matches!(run.state, RunState::Done { .. }), "{run:?}");
    assert_eq!(sky.cloud.calls(), ["create"], "nothing was made twice");
}

#[tokio::test]
async fn a_run_that_broke_off_with_the_program_is_shown_and_gone_on_with() {
    let sky = Sky::new().await;
    let world = with_account(&sky.ground).await;
    sky.draft(&world).await;
    sky.cloud.hold();
    let _: RunView = world.post(&path("apply"), json!({})).await;
    waits(&world).await;
    world.stop().await;

    let world = sky.ground.start().await;
    let remote: RemoteView = world.get(&format!("{REMOTES}/1")).await;
    assert_eq!(remote.state, RemoteState::Interrupted { error: None });
    let refresh = json!({ "action": "refresh" });
    let remote: RemoteView = world.post(&path("action"), refresh).await;
    assert_eq!(remote.state, RemoteState::Interrupted { error: None });
    let run: RunView = world.get(&path("run")).await;
    assert_eq!(run.state, RunState::BrokeOff);
    sky.cloud.release();
    let _: RunView = world.post(&path("apply"), json!({})).await;
    let run = ended(&world).await;
    assert!(matches!(run.state, RunState::Done { .. }), "{run:?}");
    assert_eq!(sky.cloud.calls(), ["create"], "nothing was made twice");
}

#[tokio::test]
async fn what_fails_for_good_is_told_with_the_way_out() {
    let sky = Sky::new().await;
    let world = with_account(&sky.ground).await;
    sky.draft(&world).await;
    let card = "Payment information is required to complete this request.";
    sky.cloud
        .fail("create", ProviderError::CardNeeded(card.to_owned()));
    let _: RunView = world.post(&path("apply"), json!({})).await;
    let run = ended(&world).await;
    let RunState::Failed { error } = &run.state else {
        panic!("{run:?}");
    };
    assert_eq!(error.code, ErrorCode::CardNeeded);
    assert!(error.message.contains(card), "{error}");
    let remote: RemoteView = world.get(&format!("{REMOTES}/1")).await;
    assert!(matches!(
        remote.state,
        RemoteState::Interrupted { error: Some(_) }
    ));
    sky.cloud.put_foreign("two");
    let _: RunView = world.post(&path("apply"), json!({})).await;
    assert!(matches!(ended(&world).await.state, RunState::Done { .. }));
}

#[tokio::test]
async fn what_a_run_left_before_it_could_note_it_is_made_whole_or_taken_away() {
    for delete in [false, true] {
        let sky = Sky::new().await;
        let world = with_account(&sky.ground).await;
        sky.draft(&world).await;
        let full = ProviderError::QuotaExceeded("exceeded quota".to_owned());
        sky.cloud.fail("create", full);
        let _: RunView = world.post(&path("apply"), json!({})).await;
        assert!(matches!(ended(&world).await.state, RunState::Failed { .. }));
        sky.cloud.put_parts("one");
        if delete {
            let action = json!({ "action": "delete", "name": "one" });
            let gone: RemoteView = world.post(&path("action"), action).await;
            assert_eq!(gone.state, RemoteState::Gone);
            assert_eq!(sky.cloud.apps(), [""; 0]);
        } else {
            let _: RunView = world.post(&path("apply"), json!({})).await;
            let run = ended(&world).await;
            assert!(matches!(run.state, RunState::Done { .. }), "{run:?}");
            assert_eq!(sky.cloud.calls(), ["create", "create"]);
        }
    }
}

/// The panel of a remote, inside the one of the instance that deployed it: no password and no
/// cookie of the remote's is in the page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_its_panel_are_passed_on_and_how_it_is_is_asked_for() {
    let sky = Sky::new().await;
    let world = with_account(&sky.ground).await;
    sky.draft(&world).await;
    let _: RunView = world.post(&path("apply"), json!({})).await;
    let run = ended(&world).await;
    assert!(matches!(run.state, RunState::Done { .. }), "{run:?}");

    let keys: Vec<KeyView> = world.get(&path("panel/api/keys")).await;
    assert_eq!(keys.len(), 1);
    let created: contract::admin::TokenCreated = world
        .post(&path("panel/api/tokens"), json!({"name": "made there"}))
        .await;
    let there: Vec<contract::admin::TokenView> = world.get(&path("panel/api/tokens")).await;
    assert!(there.iter().any(|token| token.id == created.token.id));
    let here: Vec<contract::admin::TokenView> = world.get("/api/tokens").await;
    assert!(!here.iter().any(|token| token.name == "made there"));

    for kept in ["login", "account", "deploy/remotes", "..%2flogin"] {
        let kept = path(&format!("panel/api/{kept}"));
        let (status, refused) = world.refused(Method::GET, &kept, None).await;
        assert_eq!((status, refused.code), (404, ErrorCode::NotFound), "{kept}");
    }

    let refresh = json!({ "action": "refresh" });
    let seen: RemoteView = world.post(&path("action"), refresh).await;
    let health = seen.health.unwrap();
    assert_eq!(
        (seen.state, health.keys_total),
        (RemoteState::Running, Some(1))
    );
    assert_eq!(health.sign_in_problem, None);
    let woken: RemoteView = world.post(&path("wake"), json!({})).await;
    assert_eq!(woken.state, RemoteState::Running);
}

#[tokio::test]
async fn the_original_runs_without_being_signed_in_to_and_says_what_it_forgets() {
    let sky = Sky::new().await;
    let world = with_account(&sky.ground).await;
    let mut wish = sky.wish(&world).await;
    wish["image"] = json!(sky.registry.reference(ORIGINAL, "latest"));
    let _: RemoteView = world.post(REMOTES, wish).await;
    let run = apply(&world).await;
    let kinds: Vec<StepKind> = run.steps.iter().map(|step| step.step.kind).collect();
    assert!(!kinds.contains(&StepKind::SignIn), "{kinds:?}");
    assert!(
        run.lines[0].text.contains("lost with every restart"),
        "{run:?}"
    );
}

#[tokio::test]
async fn what_was_made_although_no_answer_came_is_deleted_as_well() {
    let sky = Sky::new().await;
    let world = with_account(&sky.ground).await;
    sky.draft(&world).await;
    let why = "Payment information is required to complete this request.";
    sky.cloud
        .lose("create", ProviderError::CardNeeded(why.to_owned()));
    let _: RunView = world.post(&path("apply"), json!({})).await;
    assert!(matches!(ended(&world).await.state, RunState::Failed { .. }));
    assert_eq!(sky.cloud.apps(), ["one"]);
    let delete = json!({"action": "delete", "name": "one"});
    let gone: RemoteView = world.post(&path("action"), delete).await;
    assert_eq!(gone.state, RemoteState::Gone);
    assert!(sky.cloud.apps().is_empty(), "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_deploys_another_leaves_alone() {
    let sky = Sky::new().await;
    let world = with_account(&sky.ground).await;
    sky.draft(&world).await;
    sky.cloud.hold();
    let _: RunView = world.post(&path("apply"), json!({})).await;
    waits(&world).await;
    let other = crate::truth::deployer(&sky, &world);
    assert_eq!(other.remote(1).await.unwrap().state, RemoteState::Deploying);
    let error = other.apply(1, ApplyWish::default()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Busy);
    assert!(error.message.contains("Another process"), "{error}");
    let error = other.act(1, RemoteAction::Forget).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Busy);
    sky.cloud.release();
    assert!(matches!(ended(&world).await.state, RunState::Done { .. }));
    let again = other.act(1, RemoteAction::Refresh).await.unwrap();
    assert_eq!(again.state, RemoteState::Running);
    other.act(1, RemoteAction::Forget).await.unwrap();
    world.stop().await;
}
