use contract::desktop::Link;
use contract::links;
use patternfly_yew::prelude::Icon;
use wasm_bindgen_futures::spawn_local;
use yew::{
    AttrValue, Callback, Html, Properties, SubmitEvent, component, html, use_callback, use_state_eq,
};

use super::TOKEN_PLACEHOLDER;
use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{Act, CopyField, Kind, TextField};

#[derive(PartialEq, Properties)]
pub struct CherryCardProps {
    /// The base URL of the OpenAI protocol.
    pub base_url: String,
    /// A model to name in the steps.
    pub model: String,
    /// The token just made (browser).
    pub token: Option<AttrValue>,
}

/// Cherry Studio by one click, or step by step.
#[component]
pub fn CherryCard(props: &CherryCardProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let pasted = use_state_eq(AttrValue::default);
    let oninput = {
        let pasted = pasted.setter();
        use_callback((), move |typed: String, ()| {
            pasted.set(typed.trim().to_owned().into())
        })
    };
    let token = props.token.clone().unwrap_or_else(|| (*pasted).clone());
    let button = if host.in_window() {
        let onclick = Callback::from(move |()| {
            let toasts = toasts.clone();
            let link = host
                .remote()
                .map_or(Link::CherryStudio, |remote| Link::CherryStudioOf { remote });
            spawn_local(async move {
                if let Err(error) = host.open_link(link).await {
                    toasts.error(lang, &error);
                }
            });
        });
        html!(<div><Act id="cherry-import" kind={Kind::Primary} icon={Some(Icon::ExternalLinkAlt)} label={lang.t("cherry.import")} {onclick} /></div>)
    } else {
        html!(
            <>
                if props.token.is_none() {
                    <form onsubmit={Callback::from(|event: SubmitEvent| event.prevent_default())}><TextField
                        id="cherry-token"
                        kind="password"
                        label={lang.t("cherry.token")}
                        hint={lang.t("cherry.token_hint")}
                        value={(*pasted).clone()}
                        {oninput}
                    /></form>
                }
                if token.is_empty() {
                    <div><Act id="cherry-import" icon={Some(Icon::ExternalLinkAlt)} label={lang.t("cherry.import")} disabled=true /></div>
                } else {
                    <div>
                        <a class="pf-v6-c-button pf-m-primary" href={links::cherry_studio("Gemini Balance", &props.base_url, &token)} data-testid="cherry-import">
                            <span class="pf-v6-c-button__icon pf-m-start">{ Icon::ExternalLinkAlt }</span>
                            <span class="pf-v6-c-button__text">{ lang.t("cherry.import") }</span>
                        </a>
                    </div>
                }
            </>
        )
    };
    let shown_token = if token.is_empty() {
        TOKEN_PLACEHOLDER.into()
    } else {
        token
    };
    html!(
        <div class="pf-v6-c-card" data-testid="cherry-card">
            <div class="pf-v6-c-card__title">
                <h2 class="pf-v6-c-card__title-text">{ lang.t("cherry.title") }</h2>
            </div>
            <div class="pf-v6-c-card__body gb-stack">
                <p class="gb-muted">{ lang.t("cherry.help") }</p>
                { button }
                <details class="gb-details">
                    <summary>{ lang.t("cherry.by_hand") }</summary>
                    <ol class="gb-steps">
                        <li>{ lang.t("cherry.step1") }</li>
                        <li>{ lang.t("cherry.step2") }</li>
                        <li>
                            { lang.t("cherry.step3") }
                            <CopyField id="cherry-url" label={lang.t("cherry.api_host")} text={props.base_url.clone()} />
                        </li>
                        <li>
                            { lang.t("cherry.step4") }
                            if !host.in_window() {
                                <CopyField id="cherry-key" label={lang.t("cherry.api_key")} text={shown_token} />
                            }
                        </li>
                        <li>
                            { lang.t("cherry.step5") }
                            <CopyField id="cherry-model" label={lang.t("cherry.model")} text={props.model.clone()} />
                        </li>
                    </ol>
                </details>
            </div>
        </div>
    )
}
