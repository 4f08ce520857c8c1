use contract::admin::{PasswordConfirm, TotpConfirm, TotpEnabled, TotpSetup};
use contract::{ApiError, ErrorCode};
use patternfly_yew::prelude::{Color, Icon, Label};
use yew::{AttrValue, Callback, Html, Properties, SubmitEvent, component, html, use_state_eq};

use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{
    Act, Card, CopyButton, CopyField, Dialog, ErrorNote, Kind, Notice, TextField, Tone,
};
use crate::host::{download, image};
use crate::send::use_send;

/// Few recovery codes are this many or fewer.
const FEW: u32 = 3;

/// The id of the form of a step, which its button beneath the dialog sends.
const FORM: &str = "totp-form";

/// How far switching it on or off has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Step {
    /// Nothing is being done.
    #[default]
    Idle,
    /// The password is wanted before it is switched on, or off.
    Password {
        /// It shall be on.
        on: bool,
    },
    /// An authenticator app is to be connected.
    Scan {
        /// The key, to type in.
        secret: AttrValue,
        /// The address of the picture.
        picture: AttrValue,
    },
    /// It is on; these are to be kept.
    Codes(Vec<AttrValue>),
}

#[derive(PartialEq, Properties)]
pub struct SecondFactorCardProps {
    pub on: bool,
    pub codes_left: u32,
    /// Called when it was switched on or off.
    pub changed: Callback<()>,
}

