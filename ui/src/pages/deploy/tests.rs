// Rendered on the server's side, which needs no browser and has no wasm.
#![cfg(not(target_arch = "wasm32"))]

use contract::deploy::{
    AccountFacts, AccountView, Choice, Cost, DatabaseReport, DatabaseWish, Difference,
    FoundDatabase, KeepAlive, PlanView, ProviderKind, Quota, RemoteState, RemoteWish, RunLine,
    RunState, RunView, StepKind, StepRun, StepState, StepView, VariableWish,
};
use contract::{ErrorCode, Millis};

use super::account::{AccountStepView, AccountStepViewProps, NewAccountView, NewAccountViewProps};
use super::data::{DataStep, DataStepProps};
use super::draft::{MysqlForm, name_is_good};
use super::image::{ImageCardView, ImageCardViewProps};
use super::mysql::{Report, ReportProps};
use super::place::{Places, PlacesProps};
use super::plan::{PlanCardView, PlanCardViewProps};
use super::run::{RunCardView, RunCardViewProps};
use super::*;
use crate::load::LoadResult;
use crate::testing::{in_chinese, render};

const NOW: Millis = 1_795_867_200_000;

fn account(provider: ProviderKind) -> AccountView {
    let choice = |id: &str| Choice {
        id: id.into(),
        name: id.to_uppercase(),
    };
    AccountView {
        id: 4,
        provider,
        facts: AccountFacts {
            name: "me@example.com".into(),
            workspaces: vec![choice("tea-1")],
            regions: vec![choice("oregon"), choice("singapore")],
            plans: vec![choice("free"), choice("starter")],
            quotas: vec![Quota {
                name: "hours".into(),
                used: "12".into(),
                limit: "750".into(),
            }],
            has_volumes: true,
            ..AccountFacts::default()
        },
        checked_at: NOW,
        problem: None,
    }
}

fn at(step: Step, door: Door) -> At {
    At {
        step,
        door: Some(door),
        ..At::default()
    }
}

