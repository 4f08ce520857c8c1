use wasm_bindgen_futures::spawn_local;
use web_sys::HtmlInputElement;
use yew::{
    AttrValue, Callback, DragEvent, Event, Html, Properties, TargetCast, classes, component, html,
    use_state_eq,
};

use super::TextArea;
use crate::app::use_lang;
use crate::host::{chosen_text, dropped_text};

#[derive(PartialEq, Properties)]
pub struct FileAreaProps {
    pub label: AttrValue,
    /// The `data-testid`; that of the file input has `-file` appended.
    pub id: AttrValue,
    pub value: AttrValue,
    pub oninput: Callback<String>,
    #[prop_or_default]
    pub placeholder: AttrValue,
    #[prop_or_default]
    pub hint: Option<AttrValue>,
    #[prop_or(6)]
    pub rows: u32,
    /// Which files are offered, e.g. `.pem`.
    #[prop_or_default]
    pub accept: AttrValue,
}

/// The text of a file: pasted, dropped or chosen.
#[component]
pub fn FileArea(props: &FileAreaProps) -> Html {
    let lang = use_lang();
    let over = use_state_eq(|| false);
    let hover = {
        let over = over.setter();
        move |on: bool| {
            let over = over.clone();
            Callback::from(move |event: DragEvent| {
                // Otherwise the browser would leave the panel and show the file.
                event.prevent_default();
                over.set(on);
            })
        }
    };
    let ondrop = {
        let (over, oninput) = (over.setter(), props.oninput.clone());
        Callback::from(move |event: DragEvent| {
            event.prevent_default();
            over.set(false);
            let oninput = oninput.clone();
            spawn_local(async move {
                if let Some(text) = dropped_text(&event).await {
                    oninput.emit(text);
                }
            });
        })
    };
    let onchange = {
        let oninput = props.oninput.clone();
        Callback::from(move |event: Event| {
            let Some(input) = event.target_dyn_into::<HtmlInputElement>() else {
                return;
            };
            let oninput = oninput.clone();
            spawn_local(async move {
                if let Some(text) = chosen_text(&input).await {
                    oninput.emit(text);
                }
            });
        })
    };
    let file = format!("{}-file", props.id);
    html!(
        <div
            class={classes!("gb-drop", over.then_some("gb-drop--over"))}
            ondragover={hover(true)}
            ondragleave={hover(false)}
            {ondrop}
        >
            <TextArea
                id={&props.id}
                label={&props.label}
                value={&props.value}
                oninput={props.oninput.clone()}
                placeholder={&props.placeholder}
                hint={props.hint.clone()}
                rows={props.rows}
            />
            <div class="gb-row">
                <label class="gb-muted" for={file.clone()}>{ lang.t("common.or_file") }</label>
                <input id={file.clone()} data-testid={file} class="gb-file" type="file" accept={&props.accept} {onchange} />
            </div>
        </div>
    )
}
