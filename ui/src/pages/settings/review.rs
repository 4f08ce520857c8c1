use contract::ApiError;
use contract::admin::{Applies, SettingsReport};
use yew::{Callback, Html, Properties, component, html};

use super::Known;
use super::diffs::Diffs;
use crate::app::use_lang;
use crate::controls::{Act, Dialog, ErrorNote, Kind, Notice, Tone};

#[derive(PartialEq, Properties)]
pub struct ReviewProps {
    /// What saving would do.
    pub report: SettingsReport,
    pub settings: Known,
    pub busy: bool,
    pub error: Option<ApiError>,
    pub save: Callback<()>,
    pub onclose: Callback<()>,
}

/// What saving would do, to be agreed to.
#[component]
pub fn Review(props: &ReviewProps) -> Html {
    let lang = use_lang();
    html!(
        <Dialog
            id="review"
            title={lang.t("settings.review_title")}
            wide=true
            onclose={props.onclose.clone()}
            actions={html!(
                <>
                    <Act
                        id="review-save"
                        kind={Kind::Primary}
                        label={lang.n("settings.save_n", props.report.changes.len() as u64)}
                        busy={props.busy}
                        onclick={props.save.clone()}
                    />
                    <Act id="review-cancel" label={lang.t("common.cancel")} onclick={props.onclose.clone()} />
                </>
            )}
        >
            <ReviewView ..ReviewViewProps {
                report: props.report.clone(),
                settings: props.settings.clone(),
                error: props.error.clone(),
            } />
        </Dialog>
    )
}

#[derive(PartialEq, Properties)]
pub struct ReviewViewProps {
    pub report: SettingsReport,
    pub settings: Known,
    pub error: Option<ApiError>,
}

/// The differences, and whether they wait for a restart.
#[component]
pub fn ReviewView(props: &ReviewViewProps) -> Html {
    let lang = use_lang();
    let restarts = props
        .report
        .changes
        .iter()
        .filter(|diff| diff.applies == Applies::Restart)
        .count();
    html!(
        <>
            if let Some(error) = props.error.clone() {
                <ErrorNote {error} />
            }
            <Diffs diffs={props.report.changes.clone()} settings={props.settings.clone()} ahead=true />
            if restarts > 0 {
                <Notice tone={Tone::Info} id="review-restart" title={lang.n("settings.restart_n", restarts as u64)} />
            }
        </>
    )
}
