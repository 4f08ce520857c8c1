use contract::{ApiError, ErrorCode};
use patternfly_yew::prelude::Icon;
use yew::{AttrValue, Html, Properties, classes, component, html};

use crate::app::use_lang;

/// What kind of thing a notice says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Good to know.
    Info,
    /// It worked.
    Success,
    /// Something to look after.
    Warning,
    /// It did not work.
    Danger,
}

impl Tone {
    fn looks(self) -> (&'static str, Icon, &'static str) {
        match self {
            Self::Info => ("pf-m-info", Icon::InfoCircle, "tone.info"),
            Self::Success => ("pf-m-success", Icon::CheckCircle, "tone.success"),
            Self::Warning => ("pf-m-warning", Icon::ExclamationTriangle, "tone.warning"),
            Self::Danger => ("pf-m-danger", Icon::ExclamationCircle, "tone.danger"),
        }
    }
}

#[derive(PartialEq, Properties)]
pub struct NoticeProps {
    pub tone: Tone,
    pub title: AttrValue,
    /// The `data-testid`.
    #[prop_or_default]
    pub id: Option<AttrValue>,
    #[prop_or_default]
    pub children: Html,
    /// Buttons or links beneath.
    #[prop_or_default]
    pub actions: Html,
    /// A button in the corner, e.g. to close it.
    #[prop_or_default]
    pub corner: Html,
    /// Stands alone over the page instead of within it.
    #[prop_or_default]
    pub floating: bool,
}

/// Something the panel has to say, announced to screen readers.
#[component]
pub fn Notice(props: &NoticeProps) -> Html {
    let lang = use_lang();
    let (class, icon, tone) = props.tone.looks();
    let role = if props.tone == Tone::Danger {
        "alert"
    } else {
        "status"
    };
    html!(
        <div
            class={classes!("pf-v6-c-alert", class, (!props.floating).then_some("pf-m-inline"))}
            data-testid={&props.id}
            {role}
        >
            <div class="pf-v6-c-alert__icon">{ icon }</div>
            <p class="pf-v6-c-alert__title">
                <span class="pf-v6-screen-reader">{ lang.t(tone) }{ " " }</span>
                { &props.title }
            </p>
            if props.corner != Html::default() {
                <div class="pf-v6-c-alert__action">{ props.corner.clone() }</div>
            }
            if props.children != Html::default() {
                <div class="pf-v6-c-alert__description">{ props.children.clone() }</div>
            }
            if props.actions != Html::default() {
                <div class="pf-v6-c-alert__action-group">{ props.actions.clone() }</div>
            }
        </div>
    )
}

#[derive(PartialEq, Properties)]
pub struct ErrorNoteProps {
    pub error: ApiError,
    /// A button that leads out of it.
    #[prop_or_default]
    pub actions: Html,
}

/// An error in the user's language, what to do about it, and the server's own words.
#[component]
pub fn ErrorNote(props: &ErrorNoteProps) -> Html {
    let lang = use_lang();
    let error = &props.error;
    // A service that stands still is no failure, and the bar above says why it does.
    let stands_still = error.code == ErrorCode::NotRunning;
    html!(
        <Notice
            tone={if stands_still { Tone::Info } else { Tone::Danger }}
            id="error"
            title={lang.error_title(error.code)}
            actions={props.actions.clone()}
        >
            <p>{ lang.error_hint(error) }</p>
            if !stands_still && !error.message.is_empty() {
                <p class="gb-detail">{ lang.t("error.detail") }{ " " }{ &error.message }</p>
            }
        </Notice>
    )
}
