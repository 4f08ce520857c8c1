use std::rc::Rc;

use contract::ApiError;
use contract::admin::SetupRequest;
use wasm_bindgen_futures::spawn_local;
use yew::{
    AttrValue, Callback, Html, Properties, Reducible, SubmitEvent, component, html, use_callback,
    use_reducer, use_state_eq,
};
use yew_router::hooks::{use_location, use_navigator};

use super::Frame;
use crate::app::{Route, use_host, use_lang};
use crate::controls::{Act, ErrorNote, Kind, TextField};

/// The shortest password that the server accepts, in characters.
const SHORTEST: usize = 8;

/// What was typed so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Typed {
    /// The code from the set-up link.
    pub code: AttrValue,
    /// The password.
    pub password: AttrValue,
    /// The password again.
    pub again: AttrValue,
}

/// Typing.
pub enum Typing {
    /// In the field of the code.
    Code(String),
    /// In the first field.
    Password(String),
    /// In the second field.
    Again(String),
}

impl Reducible for Typed {
    type Action = Typing;

    fn reduce(self: Rc<Self>, typing: Typing) -> Rc<Self> {
        let mut typed = (*self).clone();
        match typing {
            Typing::Code(text) => typed.code = text.trim().to_owned().into(),
            Typing::Password(text) => typed.password = text.into(),
            Typing::Again(text) => typed.again = text.into(),
        }
        typed.into()
    }
}

impl Typed {
    fn too_short(&self) -> bool {
        self.password.chars().count() < SHORTEST
    }

    fn differ(&self) -> bool {
        self.password != self.again
    }

    /// Whether the server can be asked.
    pub fn complete(&self) -> bool {
        !self.code.is_empty() && !self.too_short() && !self.differ()
    }
}

/// The code in the query of a set-up link, e.g. `?code=abc`.
pub fn code_of(query: &str) -> Option<AttrValue> {
    query
        .trim_start_matches('?')
        .split('&')
        .find_map(|pair| pair.strip_prefix("code="))
        .filter(|code| !code.is_empty())
        .map(|code| AttrValue::from(code.to_owned()))
}

#[derive(PartialEq, Properties)]
pub struct SetupProps {
    /// Called when the instance has accepted the password.
    pub done: Callback<()>,
}

/// Asks for the first password.
#[component]
pub fn Setup(props: &SetupProps) -> Html {
    let host = use_host();
    let linked = use_location().and_then(|location| code_of(location.query_str()));
    let typed = use_reducer({
        let code = linked.clone().unwrap_or_default();
        move || Typed {
            code,
            ..Typed::default()
        }
    });
    let navigator = use_navigator();
    let busy = use_state_eq(|| false);
    let error = use_state_eq(|| None::<ApiError>);
    let ontype = {
        let typed = typed.dispatcher();
        use_callback((), move |typing: Typing, ()| typed.dispatch(typing))
    };
    let onsubmit = {
        let (busy, error, done) = (busy.setter(), error.setter(), props.done.clone());
        use_callback((*typed).clone(), move |(), typed: &Typed| {
            if !typed.complete() {
                return;
            }
            let request = SetupRequest {
                code: typed.code.to_string(),
                password: typed.password.to_string(),
            };
            let (busy, error, done) = (busy.clone(), error.clone(), done.clone());
            let navigator = navigator.clone();
            busy.set(true);
            error.set(None);
            spawn_local(async move {
                match host.post::<()>("/api/setup", &request).await {
                    Ok(()) => {
                        // The code is spent; it need not stay in the address.
                        if let Some(navigator) = navigator {
                            navigator.replace(&Route::Dashboard);
                        }
                        done.emit(());
                    }
                    Err(e) => error.set(Some(e)),
                }
                busy.set(false);
            });
        })
    };
    html!(
        <SetupView
            typed={(*typed).clone()}
            ask_code={linked.is_none() || error.is_some()}
            {ontype}
            {onsubmit}
            busy={*busy}
            error={(*error).clone()}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct SetupViewProps {
    pub typed: Typed,
    /// Whether the field of the code is shown; the link fills it in otherwise.
    pub ask_code: bool,
    pub ontype: Callback<Typing>,
    pub onsubmit: Callback<()>,
    pub busy: bool,
    pub error: Option<ApiError>,
}

/// The set-up page as a function of what was typed and answered.
#[component]
pub fn SetupView(props: &SetupViewProps) -> Html {
    let lang = use_lang();
    let typed = &props.typed;
    let onsubmit = props
        .onsubmit
        .reform(|event: SubmitEvent| event.prevent_default());
    let short = !typed.password.is_empty() && typed.too_short();
    let differ = !typed.again.is_empty() && typed.differ();
    html!(
        <Frame title={lang.t("setup.title")} subtitle={lang.t("setup.subtitle")}>
            <form class="pf-v6-c-form" {onsubmit}>
                // Password managers want to know whose password it is; Chromium complains otherwise.
                <input type="text" name="username" autocomplete="username" value="Gemini Balance" hidden=true readonly=true />
                if let Some(error) = props.error.clone() {
                    <ErrorNote {error} />
                }
                if props.ask_code {
                    <TextField
                        id="setup-code"
                        label={lang.t("setup.code")}
                        hint={lang.t("setup.code_hint")}
                        value={typed.code.clone()}
                        oninput={props.ontype.reform(Typing::Code)}
                    />
                }
                <TextField
                    id="setup-password"
                    kind="password"
                    autocomplete="new-password"
                    label={lang.t("setup.password")}
                    hint={lang.t("setup.password_hint")}
                    problem={short.then(|| lang.t("setup.password_hint"))}
                    value={typed.password.clone()}
                    oninput={props.ontype.reform(Typing::Password)}
                    autofocus=true
                />
                <TextField
                    id="setup-password2"
                    kind="password"
                    autocomplete="new-password"
                    label={lang.t("setup.again")}
                    problem={differ.then(|| lang.t("setup.differ"))}
                    value={typed.again.clone()}
                    oninput={props.ontype.reform(Typing::Again)}
                />
                <Act
                    id="setup-submit"
                    kind={Kind::Primary}
                    label={lang.t("setup.submit")}
                    submit=true
                    block=true
                    busy={props.busy}
                    disabled={!typed.complete()}
                />
            </form>
        </Frame>
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_read_from_the_link() {
        assert_eq!(code_of("?code=k3-9Z").as_deref(), Some("k3-9Z"));
        assert_eq!(code_of("?x=1&code=abc").as_deref(), Some("abc"));
        assert_eq!(code_of("?code="), None);
        assert_eq!(code_of(""), None);
    }

    #[test]
    fn nothing_is_sent_before_both_passwords_agree() {
        let typed = Rc::new(Typed::default())
            .reduce(Typing::Code(" abc ".into()))
            .reduce(Typing::Password("八个字符的密码呀".into()));
        assert_eq!(typed.code, "abc", "a pasted code may carry blanks");
        assert!(!typed.complete());
        let typed = typed.reduce(Typing::Again("八个字符的密码呀".into()));
        assert!(typed.complete(), "characters count, not bytes");
    }

    #[test]
    fn a_short_password_is_not_sent() {
        let typed = Typed {
            code: "c".into(),
            password: "1234567".into(),
            again: "1234567".into(),
        };
        assert!(!typed.complete());
    }
}
