use yew::{AttrValue, Callback, Html, MouseEvent, Properties, component, html};

#[derive(PartialEq, Properties)]
pub struct CheckProps {
    /// The `data-testid`, and the `id`.
    pub id: AttrValue,
    pub label: AttrValue,
    pub on: bool,
    pub onchange: Callback<bool>,
    /// Stands beneath.
    #[prop_or_default]
    pub hint: Option<AttrValue>,
}

/// A box to tick, with its words.
#[component]
pub fn Check(props: &CheckProps) -> Html {
    let wanted = !props.on;
    html!(
        <div class="pf-v6-c-check">
            <input
                class="pf-v6-c-check__input"
                type="checkbox"
                id={&props.id}
                data-testid={&props.id}
                checked={props.on}
                onclick={props.onchange.reform(move |_: MouseEvent| wanted)}
            />
            <label class="pf-v6-c-check__label" for={&props.id}>{ &props.label }</label>
            if let Some(hint) = &props.hint {
                <span class="pf-v6-c-check__description">{ hint }</span>
            }
        </div>
    )
}
