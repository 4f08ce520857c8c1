use contract::Millis;
use yew::{Html, Properties, component, html};

use crate::host::local;
use crate::text::date_time;

#[derive(PartialEq, Properties)]
pub struct MomentProps {
    /// When.
    pub at: Millis,
}

/// A moment on the clock of whoever looks at it, e.g. `2026-11-25 10:32`.
#[component]
pub fn Moment(props: &MomentProps) -> Html {
    let utc = date_time(props.at).replace(' ', "T");
    html!(<time class="gb-time" datetime={format!("{utc}Z")}>{ date_time(local(props.at)) }</time>)
}
