use contract::Millis;
use contract::deploy::{RemoteState, RemoteView};
use yew::{AttrValue, Callback, Html, Properties, component, html};

use super::actions::Actions;
use super::state::{Explained, StateLabel};
use super::warnings::Warnings;
use super::{Part, open_panel, page_of};
use crate::app::use_lang;
use crate::controls::{CopyField, Facts};
use crate::text::{Lang, ago, duration, number};

#[derive(PartialEq, Properties)]
pub struct RemoteCardProps {
    pub remote: RemoteView,
    pub now: Millis,
    /// Called when something was done to it.
    pub changed: Callback<()>,
}

/// One remote: how it is, what is to be done, the ways to more.
#[component]
pub fn RemoteCard(props: &RemoteCardProps) -> Html {
    let lang = use_lang();
    let remote = &props.remote;
    let id = remote.id;
    html!(
        <section class="pf-v6-c-card" data-testid={format!("remote-{id}")}>
            <div class="pf-v6-c-card__title gb-row">
                <h2 class="pf-v6-c-card__title-text">
                    <a href={page_of(id, Part::Overview)} data-testid={format!("remote-open-{id}")}>{ &remote.name }</a>
                </h2>
                <span class="gb-muted">{ place(lang, remote) }</span>
                <div class="gb-push"><StateLabel state={remote.state.clone()} /></div>
            </div>
            <div class="pf-v6-c-card__body gb-stack">
                <Explained state={remote.state.clone()} since={remote.state_since} now={props.now} />
                <Warnings remote={remote.clone()} changed={props.changed.clone()} />
                <Facts facts={facts(lang, remote, props.now)} />
                <div class="gb-row">
                    if matches!(remote.state, RemoteState::Draft | RemoteState::Interrupted { .. }) {
                        <Actions remote={remote.clone()} changed={props.changed.clone()} brief=true />
                    } else {
                        { open_panel(lang, remote) }
                        <a class="pf-v6-c-button pf-m-secondary" href={page_of(id, Part::Overview)}>
                            <span class="pf-v6-c-button__text">{ lang.t("instances.details") }</span>
                        </a>
                        <Actions remote={remote.clone()} changed={props.changed.clone()} brief=true />
                    }
                </div>
            </div>
        </section>
    )
}

/// Whose account a remote runs on.
pub fn place(lang: Lang, remote: &RemoteView) -> AttrValue {
    match (&remote.provider, &remote.wish) {
        (Some(provider), _) => lang.of("provider", provider),
        (None, Some(_)) => lang.t("instances.by_hand"),
        (None, None) => lang.t("instances.by_address"),
    }
}

/// What is known of a remote in short; what is not known is left out.
pub fn facts(lang: Lang, remote: &RemoteView, now: Millis) -> Vec<(AttrValue, Html)> {
    let plain = |text: String| html!(<span class="gb-wrap-anywhere">{ text }</span>);
    let health = remote.health.as_ref();
    let all = [
        remote.url.clone().map(|url| {
            let label = lang.t("instances.fact.address");
            let field = html!(<CopyField id={format!("remote-url-{}", remote.id)} label={label.clone()} text={url} />);
            (label, field)
        }),
        health.map(|health| {
            let mut text = health.version.clone();
            if let Some(started) = health.started_at {
                let since = lang.f("dashboard.since", &[("ago", &ago(lang, now, started))]);
                text.push_str(&format!(" · {since}"));
            }
            (lang.t("instances.fact.version"), plain(text))
        }),
        health
            .and_then(|health| Some((health.keys_ready?, health.keys_total?)))
            .map(|(ready, total)| {
                let text = lang.f("instances.keys_of", &[("ready", &ready), ("total", &total)]);
                (lang.t("instances.fact.pool"), plain(text.to_string()))
            }),
        health
            .and_then(|health| Some((health.requests_today?, health.errors_today.unwrap_or(0))))
            .map(|(requests, errors)| {
                let text = lang.f(
                    "instances.today_of",
                    &[("requests", &number(requests)), ("errors", &number(errors))],
                );
                (lang.t("instances.fact.today"), plain(text.to_string()))
            }),
        health.map(|health| {
            let text = lang.f("time.ms", &[("n", &health.latency_ms)]);
            (lang.t("instances.fact.latency"), plain(text.to_string()))
        }),
        health
            .and_then(|health| health.sign_in_problem.as_ref())
            .map(|error| {
                let said = html!(
                    <>
                        <span class="gb-bad">{ lang.error_title(error.code) }</span>
                        <div>{ lang.error_hint(error) }</div>
                        <div class="gb-detail">{ &error.message }</div>
                    </>
                );
                (lang.t("instances.fact.sign_in"), said)
            }),
        (remote.url.is_some() && remote.keep_alive.enabled).then(|| {
            (
                lang.t("instances.fact.keep_alive"),
                plain(awake(lang, remote, now).to_string()),
            )
        }),
        remote.checked_at.map(|at| {
            (
                lang.t("instances.fact.checked"),
                plain(ago(lang, now, at)),
            )
        }),
    ];
    all.into_iter().flatten().collect()
}

/// How a remote is kept awake, in a sentence.
pub fn awake(lang: Lang, remote: &RemoteView, now: Millis) -> AttrValue {
    if !remote.keep_alive.enabled {
        return lang.t("instances.awake.off");
    }
    let Some(state) = &remote.keep_alive_state else {
        return lang.t("instances.awake.on");
    };
    if state.paused_by_budget {
        return lang.t("instances.awake.paused");
    }
    match state.next_at {
        Some(at) => lang.f(
            "instances.awake.next",
            &[("in", &duration(lang, (at - now).max(0)))],
        ),
        None => lang.t("instances.awake.quiet"),
    }
}
