//! The password once more, for what a browser left open must not be able to do.
//!
//! The admin API answers such a call with `password_again`. [`crate::host::Host`] then asks
//! here and makes the call again, so no page has to know which calls these are.

use std::cell::RefCell;

use contract::admin::PasswordConfirm;
use contract::{ApiError, ErrorCode};
use futures_channel::oneshot;
use yew::{
    AttrValue, Callback, Html, Properties, SubmitEvent, component, html, use_effect_with,
    use_state_eq,
};

use super::{use_host, use_lang};
use crate::controls::{Act, Dialog, ErrorNote, Kind, TextField};
use crate::send::use_send;

/// The id of the form, which its button beneath the dialog sends.
const FORM: &str = "again-form";

thread_local! {
    /// Opens the dialog; absent where none is on the page.
    static OPEN: RefCell<Option<Callback<()>>> = const { RefCell::new(None) };
    /// Who waits for the password.
    static WAITING: RefCell<Vec<oneshot::Sender<()>>> = const { RefCell::new(Vec::new()) };
}

/// Asks for the password; true when it was given and is right.
pub async fn ask() -> bool {
    let Some(open) = OPEN.with_borrow(Clone::clone) else {
        return false;
    };
    let (given, waits) = oneshot::channel();
    WAITING.with_borrow_mut(|waiting| waiting.push(given));
    open.emit(());
    waits.await.is_ok()
}

/// The dialog, when it is wanted.
#[component]
pub fn PasswordAgain() -> Html {
    let host = use_host();
    let open = use_state_eq(|| false);
    let typed = use_state_eq(AttrValue::default);
    let sending = use_send();
    use_effect_with((), {
        let open = open.setter();
        move |()| {
            OPEN.set(Some(Callback::from(move |()| open.set(true))));
            || {
                OPEN.set(None);
                // What waits is given up with the page that asked for it.
                drop(WAITING.take());
            }
        }
    });
    let shut = {
        let (open, typed, sending) = (open.setter(), typed.setter(), sending.clone());
        Callback::from(move |given: bool| {
            for waiting in WAITING.take() {
                // Dropping it says that the password was not given.
                if given {
                    let _ = waiting.send(());
                }
            }
            sending.forget();
            typed.set(AttrValue::default());
            open.set(false);
        })
    };
    let ontype = {
        let (typed, sending) = (typed.setter(), sending.clone());
        Callback::from(move |text: String| {
            sending.forget();
            typed.set(text.into());
        })
    };
    let onsubmit = {
        let (sending, shut, password) = (sending.clone(), shut.clone(), (*typed).clone());
        Callback::from(move |()| {
            let confirm = PasswordConfirm {
                password: password.to_string(),
            };
            let shut = shut.clone();
            sending.run(
                async move { host.post("/api/account/confirm", &confirm).await },
                move |()| shut.emit(true),
            );
        })
    };
    html!(
        if *open {
            <AgainView
                typed={(*typed).clone()}
                {ontype}
                {onsubmit}
                busy={sending.busy}
                error={sending.error.clone()}
                onclose={shut.reform(|()| false)}
            />
        }
    )
}

#[derive(PartialEq, Properties)]
pub struct AgainViewProps {
    pub typed: AttrValue,
    pub ontype: Callback<String>,
    pub onsubmit: Callback<()>,
    pub busy: bool,
    pub error: Option<ApiError>,
    pub onclose: Callback<()>,
}

/// The dialog as a function of what was typed and answered.
#[component]
pub fn AgainView(props: &AgainViewProps) -> Html {
    let lang = use_lang();
    let onsubmit = props
        .onsubmit
        .reform(|event: SubmitEvent| event.prevent_default());
    // Said at the field it is about.
    let (error, refused) = match &props.error {
        Some(error) if error.code == ErrorCode::WrongPassword => {
            (None, Some(lang.error_title(error.code)))
        }
        error => (error.clone(), None),
    };
    html!(
        <Dialog
            id="again"
            title={lang.t("again.title")}
            onclose={props.onclose.clone()}
            actions={html!(
                <>
                    <Act
                        id="again-go-on"
                        kind={Kind::Primary}
                        label={lang.t("again.go_on")}
                        busy={props.busy}
                        disabled={props.typed.is_empty()}
                        submit=true
                        form={FORM}
                    />
                    <Act id="again-cancel" label={lang.t("common.cancel")} onclick={props.onclose.clone()} />
                </>
            )}
        >
            <form class="pf-v6-c-form" id={FORM} {onsubmit}>
                <input type="text" name="username" autocomplete="username" value="Gemini Balance" hidden=true readonly=true />
                <p>{ lang.t("again.help") }</p>
                <TextField
                    id="again-password"
                    kind="password"
                    autocomplete="current-password"
                    label={lang.t("totp.password")}
                    hint={lang.t("login.password_hint")}
                    problem={refused}
                    value={props.typed.clone()}
                    oninput={props.ontype.clone()}
                    autofocus=true
                />
            </form>
            if let Some(error) = error {
                <ErrorNote {error} />
            }
        </Dialog>
    )
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::testing::{in_chinese, render};

    fn props(error: Option<ErrorCode>) -> AgainViewProps {
        AgainViewProps {
            typed: "x".into(),
            ontype: Callback::noop(),
            onsubmit: Callback::noop(),
            busy: false,
            error: error.map(|code| ApiError::new(code, "detail")),
            onclose: Callback::noop(),
        }
    }

    #[tokio::test]
    async fn it_says_why_it_asks_and_a_wrong_password_is_said_at_the_field() {
        let asked = render::<AgainView>(props(None)).await;
        assert!(asked.contains("Your password once more"), "{asked}");
        let wrong = in_chinese::<AgainView>(props(Some(ErrorCode::WrongPassword))).await;
        assert!(wrong.contains("again-password"), "{wrong}");
        assert!(!wrong.contains("detail"), "{wrong}");
        let away = render::<AgainView>(props(Some(ErrorCode::Database))).await;
        assert!(away.contains("detail"), "{away}");
    }

    #[tokio::test]
    async fn without_a_dialog_on_the_page_nobody_waits() {
        assert!(!ask().await);
    }
}
