//! How this instance behaves: every setting with its origin, the whole configuration as a
//! file, and what was changed by whom.
//!
//! Nothing here knows a setting by name: rows are made from the declarations that the
//! instance gives, so a new setting needs no change of the panel.

mod control;
mod diffs;
mod edits;
mod export;
mod history;
mod import;
mod review;
mod row;
mod search;
mod values;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::rc::Rc;

use contract::admin::{SettingsChange, SettingsReport, SettingsView};
use contract::{ApiError, ErrorCode};
use serde_json::json;
use wasm_bindgen_futures::spawn_local;
use yew::{
    AttrValue, Callback, Html, Properties, component, html, use_callback, use_reducer, use_state_eq,
};

use super::PageHead;
use crate::app::{Route, Toast, Toasts, use_host, use_lang, use_toasts};
use crate::controls::{Tab, Tabs, Tone};
use crate::host::{Host, Method};
use crate::load::use_load;
use crate::send::use_send;
use crate::text::Lang;
pub use control::{Control, title};
pub use edits::{Edit, readable, written};
pub use import::Reasons;

use edits::{Editing, Edits};
use review::Review;
use search::Search;
use values::ValuesView;

/// The parts of the page: route, address, test id, text.
const TABS: [(Route, &str, &str, &str); 3] = [
    (
        Route::Settings,
        "#/settings",
        "tab-values",
        "settings.tab.values",
    ),
    (
        Route::Transfer,
        "#/settings/transfer",
        "tab-transfer",
        "settings.tab.transfer",
    ),
    (
        Route::History,
        "#/settings/history",
        "tab-history",
        "settings.tab.history",
    ),
];

#[derive(PartialEq, Properties)]
pub struct SettingsProps {
    /// Which part is shown.
    pub tab: Route,
}

