use contract::admin::{Named, RequestView};
use patternfly_yew::prelude::{Color, Icon, Label};
use yew::{AttrValue, Callback, Html, Properties, component, html};

use super::detail::Detail;
use crate::app::use_lang;
use crate::controls::{Act, Kind};
use crate::host::zone_here;
use crate::text::{Lang, cost, latency, number};

#[derive(PartialEq, Properties)]
pub struct RequestRowProps {
    pub request: RequestView,
    /// It stands in the error log.
    pub errors: bool,
    /// How many columns the table has.
    pub columns: usize,
    /// Its details are shown.
    pub open: bool,
    pub toggle: Callback<i64>,
}

/// One request, and when it is open all that is known of it beneath.
#[component]
pub fn RequestRow(props: &RequestRowProps) -> Html {
    let lang = use_lang();
    let request = &props.request;
    let id = request.id;
    let zone = zone_here();
    let (icon, fold) = if props.open {
        (Icon::AngleDown, "requests.hide")
    } else {
        (Icon::AngleRight, "requests.show")
    };
    let of = |column: &str| lang.t(&format!("requests.column.{column}"));
    html!(
        <>
            <tr class="pf-v6-c-table__tr" data-testid={format!("request-row-{id}")}>
                <td class="pf-v6-c-table__td gb-log__fold">
                    <Act
                        id={format!("request-open-{id}")}
                        kind={Kind::Plain}
                        small=true
                        icon={Some(icon)}
                        label={lang.t(fold)}
                        aria_label={AttrValue::from(format!("{}: {}", lang.t(fold), zone.time(request.at)))}
                        aria_expanded={AttrValue::from(props.open.to_string())}
                        onclick={props.toggle.reform(move |()| id)}
                    />
                </td>
                <td class="pf-v6-c-table__td" data-label={of("time")}>
                    <div class="gb-time">{ zone.time(request.at) }</div>
                    <div class="gb-time gb-small gb-muted">{ zone.date(request.at) }</div>
                </td>
                <td class="pf-v6-c-table__td" data-label={of("model")}>
                    if request.model.is_empty() {
                        <div class="gb-muted">{ lang.t("requests.no_model") }</div>
                    } else {
                        <div class="gb-wrap-anywhere">{ &request.model }</div>
                    }
                    <div class="gb-small gb-muted">{ lang.of("surface", &request.surface) }</div>
                </td>
                <td class="pf-v6-c-table__td" data-label={of("sender")}>
                    <div class="gb-wrap-anywhere">{ name(lang, request.token.as_ref(), "requests.no_token") }</div>
                    <div class="gb-small gb-muted gb-wrap-anywhere">{ answered_by(lang, request) }</div>
                </td>
                <td class="pf-v6-c-table__td" data-label={of("status")}>
                    <div><StatusLabel status={request.status} /></div>
                    if request.attempts > 1 {
                        <div class="gb-small gb-muted gb-nowrap">{ lang.n("requests.attempts", request.attempts.into()) }</div>
                    }
                </td>
                if props.errors {
                    <td class="pf-v6-c-table__td" data-label={of("error")}>
                        <div class="gb-log__error">{ request.error.clone().unwrap_or_default() }</div>
                    </td>
                } else {
                    <td class="pf-v6-c-table__td gb-nowrap" data-label={of("tokens")}>
                        <div title={parts(lang, request)}>
                            { number(request.prompt_tokens.into()) }{ " → " }{ number(request.output_tokens.into()) }
                        </div>
                    </td>
                    <td class="pf-v6-c-table__td gb-nowrap" data-label={of("took")}>
                        <div>{ latency(lang, request.latency_ms) }</div>
                        if let Some(first) = request.ttft_ms.filter(|_| request.stream) {
                            <div class="gb-small gb-muted">{ lang.f("requests.first_byte_in", &[("time", &latency(lang, first))]) }</div>
                        }
                    </td>
                    <td class="pf-v6-c-table__td gb-nowrap" data-label={of("cost")}>
                        { price(lang, request.cost_micros) }
                    </td>
                }
            </tr>
            if props.open {
                <tr class="pf-v6-c-table__tr gb-log__detail">
                    <td class="pf-v6-c-table__td" colspan={props.columns.to_string()}>
                        <Detail {id} />
                    </td>
                </tr>
            }
        </>
    )
}

/// What the key is called that it was answered with, or the remote that it went through.
fn answered_by(lang: Lang, request: &RequestView) -> Html {
    match &request.remote {
        Some(remote) => html!({ lang.f("requests.through", &[("name", remote)]) }),
        None => name(lang, request.key.as_ref(), "requests.no_key"),
    }
}

/// A name that a user gave, or words for there being none.
fn name(lang: Lang, named: Option<&Named>, none: &str) -> Html {
    match named {
        Some(named) if named.name.is_empty() => html!({ format!("#{}", named.id) }),
        Some(named) => html!({ &named.name }),
        None => html!(<span class="gb-muted">{ lang.t(none) }</span>),
    }
}

/// What a request would have cost, when that is known.
pub fn price(lang: Lang, micros: Option<u64>) -> String {
    micros.map_or_else(|| "–".to_owned(), |micros| cost(lang, micros))
}

/// What the tokens of a request were, beyond in and out.
fn parts(lang: Lang, request: &RequestView) -> AttrValue {
    lang.f(
        "requests.token_parts",
        &[
            ("cached", &number(request.cached_tokens.into())),
            ("thought", &number(request.thought_tokens.into())),
        ],
    )
}

#[derive(PartialEq, Properties)]
pub struct StatusLabelProps {
    pub status: u16,
}

/// An HTTP status in the colour of what it means.
#[component]
pub fn StatusLabel(props: &StatusLabelProps) -> Html {
    let color = match props.status {
        200..400 => Color::Green,
        // The client hung up: nobody's fault.
        499 => Color::Grey,
        400..500 => Color::Orange,
        _ => Color::Red,
    };
    html!(<Label {color} compact=true label={props.status.to_string()} />)
}
