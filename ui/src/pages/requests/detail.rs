use contract::admin::{Named, RequestDetail, RequestQuery, TryView};
use yew::{AttrValue, Html, Properties, component, html};

use super::link;
use super::row::{StatusLabel, price};
use crate::app::{use_host, use_lang};
use crate::controls::{CopyButton, ErrorNote, Facts, Skeleton};
use crate::host::{Host, zone_here};
use crate::load::{LoadResult, use_load};
use crate::pages::dashboard::meaning;
use crate::text::{Lang, latency, number};

#[derive(PartialEq, Properties)]
pub struct DetailProps {
    /// The request's number in the log.
    pub id: i64,
}

/// Asks for everything that is known of a request.
#[component]
pub fn Detail(props: &DetailProps) -> Html {
    let host = use_host();
    let path = format!("/api/requests/{}", props.id);
    let detail = use_load::<RequestDetail>(host, path, None);
    html!(<DetailView detail={detail.result} />)
}

#[derive(PartialEq, Properties)]
pub struct DetailViewProps {
    pub detail: LoadResult<RequestDetail>,
}

/// Everything that is known of a request.
#[component]
pub fn DetailView(props: &DetailViewProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let Some(detail) = props.detail.data.as_deref() else {
        return match props.detail.error.clone() {
            Some(error) => html!(<ErrorNote {error} />),
            None => html!(<Skeleton lines={6} />),
        };
    };
    html!(
        <div class="gb-stack" data-testid="request-detail">
            { went_wrong(lang, detail) }
            <Facts facts={facts(host, lang, detail)} />
            if let Some(body) = &detail.body {
                <div>
                    <div class="gb-row">
                        <h3 class="gb-label">{ lang.t("requests.body") }</h3>
                        <CopyButton id="request-body-copy" text={body.clone()} what={lang.t("requests.body")} />
                    </div>
                    if detail.body_truncated {
                        <p class="gb-small gb-muted">{ lang.t("requests.body_truncated") }</p>
                    }
                    <pre class="gb-log__body gb-mono" data-testid="request-body" tabindex="0">{ body }</pre>
                </div>
            }
        </div>
    )
}

/// What the status means, what the client was told, and what Google said.
fn went_wrong(lang: Lang, detail: &RequestDetail) -> Html {
    let request = &detail.request;
    if request.status < 400 && request.error.is_none() {
        return Html::default();
    }
    let said = |title: &str, text: &Option<String>| {
        text.as_ref().filter(|text| !text.is_empty()).map(|text| {
            html!(
                <div>
                    <div class="gb-caption">{ lang.t(title) }</div>
                    <div class="gb-log__said gb-mono">{ text }</div>
                </div>
            )
        })
    };
    html!(
        <>
            <p><strong>{ lang.t(meaning(request.status)) }</strong></p>
            { said("requests.told", &request.error).unwrap_or_default() }
            { said("requests.google_said", &detail.upstream_message).unwrap_or_default() }
        </>
    )
}

