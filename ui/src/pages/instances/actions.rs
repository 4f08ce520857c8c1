use contract::deploy::{DeployFeature, RemoteAction, RemoteState, RemoteView};
use patternfly_yew::prelude::Icon;
use serde_json::json;
use yew::{AttrValue, Callback, Html, Properties, component, html, use_state_eq};

use crate::app::{use_feature, use_host, use_lang, use_toasts};
use crate::controls::{Act, Confirm, Kind};
use crate::host::Host;
use crate::send::{Sending, use_send};

#[derive(PartialEq, Properties)]
pub struct ActionsProps {
    pub remote: RemoteView,
    /// Called when something was done.
    pub changed: Callback<()>,
    /// Only what its state asks for.
    #[prop_or_default]
    pub brief: bool,
}

/// What can be done to a remote at a press of a button, by its state.
#[component]
pub fn Actions(props: &ActionsProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let sending = use_send();
    let asked = use_state_eq(|| false);
    let ask = {
        let asked = asked.setter();
        Callback::from(move |on: bool| asked.set(on))
    };
    let id = props.remote.id;
    let done = {
        let (changed, ask) = (props.changed.clone(), ask.clone());
        move |said: AttrValue| {
            let (changed, ask, toasts) = (changed.clone(), ask.clone(), toasts.clone());
            move |_: RemoteView| {
                toasts.success(said);
                ask.emit(false);
                changed.emit(());
            }
        }
    };
    let act = {
        let (sending, done) = (sending.clone(), done.clone());
        move |action: RemoteAction, said: &'static str| {
            let (sending, done) = (sending.clone(), done.clone());
            Callback::from(move |()| {
                let then = done(lang.t(said));
                send(host, &sending, id, action.clone(), then);
            })
        }
    };
    let wake = {
        let (sending, done) = (sending.clone(), done.clone());
        Callback::from(move |()| {
            let then = done(lang.t("instances.done.wake"));
            let path = format!("/api/deploy/remotes/{id}/wake");
            sending.run(async move { host.post(&path, &json!({})).await }, then);
        })
    };
    let can_wake = use_feature(DeployFeature::Wake);
    let state = &props.remote.state;
    // Without an account there is nobody to ask.
    let has_provider = props.remote.provider.is_some();
    let runs = matches!(
        state,
        RemoteState::Running
            | RemoteState::Asleep
            | RemoteState::Waking
            | RemoteState::Failing { .. }
            | RemoteState::Starting
    );
    let stopped = matches!(
        state,
        RemoteState::Suspended | RemoteState::StoppedByProvider { .. }
    );
    let goes_on = matches!(state, RemoteState::Draft | RemoteState::Interrupted { .. });
    let busy = sending.busy;
    html!(
        <>
            if goes_on {
                <a class="pf-v6-c-button pf-m-primary" href={format!("#/deploy?step=plan&remote={id}")} data-testid={format!("remote-go-on-{id}")}>
                    <span class="pf-v6-c-button__text">{ lang.t("instances.go_on") }</span>
                </a>
            }
            if matches!(state, RemoteState::Asleep) && can_wake {
                <Act id={format!("remote-wake-{id}")} icon={Some(Icon::Play)} label={lang.t("instances.wake")} {busy} onclick={wake} />
            }
            if stopped && has_provider {
                <Act
                    id={format!("remote-resume-{id}")} kind={Kind::Primary} icon={Some(Icon::Play)}
                    label={lang.t("instances.resume")} {busy}
                    onclick={act.clone()(RemoteAction::Resume, "instances.done.resume")}
                />
            }
            if !props.brief {
                if runs && has_provider {
                    <Act
                        id={format!("remote-restart-{id}")} icon={Some(Icon::Redo)}
                        label={lang.t("instances.restart")} {busy}
                        onclick={act.clone()(RemoteAction::Restart, "instances.done.restart")}
                    />
                    <Act
                        id={format!("remote-suspend-{id}")} icon={Some(Icon::Pause)}
                        label={lang.t("instances.suspend.open")} {busy}
                        onclick={ask.reform(|()| true)}
                    />
                }
                <Act
                    id={format!("remote-refresh-{id}")} icon={Some(Icon::SyncAlt)} {busy}
                    label={lang.t("instances.refresh")}
                    onclick={act.clone()(RemoteAction::Refresh, "instances.done.refresh")}
                />
            }
            if *asked {
                <Confirm
                    id="suspend"
                    title={lang.f("instances.suspend.title", &[("name", &props.remote.name)])}
                    label={lang.t("instances.suspend.open")}
                    busy={sending.busy}
                    error={sending.error.clone()}
                    onclose={ask.reform(|()| false)}
                    confirm={act(RemoteAction::Suspend, "instances.done.suspend")}
                >
                    <p>{ lang.t("instances.suspend.help") }</p>
                </Confirm>
            } else if let Some(error) = &sending.error {
                <span class="gb-bad gb-small" role="alert" data-testid="action-error">
                    { lang.error_title(error.code) }{ ": " }{ lang.error_hint(error) }{ " " }<span class="gb-mono">{ &error.message }</span>
                </span>
            }
        </>
    )
}

/// Has something done to a remote; `then` gets how it is after that.
pub fn send(
    host: Host,
    sending: &Sending,
    id: i64,
    action: RemoteAction,
    then: impl FnOnce(RemoteView) + 'static,
) {
    let path = format!("/api/deploy/remotes/{id}/action");
    sending.run(async move { host.post(&path, &action).await }, then);
}
