use contract::ApiError;
use contract::admin::{Origin, TokenPatch, TokenView};
use yew::{AttrValue, Callback, Html, Properties, SubmitEvent, component, html, use_state_eq};

use super::rules::{Draft, RulesFields};
use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{Act, Dialog, ErrorNote, Kind, TextField};
use crate::host::{Method, zone_here};
use crate::send::use_send;

/// The form, by which its button outside knows it.
const FORM: &str = "edit-form";

#[derive(PartialEq, Properties)]
pub struct EditTokenProps {
    pub token: TokenView,
    pub onclose: Callback<()>,
    /// Called when it was changed.
    pub changed: Callback<()>,
}

/// Changes a token's name and rules.
#[component]
pub fn EditToken(props: &EditTokenProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let sending = use_send();
    let name = use_state_eq(|| AttrValue::from(props.token.name.clone()));
    let draft = use_state_eq(|| Draft::of(&props.token.rules, &zone_here()));
    let rules = draft.read(&zone_here());
    // What a token of the environment is called says where it is from.
    let named = props.token.origin == Origin::Panel;
    let save = {
        let patch = rules.clone().map(|rules| TokenPatch {
            name: named.then(|| name.trim().to_owned()),
            rules: Some(rules),
        });
        let (id, sending) = (props.token.id, sending.clone());
        let (onclose, changed) = (props.onclose.clone(), props.changed.clone());
        Callback::from(move |()| {
            let Some(patch) = patch.clone() else { return };
            let (onclose, changed, toasts) = (onclose.clone(), changed.clone(), toasts.clone());
            sending.run(
                async move {
                    let body = serde_json::to_value(patch).unwrap_or_default();
                    let path = format!("/api/tokens/{id}");
                    host.admin(Method::Patch, &path, Some(body)).await
                },
                move |token: TokenView| {
                    toasts.success(lang.f("tokens.saved", &[("name", &token.name)]));
                    onclose.emit(());
                    changed.emit(());
                },
            );
        })
    };
    let onname = {
        let name = name.setter();
        Callback::from(move |typed: String| name.set(typed.into()))
    };
    let onrules = {
        let draft = draft.setter();
        Callback::from(move |now: Draft| draft.set(now))
    };
    html!(
        <EditView
            {named}
            name={(*name).clone()}
            draft={(*draft).clone()}
            ready={rules.is_some() && !name.trim().is_empty()}
            busy={sending.busy}
            error={sending.error.clone()}
            {onname}
            {onrules}
            {save}
            onclose={props.onclose.clone()}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct EditViewProps {
    /// The name can be changed.
    pub named: bool,
    pub name: AttrValue,
    pub draft: Draft,
    pub ready: bool,
    pub busy: bool,
    pub error: Option<ApiError>,
    pub onname: Callback<String>,
    pub onrules: Callback<Draft>,
    pub save: Callback<()>,
    pub onclose: Callback<()>,
}

/// The form over the page.
#[component]
pub fn EditView(props: &EditViewProps) -> Html {
    let lang = use_lang();
    let onsubmit = props
        .save
        .reform(|event: SubmitEvent| event.prevent_default());
    html!(
        <Dialog
            id="token-dialog"
            title={lang.t("tokens.edit_title")}
            wide=true
            onclose={props.onclose.clone()}
            actions={html!(
                <>
                    <Act
                        id="edit-save"
                        kind={Kind::Primary}
                        label={lang.t("common.save")}
                        submit=true
                        form={AttrValue::Static(FORM)}
                        busy={props.busy}
                        disabled={!props.ready}
                    />
                    <Act id="edit-cancel" label={lang.t("common.cancel")} onclick={props.onclose.clone()} />
                </>
            )}
        >
            <form class="gb-stack" id={FORM} {onsubmit}>
                if props.named {
                    <TextField
                        id="edit-name"
                        label={lang.t("tokens.name")}
                        value={&props.name}
                        max_length={Some(100)}
                        oninput={props.onname.clone()}
                    />
                } else {
                    <p><strong>{ &props.name }</strong></p>
                }
                <RulesFields id="edit" draft={props.draft.clone()} onchange={props.onrules.clone()} />
            </form>
            if let Some(error) = props.error.clone() {
                <ErrorNote {error} />
            }
        </Dialog>
    )
}
