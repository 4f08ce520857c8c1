use patternfly_yew::prelude::Icon;
use web_sys::HtmlDialogElement;
use yew::{
    AttrValue, Callback, Event, Html, Properties, classes, component, html, use_effect_with,
    use_node_ref,
};

use super::{Act, Kind};
use crate::app::use_lang;

#[derive(PartialEq, Properties)]
pub struct DialogProps {
    /// The `data-testid`; the title's id has `-title` appended.
    pub id: AttrValue,
    /// What is asked or shown.
    pub title: AttrValue,
    #[prop_or_default]
    pub children: Html,
    /// The buttons, the one that goes on first.
    pub actions: Html,
    /// Called when the user wants to leave it: by Escape or by the cross.
    pub onclose: Callback<()>,
    /// Room for a table.
    #[prop_or_default]
    pub wide: bool,
}

/// A question over the page that must be answered first. The browser's own `dialog` keeps
/// the focus inside, hears Escape, and gives the focus back.
#[component]
pub fn Dialog(props: &DialogProps) -> Html {
    let lang = use_lang();
    let node = use_node_ref();
    use_effect_with((), {
        let node = node.clone();
        move |()| {
            let dialog = node.cast::<HtmlDialogElement>();
            if let Some(dialog) = &dialog {
                let _ = dialog.show_modal();
            }
            move || {
                if let Some(dialog) = dialog {
                    dialog.close();
                }
            }
        }
    });
    let oncancel = props.onclose.reform(|event: Event| {
        // It goes when the page says so.
        event.prevent_default();
    });
    let title = format!("{}-title", props.id);
    html!(
        <dialog
            ref={node}
            class={classes!("pf-v6-c-modal-box", "gb-dialog", if props.wide { "pf-m-md" } else { "pf-m-sm" })}
            aria-labelledby={title.clone()}
            data-testid={&props.id}
            {oncancel}
        >
            <div class="pf-v6-c-modal-box__close">
                <Act
                    id={format!("{}-close", props.id)}
                    kind={Kind::Plain}
                    icon={Some(Icon::Times)}
                    label={lang.t("common.close")}
                    onclick={props.onclose.clone()}
                />
            </div>
            <header class="pf-v6-c-modal-box__header">
                <h2 class="pf-v6-c-modal-box__title gb-dialog__title" id={title}>{ &props.title }</h2>
            </header>
            <div class="pf-v6-c-modal-box__body gb-stack">{ props.children.clone() }</div>
            <footer class="pf-v6-c-modal-box__footer">{ props.actions.clone() }</footer>
        </dialog>
    )
}
