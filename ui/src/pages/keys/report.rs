use contract::admin::ImportReport;
use patternfly_yew::prelude::{Color, Icon, Label};
use yew::{AttrValue, Html, Properties, component, html};

use crate::app::use_lang;

/// More than this many of a kind are not listed one by one.
const LISTED: usize = 20;

#[derive(PartialEq, Properties)]
pub struct ReportViewProps {
    pub report: ImportReport,
    /// Whether this is what would happen, rather than what did.
    pub preview: bool,
}

/// What was found in a pasted text.
#[component]
pub fn ReportView(props: &ReportViewProps) -> Html {
    let lang = use_lang();
    let report = &props.report;
    if report.added.is_empty() && report.duplicates.is_empty() && report.rejected.is_empty() {
        return html!(<p class="gb-muted" data-testid="import-report">{ lang.t("keys.report.nothing") }</p>);
    }
    let new = if props.preview {
        "keys.report.new"
    } else {
        "keys.report.added"
    };
    html!(
        <div class="gb-report" data-testid="import-report">
            <div class="gb-row">
                <Label color={Color::Green} icon={Icon::PlusCircle} label={lang.n(new, report.added.len() as u64).to_string()} />
                if !report.duplicates.is_empty() {
                    <Label color={Color::Grey} icon={Icon::Copy} label={lang.n("keys.report.duplicates", report.duplicates.len() as u64).to_string()} />
                }
                if !report.rejected.is_empty() {
                    <Label color={Color::Orange} icon={Icon::ExclamationTriangle} label={lang.n("keys.report.rejected", report.rejected.len() as u64).to_string()} />
                }
            </div>
            <ul class="gb-report__list">
                { listed(&report.added, |key| html!(
                    <li><span class="gb-mono">{ key }</span>{ " " }<span class="gb-muted">{ lang.t("keys.report.is_new") }</span></li>
                )) }
                { listed(&report.duplicates, |key| html!(
                    <li><span class="gb-mono">{ key }</span>{ " " }<span class="gb-muted">{ lang.t("keys.report.is_duplicate") }</span></li>
                )) }
                { listed(&report.rejected, |piece| {
                    let line: AttrValue = lang.f("keys.report.line", &[("line", &piece.line)]);
                    html!(
                        <li>
                            <span class="gb-mono">{ &piece.masked }</span>{ " " }
                            <span class="gb-muted">{ line }{ " · " }{ lang.of("not_a_key", &piece.reason) }</span>
                        </li>
                    )
                }) }
            </ul>
        </div>
    )
}

fn listed<T>(all: &[T], one: impl Fn(&T) -> Html) -> Html {
    let more = all.len().saturating_sub(LISTED);
    html!(
        <>
            { for all.iter().take(LISTED).map(one) }
            if more > 0 { <li class="gb-muted">{ format!("+ {more}") }</li> }
        </>
    )
}
