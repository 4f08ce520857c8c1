//! The wizard that puts an instance on another machine: where, with which account, with its
//! data where, with which variables; then the plan, and the run of it.
//!
//! The step, the place and the draft's number are in the address, so that the back button
//! goes a step back and a reload goes on. What was typed is in the [`Draft`]; from the step
//! of the variables on it is kept by the instance, too, as a remote in the state `draft`.
//! Deliberately absent: secrets that were made or kept. They are shown masked, and taken
//! elsewhere only on the user's wish.

mod account;
mod by_hand;
mod data;
mod done;
mod draft;
mod image;
mod mysql;
mod place;
mod plan;
mod run;
mod variables;

#[cfg(test)]
mod tests;

use std::rc::Rc;

use contract::ApiError;
use contract::deploy::{DeployState, RemoteAccess, RemoteView};
use serde::{Deserialize, Serialize};
use yew::{
    AttrValue, Callback, Html, Properties, classes, component, html, use_callback, use_effect_with,
    use_mut_ref, use_reducer,
};

use super::PageHead;
use crate::address::use_query;
use crate::app::{Route, use_host, use_lang};
use crate::controls::{Act, ErrorNote, Kind, Skeleton};
use crate::host::Host;
use crate::load::use_load;
use crate::send::use_send;
use crate::text::wire_name;

pub use account::NewAccount;
pub use draft::{Change, DataKind, Draft};
pub use place::Door;
pub use plan::PlanCard;
pub use run::RunCard;

/// A step of the wizard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Which place.
    #[default]
    Where,
    /// With which account, or by hand.
    Account,
    /// Where its data are.
    Data,
    /// What it is given by its environment.
    Variables,
    /// What will be done; or what is to be done by hand.
    Plan,
    /// It runs.
    Done,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [
        Self::Where,
        Self::Account,
        Self::Data,
        Self::Variables,
        Self::Plan,
        Self::Done,
    ];

    /// The one after it, if the place has it.
    fn next(self, door: Option<Door>) -> Self {
        let next = Self::ALL
            .into_iter()
            .find(|step| *step > self)
            .unwrap_or(Self::Done);
        match (next, door.and_then(Door::provider)) {
            (Self::Account, None) => Self::Data,
            (next, _) => next,
        }
    }

    /// The one before it, if the place has it.
    fn before(self, door: Option<Door>) -> Self {
        let before = Self::ALL
            .into_iter()
            .rev()
            .find(|step| *step < self)
            .unwrap_or(Self::Where);
        match (before, door.and_then(Door::provider)) {
            (Self::Account, None) => Self::Where,
            (before, _) => before,
        }
    }
}

/// Where the wizard is, as the address says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct At {
    /// The step.
    #[serde(default)]
    pub step: Step,
    /// The place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub door: Option<Door>,
    /// Without handing an account over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
    /// The draft, once the instance keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<i64>,
    /// The remote that moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
}

#[derive(PartialEq, Properties)]
pub struct DeployProps {
    /// Whether this instance can deploy; none while that is being asked.
    pub state: Option<Rc<DeployState>>,
}

/// The wizard.
#[component]
pub fn Deploy(props: &DeployProps) -> Html {
    let (at, go) = use_query::<At>(Route::Deploy);
    let session = use_mut_ref(|| Session::of(at, 0));
    {
        // Another draft, or none, is another wizard; the one that has just been saved is not.
        let mut session = session.borrow_mut();
        if session.about != at.remote.or(at.from) {
            *session = Session::of(at, session.number + 1);
        }
    }
    let saved = {
        let session = session.clone();
        use_callback((), move |id: i64, ()| session.borrow_mut().about = Some(id))
    };
    let Some(state) = props.state.clone() else {
        return html!(<section class="pf-v6-c-page__main-section gb-stack"><Skeleton lines={8} /></section>);
    };
    let (number, began_with) = {
        let session = session.borrow();
        (session.number, session.began_with)
    };
    match began_with {
        Some(id) => html!(<Kept key={number} {id} {at} {go} {state} {saved} />),
        None => {
            html!(<Wizard key={number} {at} {go} {state} {saved} kept={None::<Rc<RemoteView>>} />)
        }
    }
}

/// One use of the wizard.
struct Session {
    number: u32,
    /// The remote that it began with.
    began_with: Option<i64>,
    /// The remote that it is about now.
    about: Option<i64>,
}

impl Session {
    fn of(at: At, number: u32) -> Self {
        let about = at.remote.or(at.from);
        Self {
            number,
            began_with: about,
            about,
        }
    }
}

#[derive(PartialEq, Properties)]
struct KeptProps {
    id: i64,
    at: At,
    go: Callback<At>,
    state: Rc<DeployState>,
    saved: Callback<i64>,
}

