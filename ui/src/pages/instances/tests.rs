// Rendered on the server's side, which needs no browser and has no wasm.
#![cfg(not(target_arch = "wasm32"))]

use contract::deploy::{
    DeployProgress, DeployView, Difference, DriftView, KeepAlive, KeepAliveState, ProviderKind,
    PushReport, QuietHours, RemoteEvent, RemoteHealth, RemoteState, RemoteWarning, RoutePresence,
    RouteView, Usage, UsageKind, UsageSeries, WhenAway,
};
use contract::{ApiError, ErrorCode};
use yew::Callback;

use super::deploys::{DeploysView, DeploysViewProps};
use super::detail::{DetailView, DetailViewProps};
use super::drift::{DriftPage, DriftPageProps, Way};
use super::events::{EventsView, EventsViewProps};
use super::keep_alive::{KeepAliveView, KeepAliveViewProps};
use super::log::{LogView, LogViewProps};
use super::panel::{BannerView, BannerViewProps};
use super::route::{RouteChoice, RouteChoiceProps};
use super::usage::{UsageView, UsageViewProps, bars};
use super::*;
use crate::testing::{in_chinese, render};
use crate::text::Zone;

/// 2026-11-28 12:00 UTC.
const NOW: Millis = 1_795_867_200_000;
const MINUTE: Millis = 60_000;

fn remote(state: RemoteState) -> RemoteView {
    RemoteView {
        id: 7,
        name: "gb-sg".into(),
        provider: Some(ProviderKind::Render),
        url: Some("https://gb-sg.onrender.com".into()),
        console_url: Some("https://dashboard.render.com/web/srv-1".into()),
        wish: None,
        state,
        state_since: NOW - 5 * MINUTE,
        health: Some(RemoteHealth {
            version: "0.1.0".into(),
            started_at: Some(NOW - 60 * MINUTE),
            latency_ms: 184,
            keys_ready: Some(3),
            keys_total: Some(5),
            requests_today: Some(1_284),
            errors_today: Some(7),
            sign_in_problem: None,
        }),
        image: None,
        keep_alive: KeepAlive::default(),
        keep_alive_state: None,
        warnings: Vec::new(),
        checked_at: Some(NOW - MINUTE),
    }
}

fn list(remotes: Vec<RemoteView>) -> InstancesViewProps {
    InstancesViewProps {
        remotes: LoadResult::default().after(Ok(remotes)),
        now: NOW,
        changed: Callback::noop(),
    }
}

