use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::Poll;

use contract::deploy::{
    AccountFacts, Cost, DeployView, KeepAlive, LogPage, PushWish, RemoteEvent, StepView, Usage,
};
use parking_lot::Mutex;

use super::*;
use crate::document::Kept;
use crate::provider::{Data, Power, Value};
use crate::record::{Awake, Next, Secrets, Watched};

const PINNED: &str = "ghcr.io/o/n@sha256:1111";
const URL: &str = "https://gb.example";

/// Gives way once, so that a test can crash here.
async fn here() {
    let mut seen = false;
    std::future::poll_fn(move |cx| match std::mem::replace(&mut seen, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

#[derive(Clone, Default)]
struct App {
    variables: BTreeMap<String, Value>,
    /// Each with its image and the looks until it is live.
    deploys: Vec<(String, u32)>,
    is_gone: bool,
}

impl App {
    /// Whether a token is among its variables.
    fn accepts(&self, token: &Secret) -> bool {
        let tokens = self.variables.get("ALLOWED_TOKENS");
        tokens == Some(&Value::Secret(token.clone()))
    }
}

struct Cloud {
    apps: Vec<App>,
    /// What the next calls that make something end in.
    faults: Vec<ProviderError>,
    /// The next call is carried out, and its answer lost.
    loses_answer: bool,
    is_foreign: bool,
    /// The image that does not start.
    bad_image: Option<String>,
    rolled_back: usize,
    saved: Option<String>,
    now: i64,
    pauses: Vec<Duration>,
    cancel_at_pause: bool,
    healthy_after: u32,
    /// What its panel is signed in to with.
    password: Secret,
    /// Those of its panel.
    tokens: BTreeSet<String>,
    /// Those that its panel takes no more.
    revoked: BTreeSet<String>,
}

impl Default for Cloud {
    fn default() -> Self {
        Self {
            apps: Vec::new(),
            faults: Vec::new(),
            loses_answer: false,
            is_foreign: false,
            bad_image: None,
            rolled_back: 0,
            saved: None,
            now: 0,
            pauses: Vec::new(),
            cancel_at_pause: false,
            healthy_after: 0,
            password: "tops3cret".into(),
            tokens: BTreeSet::new(),
            revoked: BTreeSet::new(),
        }
    }
}

#[derive(Clone, Default)]
struct World {
    cloud: Arc<Mutex<Cloud>>,
    cancel: CancellationToken,
}

type Provided<T> = crate::provider::Result<T>;

impl World {
    fn make<T>(&self, make: impl FnOnce(&mut Cloud) -> T) -> Provided<T> {
        let mut cloud = self.cloud.lock();
        if !cloud.faults.is_empty() {
            return Err(cloud.faults.remove(0));
        }
        let made = make(&mut cloud);
        match std::mem::take(&mut cloud.loses_answer) {
            true => Err(ProviderError::Away("connection lost".to_owned())),
            false => Ok(made),
        }
    }

    fn seen(&self) -> Option<Observed> {
        let cloud = self.cloud.lock();
        let at = cloud.apps.iter().position(|app| !app.is_gone)?;
        let app = &cloud.apps[at];
        Some(Observed {
            id: format!("srv-{at}"),
            name: "gb".to_owned(),
            is_ours: !cloud.is_foreign,
            url: Some(URL.to_owned()),
            console_url: None,
            image: app.deploys.last().map(|(image, _)| image.clone()),
            variables: BTreeMap::new(),
            region: None,
            plan: None,
            data: Data::Elsewhere,
            state: ProviderState::Running,
            deploy: (!app.deploys.is_empty()).then(|| format!("dep-{}", app.deploys.len() - 1)),
        })
    }
}

fn deploy(cloud: &mut Cloud, image: &str) -> String {
    let app = cloud.apps.last_mut().unwrap();
    app.deploys.push((image.to_owned(), 2));
    format!("dep-{}", app.deploys.len() - 1)
}

#[async_trait]
impl Provider for World {
    async fn probe(&self) -> Provided<AccountFacts> {
        Ok(AccountFacts::default())
    }

    async fn observe(&self, _: &Target) -> Provided<Option<Observed>> {
        here().await;
        Ok(self.seen())
    }

    async fn create_database(&self, _: &Desired) -> Provided<bool> {
        Ok(true)
    }

    async fn create(&self, desired: &Desired) -> Provided<Observed> {
        here().await;
        let made = self.make(|cloud| {
            cloud.apps.push(App {
                variables: desired.variables.clone(),
                ..App::default()
            });
            deploy(cloud, &desired.image);
        });
        here().await;
        made?;
        Ok(self.seen().unwrap())
    }

    async fn set_variables(&self, _: &str, desired: &Desired) -> Provided<()> {
        here().await;
        let variables = desired.variables.clone();
        let made = self.make(|cloud| cloud.apps.last_mut().unwrap().variables = variables);
        here().await;
        made
    }

    fn keeps_variables(&self) -> bool {
        true
    }

    async fn change(&self, _: &str, _: &Desired) -> Provided<()> {
        Ok(())
    }

    async fn deploy(&self, _: &str, desired: &Desired) -> Provided<String> {
        here().await;
        let made = self.make(|cloud| deploy(cloud, &desired.image));
        here().await;
        made
    }

    async fn progress(&self, _: &str, deploy: &str) -> Provided<DeployProgress> {
        here().await;
        let mut cloud = self.cloud.lock();
        let bad = cloud.bad_image.clone();
        let at: usize = deploy.strip_prefix("dep-").unwrap().parse().unwrap();
        let (image, looks) = &mut cloud.apps.last_mut().unwrap().deploys[at];
        if *looks > 0 {
            *looks -= 1;
            let detail = "pulling with the password tops3cret".to_owned();
            return Ok(DeployProgress::UnderWay { detail });
        }
        match bad.as_ref() == Some(image) {
            true => Ok(DeployProgress::Failed {
                detail: "it exits with 1".to_owned(),
            }),
            false => Ok(DeployProgress::Live),
        }
    }

    async fn deploys(&self, _: &str) -> Provided<Vec<DeployView>> {
        Ok(Vec::new())
    }

    async fn roll_back(&self, _: &str, before: &str) -> Provided<String> {
        here().await;
        let made = self.make(|cloud| {
            cloud.rolled_back += 1;
            let at: usize = before.strip_prefix("dep-").unwrap().parse().unwrap();
            let image = cloud.apps.last().unwrap().deploys[at].0.clone();
            deploy(cloud, &image)
        });
        here().await;
        made
    }

    async fn power(&self, _: &str, _: Power) -> Provided<()> {
        Ok(())
    }

    async fn delete(&self, _: &str) -> Provided<()> {
        here().await;
        let made = self.make(|cloud| cloud.apps.last_mut().unwrap().is_gone = true);
        here().await;
        made
    }

    async fn logs(&self, _: &str, _: Option<&str>) -> Provided<LogPage> {
        Ok(LogPage {
            lines: Vec::new(),
            cursor: None,
        })
    }

    async fn events(&self, _: &str) -> Provided<Vec<RemoteEvent>> {
        Ok(Vec::new())
    }

    async fn usage(&self, _: &str) -> Provided<Usage> {
        Ok(Usage::default())
    }

    fn cost(&self, _: &Desired) -> Cost {
        Cost::Free
    }
}

#[async_trait]
impl RemoteApi for World {
    async fn healthy(&self, url: &str) -> Result<bool, Setback> {
        assert_eq!(url, URL);
        here().await;
        let mut cloud = self.cloud.lock();
        cloud.healthy_after = cloud.healthy_after.saturating_sub(1);
        Ok(cloud.healthy_after == 0)
    }

    async fn sign_in(&self, _: &str, password: &Secret) -> Result<(), Setback> {
        here().await;
        assert_eq!(*password, self.cloud.lock().password);
        Ok(())
    }

    async fn change_password(&self, _: &str, old: &Secret, new: &Secret) -> Result<(), Setback> {
        here().await;
        {
            let mut cloud = self.cloud.lock();
            assert!([old, new].contains(&&cloud.password), "somebody else's");
            cloud.password = new.clone();
        }
        here().await;
        Ok(())
    }

    async fn create_token(&self, _: &str, _: &Secret, token: &Secret) -> Result<bool, Setback> {
        here().await;
        {
            let mut cloud = self.cloud.lock();
            if cloud.revoked.contains(token.expose().as_str()) {
                return Ok(false);
            }
            cloud.tokens.insert(token.expose().clone());
        }
        here().await;
        Ok(true)
    }

    async fn revoke_token(&self, _: &str, _: &Secret, token: &Secret) -> Result<(), Setback> {
        here().await;
        self.cloud.lock().tokens.remove(token.expose());
        here().await;
        Ok(())
    }

    async fn try_request(&self, _: &str, token: &Secret) -> Result<(), Setback> {
        here().await;
        let cloud = self.cloud.lock();
        let by_variable = cloud.apps.last().unwrap().accepts(token);
        assert!(by_variable || cloud.tokens.contains(token.expose().as_str()));
        Ok(())
    }
}

#[async_trait]
impl Checks for World {
    async fn image(&self, _: &str) -> Result<String, Setback> {
        here().await;
        Ok(PINNED.to_owned())
    }

    async fn database(&self) -> Result<(), Setback> {
        Ok(())
    }
}

#[async_trait]
impl Journal for World {
    async fn save(&self, record: &Record) -> Result<(), ApiError> {
        here().await;
        self.cloud.lock().saved = Some(serde_json::to_string(record).unwrap());
        here().await;
        Ok(())
    }
}

#[async_trait]
impl Pause for World {
    async fn pause(&self, time: Duration) {
        {
            let mut cloud = self.cloud.lock();
            cloud.now += i64::try_from(time.as_millis()).unwrap();
            cloud.pauses.push(time);
            if cloud.cancel_at_pause {
                self.cancel.cancel();
            }
        }
        here().await;
    }
}

fn desired() -> Desired {
    Desired {
        name: "gb".to_owned(),
        workspace: None,
        region: None,
        plan: None,
        image: "ghcr.io/o/n:latest".to_owned(),
        image_tag: "ghcr.io/o/n:latest".to_owned(),
        variables: [
            ("TZ".to_owned(), Value::Plain("UTC".to_owned())),
            (
                "ALLOWED_TOKENS".to_owned(),
                Value::Secret("sk-client".into()),
            ),
        ]
        .into(),
        data: Data::Elsewhere,
        over: false,
    }
}

fn record(kinds: &[StepKind]) -> Record {
    let step = |kind: &StepKind| StepView {
        kind: *kind,
        subject: "gb".to_owned(),
        changes: Vec::new(),
    };
    Record {
        id: 1,
        name: "gb".to_owned(),
        provider: None,
        wish: None,
        secrets: Secrets {
            auth_token: "tops3cret".into(),
            client_token: "sk-client".into(),
            secret_key: "".into(),
            former: Vec::new(),
        },
        next: Next::default(),
        fed: PushWish::default(),
        remote_id: None,
        url: None,
        console_url: None,
        image: None,
        adopted: false,
        state: RemoteState::Draft,
        state_since: 0,
        health: None,
        checked_at: None,
        keep_alive: KeepAlive::default(),
        awake: Awake::default(),
        watched: Watched::default(),
        run: Some(Run::new(kinds.iter().map(step).collect())),
    }
}

const NEW: [StepKind; 6] = [
    StepKind::CheckImage,
    StepKind::CreateApp,
    StepKind::WaitLive,
    StepKind::WaitHealthy,
    StepKind::SignIn,
    StepKind::TryRequest,
];
const AGAIN: [StepKind; 5] = [
    StepKind::CheckImage,
    StepKind::SetVariables,
    StepKind::Deploy,
    StepKind::WaitLive,
    StepKind::WaitHealthy,
];

/// Carries it out; `None` when it crashes, which it does at the `crash`th point.
async fn go(world: &World, record: &mut Record, crash: Option<usize>) -> Option<RunEnd> {
    let cloud = world.cloud.clone();
    let clock = Clock::new(move || cloud.lock().now);
    let keys = ["AIzaKey".into()];
    let runner = Runner {
        provider: world,
        remote: world,
        checks: world,
        journal: world,
        clock: &clock,
        pause: world,
        cancel: &world.cancel,
        keys: &keys,
    };
    let mut desired = desired();
    let mut future = Box::pin(runner.carry_out(record, &mut desired));
    let mut left = crash;
    std::future::poll_fn(move |cx| {
        if left == Some(0) {
            return Poll::Ready(None);
        }
        left = left.map(|left| left - 1);
        future.as_mut().poll(cx).map(|end| Some(end.unwrap()))
    })
    .await
}

/// An app of ours that runs an older image, and its record.
fn there(world: &World) -> Record {
    world.cloud.lock().apps.push(App {
        deploys: vec![("ghcr.io/o/n@sha256:0000".to_owned(), 0)],
        ..App::default()
    });
    let mut record = record(&AGAIN);
    record.remote_id = Some("srv-0".to_owned());
    record
}

/// Crashes at every point, goes on with what was saved, and looks at the end.
async fn crash_everywhere(
    start: impl Fn(&World) -> Record,
    expected: impl Fn(&World, &Record, RunEnd),
) {
    let mut points = 0;
    for crash in 0.. {
        let world = World::default();
        let mut first = start(&world);
        world.cloud.lock().saved = Some(serde_json::to_string(&first).unwrap());
        let ended = go(&world, &mut first, Some(crash)).await;
        if let Some(end) = ended {
            expected(&world, &first, end);
            break;
        }
        points += 1;
        let saved = world.cloud.lock().saved.clone().unwrap();
        let mut record: Record = serde_json::from_str(&saved).unwrap();
        let end = match view(&record, 0, false).state {
            // It had ended; only the last answer was lost.
            RunState::Failed { error } => RunEnd::Failed(error),
            _ => go(&world, &mut record, None).await.unwrap(),
        };
        expected(&world, &record, end);
    }
    assert!(points > 20, "{points} points");
}

#[tokio::test]
async fn a_crash_anywhere_while_it_is_made_changes_nothing_about_the_end() {
    crash_everywhere(
        |_| record(&NEW),
        |world, record, end| {
            assert_eq!(end, RunEnd::Done);
            let cloud = world.cloud.lock();
            assert_eq!(cloud.apps.len(), 1);
            assert_eq!(cloud.apps[0].deploys, [(PINNED.to_owned(), 0)]);
            assert_eq!(cloud.apps[0].variables.len(), 2);
            assert_eq!(record.state, RemoteState::Running);
            assert_eq!(record.image.as_deref(), Some(PINNED));
            assert_eq!(record.url.as_deref(), Some(URL));
            assert_eq!(record.remote_id.as_deref(), Some("srv-0"));
        },
    )
    .await;
}

#[tokio::test]
async fn a_crash_anywhere_while_it_is_deployed_again_changes_nothing_about_the_end() {
    crash_everywhere(there, |world, record, end| {
        assert_eq!(end, RunEnd::Done);
        let cloud = world.cloud.lock();
        assert_eq!((cloud.apps.len(), cloud.apps[0].deploys.len()), (1, 2));
        assert_eq!(cloud.apps[0].variables.len(), 2);
        assert_eq!(
            record.run.as_ref().unwrap().before.as_deref(),
            Some("dep-0")
        );
        assert_eq!(record.image.as_deref(), Some(PINNED));
    })
    .await;
}

#[tokio::test]
async fn what_does_not_start_is_rolled_back_once_wherever_it_crashes() {
    let start = |world: &World| {
        world.cloud.lock().bad_image = Some(PINNED.to_owned());
        there(world)
    };
    crash_everywhere(start, |world, record, end| {
        let RunEnd::Failed(error) = end else {
            panic!("{end:?}")
        };
        assert!(error.message.contains("exits with 1"), "{error}");
        assert!(error.message.contains("in use again"), "{error}");
        let cloud = world.cloud.lock();
        assert_eq!(cloud.rolled_back, 1);
        let last = &cloud.apps[0].deploys.last().unwrap().0;
        assert_eq!(last, "ghcr.io/o/n@sha256:0000");
        assert_eq!(record.image, None);
    })
    .await;
}

#[tokio::test]
async fn after_it_went_back_it_is_deployed_anew_when_the_user_goes_on() {
    let world = World::default();
    let mut record = there(&world);
    world.cloud.lock().bad_image = Some(PINNED.to_owned());
    let end = go(&world, &mut record, None).await.unwrap();
    assert!(matches!(end, RunEnd::Failed(_)), "{end:?}");
    let state = view(&record, 0, false).state;
    assert!(matches!(state, RunState::Failed { .. }), "{state:?}");
    world.cloud.lock().bad_image = None;
    assert_eq!(go(&world, &mut record, None).await, Some(RunEnd::Done));
    let cloud = world.cloud.lock();
    assert_eq!(cloud.apps[0].deploys.len(), 4);
    assert_eq!(cloud.apps[0].deploys[3].0, PINNED);
    assert_eq!(record.image.as_deref(), Some(PINNED));
}

#[tokio::test]
async fn what_stays_unhealthy_is_rolled_back_when_patience_ends() {
    let world = World::default();
    let mut record = there(&world);
    world.cloud.lock().healthy_after = u32::MAX;
    let end = go(&world, &mut record, None).await.unwrap();
    assert!(matches!(end, RunEnd::Failed(_)), "{end:?}");
    let cloud = world.cloud.lock();
    assert_eq!(cloud.rolled_back, 1);
    let minutes = cloud.now / 60_000;
    assert!((15..=17).contains(&minutes), "{minutes}");
}

const REPLACED: [StepKind; 9] = [
    StepKind::ChangePassword,
    StepKind::CreateToken,
    StepKind::SetVariables,
    StepKind::Deploy,
    StepKind::WaitLive,
    StepKind::WaitHealthy,
    StepKind::SignIn,
    StepKind::TryRequest,
    StepKind::RevokeOld,
];

/// An app of ours whose password and client token are to be replaced. The old token is one that
/// an earlier replacement has made in its panel.
fn replacing(world: &World) -> Record {
    let mut record = there(world);
    record.run = self::record(&REPLACED).run;
    record.url = Some(URL.to_owned());
    record.next.auth_token = Some(Kept("an0ther".into()));
    record.next.client_token = Some(Kept("sk-next".into()));
    world.cloud.lock().tokens.insert("sk-client".to_owned());
    record
}

#[tokio::test]
async fn a_crash_anywhere_while_secrets_are_replaced_shuts_nobody_out() {
    crash_everywhere(replacing, |world, record, end| {
        assert_eq!(end, RunEnd::Done);
        let cloud = world.cloud.lock();
        assert_eq!(cloud.password, "an0ther".into());
        assert!(!cloud.tokens.contains("sk-client"), "the old one goes");
        assert!(cloud.tokens.contains("sk-next"));
        assert_eq!(record.secrets.auth_token, "an0ther".into());
        assert_eq!(record.secrets.client_token, "sk-next".into());
        assert_eq!(record.next, Next::default());
    })
    .await;
}

#[tokio::test]
async fn secrets_whose_deploy_fails_stay_known_old_and_new() {
    let world = World::default();
    let mut record = replacing(&world);
    world.cloud.lock().bad_image = Some("ghcr.io/o/n:latest".to_owned());
    let end = go(&world, &mut record, None).await.unwrap();
    assert!(matches!(end, RunEnd::Failed(_)), "{end:?}");
    assert_eq!(record.secrets.auth_token, "tops3cret".into());
    assert_eq!(record.next_secrets().auth_token, "an0ther".into());
    let known = record.known_secrets();
    for secret in ["tops3cret", "an0ther", "sk-client", "sk-next"] {
        assert!(known.contains(&secret.into()), "{secret}");
    }
}

#[tokio::test]
async fn what_a_panel_was_told_is_told_again_after_it_went_back() {
    let world = World::default();
    let mut record = replacing(&world);
    world.cloud.lock().bad_image = Some("ghcr.io/o/n:latest".to_owned());
    let end = go(&world, &mut record, None).await.unwrap();
    assert!(matches!(end, RunEnd::Failed(_)), "{end:?}");
    {
        // It keeps nothing, and the version before was started anew.
        let mut cloud = world.cloud.lock();
        cloud.bad_image = None;
        cloud.password = "tops3cret".into();
        cloud.tokens.clear();
    }
    assert_eq!(record.passwords()[0], "tops3cret".into());
    assert_eq!(record.token_in_use(), "sk-client".into());
    assert_eq!(go(&world, &mut record, None).await, Some(RunEnd::Done));
    let cloud = world.cloud.lock();
    assert_eq!(cloud.password, "an0ther".into());
    assert!(cloud.tokens.contains("sk-next"));
}

#[tokio::test]
async fn a_new_token_that_was_revoked_before_its_time_is_made_anew() {
    let world = World::default();
    let mut record = replacing(&world);
    world.cloud.lock().revoked.insert("sk-next".to_owned());
    let end = go(&world, &mut record, None).await.unwrap();
    assert!(matches!(end, RunEnd::Failed(_)), "{end:?}");
    let next = record.next_secrets().client_token;
    assert!(![Secret::from("sk-next"), "sk-client".into()].contains(&next));
    assert_eq!(go(&world, &mut record, None).await, Some(RunEnd::Done));
    assert_eq!(record.secrets.client_token, next);
    assert!(world.cloud.lock().tokens.contains(next.expose().as_str()));
}

#[test]
fn a_new_password_is_tried_first_only_when_the_panel_has_taken_it() {
    let mut record = replacing(&World::default());
    let (old, new) = (Secret::from("tops3cret"), Secret::from("an0ther"));
    assert_eq!(record.passwords(), [old.clone(), new.clone()]);
    record.run.as_mut().unwrap().steps[0].state = StepState::Done;
    assert_eq!(record.passwords(), [new.clone(), old.clone()]);
    // In one that was added, the environment may bring the first one back at any time.
    record.replaced_there(StepKind::ChangePassword);
    assert_eq!(record.passwords(), [new.clone(), old.clone()]);
    for later in ["third", "fourth"] {
        record.next.auth_token = Some(Kept(later.into()));
        record.replaced_there(StepKind::ChangePassword);
    }
    let kept = ["fourth", "third", "tops3cret"].map(Secret::from);
    assert_eq!(record.passwords(), kept, "the first and the last");
    assert!(kept.iter().all(|one| record.known_secrets().contains(one)));
}

#[test]
fn a_new_password_of_a_database_is_none_of_another_database() {
    let wish = |host: &str| {
        let wish = serde_json::json!({
            "name": "gb", "region": "singapore", "plan": "free", "keys": [],
            "time_zone": "Asia/Shanghai",
            "database": {
                "kind": "mysql", "host": host, "port": 3306, "user": "gb", "password": "first",
                "database": "gb", "ssl_mode": "PREFERRED",
            },
        });
        crate::wish::Wish::checked(serde_json::from_value(wish).unwrap(), None).unwrap()
    };
    let mut record = record(&NEW);
    record.wish_for(wish("db.example"));
    record.next.database_password = Some(Kept("second".into()));
    record.wish_for(wish("db.example"));
    assert!(record.next.database_password.is_some(), "the same one");
    record.wish_for(wish("other.example"));
    assert_eq!(record.next, Next::default());
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_nothing_twice() {
    for (mut record, deploys) in [
        (
            Box::new(|_: &World| record(&NEW)) as Box<dyn Fn(&World) -> Record>,
            1,
        ),
        (Box::new(there), 2),
    ]
    .map(|(start, deploys)| ((start, World::default()), deploys))
    .map(|((start, world), deploys)| ((start(&world), world), deploys))
    {
        let world = record.1.clone();
        world.cloud.lock().loses_answer = true;
        let end = go(&world, &mut record.0, None).await;
        assert_eq!(end, Some(RunEnd::Done));
        let cloud = world.cloud.lock();
        assert_eq!(
            (cloud.apps.len(), cloud.apps[0].deploys.len()),
            (1, deploys)
        );
    }
}

#[tokio::test]
async fn a_pause_is_as_long_as_the_provider_wants_and_other_failures_are_tried_again() {
    let world = World::default();
    world.cloud.lock().faults = vec![
        ProviderError::RateLimited {
            after: Duration::from_secs(1093),
            message: "slowly".to_owned(),
        },
        ProviderError::Away("502".to_owned()),
    ];
    let mut record = record(&NEW);
    assert_eq!(go(&world, &mut record, None).await, Some(RunEnd::Done));
    let cloud = world.cloud.lock();
    assert_eq!(cloud.apps.len(), 1);
    assert!(
        cloud.pauses[0] >= Duration::from_secs(1093),
        "{:?}",
        cloud.pauses
    );
    assert!(cloud.pauses[1] <= FIRST_PAUSE, "{:?}", cloud.pauses);
}

#[tokio::test]
async fn a_pause_that_is_too_long_ends_the_step_and_it_can_be_gone_on_with() {
    let world = World::default();
    world.cloud.lock().faults = vec![ProviderError::RateLimited {
        after: LONGEST_LIMIT + Duration::from_secs(1),
        message: "come back tomorrow".to_owned(),
    }];
    let mut record = record(&NEW);
    let Some(RunEnd::Failed(error)) = go(&world, &mut record, None).await else {
        panic!("no failure")
    };
    assert!(error.message.contains("come back tomorrow"), "{error}");
    assert!(world.cloud.lock().pauses.is_empty());
    assert_eq!(go(&world, &mut record, None).await, Some(RunEnd::Done));
    assert_eq!(world.cloud.lock().apps.len(), 1);
}

#[tokio::test]
async fn a_card_that_is_needed_ends_it_with_what_to_do_and_it_can_be_gone_on_with() {
    let world = World::default();
    world.cloud.lock().faults = vec![ProviderError::CardNeeded("To add a card, …".to_owned())];
    let mut record = record(&NEW);
    let Some(RunEnd::Failed(error)) = go(&world, &mut record, None).await else {
        panic!("no failure")
    };
    assert_eq!(error.code, ErrorCode::CardNeeded);
    assert!(error.message.contains("console"), "{error}");
    assert!(matches!(
        view(&record, 0, false).state,
        RunState::Failed { .. }
    ));
    assert_eq!(go(&world, &mut record, None).await, Some(RunEnd::Done));
    let state = view(&record, 0, false).state;
    assert_eq!(
        state,
        RunState::Done {
            url: URL.to_owned()
        }
    );
}

#[tokio::test]
async fn a_foreign_app_is_left_alone() {
    let world = World::default();
    there(&world);
    world.cloud.lock().is_foreign = true;
    let mut record = record(&NEW);
    let Some(RunEnd::Failed(error)) = go(&world, &mut record, None).await else {
        panic!("no failure")
    };
    assert_eq!(error.code, ErrorCode::NameTaken);
    assert_eq!((record.remote_id, world.cloud.lock().apps.len()), (None, 1));
}

#[tokio::test]
async fn it_can_be_cancelled_and_gone_on_with() {
    let world = World::default();
    world.cloud.lock().cancel_at_pause = true;
    let mut record = record(&NEW);
    assert_eq!(go(&world, &mut record, None).await, Some(RunEnd::Cancelled));
    assert_eq!(view(&record, 0, false).state, RunState::Cancelled);
    world.cloud.lock().cancel_at_pause = false;
    let world = World {
        cancel: CancellationToken::new(),
        ..world
    };
    assert_eq!(go(&world, &mut record, None).await, Some(RunEnd::Done));
    assert_eq!(world.cloud.lock().apps.len(), 1);
}

#[tokio::test]
async fn no_line_holds_a_secret() {
    let world = World::default();
    let mut record = record(&NEW);
    go(&world, &mut record, None).await;
    let seen = view(&record, 0, false);
    let text = serde_json::to_string(&seen).unwrap();
    assert!(text.contains("pulling with the password ***"), "{text}");
    assert!(!text.contains("tops3cret"), "{text}");
    assert_eq!(view(&record, seen.after, false).lines, []);
}
