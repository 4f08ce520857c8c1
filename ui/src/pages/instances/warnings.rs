use contract::deploy::{RemoteView, RemoteWarning};
use yew::{Html, Properties, component, html};

use super::{Part, inner_link, page_of};
use crate::app::use_lang;
use crate::controls::{Notice, Out, Place, Tone};
use crate::host::zone_here;
use crate::text::wire_name;

#[derive(PartialEq, Properties)]
pub struct WarningsProps {
    pub remote: RemoteView,
}

/// What the user should do about a remote, each with its way out.
#[component]
pub fn Warnings(props: &WarningsProps) -> Html {
    html!(
        <>
            { for props.remote.warnings.iter().enumerate().map(|(i, warning)| html!(
                <One key={i} remote={props.remote.clone()} warning={warning.clone()} />
            )) }
        </>
    )
}

#[derive(PartialEq, Properties)]
struct OneProps {
    remote: RemoteView,
    warning: RemoteWarning,
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