fn view(at: At, draft: Draft) -> WizardViewProps {
    WizardViewProps {
        at,
        draft,
        state: Rc::new(DeployState {
            providers: vec![
                ProviderKind::Render,
                ProviderKind::ClawCloud,
                ProviderKind::Kubernetes,
                ProviderKind::Koyeb,
            ],
            features: Vec::new(),
            available: true,
            default_image: "ghcr.io/owner/gb:latest".into(),
            problem: None,
        }),
        busy: false,
        error: None,
        edit: Callback::noop(),
        next: Callback::noop(),
        back: Callback::noop(),
        onchoose: Callback::noop(),
        go: Callback::noop(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn every_place_tells_what_a_person_wants_to_know_and_as_of_when() {
    for (html, date) in [
        (
            render::<Places>(PlacesProps {
                chosen: None,
                onchoose: Callback::noop(),
            })
            .await,
            "November 2026",
        ),
        (
            in_chinese::<Places>(PlacesProps {
                chosen: Some(Door::Render),
                onchoose: Callback::noop(),
            })
            .await,
            "2026 年 11 月",
        ),
    ] {
        for door in Door::ALL {
            assert!(html.contains(&format!("choose-{}", wire_name(&door))));
        }
        assert!(html.contains(date), "{html}");
        assert!(html.contains("750") && html.contains("180") && html.contains("15"));
    }
}

#[test]
fn places_without_an_account_skip_its_step_both_ways() {
    assert_eq!(Step::Where.next(Some(Door::Docker)), Step::Data);
    assert_eq!(Step::Data.before(Some(Door::Docker)), Step::Where);
    assert_eq!(Step::Where.next(Some(Door::Render)), Step::Account);
    assert_eq!(Step::Data.before(Some(Door::Render)), Step::Account);
    assert_eq!(Step::Done.next(Some(Door::Render)), Step::Done);
}

#[test]
fn a_name_is_what_every_provider_takes() {
    for good in ["gb", "gemini-balance", "a1", "abcdefghijklmnopqrstuvwxy"] {
        assert!(name_is_good(good, Door::ClawCloud), "{good}");
    }
    for bad in [
        "",
        "1a",
        "-a",
        "a-",
        "Gb",
        "g b",
        "钥匙",
        "abcdefghijklmnopqrstuvwxyz",
    ] {
        assert!(!name_is_good(bad, Door::Render), "{bad}");
    }
    for (name, is_good) in [
        ("gb", false),
        ("gemini-balance", true),
        (&"a".repeat(24), false),
    ] {
        assert_eq!(name_is_good(name, Door::Koyeb), is_good, "{name}");
    }
}

#[test]
fn an_account_is_taken_with_the_free_plan_and_a_region_that_google_answers_in() {
    let mut draft = Draft::new();
    draft.take(account(ProviderKind::Render));
    assert_eq!(draft.plan.as_deref(), Some("free"));
    assert_eq!(draft.region.as_deref(), Some("singapore"));
    assert_eq!(draft.workspace.as_deref(), Some("tea-1"));
    // What the user chose stays when it is checked again.
    draft.region = Some("oregon".into());
    draft.take(account(ProviderKind::Render));
    assert_eq!(draft.region.as_deref(), Some("oregon"));
}

#[test]
fn an_account_of_another_place_or_one_that_does_not_work_is_none() {
    let mut draft = Draft::new();
    let place = at(Step::Account, Door::ClawCloud);
    draft.take(account(ProviderKind::Render));
    assert_eq!(draft.missing(place), Some("deploy.missing.account"));
    draft.leave();
    assert_eq!(draft.wish(place).account, None);
    let mut broken = account(ProviderKind::ClawCloud);
    broken.problem = Some(ApiError::new(ErrorCode::AccountRefused, "401"));
    draft.take(broken);
    assert_eq!(draft.missing(place), Some("deploy.missing.problem"));
    draft.take(account(ProviderKind::ClawCloud));
    assert_eq!(draft.missing(place), None);
}

#[test]
fn by_hand_nothing_of_the_account_is_asked_for() {
    let mut draft = Draft::new();
    draft.take(account(ProviderKind::Render));
    let with = draft.wish(at(Step::Data, Door::Render));
    assert_eq!(with.account, Some(4));
    assert_eq!(with.plan.as_deref(), Some("free"));
    let by_hand = At {
        by_hand: true,
        ..at(Step::Data, Door::Render)
    };
    let without = draft.wish(by_hand);
    assert_eq!(
        (without.account, without.plan, without.region),
        (None, None, None)
    );
}

fn kept(database: DatabaseWish) -> RemoteView {
    RemoteView {
        id: 9,
        name: "gb".into(),
        provider: Some(ProviderKind::Render),
        url: None,
        console_url: None,
        wish: Some(RemoteWish {
            name: "gb".into(),
            account: Some(4),
            workspace: None,
            region: Some("ohio".into()),
            plan: None,
            image: None,
            database,
            keys: vec![3, 5],
            settings: vec![VariableWish {
                name: "MAX_RETRIES".into(),
                value: Some("7".into()),
            }],
            time_zone: "Asia/Shanghai".into(),
            keep_alive: KeepAlive::default(),
        }),
        state: RemoteState::Draft,
        state_since: NOW,
        health: None,
        image: None,
        keep_alive: KeepAlive::default(),
        keep_alive_state: None,
        warnings: Vec::new(),
        checked_at: None,
    }
}

#[test]
fn a_kept_draft_comes_back_as_it_was_and_keeps_its_password() {
    let form = MysqlForm {
        host: "db.example.com".into(),
        user: "u".into(),
        password: "typed".into(),
        ..MysqlForm::default()
    };
    let mut mysql = form.wish().unwrap();
    // The instance does not tell it.
    mysql.password = None;
    let draft = Draft::of(&kept(DatabaseWish::Mysql(mysql.clone())), false);
    let place = at(Step::Data, Door::Render);
    assert_eq!(draft.missing(place), None, "the kept password is enough");
    let wish = draft.wish(place);
    assert_eq!(wish.database, DatabaseWish::Mysql(mysql));
    assert_eq!(wish.keys, [3, 5]);
    assert_eq!(wish.settings[0].value.as_deref(), Some("7"));
    assert_eq!(
        (wish.account, wish.region.as_deref()),
        (Some(4), Some("ohio"))
    );
    // What moves elsewhere has no place yet.
    let moving = Draft::of(&kept(DatabaseWish::None), true);
    assert_eq!((moving.account_id, moving.region.clone()), (None, None));
    assert_eq!(moving.name, "gb");
}

#[test]
fn a_database_must_be_tested_and_usable_before_it_goes_on() {
    let place = at(Step::Data, Door::Render);
    let mut draft = Draft::new();
    draft.data = Some(DataKind::Mysql);
    assert_eq!(draft.missing(place), Some("deploy.missing.mysql"));
    draft.mysql.host = "h".into();
    draft.mysql.user = "u".into();
    assert_eq!(
        draft.missing(place),
        Some("deploy.missing.mysql"),
        "no password"
    );
    draft.mysql.password = "p".into();
    assert_eq!(draft.missing(place), Some("deploy.missing.tested"));
    draft.report = Some(DatabaseReport::default());
    assert_eq!(draft.missing(place), Some("deploy.missing.refused"));
    draft.report = Some(DatabaseReport {
        ok: true,
        ..DatabaseReport::default()
    });
    assert_eq!(draft.missing(place), None);
}

#[test]
fn data_are_offered_where_the_place_or_the_account_has_them() {
    let mut draft = Draft::new();
    let render = at(Step::Data, Door::Render);
    assert!(!draft.offers(render, DataKind::Volume));
    assert!(draft.offers(at(Step::Data, Door::Docker), DataKind::Volume));
    draft.take(account(ProviderKind::Render));
    assert!(
        draft.offers(render, DataKind::Volume),
        "the account says so"
    );
    assert!(!draft.offers(render, DataKind::InCluster));
    draft.data = Some(DataKind::InCluster);
    assert_eq!(draft.missing(render), Some("deploy.missing.data"));
}

#[tokio::test(flavor = "current_thread")]
async fn each_choice_of_data_says_what_is_lost() {
    let html = render::<DataStep>(DataStepProps {
        at: at(Step::Data, Door::Render),
        door: Door::Render,
        draft: Draft::new(),
        edit: Callback::noop(),
    })
    .await;
    assert_eq!(html.matches("type=\"radio\"").count(), 4);
    assert!(html.contains("Lost at each restart") && html.contains("Nothing is lost"));
    assert!(html.contains("Not offered at this place"));
}

#[tokio::test(flavor = "current_thread")]
async fn a_step_that_lacks_something_says_what() {
    let html = render::<WizardView>(view(at(Step::Account, Door::Render), Draft::new())).await;
    assert!(html.contains("wizard-missing"), "{html}");
    let next = html.split("data-testid=\"wizard-next\"").nth(1).unwrap();
    assert!(
        next.split('>').next().unwrap().contains("disabled"),
        "{next}"
    );
    let by_hand = At {
        by_hand: true,
        ..at(Step::Account, Door::Render)
    };
    let html = render::<WizardView>(view(by_hand, Draft::new())).await;
    assert!(!html.contains("wizard-missing"), "{html}");
}

#[tokio::test(flavor = "current_thread")]
async fn without_a_place_the_places_are_shown_whatever_the_address_says() {
    let lost = At {
        step: Step::Plan,
        ..At::default()
    };
    let html = render::<WizardView>(view(
        At {
            step: Step::Where,
            ..lost
        },
        Draft::new(),
    ))
    .await;
    assert!(html.contains("door-render"));
}

fn account_step(account: Option<AccountView>) -> AccountStepViewProps {
    let mut draft = Draft::new();
    if let Some(account) = account {
        draft.take(account);
    }
    AccountStepViewProps {
        automatic: true,
        door: Door::ClawCloud,
        draft,
        edit: Callback::noop(),
        by_hand: false,
        onby_hand: Callback::noop(),
        accounts: Rc::default(),
        error: None,
        reload: Callback::noop(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_account_shows_its_choices_quotas_and_what_it_may_not_do() {
    let html =
        render::<AccountStepView>(account_step(Some(account(ProviderKind::ClawCloud)))).await;
    assert!(html.contains("account-works") && html.contains("12 of 750 used"));
    assert!(html.contains("account-region") && html.contains("account-plan"));
    let mut poor = account(ProviderKind::ClawCloud);
    poor.facts.missing_rights = vec!["create deployments.apps".into()];
    let html = render::<AccountStepView>(account_step(Some(poor))).await;
    assert!(html.contains("create deployments.apps") && !html.contains("\"account-works\""));
    // An account of another place does not count.
    let html = render::<AccountStepView>(account_step(Some(account(ProviderKind::Koyeb)))).await;
    assert!(!html.contains("account-chosen"), "{html}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_key_is_typed_unseen_and_a_kubeconfig_can_be_a_file() {
    let props = |provider| NewAccountViewProps {
        provider,
        secret: "rnd_secret".into(),
        api: AttrValue::default(),
        busy: false,
        error: Some(ApiError::new(
            ErrorCode::AccountRefused,
            "401 from the provider",
        )),
        onsecret: Callback::noop(),
        onapi: Callback::noop(),
        add: Callback::noop(),
    };
    let html = render::<NewAccountView>(props(ProviderKind::Render)).await;
    assert!(html.contains("type=\"password\"") && html.contains("dashboard.render.com"));
    assert!(html.contains("401 from the provider"));
    let html = render::<NewAccountView>(props(ProviderKind::Kubernetes)).await;
    assert!(html.contains("type=\"file\"") && html.contains("<textarea"));
}

#[tokio::test(flavor = "current_thread")]
async fn a_found_database_is_explained_with_its_password_rule() {
    let report = |found| DatabaseReport {
        ok: true,
        exists: true,
        may_create: true,
        encrypted: false,
        found: Some(found),
        ..DatabaseReport::default()
    };
    let html = render::<Report>(ReportProps {
        report: report(FoundDatabase::Original),
        ssl_mode: "REQUIRED".into(),
    })
    .await;
    assert!(html.contains("AUTH_TOKEN") && html.contains("mysql-not-verified"));
    let html = render::<Report>(ReportProps {
        report: report(FoundDatabase::Empty),
        ssl_mode: "REQUIRED".into(),
    })
    .await;
    assert!(!html.contains("mysql-found"), "an empty one needs no words");
}

#[tokio::test(flavor = "current_thread")]
async fn the_original_image_warns_and_more_so_with_an_encrypted_database() {
    let props = |mysql_tls| ImageCardViewProps {
        image: "ghcr.io/snailyp/gemini-balance:latest".into(),
        default_image: "ghcr.io/owner/gb:latest".into(),
        mysql_tls,
        edit: Callback::noop(),
        busy: false,
        error: None,
        found: None,
        check: Callback::noop(),
    };
    let html = render::<ImageCardView>(props(false)).await;
    assert!(html.contains("image-original") && !html.contains("TiDB Cloud"));
    let html = render::<ImageCardView>(props(true)).await;
    assert!(html.contains("TiDB Cloud"));
}

fn step(kind: StepKind, changes: Vec<Difference>) -> StepView {
    StepView {
        kind,
        subject: "gb".into(),
        changes,
    }
}

fn plan(foreign: Option<&str>, cost: Cost) -> PlanCardViewProps {
    let changes = vec![Difference {
        name: "AUTH_TOKEN".into(),
        from: None,
        to: Some("k3…9Q".into()),
    }];
    PlanCardViewProps {
        plan: LoadResult::default().after(Ok(PlanView {
            steps: vec![step(StepKind::CreateApp, changes)],
            stays: vec!["srv-2".into()],
            cost,
            foreign: foreign.map(Into::into),
        })),
        busy: false,
        error: None,
        apply: Callback::noop(),
        adopt: Callback::noop(),
        again: Callback::noop(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_plan_shows_steps_differences_and_cost() {
    let html = render::<PlanCardView>(plan(None, Cost::About { cents: 700 })).await;
    for text in [
        "Make the app",
        "AUTH_TOKEN",
        "k3…9Q",
        "srv-2",
        "$7.00 a month",
    ] {
        assert!(html.contains(text), "{text}: {html}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_not_ours_is_changed_only_when_the_user_says_so() {
    let html = render::<PlanCardView>(plan(Some("gb"), Cost::Free)).await;
    assert!(html.contains("plan-adopt"));
    let apply = html.split("data-testid=\"plan-apply\"").nth(1).unwrap();
    assert!(
        apply.split('>').next().unwrap().contains("disabled"),
        "{apply}"
    );
}

fn run(state: RunState, steps: Vec<StepState>) -> RunCardViewProps {
    RunCardViewProps {
        provider: Some(ProviderKind::Render),
        run: LoadResult::default().after(Ok(RunView {
            state,
            steps: steps
                .into_iter()
                .map(|state| StepRun {
                    step: step(StepKind::Deploy, Vec::new()),
                    state,
                    started_at: Some(NOW - 20_000),
                    ended_at: None,
                })
                .collect(),
            lines: vec![RunLine {
                at: NOW,
                text: "dep-1: update_in_progress".into(),
            }],
            after: 1,
        })),
        now: NOW,
        busy: false,
        error: None,
        go_on: Callback::noop(),
        go_over: Callback::noop(),
        cancel: Callback::noop(),
        done: Some(Callback::noop()),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_run_shows_each_step_and_counts_down_to_the_next_try() {
    let retrying = StepState::Retrying {
        at: NOW + 23_000,
        error: ApiError::new(ErrorCode::Provider, "rate limit exceeded"),
    };
    let html = render::<RunCardView>(run(RunState::Running, vec![StepState::Done, retrying])).await;
    assert!(
        html.contains("1 of 2 steps") && html.contains("Tried again in 23 s"),
        "{html}"
    );
    assert!(html.contains("rate limit exceeded") && html.contains("run-cancel"));
    assert!(html.contains("dep-1: update_in_progress"));
    assert!(!html.contains("run-go-on"));
}

#[tokio::test(flavor = "current_thread")]
async fn a_run_that_ended_early_can_be_gone_on_with() {
    let error = ApiError::new(ErrorCode::CardNeeded, "Payment information is required");
    let failed = RunState::Failed { error };
    for state in [failed, RunState::BrokeOff, RunState::Cancelled] {
        let name = wire_name(&state);
        let html = render::<RunCardView>(run(state, vec![StepState::Waiting])).await;
        assert!(html.contains("run-go-on"), "{name}");
        assert!(!html.contains("run-cancel"), "{name}");
        assert!(!html.contains("run-go-over"), "{name}");
        assert_eq!(
            html.contains("dashboard.render.com/billing"),
            name == "failed"
        );
        assert!(!html.contains("https://app.koyeb.com"));
    }
    let error = ApiError::new(ErrorCode::ChangedThere, "AUTH_TOKEN was changed");
    let changed = run(RunState::Failed { error }, vec![StepState::Waiting]);
    let html = render::<RunCardView>(changed).await;
    assert!(html.contains("run-go-on") && html.contains("run-go-over"));
    let error = ApiError::new(ErrorCode::CardNeeded, "Payment needed");
    let at_koyeb = RunCardViewProps {
        provider: Some(ProviderKind::Koyeb),
        ..run(RunState::Failed { error }, vec![StepState::Waiting])
    };
    let html = render::<RunCardView>(at_koyeb).await;
    assert!(html.contains("https://app.koyeb.com") && !html.contains("render.com"));
    let done = RunState::Done {
        url: "https://x".into(),
    };
    let html = render::<RunCardView>(run(done, vec![StepState::Done])).await;
    assert!(html.contains("run-done") && !html.contains("run-go-on"));
}
