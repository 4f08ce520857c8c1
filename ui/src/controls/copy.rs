use gloo::timers::callback::Timeout;
use patternfly_yew::prelude::Icon;
use wasm_bindgen_futures::spawn_local;
use yew::{
    AttrValue, Callback, Html, Properties, component, html, use_callback, use_effect_with,
    use_node_ref, use_state_eq,
};

use super::{Act, Kind};
use crate::app::use_lang;
use crate::host::{choose, copy_text};

/// How long a copy button says that it worked, in milliseconds.
const SAID_FOR: u32 = 2_500;

#[derive(Clone, Copy, PartialEq)]
enum Said {
    Nothing,
    Copied,
    Failed,
}

#[derive(PartialEq, Properties)]
pub struct CopyButtonProps {
    /// What is copied.
    pub text: AttrValue,
    /// What it is, for screen readers.
    pub what: AttrValue,
    /// The `data-testid`.
    pub id: AttrValue,
    /// Shows a word beside the icon.
    #[prop_or_default]
    pub worded: bool,
    /// Copies by other means than the webview's clipboard; answers through the callback.
    #[prop_or_default]
    pub instead: Option<Callback<Callback<bool>>>,
}

/// Copies a text, and says whether that worked.
#[component]
pub fn CopyButton(props: &CopyButtonProps) -> Html {
    let lang = use_lang();
    let said = use_state_eq(|| Said::Nothing);
    let done = use_callback((), {
        let said = said.setter();
        move |worked: bool, ()| said.set(if worked { Said::Copied } else { Said::Failed })
    });
    use_effect_with(*said, {
        let said = said.setter();
        move |now| {
            let timeout = (*now != Said::Nothing)
                .then(|| Timeout::new(SAID_FOR, move || said.set(Said::Nothing)));
            move || drop(timeout)
        }
    });
    let onclick = use_callback(
        (props.text.clone(), props.instead.clone()),
        move |(), (text, instead)| match instead {
            Some(instead) => instead.emit(done.clone()),
            None => {
                let (text, done) = (text.clone(), done.clone());
                spawn_local(async move { done.emit(copy_text(&text).await) });
            }
        },
    );
    let (label, icon) = match *said {
        Said::Nothing => (lang.t("common.copy"), Icon::Copy),
        Said::Copied => (lang.t("common.copied"), Icon::Check),
        Said::Failed => (lang.t("common.copy_failed"), Icon::ExclamationTriangle),
    };
    let spoken = lang.f("common.copy_what", &[("what", &props.what)]);
    html!(
        <>
            <Act
                id={&props.id}
                label={label.clone()}
                aria_label={spoken}
                kind={if props.worded { Kind::Secondary } else { Kind::Plain }}
                icon={Some(icon)}
                {onclick}
            />
            <span class="pf-v6-screen-reader" role="status">
                if *said != Said::Nothing { { label } }
            </span>
        </>
    )
}

#[derive(PartialEq, Properties)]
pub struct CopyFieldProps {
    /// What is shown and copied.
    pub text: AttrValue,
    /// What it is.
    pub label: AttrValue,
    /// The `data-testid` of the text; the button's has `-copy` appended.
    pub id: AttrValue,
    #[prop_or_default]
    pub instead: Option<Callback<Callback<bool>>>,
}

/// A text in a box with a copy button. Clicking the text selects it whole.
#[component]
pub fn CopyField(props: &CopyFieldProps) -> Html {
    let node = use_node_ref();
    let onfocus = {
        let node = node.clone();
        Callback::from(move |_: yew::FocusEvent| choose(&node))
    };
    html!(
        <div class="pf-v6-c-input-group gb-copy-field">
            <div class="pf-v6-c-input-group__item pf-m-fill">
                <span class="pf-v6-c-form-control pf-m-readonly">
                    <input
                        ref={node}
                        class="gb-mono"
                        readonly=true
                        type="text"
                        value={&props.text}
                        aria-label={&props.label}
                        data-testid={&props.id}
                        {onfocus}
                    />
                </span>
            </div>
            <div class="pf-v6-c-input-group__item">
                <CopyButton
                    text={&props.text}
                    what={&props.label}
                    id={format!("{}-copy", props.id)}
                    instead={props.instead.clone()}
                />
            </div>
        </div>
    )
}