/// A name and value each; what does not apply is left out.
fn facts(host: Host, lang: Lang, detail: &RequestDetail) -> Vec<(AttrValue, Html)> {
    let request = &detail.request;
    let zone = zone_here();
    let column = |name: &str| lang.t(&format!("requests.column.{name}"));
    let plain = |text: String| html!(<span class="gb-wrap-anywhere">{ text }</span>);
    let tokens = |n: u32| plain(number(n.into()));
    let all = [
        Some((
            lang.t("requests.id"),
            html!(
                <span class="gb-row gb-row--tight">
                    <span class="gb-mono" data-testid="request-id">{ &request.request_id }</span>
                    <CopyButton id="request-id-copy" text={request.request_id.clone()} what={lang.t("requests.id")} />
                </span>
            ),
        )),
        Some((
            column("time"),
            plain(format!(
                "{} {}",
                zone.date(request.at),
                zone.time(request.at)
            )),
        )),
        Some((
            column("status"),
            html!(<StatusLabel status={request.status} />),
        )),
        Some((
            column("surface"),
            plain(format!(
                "{} · {}",
                lang.of("surface", &request.surface),
                lang.t(if request.stream {
                    "requests.streamed"
                } else {
                    "requests.whole"
                })
            )),
        )),
        (!request.model.is_empty()).then(|| {
            let query = RequestQuery {
                model: Some(request.model.clone()),
                ..RequestQuery::default()
            };
            (column("model"), linked(host, &request.model, &query))
        }),
        request.token.as_ref().map(|token| {
            let query = RequestQuery {
                token: Some(token.id),
                ..RequestQuery::default()
            };
            (column("token"), linked(host, &token.name, &query))
        }),
        request
            .key
            .as_ref()
            .map(|key| (column("key"), key_link(host, key))),
        request
            .remote
            .clone()
            .map(|remote| (lang.t("requests.remote"), plain(remote))),
        request
            .project
            .clone()
            .map(|project| (lang.t("requests.project"), plain(project))),
        Some((
            lang.t("requests.tries"),
            plain(number(request.attempts.into())),
        )),
        (!detail.tries.is_empty()).then(|| {
            let tries = html!(
                <ol class="gb-plain-list" data-testid="request-tries">
                    { for detail.tries.iter().map(|one| html!(<li>{ shown_try(host, lang, one) }</li>)) }
                </ol>
            );
            (lang.t("requests.each_try"), tries)
        }),
        (detail.tries.is_empty() && !detail.failed_keys.is_empty()).then(|| {
            let keys = html!(
                <ul class="gb-plain-list">
                    { for detail.failed_keys.iter().map(|key| html!(<li>{ key_link(host, key) }</li>)) }
                </ul>
            );
            (lang.t("requests.failed_keys"), keys)
        }),
        request
            .ttft_ms
            .map(|ms| (lang.t("requests.first_byte"), plain(latency(lang, ms)))),
        Some((column("took"), plain(latency(lang, request.latency_ms)))),
        Some((
            lang.t("requests.prompt_tokens"),
            tokens(request.prompt_tokens),
        )),
        (request.cached_tokens > 0).then(|| {
            (
                lang.t("requests.cached_tokens"),
                tokens(request.cached_tokens),
            )
        }),
        Some((
            lang.t("requests.output_tokens"),
            tokens(request.output_tokens),
        )),
        (request.thought_tokens > 0).then(|| {
            (
                lang.t("requests.thought_tokens"),
                tokens(request.thought_tokens),
            )
        }),
        Some((
            column("cost"),
            html!(
                <>
                    { price(lang, request.cost_micros) }{ " " }
                    <span class="gb-small gb-muted">
                        { lang.t(if request.cost_micros.is_some() { "requests.cost_help" } else { "requests.cost_unknown" }) }
                    </span>
                </>
            ),
        )),
        detail
            .user_agent
            .clone()
            .map(|agent| (lang.t("requests.user_agent"), plain(agent))),
    ];
    all.into_iter().flatten().collect()
}

/// One call in a line: with which key, which way, how it ended, and how long it took.
fn shown_try(host: Host, lang: Lang, one: &TryView) -> Html {
    let mut rest = Vec::new();
    if let Some(proxy) = &one.proxy {
        rest.push(lang.f("requests.by_proxy", &[("proxy", proxy)]).to_string());
    }
    rest.push(lang.of("try", &one.outcome).to_string());
    if one.waited_ms > 0 {
        let waited = latency(lang, one.waited_ms);
        rest.push(lang.f("requests.waited", &[("time", &waited)]).to_string());
    }
    rest.push(latency(lang, one.took_ms));
    let key = one
        .key
        .as_ref()
        .map(|key| html!(<>{ key_link(host, key) }{ " · " }</>));
    html!(<>{ key }{ rest.join(" · ") }</>)
}

fn key_link(host: Host, key: &Named) -> Html {
    let query = RequestQuery {
        key: Some(key.id),
        ..RequestQuery::default()
    };
    linked(host, &key.name, &query)
}

/// A name that leads to all requests with it.
fn linked(host: Host, name: &str, query: &RequestQuery) -> Html {
    html!(<a class="gb-wrap-anywhere" href={link(host, query)}>{ name }</a>)
}
