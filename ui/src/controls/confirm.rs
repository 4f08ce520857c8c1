use contract::ApiError;
use yew::{AttrValue, Callback, Html, Properties, component, html, use_state_eq};

use super::{Act, Dialog, ErrorNote, Kind, TextField};
use crate::app::use_lang;

#[derive(PartialEq, Properties)]
pub struct ConfirmProps {
    /// The `data-testid` of the dialog; those of its parts have more appended.
    pub id: AttrValue,
    pub title: AttrValue,
    /// What happens, and what does not.
    pub children: Html,
    /// The button that does it.
    pub label: AttrValue,
    /// It destroys something.
    #[prop_or_default]
    pub danger: bool,
    /// What must be typed before; nothing when none.
    #[prop_or_default]
    pub typed: Option<AttrValue>,
    pub busy: bool,
    pub error: Option<ApiError>,
    pub onclose: Callback<()>,
    pub confirm: Callback<()>,
}

/// A question before something that cannot be taken back at a press of a button.
#[component]
pub fn Confirm(props: &ConfirmProps) -> Html {
    let lang = use_lang();
    let said = use_state_eq(AttrValue::default);
    let oninput = {
        let said = said.setter();
        Callback::from(move |text: String| said.set(text.into()))
    };
    let ready = props
        .typed
        .as_ref()
        .is_none_or(|typed| typed.trim() == said.trim());
    html!(
        <Dialog
            id={&props.id}
            title={&props.title}
            onclose={props.onclose.clone()}
            actions={html!(
                <>
                    <Act
                        id={format!("{}-confirm", props.id)}
                        kind={if props.danger { Kind::Danger } else { Kind::Primary }}
                        label={&props.label}
                        busy={props.busy}
                        disabled={!ready}
                        onclick={props.confirm.clone()}
                    />
                    <Act id={format!("{}-cancel", props.id)} label={lang.t("common.cancel")} onclick={props.onclose.clone()} />
                </>
            )}
        >
            { props.children.clone() }
            if let Some(typed) = &props.typed {
                <TextField
                    id={format!("{}-typed", props.id)}
                    label={lang.f("common.type_name", &[("name", typed)])}
                    value={(*said).clone()}
                    {oninput}
                />
            }
            if let Some(error) = props.error.clone() {
                <ErrorNote {error} />
            }
        </Dialog>
    )
}