/// Switches the second factor on and off.
#[component]
pub fn SecondFactorCard(props: &SecondFactorCardProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let step = use_state_eq(Step::default);
    let typed = use_state_eq(AttrValue::default);
    let sending = use_send();
    let go = {
        let (step, typed, sending) = (step.setter(), typed.setter(), sending.clone());
        Callback::from(move |to: Step| {
            sending.forget();
            typed.set(AttrValue::default());
            step.set(to);
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
        let (step, text, sending) = ((*step).clone(), (*typed).clone(), sending.clone());
        let (go, changed) = (go.clone(), props.changed.clone());
        Callback::from(move |()| {
            let (go, changed, toasts) = (go.clone(), changed.clone(), toasts.clone());
            let password = PasswordConfirm {
                password: text.to_string(),
            };
            match step {
                Step::Password { on: true } => sending.run(
                    async move { host.post("/api/account/totp", &password).await },
                    move |setup: TotpSetup| {
                        go.emit(Step::Scan {
                            secret: setup.secret.into(),
                            picture: image(&setup.qr_svg),
                        });
                    },
                ),
                Step::Password { on: false } => sending.run(
                    async move { host.post("/api/account/totp/off", &password).await },
                    move |()| {
                        go.emit(Step::Idle);
                        toasts.success(lang.t("totp.switched_off"));
                        changed.emit(());
                    },
                ),
                Step::Scan { .. } => {
                    let code = TotpConfirm {
                        code: text.trim().to_owned(),
                    };
                    sending.run(
                        async move { host.post("/api/account/totp/confirm", &code).await },
                        move |enabled: TotpEnabled| {
                            let codes = enabled.recovery_codes;
                            go.emit(Step::Codes(codes.into_iter().map(Into::into).collect()));
                            changed.emit(());
                        },
                    );
                }
                Step::Idle | Step::Codes(_) => (),
            }
        })
    };
    html!(
        <>
            <SecondFactorView on={props.on} codes_left={props.codes_left} go={go.clone()} />
            if *step != Step::Idle {
                <StepDialog
                    step={(*step).clone()}
                    typed={(*typed).clone()}
                    {ontype}
                    {onsubmit}
                    busy={sending.busy}
                    error={sending.error.clone()}
                    onclose={go.reform(|()| Step::Idle)}
                />
            }
        </>
    )
}

#[derive(PartialEq, Properties)]
pub struct SecondFactorViewProps {
    pub on: bool,
    pub codes_left: u32,
    pub go: Callback<Step>,
}

/// Whether it is on.
#[component]
pub fn SecondFactorView(props: &SecondFactorViewProps) -> Html {
    let lang = use_lang();
    let on = props.on;
    let wanted = props.go.reform(move |()| Step::Password { on: !on });
    let (color, state, help) = if on {
        (Color::Green, "totp.is_on", "totp.help_on")
    } else {
        (Color::Grey, "totp.is_off", "totp.help_off")
    };
    html!(
        <Card
            id="totp-card"
            title={lang.t("totp.title")}
            corner={html!(<span data-testid="totp-state"><Label {color} label={lang.t(state).to_string()} /></span>)}
        >
            <p class="gb-muted">{ lang.t(help) }</p>
            if on {
                if props.codes_left <= FEW {
                    <Notice tone={Tone::Warning} id="totp-few" title={lang.n("totp.codes_left", u64::from(props.codes_left))}>
                        <p>{ lang.t("totp.few_codes") }</p>
                    </Notice>
                } else {
                    <p class="gb-muted">{ lang.n("totp.codes_left", u64::from(props.codes_left)) }</p>
                }
                <div><Act id="totp-off" label={lang.t("totp.off")} onclick={wanted} /></div>
            } else {
                <div><Act id="totp-on" label={lang.t("totp.start")} onclick={wanted} /></div>
            }
        </Card>
    )
}

#[derive(PartialEq, Properties)]
pub struct StepDialogProps {
    pub step: Step,
    pub typed: AttrValue,
    pub ontype: Callback<String>,
    pub onsubmit: Callback<()>,
    pub busy: bool,
    pub error: Option<ApiError>,
    pub onclose: Callback<()>,
}

/// The step that is due.
#[component]
pub fn StepDialog(props: &StepDialogProps) -> Html {
    let lang = use_lang();
    let onsubmit = props
        .onsubmit
        .reform(|event: SubmitEvent| event.prevent_default());
    // Said at the field it is about.
    let (error, refused) = match &props.error {
        Some(error)
            if matches!(
                error.code,
                ErrorCode::WrongPassword | ErrorCode::WrongSecondFactor
            ) =>
        {
            (None, Some(lang.error_title(error.code)))
        }
        error => (error.clone(), None),
    };
    let error = error.map(|error| html!(<ErrorNote {error} />));
    let cancel = html!(<Act id="totp-cancel" label={lang.t("common.cancel")} onclick={props.onclose.clone()} />);
    let (title, body, button) = match &props.step {
        Step::Idle => return Html::default(),
        Step::Password { on } => (
            lang.t(if *on {
                "totp.password_title"
            } else {
                "totp.off_title"
            }),
            html!(
                <form class="pf-v6-c-form" id={FORM} {onsubmit}>
                    <input type="text" name="username" autocomplete="username" value="Gemini Balance" hidden=true readonly=true />
                    if !*on {
                        <p>{ lang.t("totp.off_help") }</p>
                    }
                    <TextField
                        id="totp-password"
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
            ),
            html!(
                <>
                    <Act
                        id="totp-go-on"
                        kind={if *on { Kind::Primary } else { Kind::Danger }}
                        label={lang.t(if *on { "totp.go_on" } else { "totp.off" })}
                        busy={props.busy}
                        disabled={props.typed.is_empty()}
                        submit=true
                        form={FORM}
                    />
                    { cancel }
                </>
            ),
        ),
        Step::Scan { secret, picture } => (
            lang.t("totp.scan_title"),
            html!(
                <form class="pf-v6-c-form" id={FORM} {onsubmit}>
                    <p>{ lang.t("totp.scan") }</p>
                    <img class="gb-qr" src={picture} alt={lang.t("totp.qr")} width="220" height="220" data-testid="totp-qr" />
                    <div>
                        <p class="gb-label">{ lang.t("totp.secret") }</p>
                        <CopyField id="totp-secret" label={lang.t("totp.secret")} text={secret} />
                    </div>
                    <TextField
                        id="totp-code"
                        autocomplete="one-time-code"
                        label={lang.t("totp.code")}
                        hint={lang.t("totp.code_hint")}
                        problem={refused}
                        value={props.typed.clone()}
                        oninput={props.ontype.clone()}
                        autofocus=true
                    />
                </form>
            ),
            html!(
                <>
                    <Act
                        id="totp-confirm"
                        kind={Kind::Primary}
                        label={lang.t("totp.confirm")}
                        busy={props.busy}
                        disabled={props.typed.trim().is_empty()}
                        submit=true
                        form={FORM}
                    />
                    { cancel }
                </>
            ),
        ),
        Step::Codes(codes) => {
            let text = codes.join("\n");
            let file = lang.t("totp.codes_file");
            (
                lang.t("totp.codes_title"),
                html!(
                    <>
                        <p>{ lang.t("totp.codes_help") }</p>
                        <ul class="gb-codes gb-mono" data-testid="totp-codes">
                            { for codes.iter().map(|code| html!(<li key={code.to_string()}>{ code }</li>)) }
                        </ul>
                        <div class="gb-row">
                            <CopyButton id="totp-codes-copy" worded=true text={text.clone()} what={lang.t("totp.codes")} />
                            <Act
                                id="totp-codes-download"
                                icon={Some(Icon::Download)}
                                label={lang.t("transfer.download")}
                                onclick={Callback::from(move |()| download(&file, &text))}
                            />
                        </div>
                    </>
                ),
                html!(<Act id="totp-kept" kind={Kind::Primary} label={lang.t("totp.kept")} onclick={props.onclose.clone()} />),
            )
        }
    };
    let key = title.to_string();
    html!(
        // Each step is a dialog of its own, so that the focus goes to its field.
        <Dialog {key} id="totp-dialog" {title} onclose={props.onclose.clone()} actions={button}>
            { body }
            { error.unwrap_or_default() }
        </Dialog>
    )
}
