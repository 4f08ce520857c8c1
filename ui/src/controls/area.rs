use web_sys::HtmlTextAreaElement;
use yew::{
    AttrValue, Callback, Html, InputEvent, Properties, TargetCast, classes, component, html,
};

use super::field::beneath;

#[derive(PartialEq, Properties)]
pub struct TextAreaProps {
    /// Its label, always visible unless `bare`.
    pub label: AttrValue,
    /// The `data-testid`, and the `id` that ties the label to it.
    pub id: AttrValue,
    pub value: AttrValue,
    #[prop_or_default]
    pub oninput: Callback<String>,
    /// How many lines are seen at once.
    #[prop_or(3)]
    pub rows: u32,
    #[prop_or_default]
    pub placeholder: AttrValue,
    /// Stands beneath, e.g. what is expected.
    #[prop_or_default]
    pub hint: Option<AttrValue>,
    /// Stands beneath in red, and marks the field.
    #[prop_or_default]
    pub problem: Option<AttrValue>,
    /// Shows the label to screen readers only.
    #[prop_or_default]
    pub bare: bool,
    /// To be read and copied, not changed.
    #[prop_or_default]
    pub readonly: bool,
}

/// Several lines to type in, with their label.
#[component]
pub fn TextArea(props: &TextAreaProps) -> Html {
    let oninput = props.oninput.reform(|event: InputEvent| {
        event
            .target_dyn_into::<HtmlTextAreaElement>()
            .map(|area| area.value())
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
                <span
                    class={classes!(
                        "pf-v6-c-form-control", "pf-m-textarea", "pf-m-resize-vertical",
                        wrong.then_some("pf-m-error"), props.readonly.then_some("pf-m-readonly"),
                    )}
                >
                    <textarea
                        id={&props.id}
                        data-testid={&props.id}
                        class="gb-mono"
                        rows={props.rows.to_string()}
                        spellcheck="false"
                        autocomplete="off"
                        placeholder={&props.placeholder}
                        value={&props.value}
                        readonly={props.readonly}
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