/// The wizard on a remote that the instance knows.
#[component]
fn Kept(props: &KeptProps) -> Html {
    let host = use_host();
    let path = format!("/api/deploy/remotes/{}", props.id);
    let remote = use_load::<RemoteView>(host, path, None);
    match remote.result.data {
        Some(kept) => html!(
            <Wizard
                at={props.at} go={props.go.clone()} state={props.state.clone()}
                saved={props.saved.clone()} {kept}
            />
        ),
        None => html!(
            <section class="pf-v6-c-page__main-section gb-stack">
                if let Some(error) = remote.result.error { <ErrorNote {error} /> } else { <Skeleton lines={8} /> }
            </section>
        ),
    }
}

#[derive(PartialEq, Properties)]
struct WizardProps {
    at: At,
    go: Callback<At>,
    state: Rc<DeployState>,
    /// Called with the draft's number when the instance keeps it.
    saved: Callback<i64>,
    /// What the instance keeps already.
    kept: Option<Rc<RemoteView>>,
}

#[component]
fn Wizard(props: &WizardProps) -> Html {
    let host = use_host();
    let sending = use_send();
    let at = props.at;
    let draft = use_reducer(|| match &props.kept {
        Some(kept) => Draft::of(kept, at.from.is_some() && at.remote.is_none()),
        None => Draft::new(),
    });
    let edit = {
        let dispatch = draft.dispatcher();
        use_callback((), move |change: Change, ()| dispatch.dispatch(change))
    };
    // The draft's own account says where it goes, when the address does not.
    let door = at.door.or_else(|| {
        let provider = props.kept.as_ref()?.provider;
        (at.from.is_none()).then(|| provider.map_or(Door::Variables, Door::of))
    });
    // Where the instance can use no account, everything is prepared to be done by hand.
    let by_hand = at.by_hand
        || door
            .and_then(Door::provider)
            .is_some_and(|provider| !props.state.providers.contains(&provider));
    let at = At {
        door,
        by_hand,
        ..at
    };
    let step = if door.is_none() { Step::Where } else { at.step };
    let at = At { step, ..at };
    use_effect_with(step, {
        let sending = sending.clone();
        move |_| {
            sending.forget();
            crate::host::focus("wizard-step");
        }
    });
    let next = {
        let (draft, sending, go) = ((*draft).clone(), sending.clone(), props.go.clone());
        let (saved, edit) = (props.saved.clone(), edit.clone());
        Callback::from(move |()| {
            let to = At {
                step: step.next(door),
                ..at
            };
            // From here on the instance keeps it, and makes what is secret.
            if matches!(step, Step::Data | Step::Variables) {
                let (draft, go, saved) = (draft.clone(), go.clone(), saved.clone());
                let edit = edit.clone();
                sending.run(
                    async move { save(host, &draft, at).await },
                    move |remote: RemoteView| {
                        // One that moves has another name than what was wished, if that is taken.
                        edit.emit(draft::change(move |draft| draft.name = remote.name));
                        saved.emit(remote.id);
                        go.emit(At {
                            remote: Some(remote.id),
                            ..to
                        });
                    },
                );
            } else {
                go.emit(to);
            }
        })
    };
    let back = props.go.reform(move |()| At {
        step: step.before(door),
        ..at
    });
    let onchoose = props.go.reform(move |door: Door| At {
        door: Some(door),
        by_hand: false,
        step: Step::Where.next(Some(door)),
        ..at
    });
    html!(
        <WizardView
            {at}
            draft={(*draft).clone()}
            state={props.state.clone()}
            busy={sending.busy}
            error={sending.error.clone()}
            {edit}
            {next}
            {back}
            {onchoose}
            go={props.go.clone()}
        />
    )
}

/// Has the instance keep a draft.
async fn save(host: Host, draft: &Draft, at: At) -> Result<RemoteView, ApiError> {
    let wish = draft.wish(at);
    match (at.remote, at.from) {
        (Some(id), _) => {
            host.put(&format!("/api/deploy/remotes/{id}/wish"), &wish)
                .await
        }
        (None, Some(from)) => {
            host.post(&format!("/api/deploy/remotes/{from}/move"), &wish)
                .await
        }
        (None, None) => host.post("/api/deploy/remotes", &wish).await,
    }
}

/// What a remote is used with, its secrets in clear. Not in the window, where they never
/// come into the panel.
pub async fn access(host: Host, id: i64) -> Result<RemoteAccess, ApiError> {
    let path = format!("/api/deploy/remotes/{id}/access");
    host.post(&path, &serde_json::json!({})).await
}

#[derive(PartialEq, Properties)]
pub struct WizardViewProps {
    pub at: At,
    pub draft: Draft,
    pub state: Rc<DeployState>,
    pub busy: bool,
    pub error: Option<ApiError>,
    pub edit: Callback<Change>,
    pub next: Callback<()>,
    pub back: Callback<()>,
    pub onchoose: Callback<Door>,
    pub go: Callback<At>,
}

