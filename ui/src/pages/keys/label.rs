use patternfly_yew::prelude::Icon;
use web_sys::HtmlInputElement;
use yew::{
    Callback, Html, InputEvent, KeyboardEvent, Properties, SubmitEvent, TargetCast, component,
    html, use_effect_with, use_node_ref, use_state_eq,
};

use super::KeyAction;
use crate::app::use_lang;
use crate::controls::{Act, Kind};

#[derive(PartialEq, Properties)]
pub struct LabelEditProps {
    pub id: i64,
    pub label: String,
    pub act: Callback<KeyAction>,
}

/// What the user calls a key; a click turns it into a field.
#[component]
pub fn LabelEdit(props: &LabelEditProps) -> Html {
    let lang = use_lang();
    let draft = use_state_eq(|| None::<String>);
    let node = use_node_ref();
    use_effect_with(draft.is_some(), {
        let node = node.clone();
        move |editing| {
            if *editing && let Some(input) = node.cast::<HtmlInputElement>() {
                let _ = input.focus();
                input.select();
            }
        }
    });
    let id = props.id;
    let Some(text) = (*draft).clone() else {
        let onclick = {
            let (draft, label) = (draft.setter(), props.label.clone());
            Callback::from(move |()| draft.set(Some(label.clone())))
        };
        return html!(
            <span class="gb-label-edit">
                if props.label.is_empty() {
                    <span class="gb-muted">{ lang.t("keys.label.none") }</span>
                } else {
                    <span data-testid={format!("key-label-{id}")}>{ &props.label }</span>
                }
                <Act
                    id={format!("key-label-edit-{id}")}
                    kind={Kind::Plain}
                    small=true
                    icon={Some(Icon::PencilAlt)}
                    label={lang.t("keys.label.edit")}
                    {onclick}
                />
            </span>
        );
    };
    let cancel = {
        let draft = draft.setter();
        Callback::from(move |()| draft.set(None))
    };
    let onkeydown = {
        let cancel = cancel.clone();
        Callback::from(move |event: KeyboardEvent| {
            if event.key() == "Escape" {
                cancel.emit(());
            }
        })
    };
    let oninput = {
        let draft = draft.setter();
        Callback::from(move |event: InputEvent| {
            if let Some(input) = event.target_dyn_into::<HtmlInputElement>() {
                draft.set(Some(input.value()));
            }
        })
    };
    let onsubmit = {
        let (draft, act, text) = (draft.setter(), props.act.clone(), text.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            draft.set(None);
            act.emit(KeyAction::Rename(id, text.trim().to_owned()));
        })
    };
    html!(
        <form class="gb-label-edit" {onsubmit}>
            <span class="pf-v6-c-form-control">
                <input
                    ref={node}
                    type="text"
                    maxlength="100"
                    value={text}
                    aria-label={lang.t("keys.label.name")}
                    data-testid={format!("key-label-input-{id}")}
                    {oninput}
                    {onkeydown}
                />
            </span>
            <Act id={format!("key-label-save-{id}")} kind={Kind::Plain} small=true submit=true icon={Some(Icon::Check)} label={lang.t("common.save")} />
            <Act id={format!("key-label-cancel-{id}")} kind={Kind::Plain} small=true icon={Some(Icon::Times)} label={lang.t("common.cancel")} onclick={cancel} />
        </form>
    )
}
