use contract::Millis;
use contract::admin::{Cooldown, KeyState};
use patternfly_yew::prelude::{Color, Icon, Label};
use yew::{AttrValue, Html, Properties, component, html};

use crate::app::use_lang;
use crate::text::{Lang, duration, wire_name};

#[derive(PartialEq, Properties)]
pub struct StateViewProps {
    pub state: KeyState,
    pub cooldowns: Vec<Cooldown>,
    pub now: Millis,
    pub last_error: Option<String>,
}

/// What a key can do now, and why not more.
#[component]
pub fn StateView(props: &StateViewProps) -> Html {
    let lang = use_lang();
    let (color, icon) = looks(&props.state);
    let name = wire_name(&props.state);
    let label = lang.t(&format!("keys.state.{name}")).to_string();
    // Once a key works again, its last error is history and would only worry people.
    let error = props.last_error.as_ref().filter(|_| {
        !matches!(
            props.state,
            KeyState::Ready | KeyState::Limited | KeyState::Disabled
        )
    });
    html!(
        <div class="gb-state" data-state={name}>
            <Label {color} {icon} compact=true {label} />
            if let Some(text) = explained(lang, &props.state, props.now) {
                <div class="gb-small">{ text }</div>
            }
            if props.state != KeyState::Disabled {
                { for props.cooldowns.iter().filter(|c| c.until > props.now).map(|cooldown| {
                    let left = duration(lang, cooldown.until - props.now);
                    html!(
                        <div class="gb-small gb-cooldown">
                            <span class="gb-mono">{ &cooldown.model }</span>
                            { " · " }{ lang.of("cooldown", &cooldown.reason) }
                            { " · " }{ lang.f("keys.again_in", &[("in", &left)]) }
                        </div>
                    )
                }) }
            }
            if let Some(error) = error {
                <details class="gb-details gb-small">
                    <summary>{ lang.t("keys.google_said") }</summary>
                    <p class="gb-detail">{ error }</p>
                </details>
            }
        </div>
    )
}

fn looks(state: &KeyState) -> (Color, Icon) {
    match state {
        KeyState::Unchecked => (Color::Blue, Icon::InProgress),
        KeyState::Ready | KeyState::Limited => (Color::Green, Icon::CheckCircle),
        KeyState::Cooling { .. } => (Color::Orange, Icon::PauseCircle),
        KeyState::Rejected { .. } => (Color::Red, Icon::TimesCircle),
        KeyState::Disabled => (Color::Grey, Icon::Ban),
    }
}

fn explained(lang: Lang, state: &KeyState, now: Millis) -> Option<AttrValue> {
    match state {
        KeyState::Unchecked => Some(lang.t("keys.unchecked_help")),
        KeyState::Ready | KeyState::Limited | KeyState::Disabled => None,
        KeyState::Cooling { until } => {
            (*until > now).then(|| lang.f("keys.again_in", &[("in", &duration(lang, until - now))]))
        }
        KeyState::Rejected { reason } => Some(lang.of("reject", reason)),
    }
}