/// The wizard as a function of where it is and what was typed.
#[component]
pub fn WizardView(props: &WizardViewProps) -> Html {
    let lang = use_lang();
    let (at, draft) = (props.at, &props.draft);
    let step = at.step;
    let moves = at.from.is_some();
    let title: AttrValue = lang.t(if moves {
        "deploy.title_move"
    } else {
        "deploy.title"
    });
    let Some(door) = at.door.filter(|_| step != Step::Where) else {
        return html!(
            <>
                <PageHead {title} subtitle={lang.t("deploy.subtitle")} />
                <Progress {at} />
                <section class="pf-v6-c-page__main-section gb-stack">
                    <Problem state={props.state.clone()} />
                    <place::Places chosen={at.door} onchoose={props.onchoose.clone()} />
                </section>
            </>
        );
    };
    let edit = props.edit.clone();
    let body = match step {
        Step::Where | Step::Account => html!(
            <account::AccountStep
                {door} draft={draft.clone()} {edit}
                automatic={props.state.providers.iter().any(|one| Some(*one) == door.provider())}
                by_hand={at.by_hand}
                onby_hand={props.go.reform(move |by_hand: bool| At { by_hand, ..at })}
            />
        ),
        Step::Data => html!(<data::DataStep {at} {door} draft={draft.clone()} {edit} />),
        Step::Variables => html!(
            <variables::VariablesStep {at} draft={draft.clone()} {edit} default_image={props.state.default_image.clone()} />
        ),
        Step::Plan => match at.remote {
            Some(id) if at.by_hand || door.provider().is_none() => html!(
                <by_hand::ByHand
                    {id} {door} draft={draft.clone()}
                    default_image={props.state.default_image.clone()}
                    located={props.go.reform(move |()| At { step: Step::Done, ..at })}
                />
            ),
            Some(id) => html!(
                <plan::PlanStep
                    {id}
                    provider={door.provider()}
                    done={props.go.reform(move |()| At { step: Step::Done, ..at })}
                />
            ),
            None => Html::default(),
        },
        Step::Done => match at.remote {
            Some(id) => html!(<done::Done {id} />),
            None => Html::default(),
        },
    };
    let ready = draft.ready(at);
    html!(
        <>
            <PageHead {title} subtitle={lang.t("deploy.subtitle")} />
            <Progress {at} />
            <section class="pf-v6-c-page__main-section gb-stack" data-testid={format!("step-{}", wire_name(&step))}>
                <Problem state={props.state.clone()} />
                { body }
                if let Some(error) = props.error.clone() {
                    <ErrorNote {error} />
                }
                if step != Step::Done {
                    <div class="gb-row">
                        <Act id="wizard-back" label={lang.t("deploy.back")} onclick={props.back.clone()} />
                        if step != Step::Plan {
                            <Act
                                id="wizard-next" kind={Kind::Primary} label={lang.t("deploy.next")}
                                busy={props.busy} disabled={!ready} onclick={props.next.clone()}
                            />
                        }
                        if let Some(missing) = draft.missing(at) {
                            <span class="gb-muted gb-small" data-testid="wizard-missing">{ lang.t(missing) }</span>
                        }
                    </div>
                }
            </section>
        </>
    )
}

#[derive(PartialEq, Properties)]
struct ProblemProps {
    state: Rc<DeployState>,
}

/// Why nothing can be kept here, if so.
#[component]
fn Problem(props: &ProblemProps) -> Html {
    match props.state.problem.clone() {
        Some(error) => html!(<ErrorNote {error} />),
        None => Html::default(),
    }
}

#[derive(PartialEq, Properties)]
struct ProgressProps {
    at: At,
}

/// The steps, and which one this is.
#[component]
fn Progress(props: &ProgressProps) -> Html {
    let lang = use_lang();
    let at = props.at;
    let steps = Step::ALL.into_iter().filter(|step| {
        *step != Step::Account || at.door.is_none_or(|door| door.provider().is_some())
    });
    html!(
        <section class="pf-v6-c-page__main-section gb-wizard" id="wizard-step" tabindex="-1">
            <ol class="gb-wizard__steps" aria-label={lang.t("deploy.steps")}>
                { for steps.enumerate().map(|(i, step)| {
                    let name = wire_name(&step);
                    let here = step == at.step;
                    let class = classes!(
                        "gb-wizard__step",
                        here.then_some("gb-wizard__step--here"),
                        (step < at.step).then_some("gb-wizard__step--done"),
                    );
                    html!(
                        <li {class} key={name.clone()} aria-current={here.then_some("step")} data-testid={format!("wizard-{name}")}>
                            <span class="gb-wizard__n" aria-hidden="true">
                                if step < at.step { <i class="fas fa-check" /> } else { { i + 1 } }
                            </span>
                            <span>{ lang.t(&format!("deploy.step.{name}")) }</span>
                        </li>
                    )
                }) }
            </ol>
        </section>
    )
}
