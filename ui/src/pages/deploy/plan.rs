use std::rc::Rc;

use contract::ApiError;
use contract::deploy::{
    Cost, PlanView, ProviderKind, RemoteAction, RemoteView, RunState, RunView, StepView,
};
use serde_json::json;
use yew::{AttrValue, Callback, Html, Properties, component, html, use_state_eq};

use super::run::RunCard;
use crate::app::{use_host, use_lang};
use crate::controls::{Act, Card, ErrorNote, Facts, Kind, Notice, Skeleton, Tone};
use crate::load::{LoadResult, use_load};
use crate::pages::instances::Differences;
use crate::send::use_send;
use crate::text::{Lang, cost};

/// Millionths of a dollar in a cent.
const MICROS: u64 = 10_000;

#[derive(PartialEq, Properties)]
pub struct PlanStepProps {
    /// The draft.
    pub id: i64,
    /// Whose account it will run on.
    pub provider: Option<ProviderKind>,
    /// Called when it runs.
    pub done: Callback<()>,
}

/// The plan, and from the press of the button on its run. A run that is under way or broke
/// off is shown instead of a new plan.
#[component]
pub fn PlanStep(props: &PlanStepProps) -> Html {
    let host = use_host();
    let id = props.id;
    let run = use_load::<RunView>(host, format!("/api/deploy/remotes/{id}/run"), None);
    let started = use_state_eq(|| false);
    let start = {
        let started = started.setter();
        Callback::from(move |()| started.set(true))
    };
    let unfinished = run.result.data.as_ref().is_some_and(|run| {
        matches!(
            run.state,
            RunState::Running | RunState::BrokeOff | RunState::Failed { .. } | RunState::Cancelled
        )
    });
    if *started || unfinished {
        return html!(<RunCard {id} provider={props.provider} changed={Callback::noop()} done={props.done.clone()} />);
    }
    if run.result.data.is_none() && run.result.error.is_none() {
        return html!(<Skeleton lines={8} />);
    }
    html!(<PlanCard {id} started={start} />)
}

#[derive(PartialEq, Properties)]
pub struct PlanCardProps {
    /// The remote.
    pub id: i64,
    /// Called when the run has begun.
    pub started: Callback<()>,
}

