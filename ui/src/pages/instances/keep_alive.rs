use contract::deploy::{KeepAlive, QuietHours, RemoteView};
use contract::links::Page;
use contract::{ApiError, Millis};
use yew::{AttrValue, Callback, Html, Properties, component, html};

use super::card::awake;
use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{Card, Choice, Choices, CopyField, ErrorNote, Facts, Out, Place, Toggle};
use crate::send::use_send;
use crate::text::{Lang, ago};

#[derive(PartialEq, Properties)]
pub struct KeepAlivePartProps {
    pub remote: RemoteView,
    pub now: Millis,
    /// Called when it was changed.
    pub changed: Callback<()>,
}

/// How a remote is kept awake.
#[component]
pub fn KeepAlivePart(props: &KeepAlivePartProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let sending = use_send();
    let id = props.remote.id;
    let set = {
        let (sending, changed) = (sending.clone(), props.changed.clone());
        Callback::from(move |wish: KeepAlive| {
            let path = format!("/api/deploy/remotes/{id}/keep-alive");
            let (changed, toasts) = (changed.clone(), toasts.clone());
            sending.run(
                async move { host.put(&path, &wish).await },
                move |_: RemoteView| {
                    toasts.success(lang.t("keep_alive.saved"));
                    changed.emit(());
                },
            );
        })
    };
    html!(
        <KeepAliveView
            remote={props.remote.clone()}
            now={props.now}
            busy={sending.busy}
            error={sending.error.clone()}
            {set}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct KeepAliveViewProps {
    pub remote: RemoteView,
    pub now: Millis,
    pub busy: bool,
    pub error: Option<ApiError>,
    pub set: Callback<KeepAlive>,
}

/// The part as a function of what is known.
#[component]
pub fn KeepAliveView(props: &KeepAliveViewProps) -> Html {
    let lang = use_lang();
    let remote = &props.remote;
    let wish = &remote.keep_alive;
    let enabled = wish.enabled;
    let onquiet = {
        let set = props.set.clone();
        Callback::from(move |quiet: Option<QuietHours>| set.emit(KeepAlive { enabled, quiet }))
    };
    let onchange = {
        let quiet = wish.quiet;
        props
            .set
            .reform(move |enabled: bool| KeepAlive { enabled, quiet })
    };
    html!(
        <>
            <Card id="keep-alive-card" title={lang.t("keep_alive.title")}>
                <p>{ lang.t("keep_alive.why") }</p>
                if let Some(error) = props.error.clone() {
                    <ErrorNote {error} />
                }
                <div class="gb-row gb-row--tight">
                    <Toggle id="keep-alive" label={lang.t("keep_alive.switch")} on={enabled} disabled={props.busy} {onchange} />
                    <span>{ lang.t("keep_alive.switch") }</span>
                </div>
                <p class="gb-muted">{ lang.t("keep_alive.how") }</p>
                <Quiet quiet={wish.quiet} {onquiet} />
                <Facts facts={facts(lang, remote, props.now)} />
            </Card>
            <Card id="pinger-card" title={lang.t("keep_alive.pinger.title")}>
                <p>{ lang.t("keep_alive.pinger.why") }</p>
                <ol class="gb-steps">
                    <li>{ lang.t("keep_alive.pinger.step1") }{ " " }<Out id="pinger-open" label="UptimeRobot" to={Place::Page(Page::UptimeRobot)} /></li>
                    <li>
                        { lang.t("keep_alive.pinger.step2") }
                        if let Some(url) = &remote.url {
                            <CopyField id="pinger-url" label={lang.t("instances.fact.address")} text={format!("{}/health", url.trim_end_matches('/'))} />
                        }
                    </li>
                    <li>{ lang.t("keep_alive.pinger.step3") }</li>
                </ol>
                <p class="gb-muted">{ lang.t("keep_alive.pinger.head") }</p>
            </Card>
        </>
    )
}

fn facts(lang: Lang, remote: &RemoteView, now: Millis) -> Vec<(AttrValue, Html)> {
    let mut facts = vec![(
        lang.t("keep_alive.now"),
        html!(<span data-testid="keep-alive-now">{ awake(lang, remote, now) }</span>),
    )];
    if let Some(state) = &remote.keep_alive_state {
        if let Some(at) = state.last_ok_at {
            facts.push((lang.t("keep_alive.last"), html!({ ago(lang, now, at) })));
        }
        let hours = match state.hours_limit {
            Some(limit) => lang.f(
                "keep_alive.hours_of",
                &[("used", &state.hours_used), ("limit", &limit)],
            ),
            None => lang.f("keep_alive.hours", &[("used", &state.hours_used)]),
        };
        let bar = state.hours_limit.map(|limit| {
            html!(
                <progress class="gb-progress__bar" max={limit.to_string()} value={state.hours_used.min(limit).to_string()} aria-label={lang.t("keep_alive.budget")} />
            )
        });
        facts.push((
            lang.t("keep_alive.budget"),
            html!(
                <>
                    <div data-testid="keep-alive-hours">{ hours }</div>
                    { bar.unwrap_or_default() }
                    if state.paused_by_budget {
                        <div class="gb-bad">{ lang.t("keep_alive.paused") }</div>
                    }
                </>
            ),
        ));
    }
    facts
}

#[derive(PartialEq, Properties)]
pub struct QuietProps {
    pub quiet: Option<QuietHours>,
    pub onquiet: Callback<Option<QuietHours>>,
}

/// The hours in which a remote may sleep.
#[component]
pub fn Quiet(props: &QuietProps) -> Html {
    let lang = use_lang();
    let quiet = props.quiet;
    let hours: Vec<Choice> = (0..24)
        .map(|hour| Choice {
            value: hour.to_string().into(),
            text: format!("{hour:02}:00").into(),
        })
        .collect();
    let shown = quiet.unwrap_or(QuietHours { from: 1, to: 7 });
    let onswitch = props.onquiet.reform(move |on: bool| on.then_some(shown));
    let onfrom = props
        .onquiet
        .reform(move |hour: String| hour.parse().ok().map(|from| QuietHours { from, ..shown }));
    let onto = props
        .onquiet
        .reform(move |hour: String| hour.parse().ok().map(|to| QuietHours { to, ..shown }));
    html!(
        <>
            <div class="gb-row gb-row--tight">
                <Toggle id="quiet-hours" label={lang.t("keep_alive.quiet")} on={quiet.is_some()} at_once=true onchange={onswitch} />
                <span>{ lang.t("keep_alive.quiet") }</span>
            </div>
            if quiet.is_some() {
                <div class="gb-hours">
                    <Choices id="quiet-from" label={lang.t("keep_alive.from")} choices={hours.clone()} chosen={shown.from.to_string()} onchange={onfrom} />
                    <Choices id="quiet-to" label={lang.t("keep_alive.to")} choices={hours} chosen={shown.to.to_string()} onchange={onto} />
                </div>
            }
        </>
    )
}
