use std::rc::Rc;

use contract::admin::TokenView;
use yew::{AttrValue, Callback, Html, Properties, component, html};

use crate::app::{use_host, use_lang, use_now};
use crate::controls::{Card, Skeleton};
use crate::pages::tokens::{NewToken, OwnToken, Revoke, last_used};

#[derive(PartialEq, Properties)]
pub struct TokensCardProps {
    /// None while the first answer is on its way.
    pub tokens: Option<Rc<Vec<TokenView>>>,
    /// The token just made (browser).
    pub fresh: Option<AttrValue>,
    pub onfresh: Callback<AttrValue>,
    /// Called when tokens were made or revoked.
    pub changed: Callback<()>,
}

/// Makes, shows and revokes client tokens, as far as connecting a program needs it; the
/// page of tokens has the rest.
#[component]
pub fn TokensCard(props: &TokensCardProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    html!(
        <Card
            id="tokens-card"
            title={lang.t("tokens.list")}
            corner={html!(
                <a class="pf-v6-c-button pf-m-link pf-m-inline" href={host.page("#/tokens")} data-testid="tokens-all">
                    { lang.t("tokens.more") }
                </a>
            )}
        >
            <p class="gb-muted">{ lang.t("tokens.help") }</p>
            <OwnToken />
            <NewToken
                fresh={props.fresh.clone()}
                onfresh={props.onfresh.clone()}
                changed={props.changed.clone()}
                note={lang.t("connect.filled_in")}
            />
            if let Some(tokens) = props.tokens.clone() {
                <TokenList {tokens} changed={props.changed.clone()} />
            } else {
                <Skeleton lines={2} />
            }
        </Card>
    )
}

#[derive(PartialEq, Properties)]
struct TokenListProps {
    tokens: Rc<Vec<TokenView>>,
    changed: Callback<()>,
}

#[component]
fn TokenList(props: &TokenListProps) -> Html {
    let lang = use_lang();
    let now = use_now();
    if props.tokens.is_empty() {
        return html!(<p class="gb-muted" data-testid="tokens-empty">{ lang.t("tokens.none") }</p>);
    }
    html!(
        <ul class="gb-tokens">
            { for props.tokens.iter().map(|token| html!(
                <li class="gb-tokens__one" key={token.id} data-testid={format!("token-row-{}", token.id)}>
                    <div>
                        <strong>{ &token.name }</strong>{ " " }
                        <span class="gb-mono gb-muted">{ &token.masked }</span>
                        <div class="gb-small gb-muted">{ last_used(lang, now, token) }</div>
                    </div>
                    <div class="gb-push">
                        <Revoke token={token.clone()} changed={props.changed.clone()} />
                    </div>
                </li>
            )) }
        </ul>
    )
}
