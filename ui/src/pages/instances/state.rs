use contract::Millis;
use contract::deploy::RemoteState;
use patternfly_yew::prelude::{Color, Icon, Label};
use yew::{Html, Properties, component, html};

use crate::app::use_lang;
use crate::text::{duration, wire_name};

/// Milliseconds.
const MINUTE: Millis = 60_000;

#[derive(PartialEq, Properties)]
pub struct StateProps {
    pub state: RemoteState,
}

/// The state of a remote in a word.
#[component]
pub fn StateLabel(props: &StateProps) -> Html {
    let lang = use_lang();
    let name = wire_name(&props.state);
    let (color, icon) = match &props.state {
        RemoteState::Running => (Color::Green, Icon::CheckCircle),
        RemoteState::Deploying | RemoteState::Starting | RemoteState::Waking => {
            (Color::Blue, Icon::InProgress)
        }
        RemoteState::Asleep => (Color::Purple, Icon::Pause),
        RemoteState::Draft | RemoteState::Suspended => (Color::Grey, Icon::PauseCircle),
        RemoteState::Deleting | RemoteState::Gone => (Color::Grey, Icon::Trash),
        RemoteState::Interrupted { .. } | RemoteState::Unknown { .. } => {
            (Color::Orange, Icon::ExclamationTriangle)
        }
        RemoteState::StoppedByProvider { .. } | RemoteState::Failing { .. } => {
            (Color::Red, Icon::ExclamationCircle)
        }
    };
    html!(
        <span role="status" data-testid="remote-state" data-state={name.clone()}>
            <Label {color} {icon} label={lang.t(&format!("instances.state.{name}")).to_string()} />
        </span>
    )
}

#[derive(PartialEq, Properties)]
pub struct ExplainedProps {
    pub state: RemoteState,
    pub since: Millis,
    pub now: Millis,
}

/// The state in a sentence, what to do about it, and since when it is so.
#[component]
pub fn Explained(props: &ExplainedProps) -> Html {
    let lang = use_lang();
    let name = wire_name(&props.state);
    // Seconds only matter while there are no minutes.
    let span = props.now - props.since;
    let span = if span < MINUTE {
        span
    } else {
        span / MINUTE * MINUTE
    };
    let (error, reason) = match &props.state {
        RemoteState::Interrupted { error } => (error.clone(), None),
        RemoteState::Failing { error } | RemoteState::Unknown { error } => {
            (Some(error.clone()), None)
        }
        RemoteState::StoppedByProvider { reason } => (None, Some(reason.clone())),
        _ => (None, None),
    };
    html!(
        <div>
            <p>
                { lang.t(&format!("instances.state_help.{name}")) }
                { " " }
                <span class="gb-muted gb-small">{ lang.f("instances.since", &[("time", &duration(lang, span))]) }</span>
            </p>
            if let Some(error) = error {
                <p><strong>{ lang.error_title(error.code) }</strong>{ " " }{ lang.error_hint(&error) }</p>
                if !error.message.is_empty() {
                    <p class="gb-detail">{ &error.message }</p>
                }
            }
            if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
                <p class="gb-detail">{ reason }</p>
            }
        </div>
    )
}
