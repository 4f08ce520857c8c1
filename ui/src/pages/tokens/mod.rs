//! Client tokens: who may ask, within which limits, and what was done with each.
//!
//! The page of client programs makes and revokes tokens, too, by the same components.

mod edit;
mod new;
mod revoke;
mod rules;
mod table;

#[cfg(test)]
mod tests;

use contract::Millis;
use contract::admin::TokenView;
use contract::desktop::Copy;
use wasm_bindgen_futures::spawn_local;
use yew::{AttrValue, Callback, Html, Properties, component, html, use_callback, use_state_eq};

use super::PageHead;
use crate::app::{use_host, use_lang, use_now};
use crate::controls::{Card, CopyButton, ErrorNote, Skeleton};
use crate::load::{LoadResult, use_load};

pub use new::NewToken;
pub use revoke::Revoke;
pub use table::last_used;

/// How often the tokens are asked for, in milliseconds.
const TOKENS_EVERY: u32 = 5_000;

/// The page.
#[component]
pub fn Tokens() -> Html {
    let host = use_host();
    let now = use_now();
    let tokens = use_load::<Vec<TokenView>>(host, "/api/tokens", Some(TOKENS_EVERY));
    let fresh = use_state_eq(|| None::<AttrValue>);
    let onfresh = {
        let fresh = fresh.setter();
        use_callback((), move |secret: AttrValue, ()| fresh.set(Some(secret)))
    };
    let maker = html!(
        <NewToken
            fresh={(*fresh).clone()}
            {onfresh}
            changed={tokens.reload.clone()}
            with_rules=true
        />
    );
    html!(<TokensView tokens={tokens.result} {now} {maker} changed={tokens.reload} />)
}

#[derive(PartialEq, Properties)]
pub struct TokensViewProps {
    pub tokens: LoadResult<Vec<TokenView>>,
    /// The instance's clock.
    pub now: Millis,
    /// The form that makes tokens.
    pub maker: Html,
    /// Called when one was changed or revoked.
    pub changed: Callback<()>,
}

/// The page as a function of what is known and the time.
#[component]
pub fn TokensView(props: &TokensViewProps) -> Html {
    let lang = use_lang();
    let editing = use_state_eq(|| None::<TokenView>);
    let edit = {
        let editing = editing.setter();
        Callback::from(move |token: Option<TokenView>| editing.set(token))
    };
    html!(
        <>
            <PageHead title={lang.t("tokens.title")} subtitle={lang.t("tokens.subtitle")} />
            <section class="pf-v6-c-page__main-section gb-stack">
                if let Some(error) = props.tokens.error.clone() {
                    <ErrorNote {error} />
                }
                <Card id="token-new" title={lang.t("tokens.new")}>
                    <p class="gb-muted">{ lang.t("tokens.help") }</p>
                    <OwnToken />
                    { props.maker.clone() }
                </Card>
                <Card id="tokens-card" title={lang.t("tokens.list")}>
                    if let Some(tokens) = props.tokens.data.clone() {
                        <table::TokenTable
                            {tokens}
                            now={props.now}
                            edit={edit.reform(Some)}
                            changed={props.changed.clone()}
                        />
                    } else if props.tokens.error.is_none() {
                        <Skeleton lines={4} />
                    }
                </Card>
            </section>
            if let Some(token) = (*editing).clone() {
                <edit::EditToken
                    {token}
                    onclose={edit.reform(|()| None)}
                    changed={props.changed.clone()}
                />
            }
        </>
    )
}

/// The desktop app's own token, which Rust copies; nothing in a browser.
#[component]
pub fn OwnToken() -> Html {
    let host = use_host();
    let lang = use_lang();
    if !host.in_own_window() {
        return Html::default();
    }
    let instead = Callback::from(move |done: Callback<bool>| {
        spawn_local(async move { done.emit(host.copy_in_rust(Copy::Token).await.is_ok()) });
    });
    html!(
        <div class="gb-row">
            <span>{ lang.t("tokens.own") }</span>
            <CopyButton id="token-copy-own" worded=true text="" what={lang.t("tokens.own_what")} {instead} />
        </div>
    )
}
