//! The check-up: everything between a client and Google, one line each, with what to do.

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;

use contract::admin::{DoctorReport, Finding, FindingCode, FindingState};
use contract::{ApiError, Millis};
use patternfly_yew::prelude::Icon;
use serde_json::json;
use yew::{AttrValue, Callback, Html, Properties, component, html, use_effect_with, use_state_eq};

use super::PageHead;
use crate::app::{use_host, use_lang, use_now};
use crate::controls::{Act, Card, ErrorNote, Kind, Notice, Spinner, Tone};
use crate::host::Host;
use crate::send::use_send;
use crate::text::{Lang, ago, wire_name};

/// The page. It looks once when it is opened, and again when it is asked to.
#[component]
pub fn Doctor() -> Html {
    let host = use_host();
    let now = use_now();
    let sending = use_send();
    let report = use_state_eq(|| None::<DoctorReport>);
    let run = {
        let (sending, report) = (sending.clone(), report.setter());
        Callback::from(move |()| {
            let report = report.clone();
            sending.run(
                async move { host.post("/api/doctor", &json!({})).await },
                move |found: DoctorReport| report.set(Some(found)),
            );
        })
    };
    use_effect_with((), {
        let run = run.clone();
        move |()| run.emit(())
    });
    html!(
        <DoctorView
            report={(*report).clone()}
            busy={sending.busy}
            error={sending.error.clone()}
            {now}
            {run}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct DoctorViewProps {
    pub report: Option<DoctorReport>,
    pub busy: bool,
    pub error: Option<ApiError>,
    pub now: Millis,
    pub run: Callback<()>,
}

/// The page as a function of what was found.
#[component]
pub fn DoctorView(props: &DoctorViewProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    html!(
        <>
            <PageHead title={lang.t("doctor.title")} subtitle={lang.t("doctor.subtitle")}>
                <Act id="doctor-run" kind={Kind::Primary} label={lang.t("doctor.run")} busy={props.busy} onclick={props.run.clone()} />
            </PageHead>
            <section class="pf-v6-c-page__main-section gb-stack">
                if let Some(error) = props.error.clone() {
                    <ErrorNote {error} />
                }
                if props.busy {
                    <p class="gb-row" role="status"><Spinner size="pf-m-md" />{ lang.t("doctor.running") }</p>
                }
                if let Some(report) = &props.report {
                    { summary(lang, report) }
                    <Card id="doctor-card" title={lang.f("doctor.checked", &[("ago", &ago(lang, props.now, report.at))])}>
                        <ul class="gb-plain-list gb-stack" data-testid="doctor-findings">
                            { for report.findings.iter().enumerate().map(|(i, found)| one(host, lang, i, found)) }
                        </ul>
                    </Card>
                }
            </section>
        </>
    )
}

fn summary(lang: Lang, report: &DoctorReport) -> Html {
    let is = |state: FindingState| report.findings.iter().any(|found| found.state == state);
    let (tone, title) = if is(FindingState::Bad) {
        (Tone::Danger, "doctor.some_bad")
    } else if is(FindingState::Warning) || is(FindingState::Unknown) {
        (Tone::Warning, "doctor.some_warn")
    } else {
        (Tone::Success, "doctor.all_good")
    };
    html!(<Notice id="doctor-summary" {tone} title={lang.t(title)} />)
}

fn one(host: Host, lang: Lang, i: usize, found: &Finding) -> Html {
    let code = wire_name(&found.code);
    let state = wire_name(&found.state);
    let (class, icon) = match found.state {
        FindingState::Good => ("gb-good", Icon::CheckCircle),
        FindingState::Warning => ("gb-setting__sign", Icon::ExclamationTriangle),
        FindingState::Bad => ("gb-bad", Icon::ExclamationCircle),
        FindingState::Unknown => ("gb-muted", Icon::QuestionCircle),
    };
    let facts: Vec<&str> = [found.subject.as_str(), found.detail.as_str()]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    html!(
        <li key={i} class="gb-plan__step gb-plan__step--run" data-testid={format!("finding-{code}")} data-state={state.clone()}>
            <span class={class} title={lang.t(&format!("doctor.state.{state}"))}>
                { icon }
                <span class="pf-v6-screen-reader">{ lang.t(&format!("doctor.state.{state}")) }</span>
            </span>
            <div>
                <div>{ lang.t(&format!("doctor.found.{code}")) }</div>
                if !facts.is_empty() {
                    <div class="gb-small gb-muted gb-wrap-anywhere">{ facts.join(" · ") }</div>
                }
                if has_advice(found) {
                    <div>{ lang.t(&format!("doctor.advice.{code}")) }{ " " }{ way_out(host, lang, found.code) }</div>
                }
            </div>
        </li>
    )
}

/// Whether there is something to do about it.
fn has_advice(found: &Finding) -> bool {
    matches!(found.state, FindingState::Bad | FindingState::Warning)
        || matches!(
            found.code,
            FindingCode::ProxyIgnored | FindingCode::KeyUnknown
        )
}

/// The page on which it is done.
fn way_out(host: Host, lang: Lang, code: FindingCode) -> Html {
    use FindingCode as C;
    let (page, text): (&str, AttrValue) = match code {
        C::ProxyIgnored | C::ProxyIsOurs | C::GoogleUnreachable | C::GoogleStrange => {
            ("#/settings", lang.t("doctor.settings"))
        }
        C::KeyRefused | C::KeyNone | C::KeyNoneUsable => ("#/keys", lang.t("doctor.keys")),
        C::TokenNone => ("#/tokens", lang.t("doctor.tokens")),
        _ => return Html::default(),
    };
    html!(<a href={host.page(page)}>{ text }</a>)
}
