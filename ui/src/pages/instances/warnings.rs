use contract::deploy::{RemoteAction, RemoteView, RemoteWarning};
use yew::{Callback, Html, Properties, component, html};

use super::actions::send;
use super::{Part, inner_link, page_of};
use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{Act, ErrorNote, Notice, Out, Place, Tone};
use crate::host::zone_here;
use crate::send::use_send;
use crate::text::wire_name;

#[derive(PartialEq, Properties)]
pub struct WarningsProps {
    pub remote: RemoteView,
    /// Called when something was done about one.
    pub changed: Callback<()>,
}

/// What the user should do about a remote, each with its way out.
#[component]
pub fn Warnings(props: &WarningsProps) -> Html {
    html!(
        <>
            { for props.remote.warnings.iter().enumerate().map(|(i, warning)| html!(
                <One key={i} remote={props.remote.clone()} warning={warning.clone()} changed={props.changed.clone()} />
            )) }
        </>
    )
}

#[derive(PartialEq, Properties)]
struct OneProps {
    remote: RemoteView,
    warning: RemoteWarning,
    changed: Callback<()>,
}

#[component]
fn One(props: &OneProps) -> Html {
    let lang = use_lang();
    let remote = &props.remote;
    let name = wire_name(&props.warning);
    let zone = zone_here();
    let part = |part: Part, text: &'static str| {
        inner_link(
            page_of(remote.id, part),
            lang.t(text),
            format!("warning-{name}-way").into(),
        )
    };
    let accounts = || {
        inner_link(
            "#/instances".into(),
            lang.t("instances.way.accounts"),
            format!("warning-{name}-way").into(),
        )
    };
    let (tone, used, limit, date, way) = match &props.warning {
        RemoteWarning::HoursRunOut { used, limit } => (
            Tone::Warning,
            *used,
            *limit,
            String::new(),
            part(Part::KeepAlive, "instances.way.keep_alive"),
        ),
        RemoteWarning::SignInDue { by } => {
            let way = match &remote.console_url {
                Some(url) => html!(
                    <Out
                        id={format!("warning-{name}-way")}
                        label={lang.t("instances.way.console")}
                        to={Place::Remote { id: remote.id, url: url.clone().into(), console: true }}
                    />
                ),
                None => Html::default(),
            };
            let way = html!(
                <>
                    { way }
                    <SignedIn id={remote.id} changed={props.changed.clone()} />
                </>
            );
            (Tone::Warning, 0, 0, zone.date(*by).to_string(), way)
        }
        RemoteWarning::Drift => (
            Tone::Info,
            0,
            0,
            String::new(),
            part(Part::Drift, "instances.way.drift"),
        ),
        RemoteWarning::KeysLost => (
            Tone::Danger,
            0,
            0,
            String::new(),
            part(Part::Drift, "instances.way.push"),
        ),
        RemoteWarning::NewerImage { .. } => (
            Tone::Info,
            0,
            0,
            String::new(),
            part(Part::Deploys, "instances.way.newer"),
        ),
        RemoteWarning::Account { .. } => (Tone::Danger, 0, 0, String::new(), accounts()),
        RemoteWarning::CredentialEnds { at } => {
            (Tone::Warning, 0, 0, zone.date(*at).to_string(), accounts())
        }
    };
    let error = match &props.warning {
        RemoteWarning::Account { error } => Some(error.clone()),
        _ => None,
    };
    html!(
        <Notice
            {tone}
            id={format!("remote-warning-{name}")}
            title={lang.t(&format!("instances.warning.{name}.title"))}
            actions={way}
        >
            <p>{ lang.f(&format!("instances.warning.{name}.hint"), &[("used", &used), ("limit", &limit), ("date", &date)]) }</p>
            if let Some(error) = error {
                <p>{ lang.error_hint(&error) }</p>
                <p class="gb-detail">{ error.message }</p>
            }
        </Notice>
    )
}

#[derive(PartialEq, Properties)]
struct SignedInProps {
    /// The remote's number.
    id: i64,
    changed: Callback<()>,
}

/// Says that one has signed in to the provider's console, which nobody else can know.
#[component]
fn SignedIn(props: &SignedInProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let sending = use_send();
    let id = props.id;
    let onclick = {
        let (sending, changed) = (sending.clone(), props.changed.clone());
        Callback::from(move |()| {
            let (changed, toasts) = (changed.clone(), toasts.clone());
            send(host, &sending, id, RemoteAction::SignedIn, move |_| {
                toasts.success(lang.t("instances.done.signed_in"));
                changed.emit(());
            });
        })
    };
    html!(
        <>
            <Act id={format!("signed-in-{id}")} label={lang.t("instances.way.signed_in")} busy={sending.busy} {onclick} />
            if let Some(error) = sending.error.clone() {
                <ErrorNote {error} />
            }
        </>
    )
}
