use contract::deploy::{ApplyWish, ProviderKind, RunState, RunView, StepRun, StepState};
use contract::links::Page;
use contract::{ApiError, ErrorCode, Millis};
use patternfly_yew::prelude::Icon;
use serde_json::{Value, json};
use yew::{Callback, Html, Properties, component, html, use_effect_with, use_state_eq};

use super::plan::StepLine;
use crate::app::{use_host, use_lang, use_now};
use crate::controls::{Act, Card, ErrorNote, Kind, Out, Place, Skeleton, Spinner};
use crate::load::{LoadResult, use_load};
use crate::pages::instances::Screen;
use crate::send::use_send;
use crate::text::{Lang, duration, wire_name};

/// How often a run is asked for, in milliseconds.
const RUN_EVERY: u32 = 1_500;

#[derive(PartialEq, Properties)]
pub struct RunCardProps {
    /// The remote.
    pub id: i64,
    /// Whose account it runs on.
    pub provider: Option<ProviderKind>,
    /// Called when the run was gone on with, cancelled, or has ended.
    pub changed: Callback<()>,
    /// Where to go when every step is done.
    #[prop_or_default]
    pub done: Option<Callback<()>>,
}

/// A run, as it goes.
#[component]
pub fn RunCard(props: &RunCardProps) -> Html {
    let host = use_host();
    let now = use_now();
    let sending = use_send();
    let ended = use_state_eq(|| false);
    let id = props.id;
    let path = format!("/api/deploy/remotes/{id}/run");
    let run = use_load::<RunView>(host, path, (!*ended).then_some(RUN_EVERY));
    let state = run.result.data.as_ref().map(|run| run.state.clone());
    use_effect_with(state, {
        let (ended, changed) = (ended.setter(), props.changed.clone());
        move |state| {
            if let Some(state) = state {
                let over = *state != RunState::Running;
                ended.set(over);
                if over {
                    changed.emit(());
                }
            }
        }
    });
    let send = {
        let (sending, reload, ended) = (sending.clone(), run.reload.clone(), ended.setter());
        let changed = props.changed.clone();
        move |what: &'static str, wish: Value| {
            let (sending, reload, ended) = (sending.clone(), reload.clone(), ended.clone());
            let changed = changed.clone();
            Callback::from(move |()| {
                let (reload, ended, changed) = (reload.clone(), ended.clone(), changed.clone());
                let wish = wish.clone();
                let path = format!("/api/deploy/remotes/{id}/{what}");
                sending.run(
                    async move { host.post(&path, &wish).await },
                    move |_: RunView| {
                        ended.set(false);
                        reload.emit(());
                        changed.emit(());
                    },
                );
            })
        }
    };
    html!(
        <RunCardView
            provider={props.provider}
            run={run.result.clone()}
            {now}
            busy={sending.busy}
            error={sending.error.clone()}
            go_on={send.clone()("apply", json!(ApplyWish::default()))}
            go_over={send.clone()("apply", json!(ApplyWish { over: true }))}
            cancel={send("cancel", json!({}))}
            done={props.done.clone()}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct RunCardViewProps {
    pub provider: Option<ProviderKind>,
    pub run: LoadResult<RunView>,
    pub now: Millis,
    pub busy: bool,
    pub error: Option<ApiError>,
    pub go_on: Callback<()>,
    /// Goes on and overwrites what somebody has changed there.
    pub go_over: Callback<()>,
    pub cancel: Callback<()>,
    pub done: Option<Callback<()>>,
}

/// A run as a function of what is known and the time.
#[component]
pub fn RunCardView(props: &RunCardViewProps) -> Html {
    let lang = use_lang();
    let Some(run) = props.run.data.clone() else {
        return html!(
            <Card id="run-card" title={lang.t("deploy.run.title")}>
                if let Some(error) = props.run.error.clone() { <ErrorNote {error} /> } else { <Skeleton lines={6} /> }
            </Card>
        );
    };
    let name = wire_name(&run.state);
    let total = run.steps.len();
    let done = run
        .steps
        .iter()
        .filter(|step| step.state == StepState::Done)
        .count();
    let running = run.state == RunState::Running;
    let can_go_on = matches!(
        run.state,
        RunState::BrokeOff | RunState::Failed { .. } | RunState::Cancelled
    );
    html!(
        <Card
            id="run-card"
            title={lang.t(&format!("deploy.run.state.{name}"))}
            corner={html!(
                <span class="gb-muted" role="status" data-testid="run-progress" data-state={name.clone()}>
                    { lang.f("deploy.run.progress", &[("done", &done), ("total", &total)]) }
                </span>
            )}
        >
            <p class="gb-muted">{ lang.t(&format!("deploy.run.state_help.{name}")) }</p>
            <progress class="gb-progress__bar" max={total.max(1).to_string()} value={done.to_string()} aria-label={lang.t("deploy.run.title")} />
            if let Some(error) = props.run.error.clone() {
                <ErrorNote {error} />
            }
            if let RunState::Failed { error } = &run.state {
                <ErrorNote error={error.clone()} actions={way_out(lang, error, props.provider)} />
            }
            <div class="gb-run">
                <ol class="gb-plan" data-testid="run-steps">
                    { for run.steps.iter().enumerate().map(|(i, step)| one(lang, i, step, props.now)) }
                </ol>
                <div class="gb-run__log">
                    <h3 class="gb-label">{ lang.t("deploy.run.log") }</h3>
                    <Screen lines={run.lines.clone()} following={running} />
                </div>
            </div>
            if let Some(error) = props.error.clone() {
                <ErrorNote {error} />
            }
            <div class="gb-row">
                if running {
                    <Act id="run-cancel" label={lang.t("deploy.run.cancel")} busy={props.busy} onclick={props.cancel.clone()} />
                    <span class="gb-muted gb-small">{ lang.t("deploy.run.may_close") }</span>
                }
                if can_go_on {
                    <Act id="run-go-on" kind={Kind::Primary} label={lang.t("deploy.run.go_on")} busy={props.busy} onclick={props.go_on.clone()} />
                    if was_changed(&run.state) {
                        <Act id="run-go-over" kind={Kind::Danger} label={lang.t("deploy.run.go_over")} busy={props.busy} onclick={props.go_over.clone()} />
                    }
                }
                if let (RunState::Done { .. }, Some(done)) = (&run.state, &props.done) {
                    <Act id="run-done" kind={Kind::Primary} label={lang.t("deploy.run.use_it")} onclick={done.clone()} />
                }
            </div>
        </Card>
    )
}

/// A step: its state by a sign and in words, and why it is tried again.
fn one(lang: Lang, i: usize, step: &StepRun, now: Millis) -> Html {
    let name = wire_name(&step.state);
    let sign = match &step.state {
        StepState::Waiting => html!(<span class="gb-muted">{ Icon::Pending }</span>),
        StepState::Running => html!(<Spinner size="pf-m-md" />),
        StepState::Retrying { .. } => html!(<span class="gb-setting__sign">{ Icon::Redo }</span>),
        StepState::Done => html!(<span class="gb-good">{ Icon::CheckCircle }</span>),
        StepState::Failed { .. } => html!(<span class="gb-bad">{ Icon::ExclamationCircle }</span>),
    };
    let took = match (step.started_at, step.ended_at) {
        (Some(from), Some(to)) => Some(to - from),
        (Some(from), None) if step.state == StepState::Running => Some(now - from),
        _ => None,
    };
    html!(
        <li key={i} class="gb-plan__step gb-plan__step--run" data-testid={format!("run-step-{}", wire_name(&step.step.kind))} data-state={name.clone()}>
            <span class="gb-plan__sign" aria-hidden="true">{ sign }</span>
            <div>
                <StepLine step={step.step.clone()} />
                <div class="gb-small gb-muted">
                    { lang.t(&format!("deploy.run.step_state.{name}")) }
                    if let Some(took) = took { { " · " }{ duration(lang, took) } }
                </div>
                if let StepState::Retrying { at, error } = &step.state {
                    <div class="gb-small" data-testid="run-retry">
                        { lang.f("deploy.run.again_in", &[("in", &duration(lang, (at - now).max(0)))]) }
                        { " " }{ lang.error_title(error.code) }
                        <div class="gb-detail">{ &error.message }</div>
                    </div>
                }
                if let StepState::Failed { error } = &step.state {
                    <div class="gb-detail">{ &error.message }</div>
                }
            </div>
        </li>
    )
}

/// Whether it ended because of what somebody has changed there.
fn was_changed(state: &RunState) -> bool {
    matches!(state, RunState::Failed { error } if error.code == ErrorCode::ChangedThere)
}

/// The page that leads out of an error, where there is one.
fn way_out(lang: Lang, error: &ApiError, provider: Option<ProviderKind>) -> Html {
    if error.code != ErrorCode::CardNeeded {
        return Html::default();
    }
    let (text, page) = match provider {
        Some(ProviderKind::Render) => ("deploy.run.billing", Page::RenderBilling),
        Some(ProviderKind::Koyeb) => ("instances.way.console", Page::Koyeb),
        Some(ProviderKind::ClawCloud) => ("instances.way.console", Page::ClawCloud),
        Some(ProviderKind::Kubernetes) | None => return Html::default(),
    };
    html!(<Out id="run-billing" label={lang.t(text)} to={Place::Page(page)} />)
}
