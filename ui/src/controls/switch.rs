use yew::{AttrValue, Callback, Html, MouseEvent, Properties, component, html};

#[derive(PartialEq, Properties)]
pub struct ToggleProps {
    /// What is switched, for screen readers and on hover.
    pub label: AttrValue,
    /// The `data-testid`.
    pub id: AttrValue,
    pub on: bool,
    #[prop_or_default]
    pub disabled: bool,
    pub onchange: Callback<bool>,
    /// It stands for something typed and not sent yet, so it moves at once.
    #[prop_or_default]
    pub at_once: bool,
}

/// An on/off switch that shows the server's truth: it moves when the answer has come,
/// unless it is to move at once.
#[component]
pub fn Toggle(props: &ToggleProps) -> Html {
    let onclick = {
        let (wanted, at_once) = (!props.on, props.at_once);
        props.onchange.reform(move |event: MouseEvent| {
            // Otherwise it would already have moved when the server refuses.
            if !at_once {
                event.prevent_default();
            }
            wanted
        })
    };
    html!(
        <label class="pf-v6-c-switch" title={&props.label}>
            <input
                class="pf-v6-c-switch__input"
                type="checkbox"
                role="switch"
                data-testid={&props.id}
                aria-label={&props.label}
                checked={props.on}
                disabled={props.disabled}
                {onclick}
            />
            <span class="pf-v6-c-switch__toggle">
                <span class="pf-v6-c-switch__toggle-icon">
                    <i class="fas fa-check" aria-hidden="true" />
                </span>
            </span>
        </label>
    )
}
