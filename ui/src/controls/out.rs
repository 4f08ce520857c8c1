use contract::desktop::Link;
use contract::links::{NewApp, Page};
use patternfly_yew::prelude::Icon;
use wasm_bindgen_futures::spawn_local;
use yew::{AttrValue, Callback, Html, Properties, component, html};

use super::{Act, Kind};
use crate::app::{use_host, use_lang, use_toasts};

/// Where a link leads that leaves the panel.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// A page of a provider.
    Page(Page),
    /// A provider's form for a new app.
    NewApp(NewApp),
    /// A remote's own page, or its page in the provider's console.
    Remote {
        /// Its number here.
        id: i64,
        /// The address.
        url: AttrValue,
        /// It is the console's page.
        console: bool,
    },
}

impl Place {
    fn url(&self) -> AttrValue {
        match self {
            Self::Page(page) => page.url().into(),
            Self::NewApp(form) => form.url().into(),
            // Whatever an API answered, only a web page is linked to.
            Self::Remote { url, .. }
                if url.starts_with("https://") || url.starts_with("http://") =>
            {
                url.clone()
            }
            Self::Remote { .. } => AttrValue::default(),
        }
    }

    fn link(&self) -> Link {
        match self {
            Self::Page(page) => Link::Page { page: *page },
            Self::NewApp(form) => Link::NewApp { form: form.clone() },
            Self::Remote { id, console, .. } => Link::Remote {
                remote: *id,
                console: *console,
            },
        }
    }
}

#[derive(PartialEq, Properties)]
pub struct OutProps {
    pub to: Place,
    pub label: AttrValue,
    /// The `data-testid`.
    pub id: AttrValue,
    /// Looks like a button.
    #[prop_or_default]
    pub button: bool,
}

/// A link to a page elsewhere, in a new tab; in the window Rust has the system open it.
#[component]
pub fn Out(props: &OutProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    if host.in_window() {
        let link = props.to.link();
        let onclick = Callback::from(move |()| {
            let (link, toasts) = (link.clone(), toasts.clone());
            spawn_local(async move {
                if let Err(error) = host.open_link(link).await {
                    toasts.error(lang, &error);
                }
            });
        });
        let kind = if props.button {
            Kind::Secondary
        } else {
            Kind::Link
        };
        return html!(
            <Act id={&props.id} {kind} icon={Some(Icon::ExternalLinkAlt)} label={&props.label} {onclick} />
        );
    }
    let class = if props.button {
        "pf-v6-c-button pf-m-secondary"
    } else {
        "pf-v6-c-button pf-m-link pf-m-inline"
    };
    html!(
        <a {class} href={props.to.url()} target="_blank" rel="noopener noreferrer" data-testid={&props.id}>
            <span class="pf-v6-c-button__icon pf-m-start">{ Icon::ExternalLinkAlt }</span>
            <span class="pf-v6-c-button__text">{ &props.label }</span>
        </a>
    )
}
