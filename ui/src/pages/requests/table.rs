use contract::admin::RequestView;
use patternfly_yew::prelude::{EmptyState, Icon};
use yew::{Callback, Html, Properties, component, html};

use super::row::RequestRow;
use crate::app::use_lang;

/// The columns of the log and of the error log; the first has no title.
const ALL: [&str; 7] = [
    "time", "model", "sender", "status", "tokens", "took", "cost",
];
const ERRORS: [&str; 5] = ["time", "model", "sender", "status", "error"];

#[derive(PartialEq, Properties)]
pub struct RequestTableProps {
    pub requests: Vec<RequestView>,
    /// It is the error log.
    pub errors: bool,
    /// Some are left out by a filter.
    pub filtered: bool,
    pub open: Option<i64>,
    pub toggle: Callback<i64>,
}

/// The requests of one page, the newest first.
#[component]
pub fn RequestTable(props: &RequestTableProps) -> Html {
    let lang = use_lang();
    if props.requests.is_empty() {
        let (title, body) = match (props.filtered, props.errors) {
            (true, _) => ("requests.none_match", "requests.none_match_help"),
            (false, true) => ("requests.no_errors", "requests.no_errors_help"),
            (false, false) => ("requests.none", "requests.none_help"),
        };
        return html!(
            <div data-testid="requests-empty">
                <EmptyState title={lang.t(title).to_string()} icon={Icon::Search}>
                    <p>{ lang.t(body) }</p>
                </EmptyState>
            </div>
        );
    }
    let columns: &[&str] = if props.errors { &ERRORS } else { &ALL };
    html!(
        <table class="pf-v6-c-table pf-m-compact pf-m-grid-md gb-table gb-log" aria-label={lang.t("requests.title")} data-testid="requests-table">
            <thead class="pf-v6-c-table__thead">
                <tr class="pf-v6-c-table__tr">
                    <th class="pf-v6-c-table__th gb-log__fold" scope="col">
                        <span class="pf-v6-screen-reader">{ lang.t("requests.column.details") }</span>
                    </th>
                    { for columns.iter().map(|column| html!(
                        <th class="pf-v6-c-table__th" scope="col" key={*column}>{ lang.t(&format!("requests.column.{column}")) }</th>
                    )) }
                </tr>
            </thead>
            <tbody class="pf-v6-c-table__tbody">
                { for props.requests.iter().map(|request| html!(
                    <RequestRow
                        key={request.id}
                        request={request.clone()}
                        errors={props.errors}
                        columns={columns.len() + 1}
                        open={props.open == Some(request.id)}
                        toggle={props.toggle.clone()}
                    />
                )) }
            </tbody>
        </table>
    )
}
