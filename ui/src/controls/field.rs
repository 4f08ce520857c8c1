use patternfly_yew::prelude::Icon;
use web_sys::{HtmlInputElement, HtmlSelectElement};
use yew::{
    AttrValue, Callback, Event, Html, InputEvent, NodeRef, Properties, TargetCast, classes,
    component, html, use_effect_with, use_node_ref,
};

#[derive(PartialEq, Properties)]
pub struct TextFieldProps {
    /// Its label, always visible.
    pub label: AttrValue,
    /// The `data-testid`, and the `id` that ties the label to it.
    pub id: AttrValue,
    pub value: AttrValue,
    pub oninput: Callback<String>,
    /// `text` or `password`.
    #[prop_or(AttrValue::Static("text"))]
    pub kind: AttrValue,
    /// The `autocomplete` that password managers go by.
    #[prop_or(AttrValue::Static("off"))]
    pub autocomplete: AttrValue,
    #[prop_or_default]
    pub placeholder: AttrValue,
    /// Stands beneath, e.g. what is expected.
    #[prop_or_default]
    pub hint: Option<AttrValue>,
    /// Stands beneath in red, and marks the field.
    #[prop_or_default]
    pub problem: Option<AttrValue>,
    #[prop_or_default]
    pub autofocus: bool,
    #[prop_or_default]
    pub disabled: bool,
    #[prop_or_default]
    pub max_length: Option<u32>,
    /// The smallest and the largest, for a `kind` of `number`.
    #[prop_or_default]
    pub range: Option<(u32, u32)>,
    /// Shows the label to screen readers only.
    #[prop_or_default]
    pub bare: bool,
}

/// What stands beneath a field, and the id by which the field refers to it.
pub fn beneath(
    id: &str,
    problem: &Option<AttrValue>,
    hint: &Option<AttrValue>,
) -> (Option<String>, Html) {
    let wrong = problem.is_some();
    let Some(text) = problem.as_ref().or(hint.as_ref()) else {
        return (None, Html::default());
    };
    let id = format!("{id}-beneath");
    let html = html!(
        <div class="pf-v6-c-form__helper-text">
            <div class="pf-v6-c-helper-text" id={id.clone()} data-testid={id.clone()} aria-live="polite">
                <div class={classes!("pf-v6-c-helper-text__item", wrong.then_some("pf-m-error"))}>
                    if wrong {
                        <span class="pf-v6-c-helper-text__item-icon">{ Icon::ExclamationCircle }</span>
                    }
                    <span class="pf-v6-c-helper-text__item-text">{ text }</span>
                </div>
            </div>
        </div>
    );
    (Some(id), html)
}

/// A line of text to type in, with its label.
#[component]
pub fn TextField(props: &TextFieldProps) -> Html {
    let node = use_node_ref();
    use_focus_once(&node, props.autofocus);
    let oninput = props.oninput.reform(|event: InputEvent| {
        event
            .target_dyn_into::<HtmlInputElement>()
            .map(|input| input.value())
            .unwrap_or_default()
    });
    let wrong = props.problem.is_some();
    let (beneath_id, beneath) = beneath(&props.id, &props.problem, &props.hint);
    html!(
        <div class="pf-v6-c-form__group">
            if !props.bare {
                <div class="pf-v6-c-form__group-label">
                    <label class="pf-v6-c-form__label" for={&props.id}>
                        <span class="pf-v6-c-form__label-text">{ &props.label }</span>
                    </label>
                </div>
            }
            <div class="pf-v6-c-form__group-control">
                <span class={classes!("pf-v6-c-form-control", wrong.then_some("pf-m-error"))}>
                    <input
                        ref={node}
                        id={&props.id}
                        data-testid={&props.id}
                        type={&props.kind}
                        value={&props.value}
                        placeholder={&props.placeholder}
                        autocomplete={&props.autocomplete}
                        spellcheck="false"
                        disabled={props.disabled}
                        maxlength={props.max_length.map(|n| n.to_string())}
                        min={props.range.map(|(min, _)| min.to_string())}
                        max={props.range.map(|(_, max)| max.to_string())}
                        aria-label={props.bare.then(|| props.label.clone())}
                        aria-invalid={wrong.then_some("true")}
                        aria-describedby={beneath_id}
                        {oninput}
                    />
                </span>
                { beneath }
            </div>
        </div>
    )
}

#[yew::hook]
fn use_focus_once(node: &NodeRef, wanted: bool) {
    use_effect_with(wanted, {
        let node = node.clone();
        move |wanted| {
            if *wanted && let Some(input) = node.cast::<HtmlInputElement>() {
                let _ = input.focus();
            }
        }
    });
}

/// One thing to choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// What it is called in code; the `value` of the option.
    pub value: AttrValue,
    /// What people read.
    pub text: AttrValue,
}

#[derive(PartialEq, Properties)]
pub struct ChoicesProps {
    /// What is chosen.
    pub label: AttrValue,
    /// The `data-testid`, and the `id`.
    pub id: AttrValue,
    pub choices: Vec<Choice>,
    pub chosen: AttrValue,
    pub onchange: Callback<String>,
    /// Shows the label to screen readers only.
    #[prop_or_default]
    pub bare: bool,
}

/// One of several, as the system's own list: reachable by keyboard, right on a phone.
#[component]
pub fn Choices(props: &ChoicesProps) -> Html {
    let onchange = props.onchange.reform(|event: Event| {
        event
            .target_dyn_into::<HtmlSelectElement>()
            .map(|select| select.value())
            .unwrap_or_default()
    });
    let select = html!(
        <span class="pf-v6-c-form-control">
            <select
                id={&props.id}
                data-testid={&props.id}
                aria-label={props.bare.then(|| props.label.clone())}
                {onchange}
            >
                { for props.choices.iter().map(|choice| html!(
                    <option
                        value={&choice.value}
                        selected={choice.value == props.chosen}
                    >{ &choice.text }</option>
                )) }
            </select>
            <span class="pf-v6-c-form-control__utilities">
                <span class="pf-v6-c-form-control__toggle-icon">{ Icon::CaretDown }</span>
            </span>
        </span>
    );
    if props.bare {
        return select;
    }
    html!(
        <div class="pf-v6-c-form__group">
            <div class="pf-v6-c-form__group-label">
                <label class="pf-v6-c-form__label" for={&props.id}>
                    <span class="pf-v6-c-form__label-text">{ &props.label }</span>
                </label>
            </div>
            <div class="pf-v6-c-form__group-control">{ select }</div>
        </div>
    )
}
