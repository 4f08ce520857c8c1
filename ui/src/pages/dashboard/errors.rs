use std::rc::Rc;

use contract::Millis;
use contract::admin::{Overview, RequestError, RequestQuery, RequestResult};
use patternfly_yew::prelude::{Color, Icon, Label};
use yew::{AttrValue, Html, Properties, component, html};

use crate::app::{use_host, use_lang};
use crate::host::Host;
use crate::pages::requests::link;
use crate::text::{Lang, ago};

#[derive(PartialEq, Properties)]
pub struct ErrorsCardProps {
    pub overview: Rc<Overview>,
    pub now: Millis,
}

/// The newest failed requests, each with what it means and what to do.
#[component]
pub fn ErrorsCard(props: &ErrorsCardProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let errors = &props.overview.last_errors;
    html!(
        <div class="pf-v6-c-card gb-dashboard__errors" data-testid="errors-card">
            <div class="pf-v6-c-card__title">
                <div class="gb-row">
                    <h2 class="pf-v6-c-card__title-text">{ lang.t("dashboard.errors.title") }</h2>
                    if !errors.is_empty() {
                        <a class="pf-v6-c-button pf-m-link pf-m-inline gb-push" href={all_errors(host)} data-testid="errors-all">
                            { lang.t("dashboard.errors.all") }
                        </a>
                    }
                </div>
            </div>
            <div class="pf-v6-c-card__body">
                if errors.is_empty() {
                    <p class="gb-muted gb-quiet">
                        <span class="gb-good">{ Icon::CheckCircle }</span>
                        { " " }{ lang.t("dashboard.errors.none") }
                    </p>
                } else {
                    <ul class="gb-errors">
                        { for errors.iter().map(|error| one(host, lang, error, props.now)) }
                    </ul>
                }
            </div>
        </div>
    )
}

fn one(host: Host, lang: Lang, error: &RequestError, now: Millis) -> Html {
    html!(
        <li class="gb-errors__one">
            <div class="gb-errors__head">
                <Label color={Color::Red} compact=true label={error.status.to_string()} />
                <strong>{ lang.t(meaning(error.status)) }</strong>
                <a class="gb-small" href={this_one(host, error)} title={lang.t("dashboard.errors.look")}>{ ago(lang, now, error.at) }</a>
            </div>
            <div class="gb-small gb-muted">
                { lang.of("surface", &error.surface) }
                if !error.model.is_empty() { { " · " }{ &error.model } }
                if let Some(key) = &error.key { { " · " }<span class="gb-mono">{ key }</span> }
            </div>
            <div class="gb-detail">{ &error.message }</div>
        </li>
    )
}

/// The error log.
fn all_errors(host: Host) -> AttrValue {
    link(
        host,
        &RequestQuery {
            result: Some(RequestResult::Failed),
            ..RequestQuery::default()
        },
    )
}

/// One request in the error log. The dashboard does not know its number, but when it ended.
fn this_one(host: Host, error: &RequestError) -> AttrValue {
    link(
        host,
        &RequestQuery {
            result: Some(RequestResult::Failed),
            from: Some(error.at),
            to: Some(error.at + 1),
            ..RequestQuery::default()
        },
    )
}

/// The text that explains an HTTP status to someone who does not know HTTP.
pub fn meaning(status: u16) -> &'static str {
    match status {
        400 | 413 | 422 => "status.bad_request",
        401 => "status.unauthorized",
        403 => "status.forbidden",
        404 | 405 => "status.not_found",
        429 => "status.too_many",
        499 => "status.client_left",
        500..=599 => "status.upstream",
        _ => "status.other",
    }
}
