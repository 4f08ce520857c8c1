use contract::ApiError;
use contract::admin::{KeyReplace, KeyState, KeyView};
use wasm_bindgen_futures::spawn_local;
use yew::{Callback, Html, Properties, component, html, use_state_eq};

use super::KeyAction;
use crate::app::{use_host, use_lang};
use crate::controls::{Act, Dialog, ErrorNote, Kind, TextField};

#[derive(PartialEq, Properties)]
pub struct ReplaceDialogProps {
    pub key_view: KeyView,
    pub act: Callback<KeyAction>,
    pub onclose: Callback<()>,
}

/// Puts a new key in the place of one, which Google has ended or is about to.
#[component]
pub fn ReplaceDialog(props: &ReplaceDialogProps) -> Html {
    let (host, lang) = (use_host(), use_lang());
    let typed = use_state_eq(String::new);
    let busy = use_state_eq(|| false);
    let error = use_state_eq(|| None::<ApiError>);
    let id = props.key_view.id;
    let oninput = {
        let typed = typed.setter();
        Callback::from(move |text| typed.set(text))
    };
    let save = {
        let (typed, busy, error) = (typed.clone(), busy.setter(), error.setter());
        let (act, close) = (props.act.clone(), props.onclose.clone());
        Callback::from(move |()| {
            let new = KeyReplace {
                key: (*typed).clone(),
            };
            let (typed, busy, error) = (typed.setter(), busy.clone(), error.clone());
            let (act, close) = (act.clone(), close.clone());
            busy.set(true);
            spawn_local(async move {
                let path = format!("/api/keys/{id}/replace");
                match host.post::<KeyView>(&path, &new).await {
                    Ok(key) => {
                        typed.set(String::new());
                        act.emit(KeyAction::Replaced {
                            is_off: key.state == KeyState::Disabled,
                            masked: key.masked,
                        });
                        close.emit(());
                    }
                    Err(why) => error.set(Some(why)),
                }
                busy.set(false);
            });
        })
    };
    html!(
        <Dialog
            id="key-replace"
            title={lang.f("keys.replace.title", &[("key", &props.key_view.masked)])}
            onclose={props.onclose.clone()}
            actions={html!(
                <>
                    <Act id="key-replace-save" kind={Kind::Primary} label={lang.t("keys.replace.act")} busy={*busy} disabled={typed.trim().is_empty()} onclick={save} />
                    <Act id="key-replace-cancel" label={lang.t("common.cancel")} onclick={props.onclose.clone()} />
                </>
            )}
        >
            if props.key_view.masked.starts_with("AIza") {
                <p>{ lang.t("keys.replace.old_help") }</p>
            }
            <p>{ lang.t("keys.replace.help") }</p>
            <TextField
                id="key-replace-key"
                kind="password"
                autocomplete="off"
                label={lang.t("keys.replace.field")}
                value={(*typed).clone()}
                autofocus=true
                {oninput}
            />
            if let Some(error) = (*error).clone() {
                <ErrorNote {error} />
            }
        </Dialog>
    )
}
