use yew::{AttrValue, Callback, Html, MouseEvent, Properties, classes, component, html};

use super::Choice;

#[derive(PartialEq, Properties)]
pub struct PicksProps {
    /// What is chosen, for screen readers.
    pub label: AttrValue,
    /// What the `data-testid` of each button begins with; its value follows after `-`.
    pub id: AttrValue,
    pub choices: Vec<Choice>,
    pub chosen: AttrValue,
    pub onchange: Callback<AttrValue>,
}

/// One of a few, all in sight.
#[component]
pub fn Picks(props: &PicksProps) -> Html {
    html!(
        <div class="pf-v6-c-toggle-group gb-wrap" role="group" aria-label={&props.label}>
            { for props.choices.iter().map(|choice| {
                let here = choice.value == props.chosen;
                let value = choice.value.clone();
                html!(
                    <div class="pf-v6-c-toggle-group__item" key={choice.value.to_string()}>
                        <button
                            type="button"
                            class={classes!("pf-v6-c-toggle-group__button", here.then_some("pf-m-selected"))}
                            aria-pressed={here.to_string()}
                            data-testid={format!("{}-{}", props.id, choice.value)}
                            onclick={props.onchange.reform(move |_: MouseEvent| value.clone())}
                        >
                            <span class="pf-v6-c-toggle-group__text">{ &choice.text }</span>
                        </button>
                    </div>
                )
            }) }
        </div>
    )
}
