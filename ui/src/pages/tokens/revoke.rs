use contract::admin::{Origin, TokenView};
use patternfly_yew::prelude::{Color, Label};
use yew::{AttrValue, Callback, Html, Properties, component, html, use_state_eq};

use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{Act, Dialog, ErrorNote, Kind};
use crate::host::Method;
use crate::send::use_send;

#[derive(PartialEq, Properties)]
pub struct RevokeProps {
    pub token: TokenView,
    /// Called when it was revoked.
    pub changed: Callback<()>,
}

/// Revokes a client token, after a question; one of the environment says where it is from.
#[component]
pub fn Revoke(props: &RevokeProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let asking = use_state_eq(|| false);
    let sending = use_send();
    let id = props.token.id;
    if props.token.origin == Origin::Environment {
        return html!(
            <Label color={Color::Grey} compact=true label={lang.t("tokens.of_environment").to_string()} />
        );
    }
    let ask = {
        let (asking, sending) = (asking.setter(), sending.clone());
        Callback::from(move |on: bool| {
            sending.forget();
            asking.set(on);
        })
    };
    let button = html!(
        <Act
            id={format!("token-revoke-{id}")}
            small=true
            label={lang.t("tokens.revoke")}
            aria_label={AttrValue::from(format!("{}: {}", lang.t("tokens.revoke"), props.token.name))}
            onclick={ask.reform(|()| true)}
        />
    );
    if !*asking {
        return button;
    }
    let revoke = {
        let (asking, changed) = (asking.setter(), props.changed.clone());
        let sending = sending.clone();
        Callback::from(move |()| {
            let (asking, changed, toasts) = (asking.clone(), changed.clone(), toasts.clone());
            sending.run(
                async move {
                    let path = format!("/api/tokens/{id}");
                    host.admin(Method::Delete, &path, None).await
                },
                move |()| {
                    toasts.success(lang.t("tokens.revoked"));
                    asking.set(false);
                    changed.emit(());
                },
            );
        })
    };
    let onclose = ask.reform(|()| false);
    let onclick = onclose.clone();
    html!(
        <>
            { button }
            <Dialog
                id="revoke-dialog"
                title={lang.f("tokens.revoke_title", &[("name", &props.token.name)])}
                {onclose}
                actions={html!(
                    <>
                        <Act id={format!("token-revoke-yes-{id}")} kind={Kind::Danger} label={lang.t("tokens.revoke")} busy={sending.busy} onclick={revoke} />
                        <Act id={format!("token-revoke-no-{id}")} label={lang.t("common.cancel")} {onclick} />
                    </>
                )}
            >
                <p>{ lang.t("tokens.sure") }</p>
                if let Some(error) = sending.error.clone() {
                    <ErrorNote {error} />
                }
            </Dialog>
        </>
    )
}
