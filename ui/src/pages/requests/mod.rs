//! The log of requests, and of those that failed. What is shown is in the address, so that
//! a link from another page, or to another person, shows the same requests.
//!
//! Models, names and error texts come from clients and from Google: they are only ever
//! drawn as text.

mod delete;
mod detail;
mod filters;
mod row;
mod table;

#[cfg(test)]
mod tests;

use std::rc::Rc;

use contract::admin::{KeyView, RequestPage, RequestQuery, RequestResult, Stats, TokenView};
use patternfly_yew::prelude::Icon;
use yew::{
    AttrValue, Callback, Html, Properties, component, html, use_effect_with, use_memo, use_state_eq,
};

use super::PageHead;
use crate::address::{use_query, with_query};
use crate::app::{Route, use_host, use_lang};
use crate::controls::{Act, ErrorNote, Skeleton, Tab, Tabs};
use crate::host::Host;
use crate::load::{LoadResult, use_load};

pub use filters::surface_of;
pub use row::StatusLabel;

use filters::{Filters, Known};
use table::RequestTable;

/// How often the newest requests are asked for, in milliseconds.
const PAGE_EVERY: u32 = 5_000;

/// A link to the requests that a query means.
pub fn link(host: Host, query: &RequestQuery) -> AttrValue {
    with_query(&host.page("#/requests"), query)
}

/// The page.
#[component]
pub fn Requests() -> Html {
    let host = use_host();
    let (query, say) = use_query::<RequestQuery>(Route::Requests);
    let open = use_state_eq(|| None::<i64>);
    use_effect_with(query.clone(), {
        let open = open.setter();
        move |_| open.set(None)
    });
    // Nothing moves away under someone who reads: not on older pages, not beside details.
    let live = query.after.is_none() && open.is_none();
    let page = use_load::<RequestPage>(
        host,
        with_query("/api/requests", &query),
        live.then_some(PAGE_EVERY),
    );
    // What can be filtered by: all that exist now, and what was used lately.
    let tokens = use_load::<Vec<TokenView>>(host, "/api/tokens", None)
        .result
        .data;
    let keys = use_load::<Vec<KeyView>>(host, "/api/keys", None)
        .result
        .data;
    let used = use_load::<Stats>(host, "/api/stats?range=month", None)
        .result
        .data;
    let known = use_memo((tokens, keys, used), |(tokens, keys, used)| {
        Known::of(tokens.as_deref(), keys.as_deref(), used.as_deref())
    });
    let toggle = {
        let open = open.clone();
        Callback::from(move |id: i64| open.set((*open != Some(id)).then_some(id)))
    };
    html!(
        <RequestsView
            page={page.result}
            {query}
            {known}
            open={*open}
            {say}
            {toggle}
            changed={page.reload}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct RequestsViewProps {
    pub page: LoadResult<RequestPage>,
    /// What the address asks for.
    pub query: RequestQuery,
    /// What can be filtered by.
    pub known: Rc<Known>,
    /// The request whose details are shown.
    pub open: Option<i64>,
    /// Asks for something else.
    pub say: Callback<RequestQuery>,
    /// Shows or hides the details of a request.
    pub toggle: Callback<i64>,
    /// Called when records were deleted.
    pub changed: Callback<()>,
}

/// The page as a function of what is known.
#[component]
pub fn RequestsView(props: &RequestsViewProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let deleting = use_state_eq(|| false);
    let ask = {
        let deleting = deleting.setter();
        Callback::from(move |on: bool| deleting.set(on))
    };
    let query = &props.query;
    let failed = query.result == Some(RequestResult::Failed);
    let tab = |id: &'static str, text: &'static str, result, here| Tab {
        href: link(
            host,
            &RequestQuery {
                result,
                after: None,
                ..query.clone()
            },
        ),
        id: id.into(),
        text: lang.t(text),
        here,
    };
    let tabs = vec![
        tab("requests-all", "requests.tab.all", None, !failed),
        tab(
            "requests-errors",
            "requests.tab.errors",
            Some(RequestResult::Failed),
            failed,
        ),
    ];
    html!(
        <>
            <PageHead title={lang.t("requests.title")} subtitle={lang.t("requests.subtitle")}>
                <Act
                    id="requests-delete"
                    icon={Some(Icon::Trash)}
                    label={lang.t("requests.delete.open")}
                    onclick={ask.reform(|()| true)}
                />
            </PageHead>
            <Tabs label={lang.t("requests.title")} {tabs} />
            <section class="pf-v6-c-page__main-section gb-stack">
                if let Some(error) = props.page.error.clone() {
                    <ErrorNote {error} />
                }
                <div class="pf-v6-c-card" data-testid="requests-card">
                    <div class="pf-v6-c-card__body gb-stack">
                        <Filters query={query.clone()} known={props.known.clone()} say={props.say.clone()} />
                        if let Some(page) = props.page.data.clone() {
                            <RequestTable
                                requests={page.requests.clone()}
                                errors={failed}
                                filtered={filters::narrowed(query)}
                                open={props.open}
                                toggle={props.toggle.clone()}
                            />
                            <Pages query={query.clone()} next={page.next.clone()} paused={props.open.is_some()} />
                        } else if props.page.error.is_none() {
                            <Skeleton lines={8} />
                        }
                    </div>
                </div>
            </section>
            if *deleting {
                <delete::DeleteRecords
                    failed_only={failed}
                    onclose={ask.reform(|()| false)}
                    deleted={props.changed.clone()}
                />
            }
        </>
    )
}

#[derive(PartialEq, Properties)]
struct PagesProps {
    query: RequestQuery,
    next: Option<String>,
    /// Details are open, so the list stands still.
    paused: bool,
}

/// The ways to older requests and back, as links: the back button works, too.
#[component]
fn Pages(props: &PagesProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let page = |after: Option<String>| {
        let query = RequestQuery {
            after,
            ..props.query.clone()
        };
        link(host, &query)
    };
    let first = props.query.after.is_none();
    html!(
        <div class="gb-row">
            if !first {
                <a class="pf-v6-c-button pf-m-secondary" href={page(None)} data-testid="requests-newest">
                    <span class="pf-v6-c-button__text">{ lang.t("requests.newest") }</span>
                </a>
            }
            if props.next.is_some() {
                <a class="pf-v6-c-button pf-m-secondary" href={page(props.next.clone())} data-testid="requests-older">
                    <span class="pf-v6-c-button__text">{ lang.t("requests.older") }</span>
                </a>
            }
            if first {
                <span class="gb-muted gb-small gb-push">
                    { lang.t(if props.paused { "requests.paused" } else { "requests.live" }) }
                </span>
            }
        </div>
    )
}
