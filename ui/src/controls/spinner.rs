use yew::{AttrValue, Html, Properties, classes, component, html};

#[derive(PartialEq, Properties)]
pub struct SpinnerProps {
    /// What is being waited for, for screen readers; none where a text beside says it.
    #[prop_or_default]
    pub label: Option<AttrValue>,
    /// `pf-m-md`, `pf-m-lg`, `pf-m-xl`.
    #[prop_or(AttrValue::Static("pf-m-xl"))]
    pub size: AttrValue,
}

/// PatternFly's spinner without the empty `style` that patternfly-yew gives it, at which
/// the content security policy takes offence.
#[component]
pub fn Spinner(props: &SpinnerProps) -> Html {
    let role = if props.label.is_some() {
        "progressbar"
    } else {
        "presentation"
    };
    html!(
        <svg class={classes!("pf-v6-c-spinner", props.size.to_string())} {role} viewBox="0 0 100 100" aria-label={&props.label}>
            <circle class="pf-v6-c-spinner__path" cx="50" cy="50" r="45" fill="none" />
        </svg>
    )
}