fn detail(remote: RemoteView, part: Part) -> DetailViewProps {
    DetailViewProps {
        remote: LoadResult::default().after(Ok(remote)),
        part,
        now: NOW,
        changed: Callback::noop(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_remote_shows_what_is_known_of_it() {
    let html = render::<InstancesView>(list(vec![remote(RemoteState::Running)])).await;
    for text in [
        "gb-sg",
        "Render",
        "Running",
        "https://gb-sg.onrender.com",
        "3 of 5 keys",
        "1,284 requests, 7 failed",
        "184 ms",
        "(for 5 min)",
    ] {
        assert!(html.contains(text), "{text}: {html}");
    }
    assert!(html.contains("href=\"#/instances/7/panel/\""), "{html}");
}

#[tokio::test(flavor = "current_thread")]
async fn without_remotes_the_way_to_the_first_is_shown() {
    let html = in_chinese::<InstancesView>(list(Vec::new())).await;
    assert!(html.contains("还没有远程实例") && html.contains("href=\"#/deploy\""));
}

#[tokio::test(flavor = "current_thread")]
async fn an_interrupted_run_says_why_and_can_be_gone_on_with() {
    let error = ApiError::new(ErrorCode::CardNeeded, "Payment information is required");
    let state = RemoteState::Interrupted { error: Some(error) };
    let html = render::<InstancesView>(list(vec![remote(state)])).await;
    assert!(html.contains("wants a payment card first"), "{html}");
    assert!(html.contains("Payment information is required"));
    assert!(html.contains("#/deploy?step=plan&amp;remote=7"), "{html}");
}

#[tokio::test(flavor = "current_thread")]
async fn one_that_the_provider_stopped_can_be_started_again() {
    let reason = "scaled to 0 <b>".to_owned();
    let html = render::<InstancesView>(list(vec![remote(RemoteState::StoppedByProvider {
        reason,
    })]))
    .await;
    assert!(html.contains("remote-resume-7"), "{html}");
    assert!(
        html.contains("scaled to 0 &lt;b&gt;"),
        "it is escaped: {html}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn every_warning_has_its_way_out() {
    let mut one = remote(RemoteState::Running);
    one.warnings = vec![
        RemoteWarning::HoursRunOut {
            used: 700,
            limit: 750,
        },
        RemoteWarning::SignInDue { by: NOW },
        RemoteWarning::Drift,
        RemoteWarning::KeysLost,
        RemoteWarning::NewerImage {
            digest: "sha256:1".into(),
        },
        RemoteWarning::Account {
            error: ApiError::new(ErrorCode::AccountRefused, "401"),
        },
        RemoteWarning::CredentialEnds { at: NOW },
    ];
    let html = render::<InstancesView>(list(vec![one])).await;
    for (name, way) in [
        ("hours_run_out", "#/instances/7/keep_alive"),
        ("sign_in_due", "https://dashboard.render.com/web/srv-1"),
        ("drift", "#/instances/7/drift"),
        ("keys_lost", "#/instances/7/drift"),
        ("newer_image", "#/instances/7/deploys"),
        ("account", "#/instances"),
        ("credential_ends", "#/instances"),
    ] {
        let notice = html
            .split(&format!("remote-warning-{name}"))
            .nth(1)
            .and_then(|rest| rest.split("remote-warning-").next())
            .unwrap_or_else(|| panic!("no warning {name}"));
        assert!(
            notice.contains(&format!("href=\"{way}\"")),
            "{name}: {notice}"
        );
    }
    assert!(html.contains("signed-in-7"), "nobody else can know it");
    assert!(html.contains("700 of 750 hours"));
    assert!(html.contains("2026-11-28"), "the date is told");
}

#[tokio::test(flavor = "current_thread")]
async fn only_an_address_is_linked_that_is_one_of_the_web() {
    let mut one = remote(RemoteState::Running);
    one.console_url = Some("javascript:alert(1)".into());
    one.warnings = vec![RemoteWarning::SignInDue { by: NOW }];
    let html = render::<InstancesView>(list(vec![one])).await;
    assert!(!html.contains("javascript:"), "{html}");
}

#[tokio::test(flavor = "current_thread")]
async fn one_without_a_provider_has_only_the_parts_that_it_can_have() {
    let mut one = remote(RemoteState::Running);
    one.provider = None;
    let html = render::<DetailView>(detail(one, Part::Drift)).await;
    assert!(html.contains("tab-drift") && html.contains("tab-keep_alive"));
    for part in ["log", "events", "usage", "deploys", "variables"] {
        assert!(!html.contains(&format!("tab-{part}\"")), "{part}");
    }
    assert!(!html.contains("remote-restart"), "nobody could be asked to");
}

#[tokio::test(flavor = "current_thread")]
async fn deleting_is_for_what_the_provider_has_and_forgetting_for_all() {
    let html = render::<DetailView>(detail(remote(RemoteState::Running), Part::App)).await;
    assert!(html.contains("remote-forget") && html.contains("remote-delete"));
    let mut added = remote(RemoteState::Running);
    added.provider = None;
    let html = render::<DetailView>(detail(added, Part::App)).await;
    assert!(html.contains("remote-forget") && !html.contains("remote-delete"));
}

#[test]
fn a_part_is_found_by_the_name_in_the_address() {
    for part in Part::ALL {
        assert_eq!(part.to_string().parse(), Ok(part));
    }
    assert!("panel".parse::<Part>().is_err(), "that is the panel's");
    assert_eq!(page_of(3, Part::Overview), "#/instances/3");
    assert_eq!(page_of(3, Part::KeepAlive), "#/instances/3/keep_alive");
}

#[tokio::test(flavor = "current_thread")]
async fn the_banner_says_whose_panel_it_is_and_leads_back() {
    let html = render::<BannerView>(BannerViewProps {
        id: 7,
        remote: LoadResult::default().after(Ok(remote(RemoteState::Running))),
    })
    .await;
    assert!(html.contains("another instance") && html.contains("gb-sg"));
    assert!(html.contains("href=\"#/instances/7\""), "{html}");
    // Also before anything is known of it.
    let html = render::<BannerView>(BannerViewProps {
        id: 7,
        remote: LoadResult::default(),
    })
    .await;
    assert!(html.contains("href=\"#/instances/7\""), "{html}");
}

fn drift(view: DriftView, asked: Option<(Way, contract::deploy::PushWish)>) -> DriftPageProps {
    DriftPageProps {
        id: 7,
        name: "gb-sg".into(),
        drift: LoadResult::default().after(Ok(view)),
        asked,
        ask: Callback::noop(),
        confirm: Callback::noop(),
        busy: false,
        error: None,
        report: None,
    }
}

fn difference(name: &str, from: Option<&str>, to: Option<&str>) -> Difference {
    Difference {
        name: name.into(),
        from: from.map(Into::into),
        to: to.map(Into::into),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_difference_shows_both_sides_and_both_ways() {
    let view = DriftView {
        keys: vec![difference("AIza…x3Fq", None, Some("AIza…x3Fq"))],
        settings: vec![difference("MAX_RETRIES", Some("3"), Some(""))],
        variables: vec![difference("TZ", Some("UTC"), Some("Asia/Shanghai"))],
        ..DriftView::default()
    };
    let html = render::<DriftPage>(drift(view, None)).await;
    assert!(html.contains("drift-push-keys") && html.contains("drift-take-settings"));
    assert!(
        html.contains("not there") && html.contains("empty"),
        "{html}"
    );
    // Variables are the provider's: a new deploy brings them in line.
    assert!(!html.contains("drift-push-variables") && html.contains("drift-apply-variables"));
    assert!(!html.contains("drift-none"));
}

#[tokio::test(flavor = "current_thread")]
async fn no_difference_is_good_news_unless_something_could_not_be_compared() {
    let html = render::<DriftPage>(drift(DriftView::default(), None)).await;
    assert!(html.contains("drift-none"));
    let problems = vec![ApiError::new(ErrorCode::Unreachable, "asleep")];
    let view = DriftView {
        problems,
        ..DriftView::default()
    };
    let html = render::<DriftPage>(drift(view, None)).await;
    assert!(!html.contains("drift-none") && html.contains("asleep"));
}

#[tokio::test(flavor = "current_thread")]
async fn pushing_is_asked_about_before_and_told_about_after() {
    let wish = contract::deploy::PushWish {
        keys: true,
        ..Default::default()
    };
    let html = render::<DriftPage>(drift(DriftView::default(), Some((Way::Push, wish)))).await;
    assert!(html.contains("only there is removed there"), "{html}");
    let mut props = drift(DriftView::default(), None);
    props.report = Some((
        Way::Push,
        PushReport {
            variables_wait: true,
            added: 2,
            changed: 1,
            removed: 3,
            problems: Vec::new(),
        },
    ));
    let html = render::<DriftPage>(props).await;
    assert!(
        html.contains("2 added, 1 changed, 3 removed there"),
        "{html}"
    );
}

fn keep_alive(state: Option<KeepAliveState>, quiet: Option<QuietHours>) -> KeepAliveViewProps {
    let mut one = remote(RemoteState::Running);
    one.keep_alive = KeepAlive {
        enabled: true,
        quiet,
    };
    one.keep_alive_state = state;
    KeepAliveViewProps {
        remote: one,
        now: NOW,
        busy: false,
        error: None,
        set: Callback::noop(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn keeping_awake_tells_its_budget_and_the_way_without_this_computer() {
    let state = KeepAliveState {
        next_at: Some(NOW + 7 * MINUTE),
        last_ok_at: Some(NOW - 3 * MINUTE),
        hours_used: 512,
        hours_limit: Some(750),
        paused_by_budget: false,
    };
    let quiet = QuietHours { from: 23, to: 7 };
    let html = render::<KeepAliveView>(keep_alive(Some(state.clone()), Some(quiet))).await;
    assert!(html.contains("about 512 of 750 hours"), "{html}");
    assert!(html.contains("asked again in 7 min"), "{html}");
    assert!(html.contains("23:00") && html.contains("quiet-from"));
    assert!(html.contains("https://gb-sg.onrender.com/health"));
    assert!(html.contains("(HEAD)"));
    let paused = KeepAliveState {
        paused_by_budget: true,
        ..state
    };
    let html = render::<KeepAliveView>(keep_alive(Some(paused), None)).await;
    assert!(html.contains("would not last") && !html.contains("quiet-from"));
}

#[tokio::test(flavor = "current_thread")]
async fn an_earlier_deploy_offers_the_way_back_only_where_there_is_one() {
    let deploy = |id: &str, state, can_roll_back| DeployView {
        id: id.into(),
        image: None,
        state,
        at: Some(NOW),
        can_roll_back,
    };
    let failed = DeployProgress::Failed {
        detail: "nonZeroExit: 1".into(),
    };
    let html = render::<DeploysView>(DeploysViewProps {
        deploys: LoadResult::default().after(Ok(vec![
            deploy("dep-3", DeployProgress::Live, false),
            deploy("dep-2", DeployProgress::Replaced, true),
            deploy("dep-1", failed, false),
        ])),
        back: Callback::noop(),
    })
    .await;
    assert!(html.contains("roll-back-dep-2"));
    assert!(!html.contains("roll-back-dep-3") && !html.contains("roll-back-dep-1"));
    assert!(html.contains("nonZeroExit: 1"));
}

#[tokio::test(flavor = "current_thread")]
async fn what_a_provider_says_is_shown_and_escaped() {
    let events = vec![RemoteEvent {
        at: NOW,
        text: "oomKilled <script>".into(),
        is_problem: true,
    }];
    let html = render::<EventsView>(EventsViewProps {
        events: LoadResult::default().after(Ok(events)),
    })
    .await;
    assert!(html.contains("oomKilled &lt;script&gt;"), "{html}");
    let html = render::<LogView>(LogViewProps {
        lines: log::Lines::default(),
        following: true,
        follow: Callback::noop(),
    })
    .await;
    assert!(
        html.contains("log-follow") && !html.contains("log-empty"),
        "nothing was asked yet"
    );
}

#[test]
fn points_that_lie_close_become_one_bar_and_nothing_of_an_amount_is_lost() {
    let points = |n: i64, value: i64| (0..n).map(|i| (NOW + i * MINUTE, value)).collect();
    let zone = Zone::new(|at| at);
    let requests = UsageSeries {
        kind: UsageKind::Requests,
        points: points(240, 1_000),
    };
    let all = bars(&zone, &requests);
    assert_eq!(all.len(), 60);
    assert_eq!(all.iter().map(|bar| bar.lower).sum::<u64>(), 240);
    // A level is the highest, not the sum; CPUs stay thousandths.
    let cpu = UsageSeries {
        kind: UsageKind::Cpu,
        points: points(240, 150),
    };
    assert!(bars(&zone, &cpu).iter().all(|bar| bar.lower == 150));
    assert!(
        bars(
            &zone,
            &UsageSeries {
                kind: UsageKind::Memory,
                points: vec![]
            }
        )
        .is_empty()
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_provider_that_tells_no_usage_is_told_so() {
    let html = render::<UsageView>(UsageViewProps {
        usage: LoadResult::default().after(Ok(Usage::default())),
    })
    .await;
    assert!(html.contains("usage-none"), "{html}");
}

fn route(remote: Option<i64>, presence: Option<RoutePresence>) -> RouteChoiceProps {
    RouteChoiceProps {
        route: RouteView {
            remote,
            when_away: WhenAway::Local,
            presence,
            problem: None,
        },
        remotes: std::rc::Rc::new(vec![super::tests::remote(RemoteState::Running)]),
        error: None,
        set: Callback::noop(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn requests_can_be_sent_through_a_remote_that_answers_somewhere() {
    let direct = render::<RouteChoice>(route(None, None)).await;
    assert!(direct.contains("through gb-sg") && !direct.contains("route-away"));
    for presence in [
        RoutePresence::Unknown,
        RoutePresence::Awake,
        RoutePresence::Waking,
        RoutePresence::Away,
    ] {
        let through = render::<RouteChoice>(route(Some(7), Some(presence))).await;
        assert!(through.contains("answer with the keys here"), "{through}");
        assert!(through.contains("route-presence") && !through.contains("route.presence"));
    }
    let mut nowhere = remote(RemoteState::Draft);
    nowhere.url = None;
    let nothing = RouteChoiceProps {
        remotes: std::rc::Rc::new(vec![nowhere]),
        ..route(None, None)
    };
    assert!(!render::<RouteChoice>(nothing).await.contains("route-card"));
}