/// What will be done, and the button that does it.
#[component]
pub fn PlanCard(props: &PlanCardProps) -> Html {
    let host = use_host();
    let sending = use_send();
    let id = props.id;
    let plan = use_load::<PlanView>(host, format!("/api/deploy/remotes/{id}/plan"), None);
    let apply = {
        let (sending, started) = (sending.clone(), props.started.clone());
        Callback::from(move |()| {
            let started = started.clone();
            sending.run(
                async move {
                    host.post(&format!("/api/deploy/remotes/{id}/apply"), &json!({}))
                        .await
                },
                move |_: RunView| started.emit(()),
            );
        })
    };
    let adopt = {
        let (sending, reload) = (sending.clone(), plan.reload.clone());
        Callback::from(move |()| {
            let reload = reload.clone();
            let path = format!("/api/deploy/remotes/{id}/action");
            sending.run(
                async move { host.post(&path, &RemoteAction::Adopt).await },
                move |_: RemoteView| reload.emit(()),
            );
        })
    };
    html!(
        <PlanCardView
            plan={plan.result.clone()}
            busy={sending.busy}
            error={sending.error.clone()}
            {apply}
            {adopt}
            again={plan.reload.clone()}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct PlanCardViewProps {
    pub plan: LoadResult<PlanView>,
    pub busy: bool,
    pub error: Option<ApiError>,
    pub apply: Callback<()>,
    pub adopt: Callback<()>,
    pub again: Callback<()>,
}

/// The plan as a function of what is known.
#[component]
pub fn PlanCardView(props: &PlanCardViewProps) -> Html {
    let lang = use_lang();
    let again = html!(<Act id="plan-again" kind={Kind::Link} label={lang.t("common.try_again")} onclick={props.again.clone()} />);
    let Some(plan) = props.plan.data.clone() else {
        return html!(
            <Card id="plan-card" title={lang.t("deploy.plan.title")}>
                if let Some(error) = props.plan.error.clone() {
                    <ErrorNote {error} actions={again} />
                } else {
                    <p class="gb-muted">{ lang.t("deploy.plan.asking") }</p>
                    <Skeleton lines={6} />
                }
            </Card>
        );
    };
    html!(
        <Card id="plan-card" title={lang.t("deploy.plan.title")}>
            if let Some(error) = props.plan.error.clone() {
                <ErrorNote {error} actions={again} />
            }
            <Body plan={plan.clone()} />
            if let Some(foreign) = &plan.foreign {
                <Notice
                    tone={Tone::Warning} id="plan-foreign" title={lang.f("deploy.plan.foreign", &[("name", foreign)])}
                    actions={html!(<Act id="plan-adopt" kind={Kind::Link} label={lang.t("deploy.plan.adopt")} busy={props.busy} onclick={props.adopt.clone()} />)}
                >
                    <p>{ lang.t("deploy.plan.foreign_help") }</p>
                </Notice>
            }
            if let Some(error) = props.error.clone() {
                <ErrorNote {error} />
            }
            if !plan.steps.is_empty() {
                <div>
                    <Act
                        id="plan-apply"
                        kind={Kind::Primary}
                        label={lang.t("deploy.plan.apply")}
                        busy={props.busy}
                        disabled={plan.foreign.is_some()}
                        onclick={props.apply.clone()}
                    />
                </div>
            }
        </Card>
    )
}

#[derive(PartialEq, Properties)]
struct BodyProps {
    plan: Rc<PlanView>,
}

#[component]
fn Body(props: &BodyProps) -> Html {
    let lang = use_lang();
    let plan = &props.plan;
    if plan.steps.is_empty() {
        return html!(<Notice tone={Tone::Success} id="plan-nothing" title={lang.t("deploy.plan.nothing")} />);
    }
    let mut facts: Vec<(AttrValue, Html)> = vec![(
        lang.t("deploy.plan.cost"),
        html!(<span data-testid="plan-cost">{ price(lang, &plan.cost) }</span>),
    )];
    if !plan.stays.is_empty() {
        facts.push((
            lang.t("deploy.plan.stays"),
            html!(
                <ul class="gb-plain-list">
                    { for plan.stays.iter().map(|one| html!(<li class="gb-wrap-anywhere">{ one }</li>)) }
                </ul>
            ),
        ));
    }
    html!(
        <>
            <p class="gb-muted">{ lang.t("deploy.plan.help") }</p>
            <ol class="gb-plan" data-testid="plan-steps">
                { for plan.steps.iter().enumerate().map(|(i, step)| html!(
                    <li key={i} class="gb-plan__step">
                        <StepLine step={step.clone()} />
                    </li>
                )) }
            </ol>
            <Facts {facts} />
        </>
    )
}

#[derive(PartialEq, Properties)]
pub struct StepLineProps {
    pub step: StepView,
}

/// What a step does, and what changes by it.
#[component]
pub fn StepLine(props: &StepLineProps) -> Html {
    let lang = use_lang();
    let step = &props.step;
    html!(
        <div>
            <strong>{ lang.of("deploy.run.step", &step.kind) }</strong>
            if !step.subject.is_empty() {
                { " " }<span class="gb-mono gb-small gb-muted">{ &step.subject }</span>
            }
            if !step.changes.is_empty() {
                <details class="gb-details gb-small">
                    <summary>{ lang.n("deploy.plan.changes", step.changes.len() as u64) }</summary>
                    <Differences differences={step.changes.clone()} there={lang.t("deploy.plan.now")} here={lang.t("deploy.plan.then")} />
                </details>
            }
        </div>
    )
}

fn price(lang: Lang, price: &Cost) -> AttrValue {
    match price {
        Cost::Free => lang.t("deploy.plan.free"),
        Cost::About { cents } => {
            let amount = cost(lang, u64::from(*cents) * MICROS);
            lang.f("deploy.plan.about", &[("amount", &amount)])
        }
        Cost::Unknown => lang.t("deploy.plan.unknown"),
    }
}
