use std::rc::Rc;

use contract::Millis;
use contract::admin::{Origin, RequestQuery, TokenView};
use patternfly_yew::prelude::{Color, Label};
use yew::{AttrValue, Callback, Html, Properties, component, html};

use super::revoke::Revoke;
use super::rules::in_words;
use crate::app::{use_host, use_lang};
use crate::controls::{Act, Moment};
use crate::host::Host;
use crate::pages::requests::link;
use crate::text::{Lang, ago, duration, number};

/// When an expiry is near enough to count down to it, in milliseconds: a week.
const SOON: Millis = 7 * 86_400_000;

#[derive(PartialEq, Properties)]
pub struct TokenTableProps {
    pub tokens: Rc<Vec<TokenView>>,
    /// The instance's clock.
    pub now: Millis,
    /// Opens the form for a token.
    pub edit: Callback<TokenView>,
    /// Called when one was revoked.
    pub changed: Callback<()>,
}

/// All client tokens with what they may do and what was done with them.
#[component]
pub fn TokenTable(props: &TokenTableProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    if props.tokens.is_empty() {
        return html!(<p class="gb-muted" data-testid="tokens-empty">{ lang.t("tokens.none") }</p>);
    }
    html!(
        <table class="pf-v6-c-table pf-m-grid-md gb-table" aria-label={lang.t("tokens.title")}>
            <thead class="pf-v6-c-table__thead">
                <tr class="pf-v6-c-table__tr">
                    { for ["token", "today", "rules", "actions"].iter().map(|column| html!(
                        <th class="pf-v6-c-table__th" scope="col" key={*column}>{ lang.t(&format!("tokens.column.{column}")) }</th>
                    )) }
                </tr>
            </thead>
            <tbody class="pf-v6-c-table__tbody">
                { for props.tokens.iter().map(|token| row(host, lang, props, token)) }
            </tbody>
        </table>
    )
}

fn row(host: Host, lang: Lang, props: &TokenTableProps, token: &TokenView) -> Html {
    let (id, now) = (token.id, props.now);
    let usage = &token.usage;
    let rules = in_words(lang, &token.rules);
    let requests = link(
        host,
        &RequestQuery {
            token: Some(id),
            ..RequestQuery::default()
        },
    );
    let of = |column: &str| lang.t(&format!("tokens.column.{column}"));
    let edited = token.clone();
    html!(
        <tr class="pf-v6-c-table__tr" key={id} data-testid={format!("token-row-{id}")}>
            <td class="pf-v6-c-table__td" data-label={of("token")}>
                <div><strong class="gb-wrap-anywhere">{ &token.name }</strong></div>
                <div class="gb-mono gb-small gb-muted">{ &token.masked }</div>
                <div class="gb-small gb-muted">{ last_used(lang, now, token) }</div>
                if token.origin == Origin::Environment {
                    <Label color={Color::Grey} compact=true label={lang.t("tokens.of_environment").to_string()} />
                }
            </td>
            <td class="pf-v6-c-table__td" data-label={of("today")}>
                <div>{ lang.n("keys.requests", usage.requests_today) }</div>
                if usage.errors_today > 0 {
                    <div class="gb-small gb-muted">{ lang.f("keys.errors", &[("n", &number(usage.errors_today))]) }</div>
                }
                <div class="gb-small gb-muted">{ lang.n("tokens.used_tokens", usage.tokens_today) }</div>
                if usage.running > 0 {
                    <div class="gb-small">{ lang.n("tokens.running", usage.running.into()) }</div>
                }
            </td>
            <td class="pf-v6-c-table__td" data-label={of("rules")}>
                if rules.is_empty() {
                    <div class="gb-muted">{ lang.t("tokens.unlimited") }</div>
                } else {
                    <ul class="gb-plain-list gb-small">
                        { for rules.iter().map(|words| html!(<li class="gb-wrap-anywhere">{ words }</li>)) }
                    </ul>
                }
                { expiry(lang, now, token.rules.expires_at) }
            </td>
            <td class="pf-v6-c-table__td gb-actions" data-label={of("actions")}>
                <div class="gb-row gb-row--tight">
                    <a class="pf-v6-c-button pf-m-link pf-m-inline gb-small gb-nowrap" href={requests} data-testid={format!("token-requests-{id}")}>
                        { lang.t("tokens.requests") }
                    </a>
                    <Act
                        id={format!("token-edit-{id}")}
                        small=true
                        label={lang.t("tokens.edit")}
                        aria_label={AttrValue::from(format!("{}: {}", lang.t("tokens.edit"), token.name))}
                        onclick={props.edit.reform(move |()| edited.clone())}
                    />
                    if token.origin == Origin::Panel {
                        <Revoke token={token.clone()} changed={props.changed.clone()} />
                    }
                </div>
            </td>
        </tr>
    )
}

/// When a client last used a token.
pub fn last_used(lang: Lang, now: Millis, token: &TokenView) -> AttrValue {
    match token.last_used_at {
        None => lang.t("tokens.never_used"),
        Some(at) => lang.f("keys.used", &[("ago", &ago(lang, now, at))]),
    }
}

/// Until when a token is good.
fn expiry(lang: Lang, now: Millis, at: Option<Millis>) -> Html {
    let Some(at) = at else {
        return Html::default();
    };
    if at <= now {
        return html!(
            <div class="gb-row gb-row--tight">
                <Label color={Color::Red} compact=true label={lang.t("tokens.expired").to_string()} />
                <span class="gb-small gb-muted"><Moment {at} /></span>
            </div>
        );
    }
    let left = at - now;
    html!(
        <div class="gb-small gb-muted">
            if left <= SOON {
                { lang.f("tokens.expires_in", &[("in", &duration(lang, left))]) }
            } else {
                { lang.t("tokens.expires_at") }{ " " }<Moment {at} />
            }
        </div>
    )
}
