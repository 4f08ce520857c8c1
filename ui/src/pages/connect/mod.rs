//! How client programs get here: addresses, tokens, Cherry Studio, examples, a test.

mod cherry;
mod endpoints;
mod names;
mod snippets;
mod test_request;
mod tokens;

#[cfg(test)]
mod tests;

use contract::admin::{ConnectInfo, Endpoint, Surface, TokenView};
use yew::{AttrValue, Html, component, html, use_callback, use_state_eq};

use crate::app::{use_host, use_lang};
use crate::controls::{ErrorNote, Skeleton};
use crate::load::use_load;

/// What stands in examples where the token goes, until one was made.
pub const TOKEN_PLACEHOLDER: &str = "YOUR_TOKEN";

/// How often the tokens are asked for, in milliseconds: "last used" tells the user that
/// the client program has found its way.
const TOKENS_EVERY: u32 = 10_000;

/// The page of client programs.
#[component]
pub fn Connect() -> Html {
    let host = use_host();
    let lang = use_lang();
    let info = use_load::<ConnectInfo>(host, "/api/connect", None);
    let tokens = use_load::<Vec<TokenView>>(host, "/api/tokens", Some(TOKENS_EVERY));
    // The token just made, in the browser only: to fill in links and examples.
    let fresh = use_state_eq(|| None::<AttrValue>);
    let onfresh = {
        let fresh = fresh.setter();
        use_callback((), move |secret: AttrValue, ()| fresh.set(Some(secret)))
    };
    let token = (*fresh).clone();
    let error = info
        .result
        .error
        .clone()
        .or_else(|| tokens.result.error.clone());
    html!(
        <>
            <section class="pf-v6-c-page__main-section gb-page-head">
                <h1 class="pf-v6-c-title pf-m-2xl">{ lang.t("connect.title") }</h1>
                <p class="gb-muted">{ lang.t("connect.subtitle") }</p>
            </section>
            <section class="pf-v6-c-page__main-section gb-stack">
                if let Some(error) = error {
                    <ErrorNote {error} />
                }
                if let Some(info) = info.result.data.clone() {
                    <tokens::TokensCard
                        tokens={tokens.result.data.clone()}
                        fresh={token.clone()}
                        {onfresh}
                        changed={tokens.reload.clone()}
                    />
                    <endpoints::EndpointsCard endpoints={info.endpoints.clone()} />
                    if let Some(openai) = base_url(&info.endpoints, Surface::Openai) {
                        <cherry::CherryCard base_url={openai} model={info.example_model.clone()} token={token.clone()} />
                    }
                    <test_request::TestCard info={(*info).clone()} />
                    <names::NamesCard names={info.names.clone()} />
                    <snippets::SnippetsCard info={(*info).clone()} {token} />
                } else {
                    { for (0..3).map(|i| html!(
                        <div key={i} class="pf-v6-c-card"><div class="pf-v6-c-card__body"><Skeleton lines={4} /></div></div>
                    )) }
                }
            </section>
        </>
    )
}

/// The base URL of a protocol, if this instance speaks it.
pub fn base_url(endpoints: &[Endpoint], surface: Surface) -> Option<String> {
    endpoints
        .iter()
        .find(|endpoint| endpoint.surface == surface)
        .map(|endpoint| endpoint.base_url.clone())
}
