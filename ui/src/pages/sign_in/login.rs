use contract::ApiError;
use contract::admin::LoginRequest;
use wasm_bindgen_futures::spawn_local;
use yew::{
    AttrValue, Callback, Html, Properties, SubmitEvent, component, html, use_callback, use_state_eq,
};

use super::Frame;
use crate::app::{use_host, use_lang};
use crate::controls::{Act, ErrorNote, Kind, TextField};

#[derive(PartialEq, Properties)]
pub struct LoginProps {
    /// Called when the instance has accepted the password.
    pub done: Callback<()>,
}

/// Asks for the panel's password.
#[component]
pub fn Login(props: &LoginProps) -> Html {
    let host = use_host();
    let password = use_state_eq(AttrValue::default);
    let busy = use_state_eq(|| false);
    let error = use_state_eq(|| None::<ApiError>);
    let oninput = {
        let password = password.setter();
        use_callback((), move |typed: String, ()| password.set(typed.into()))
    };
    let onsubmit = {
        let (busy, error, done) = (busy.setter(), error.setter(), props.done.clone());
        use_callback((*password).clone(), move |(), password: &AttrValue| {
            let request = LoginRequest {
                password: password.to_string(),
                code: None,
            };
            let (busy, error, done) = (busy.clone(), error.clone(), done.clone());
            busy.set(true);
            error.set(None);
            spawn_local(async move {
                match host.post::<()>("/api/login", &request).await {
                    Ok(()) => done.emit(()),
                    Err(e) => error.set(Some(e)),
                }
                busy.set(false);
            });
        })
    };
    html!(
        <LoginView
            password={(*password).clone()}
            {oninput}
            {onsubmit}
            busy={*busy}
            error={(*error).clone()}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct LoginViewProps {
    pub password: AttrValue,
    pub oninput: Callback<String>,
    pub onsubmit: Callback<()>,
    pub busy: bool,
    pub error: Option<ApiError>,
}

/// The login page as a function of what was typed and answered.
#[component]
pub fn LoginView(props: &LoginViewProps) -> Html {
    let lang = use_lang();
    let onsubmit = props
        .onsubmit
        .reform(|event: SubmitEvent| event.prevent_default());
    html!(
        <Frame title={lang.t("login.title")} subtitle={lang.t("login.subtitle")}>
            <form class="pf-v6-c-form" {onsubmit}>
                // Password managers want to know whose password it is; Chromium complains otherwise.
                <input type="text" name="username" autocomplete="username" value="Gemini Balance" hidden=true readonly=true />
                if let Some(error) = props.error.clone() {
                    <ErrorNote {error} />
                }
                <TextField
                    id="login-password"
                    kind="password"
                    autocomplete="current-password"
                    label={lang.t("login.password")}
                    hint={lang.t("login.password_hint")}
                    value={props.password.clone()}
                    oninput={props.oninput.clone()}
                    autofocus=true
                />
                <Act
                    id="login-submit"
                    kind={Kind::Primary}
                    label={lang.t("login.submit")}
                    submit=true
                    block=true
                    busy={props.busy}
                    disabled={props.password.is_empty()}
                />
            </form>
            <details class="gb-details">
                <summary>{ lang.t("login.forgot") }</summary>
                <p>{ lang.t("login.forgot_help") }</p>
            </details>
        </Frame>
    )
}
