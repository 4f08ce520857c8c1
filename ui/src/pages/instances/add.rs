use contract::ApiError;
use contract::deploy::{RemoteAdd, RemoteView};
use yew::{AttrValue, Callback, Html, Properties, SubmitEvent, component, html, use_state_eq};

use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{Act, Dialog, ErrorNote, Kind, TextField};
use crate::send::use_send;

/// The form, by which its button outside knows it.
const FORM: &str = "add-remote-form";

#[derive(PartialEq, Properties)]
pub struct AddRemoteProps {
    pub onclose: Callback<()>,
    /// Called when it was added.
    pub added: Callback<()>,
}

/// Takes in an instance that runs already.
#[component]
pub fn AddRemote(props: &AddRemoteProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let sending = use_send();
    let typed = use_state_eq(|| {
        (
            AttrValue::default(),
            AttrValue::default(),
            AttrValue::default(),
        )
    });
    let add = {
        let (name, url, password) = (*typed).clone();
        let sending = sending.clone();
        let (onclose, added) = (props.onclose.clone(), props.added.clone());
        Callback::from(move |()| {
            let wish = RemoteAdd {
                name: name.trim().to_owned(),
                url: url.trim().to_owned(),
                password: password.to_string(),
            };
            let (onclose, added, toasts) = (onclose.clone(), added.clone(), toasts.clone());
            sending.run(
                async move { host.post("/api/deploy/remotes/add", &wish).await },
                move |remote: RemoteView| {
                    toasts.success(lang.f("instances.add.done", &[("name", &remote.name)]));
                    onclose.emit(());
                    added.emit(());
                },
            );
        })
    };
    let set = {
        let typed = typed.clone();
        move |which: usize| {
            let typed = typed.clone();
            Callback::from(move |text: String| {
                let mut now = (*typed).clone();
                match which {
                    0 => now.0 = text.into(),
                    1 => now.1 = text.into(),
                    _ => now.2 = text.into(),
                }
                typed.set(now);
            })
        }
    };
    let (name, url, password) = (*typed).clone();
    html!(
        <AddView
            {name} {url} {password}
            busy={sending.busy}
            error={sending.error.clone()}
            onname={set(0)} onurl={set(1)} onpassword={set(2)}
            {add}
            onclose={props.onclose.clone()}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct AddViewProps {
    pub name: AttrValue,
    pub url: AttrValue,
    pub password: AttrValue,
    pub busy: bool,
    pub error: Option<ApiError>,
    pub onname: Callback<String>,
    pub onurl: Callback<String>,
    pub onpassword: Callback<String>,
    pub add: Callback<()>,
    pub onclose: Callback<()>,
}

/// The form over the page.
#[component]
pub fn AddView(props: &AddViewProps) -> Html {
    let lang = use_lang();
    let onsubmit = props
        .add
        .reform(|event: SubmitEvent| event.prevent_default());
    let ready = [&props.name, &props.url, &props.password]
        .iter()
        .all(|text| !text.trim().is_empty());
    html!(
        <Dialog
            id="add-remote"
            title={lang.t("instances.add.title")}
            onclose={props.onclose.clone()}
            actions={html!(
                <>
                    <Act id="add-remote-submit" kind={Kind::Primary} submit=true form={AttrValue::Static(FORM)} label={lang.t("instances.add.submit")} busy={props.busy} disabled={!ready} />
                    <Act id="add-remote-cancel" label={lang.t("common.cancel")} onclick={props.onclose.clone()} />
                </>
            )}
        >
            <form class="gb-stack" id={FORM} {onsubmit}>
                <p class="gb-muted">{ lang.t("instances.add.help") }</p>
                <TextField id="add-remote-name" label={lang.t("instances.add.name")} value={&props.name} max_length={Some(25)} oninput={props.onname.clone()} />
                <TextField id="add-remote-url" label={lang.t("instances.fact.address")} placeholder="https://name.onrender.com" value={&props.url} oninput={props.onurl.clone()} />
                <TextField
                    id="add-remote-password" kind="password" autocomplete="off"
                    label={lang.t("instances.add.password")} hint={lang.t("instances.add.password_hint")}
                    value={&props.password} oninput={props.onpassword.clone()}
                />
            </form>
            if let Some(error) = props.error.clone() {
                <ErrorNote {error} />
            }
        </Dialog>
    )
}
