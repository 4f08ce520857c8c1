use contract::admin::PasswordChange;
use contract::{ApiError, ErrorCode};
use yew::{AttrValue, Callback, Html, Properties, SubmitEvent, component, html, use_state_eq};

use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{Act, Card, ErrorNote, TextField};
use crate::send::use_send;

/// The shortest password that the server accepts, in characters.
const SHORTEST: usize = 8;

#[derive(PartialEq, Properties)]
pub struct PasswordCardProps {
    pub has_password: bool,
    pub has_auth_token: bool,
    /// Called when the password was changed.
    pub changed: Callback<()>,
}

/// What was typed so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Typed {
    pub current: AttrValue,
    pub new: AttrValue,
    pub again: AttrValue,
}

/// Changes the password.
#[component]
pub fn PasswordCard(props: &PasswordCardProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let typed = use_state_eq(Typed::default);
    let sending = use_send();
    let ontype = {
        let (typed, sending) = (typed.setter(), sending.clone());
        Callback::from(move |now: Typed| {
            sending.forget();
            typed.set(now);
        })
    };
    let onsubmit = {
        let (sending, changed) = (sending.clone(), props.changed.clone());
        let (now, typed) = ((*typed).clone(), typed.setter());
        Callback::from(move |()| {
            let request = PasswordChange {
                current: now.current.to_string(),
                new: now.new.to_string(),
            };
            let (typed, changed, toasts) = (typed.clone(), changed.clone(), toasts.clone());
            sending.run(
                async move { host.post("/api/account/password", &request).await },
                move |()| {
                    typed.set(Typed::default());
                    toasts.success(lang.t("password.changed"));
                    changed.emit(());
                },
            );
        })
    };
    html!(
        <PasswordView
            has_password={props.has_password}
            has_auth_token={props.has_auth_token}
            typed={(*typed).clone()}
            {ontype}
            {onsubmit}
            busy={sending.busy}
            error={sending.error.clone()}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct PasswordViewProps {
    pub has_password: bool,
    pub has_auth_token: bool,
    pub typed: Typed,
    pub ontype: Callback<Typed>,
    pub onsubmit: Callback<()>,
    pub busy: bool,
    pub error: Option<ApiError>,
}

/// The form as a function of what was typed and answered.
#[component]
pub fn PasswordView(props: &PasswordViewProps) -> Html {
    let lang = use_lang();
    let typed = &props.typed;
    let onsubmit = props
        .onsubmit
        .reform(|event: SubmitEvent| event.prevent_default());
    let change = |put: fn(&mut Typed, AttrValue)| {
        let typed = typed.clone();
        props.ontype.reform(move |text: String| {
            let mut now = typed.clone();
            put(&mut now, text.into());
            now
        })
    };
    let short = typed.new.chars().count() < SHORTEST;
    let differ = typed.new != typed.again;
    // Said at the field it is about.
    let (error, refused) = match &props.error {
        Some(error) if error.code == ErrorCode::WrongPassword => {
            (None, Some(lang.error_title(error.code)))
        }
        error => (error.clone(), None),
    };
    let words = match (props.has_password, props.has_auth_token) {
        (true, true) => "password.both",
        (false, _) => "password.only_token",
        (true, false) => "password.only_password",
    };
    html!(
        <Card id="password-card" title={lang.t("password.title")}>
            <p class="gb-muted">{ lang.t(words) }</p>
            <form class="pf-v6-c-form gb-narrow" {onsubmit}>
                // Password managers want to know whose password it is; Chromium complains otherwise.
                <input type="text" name="username" autocomplete="username" value="Gemini Balance" hidden=true readonly=true />
                <TextField
                    id="password-current"
                    kind="password"
                    autocomplete="current-password"
                    label={lang.t("password.current")}
                    hint={props.has_auth_token.then(|| lang.t("password.current_hint"))}
                    problem={refused}
                    value={typed.current.clone()}
                    oninput={change(|typed, text| typed.current = text)}
                />
                <TextField
                    id="password-new"
                    kind="password"
                    autocomplete="new-password"
                    label={lang.t("password.new")}
                    hint={lang.t("password.new_hint")}
                    problem={(short && !typed.new.is_empty()).then(|| lang.t("password.new_hint"))}
                    value={typed.new.clone()}
                    oninput={change(|typed, text| typed.new = text)}
                />
                <TextField
                    id="password-again"
                    kind="password"
                    autocomplete="new-password"
                    label={lang.t("password.again")}
                    problem={(differ && !typed.again.is_empty()).then(|| lang.t("password.differ"))}
                    value={typed.again.clone()}
                    oninput={change(|typed, text| typed.again = text)}
                />
                if let Some(error) = error {
                    <ErrorNote {error} />
                }
                <div>
                    <Act
                        id="password-submit"
                        submit=true
                        label={lang.t(if props.has_password { "password.submit" } else { "password.choose" })}
                        busy={props.busy}
                        disabled={typed.current.is_empty() || short || differ}
                    />
                </div>
            </form>
        </Card>
    )
}
