use contract::ApiError;
use contract::admin::Sealing;
use serde_json::json;
use web_sys::HtmlInputElement;
use yew::{Callback, Event, Html, Properties, TargetCast, component, html, use_state_eq};

use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{Act, Card, Dialog, ErrorNote, Kind, Notice, Tone};
use crate::send::use_send;
use crate::text::wire_name;

#[derive(PartialEq, Properties)]
pub struct SealingCardProps {
    pub sealing: Sealing,
    /// Called when storing in clear was agreed to.
    pub changed: Callback<()>,
}

/// How secrets are kept, and the choice when there is no key to seal them with.
#[component]
pub fn SealingCard(props: &SealingCardProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let asking = use_state_eq(|| false);
    let sending = use_send();
    let ask = {
        let (asking, sending) = (asking.setter(), sending.clone());
        Callback::from(move |open: bool| {
            sending.forget();
            asking.set(open);
        })
    };
    let agree = {
        let (asking, sending) = (asking.setter(), sending.clone());
        let changed = props.changed.clone();
        Callback::from(move |()| {
            let (asking, changed, toasts) = (asking.clone(), changed.clone(), toasts.clone());
            sending.run(
                async move { host.post("/api/data/agree-clear", &json!({})).await },
                move |()| {
                    asking.set(false);
                    toasts.success(lang.t("sealing.agreed"));
                    changed.emit(());
                },
            );
        })
    };
    html!(
        <>
            <SealingView sealing={props.sealing} onagree={ask.reform(|()| true)} />
            if *asking {
                <AgreeDialog
                    busy={sending.busy}
                    error={sending.error.clone()}
                    {agree}
                    onclose={ask.reform(|()| false)}
                />
            }
        </>
    )
}

#[derive(PartialEq, Properties)]
pub struct SealingViewProps {
    pub sealing: Sealing,
    /// Opens the question.
    pub onagree: Callback<()>,
}

/// How secrets are kept, in words.
#[component]
pub fn SealingView(props: &SealingViewProps) -> Html {
    let lang = use_lang();
    let name = wire_name(&props.sealing);
    let tone = match props.sealing {
        Sealing::SecretKey | Sealing::KeyFile | Sealing::Keychain => Tone::Success,
        Sealing::NotStored | Sealing::Clear => Tone::Warning,
    };
    let actions = if props.sealing == Sealing::NotStored {
        html!(<Act id="agree-clear" kind={Kind::Link} label={lang.t("sealing.agree")} onclick={props.onagree.clone()} />)
    } else {
        Html::default()
    };
    html!(
        <Card id="sealing-card" title={lang.t("sealing.title")}>
            <Notice {tone} id={format!("sealing-{name}")} title={lang.t(&format!("sealing.{name}.title"))} {actions}>
                <p>{ lang.t(&format!("sealing.{name}.help")) }</p>
            </Notice>
        </Card>
    )
}

#[derive(PartialEq, Properties)]
struct AgreeDialogProps {
    busy: bool,
    error: Option<ApiError>,
    agree: Callback<()>,
    onclose: Callback<()>,
}

/// What storing in clear means; nothing happens before that is confirmed.
#[component]
fn AgreeDialog(props: &AgreeDialogProps) -> Html {
    let lang = use_lang();
    let understood = use_state_eq(|| false);
    let onchange = {
        let understood = understood.setter();
        Callback::from(move |event: Event| {
            let input = event.target_dyn_into::<HtmlInputElement>();
            understood.set(input.is_some_and(|input| input.checked()));
        })
    };
    html!(
        <Dialog
            id="agree-dialog"
            title={lang.t("sealing.agree_title")}
            onclose={props.onclose.clone()}
            actions={html!(
                <>
                    <Act
                        id="agree-confirm"
                        kind={Kind::Danger}
                        label={lang.t("sealing.agree_confirm")}
                        busy={props.busy}
                        disabled={!*understood}
                        onclick={props.agree.clone()}
                    />
                    <Act id="agree-cancel" label={lang.t("common.cancel")} onclick={props.onclose.clone()} />
                </>
            )}
        >
            <p>{ lang.t("sealing.agree_help") }</p>
            <p>{ lang.t("sealing.agree_better") }</p>
            if let Some(error) = props.error.clone() {
                <ErrorNote {error} />
            }
            <label class="pf-v6-c-check" for="agree-check">
                <input class="pf-v6-c-check__input" type="checkbox" id="agree-check" data-testid="agree-check" checked={*understood} {onchange} />
                <span class="pf-v6-c-check__label">{ lang.t("sealing.agree_check") }</span>
            </label>
        </Dialog>
    )
}
