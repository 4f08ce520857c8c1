use contract::admin::Warning;
use yew::{Html, Properties, component, html};

use crate::app::{use_host, use_lang};
use crate::controls::{Notice, Tone};
use crate::text::wire_name;

#[derive(PartialEq, Properties)]
pub struct WarningsProps {
    pub warnings: Vec<Warning>,
}

/// What the user should mend, with the way to where it is mended.
#[component]
pub fn Warnings(props: &WarningsProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    html!(
        <>
            { for props.warnings.iter().map(|warning| {
                let name = wire_name(warning);
                let (tone, link) = looks(*warning);
                html!(
                    <Notice
                        {tone}
                        id={format!("warning-{name}")}
                        title={lang.t(&format!("warning.{name}.title"))}
                        actions={link.map(|(href, text)| html!(
                            <a class="pf-v6-c-button pf-m-link pf-m-inline" href={host.page(href)}>{ lang.t(text) }</a>
                        )).unwrap_or_default()}
                    >
                        <p>{ lang.t(&format!("warning.{name}.hint")) }</p>
                    </Notice>
                )
            }) }
        </>
    )
}

/// How urgent a warning is, and the page that mends it.
fn looks(warning: Warning) -> (Tone, Option<(&'static str, &'static str)>) {
    let keys = Some(("#/keys", "warning.go_keys"));
    match warning {
        Warning::NoKeys => (Tone::Info, Some(("#/keys", "warning.add_key"))),
        Warning::NoKeyReady => (Tone::Danger, keys),
        Warning::NoTokens => (Tone::Info, Some(("#/connect", "warning.go_connect"))),
        Warning::DatabaseUnreachable | Warning::DatabaseFailing => {
            (Tone::Danger, Some(("#/data", "warning.go_data")))
        }
        Warning::NoSealingKey | Warning::StoredInClear => {
            (Tone::Warning, Some(("#/data", "warning.go_data")))
        }
        Warning::RestartNeeded => (Tone::Info, Some(("#/settings", "warning.go_settings"))),
        Warning::LegacyKeys => (Tone::Warning, keys),
    }
}