/// The page of settings. Changes that are not saved survive a look at another part.
#[component]
pub fn Settings(props: &SettingsProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let load = use_load::<SettingsView>(host, "/api/settings", None);
    let edits = use_reducer(Edits::default);
    let search = use_state_eq(Search::default);
    let problems = use_state_eq(BTreeMap::<String, AttrValue>::new);
    let review = use_state_eq(|| None::<SettingsReport>);
    // Somebody else was quicker; the newest values are loaded, the edits still here.
    let overtaken = use_state_eq(|| false);
    let sending = use_send();

    let put = use_callback((*problems).clone(), {
        let (edits, set_problems) = (edits.dispatcher(), problems.setter());
        move |(name, edit): (String, Option<Edit>), problems| {
            if problems.contains_key(&name) {
                let mut left = problems.clone();
                left.remove(&name);
                set_problems.set(left);
            }
            edits.dispatch(Editing::Put(name, edit));
        }
    });
    let forget = use_callback((), {
        let (edits, problems) = (edits.dispatcher(), problems.setter());
        let (review, overtaken) = (review.setter(), overtaken.setter());
        move |(), ()| {
            edits.dispatch(Editing::Clear);
            problems.set(BTreeMap::new());
            review.set(None);
            overtaken.set(false);
        }
    });
    let send = {
        let settings = load.result.data.clone();
        let (edits, sending, forget) = ((*edits).clone(), sending.clone(), forget.clone());
        let (problems, review) = (problems.setter(), review.setter());
        let (overtaken, search) = (overtaken.setter(), search.setter());
        let (reload, toasts) = (load.reload.clone(), toasts.clone());
        Callback::from(move |dry_run: bool| {
            let Some(settings) = settings.clone() else {
                return;
            };
            let change = SettingsChange {
                values: edits.values(&settings.settings),
                revision: settings.revision,
                dry_run,
            };
            let (problems, review) = (problems.clone(), review.clone());
            let (overtaken, search) = (overtaken.clone(), search.clone());
            let (reload, toasts, forget) = (reload.clone(), toasts.clone(), forget.clone());
            let stale = {
                let (review, overtaken, reload) =
                    (review.clone(), overtaken.clone(), reload.clone());
                move || {
                    review.set(None);
                    overtaken.set(true);
                    reload.emit(());
                }
            };
            let answer = async move {
                match change_settings(host, &change).await {
                    Err(error) if error.code == ErrorCode::Changed => {
                        stale();
                        Ok(None)
                    }
                    answer => answer.map(Some),
                }
            };
            sending.run(answer, move |report: Option<SettingsReport>| {
                let Some(report) = report else { return };
                if !report.problems.is_empty() {
                    // What is marked must be seen.
                    search.set(Search::default());
                    problems.set(
                        report
                            .problems
                            .into_iter()
                            .map(|p| (p.name, lang.pick(&p.reason)))
                            .collect(),
                    );
                    review.set(None);
                } else if dry_run && !report.changes.is_empty() {
                    problems.set(BTreeMap::new());
                    overtaken.set(false);
                    review.set(Some(report));
                } else {
                    forget.emit(());
                    let (tone, title) = if report.changes.is_empty() {
                        (Tone::Info, lang.t("settings.nothing_differs"))
                    } else {
                        (
                            Tone::Success,
                            lang.n("settings.saved", report.changes.len() as u64),
                        )
                    };
                    toasts.show(Toast {
                        tone,
                        title,
                        body: None,
                        undo: report
                            .audit_id
                            .map(|id| undo(host, lang, id, reload.clone(), toasts.clone())),
                    });
                    reload.emit(());
                }
            });
        })
    };
    let onclose = {
        let (review, sending) = (review.setter(), sending.clone());
        Callback::from(move |()| {
            review.set(None);
            sending.forget();
        })
    };
    let body = match props.tab {
        Route::Transfer => html!(
            <section class="pf-v6-c-page__main-section gb-stack">
                <export::EnvCard />
                <export::ExportCard />
                <import::ImportCard settings={load.result.data.clone()} changed={load.reload.clone()} />
            </section>
        ),
        Route::History => html!(
            <section class="pf-v6-c-page__main-section gb-stack">
                <history::HistoryCard settings={load.result.data.clone()} changed={load.reload.clone()} />
            </section>
        ),
        _ => html!(
            <ValuesView
                settings={load.result.clone()}
                edits={(*edits).clone()}
                problems={(*problems).clone()}
                search={(*search).clone()}
                onsearch={{ let search = search.setter(); Callback::from(move |s: Search| search.set(s)) }}
                {put}
                overtaken={*overtaken}
                busy={sending.busy && review.is_none()}
                error={sending.error.clone().filter(|_| review.is_none())}
                save={send.reform(|()| true)}
                discard={forget}
            />
        ),
    };
    html!(
        <>
            <PageHead title={lang.t("settings.title")} subtitle={lang.t("settings.subtitle")} />
            <Tabs
                label={lang.t("settings.title")}
                tabs={TABS.iter().map(|(route, href, id, text)| Tab {
                    href: host.page(href),
                    id: (*id).into(),
                    text: lang.t(text),
                    here: *route == props.tab,
                }).collect::<Vec<_>>()}
            />
            { body }
            if let Some(report) = (*review).clone() {
                <Review
                    {report}
                    settings={load.result.data.clone()}
                    busy={sending.busy}
                    error={sending.error.clone()}
                    save={send.reform(|()| false)}
                    {onclose}
                />
            }
        </>
    )
}

async fn change_settings(host: Host, change: &SettingsChange) -> Result<SettingsReport, ApiError> {
    let body = serde_json::to_value(change).unwrap_or_default();
    host.admin(Method::Patch, "/api/settings", Some(body)).await
}

/// Takes back a change by its entry in the audit log.
pub fn undo(
    host: Host,
    lang: Lang,
    id: i64,
    changed: Callback<()>,
    toasts: Toasts,
) -> Callback<()> {
    Callback::from(move |()| {
        let (changed, toasts) = (changed.clone(), toasts.clone());
        spawn_local(async move {
            match take_back(host, id).await {
                Ok(()) => toasts.success(lang.t("settings.undone")),
                Err(error) => toasts.error(lang, &error),
            }
            changed.emit(());
        });
    })
}

async fn take_back(host: Host, id: i64) -> Result<(), ApiError> {
    host.post(&format!("/api/audit/{id}/undo"), &json!({}))
        .await
}

/// The declarations, as far as they have come.
type Known = Option<Rc<SettingsView>>;
