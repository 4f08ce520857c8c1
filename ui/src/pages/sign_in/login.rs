use contract::admin::LoginRequest;
use contract::{ApiError, ErrorCode};
use wasm_bindgen_futures::spawn_local;
use yew::{
    AttrValue, Callback, Html, Properties, SubmitEvent, component, html, use_callback, use_state_eq,
};

use super::Frame;
use crate::app::{use_host, use_lang};
use crate::controls::{Act, ErrorNote, Kind, Notice, TextField, Tone};

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
    // The second factor's code, once the server has asked for one.
    let code = use_state_eq(|| None::<AttrValue>);
    let busy = use_state_eq(|| false);
    let error = use_state_eq(|| None::<ApiError>);
    let oninput = {
        let password = password.setter();
        use_callback((), move |typed: String, ()| password.set(typed.into()))
    };
    let oncode = {
        let code = code.setter();
        use_callback((), move |typed: String, ()| code.set(Some(typed.into())))
    };
    let onsubmit = {
        let (busy, error, done) = (busy.setter(), error.setter(), props.done.clone());
        let given = ((*password).clone(), (*code).clone());
        let code = code.setter();
        use_callback(given, move |(), (password, typed)| {
            let request = LoginRequest {
                password: password.to_string(),
                code: typed.as_ref().map(|code| code.trim().to_owned()),
            };
            let (busy, error, done) = (busy.clone(), error.clone(), done.clone());
            let code = code.clone();
            busy.set(true);
            error.set(None);
            spawn_local(async move {
                match host.post::<()>("/api/login", &request).await {
                    Ok(()) => done.emit(()),
                    Err(e) => {
                        // The password was right: its field stays, the code's is new.
                        if matches!(
                            e.code,
                            ErrorCode::SecondFactorNeeded | ErrorCode::WrongSecondFactor
                        ) {
                            code.set(Some(AttrValue::default()));
                        }
                        error.set(Some(e));
                    }
                }
                busy.set(false);
            });
        })
    };
    html!(
        <LoginView
            password={(*password).clone()}
            code={(*code).clone()}
            {oninput}
            {oncode}
            {onsubmit}
            busy={*busy}
            error={(*error).clone()}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct LoginViewProps {
    pub password: AttrValue,
    /// The second factor's code, when one is wanted.
    pub code: Option<AttrValue>,
    pub oninput: Callback<String>,
    pub oncode: Callback<String>,
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
    // Being asked for the code is no failure, and a wrong code is told at its field.
    let (refused, asked, error) = match props.error.clone() {
        Some(error) if error.code == ErrorCode::SecondFactorNeeded => (None, true, None),
        Some(error) if error.code == ErrorCode::WrongSecondFactor => (Some(error), false, None),
        error => (None, false, error),
    };
    html!(
        <Frame title={lang.t("login.title")} subtitle={lang.t("login.subtitle")}>
            <form class="pf-v6-c-form" {onsubmit}>
                // Password managers want to know whose password it is; Chromium complains otherwise.
                <input type="text" name="username" autocomplete="username" value="Gemini Balance" hidden=true readonly=true />
                if let Some(error) = error {
                    <ErrorNote {error} />
                }
                if asked {
                    <Notice
                        tone={Tone::Info}
                        id="login-second-factor"
                        title={lang.error_title(ErrorCode::SecondFactorNeeded)}
                    />
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
                if let Some(code) = props.code.clone() {
                    <TextField
                        id="login-code"
                        autocomplete="one-time-code"
                        label={lang.t("login.code")}
                        hint={lang.t("login.code_hint")}
                        problem={refused.map(|error| AttrValue::from(
                            format!("{} {}", lang.error_title(error.code), lang.error_hint(&error))
                        ))}
                        value={code}
                        oninput={props.oncode.clone()}
                        autofocus=true
                    />
                }
                <Act
                    id="login-submit"
                    kind={Kind::Primary}
                    label={lang.t("login.submit")}
                    submit=true
                    block=true
                    busy={props.busy}
                    disabled={props.password.is_empty() || props.code.as_ref().is_some_and(|code| code.trim().is_empty())}
                />
            </form>
            <details class="gb-details">
                <summary>{ lang.t("login.forgot") }</summary>
                <p>{ lang.t("login.forgot_help") }</p>
            </details>
        </Frame>
    )
}

// Rendered on the server's side, which needs no browser and has no wasm.
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::testing::render;

    fn props(code: Option<&'static str>, error: Option<ErrorCode>) -> LoginViewProps {
        LoginViewProps {
            password: "right".into(),
            code: code.map(Into::into),
            oninput: Callback::noop(),
            oncode: Callback::noop(),
            onsubmit: Callback::noop(),
            busy: false,
            error: error.map(|code| ApiError::new(code, "")),
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_code_is_asked_for_only_when_the_server_wants_one() {
        let html = render::<LoginView>(props(None, None)).await;
        assert!(!html.contains("login-code"), "{html}");
        let html = render::<LoginView>(props(Some(""), Some(ErrorCode::SecondFactorNeeded))).await;
        assert!(html.contains("login-code") && html.contains("recovery code"));
        assert!(!html.contains("role=\"alert\""), "it is no error: {html}");
        let button = html.split("<button").find(|b| b.contains("login-submit"));
        assert!(button.is_some_and(|b| b.contains("disabled")), "{html}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_wrong_code_is_told_at_its_field() {
        let html = render::<LoginView>(props(Some(""), Some(ErrorCode::WrongSecondFactor))).await;
        let field = html
            .split("<div id=\"login-code-beneath\"")
            .nth(1)
            .unwrap_or_default();
        assert!(field.contains("That code is not right"), "{html}");
    }
}
