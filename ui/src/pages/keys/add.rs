use contract::ApiError;
use contract::admin::{ImportReport, ImportRequest};
use contract::desktop::Link;
use patternfly_yew::prelude::Icon;
use wasm_bindgen_futures::spawn_local;
use web_sys::HtmlTextAreaElement;
use yew::{
    AttrValue, Callback, Html, InputEvent, MouseEvent, Properties, SubmitEvent, TargetCast,
    component, html, use_callback, use_state_eq,
};

use super::report::ReportView;
use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{Act, ErrorNote, Kind};
use crate::text::Lang;

/// Where Google gives out keys.
const AI_STUDIO: &str = "https://aistudio.google.com/apikey";

/// What became of the text.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Nothing yet.
    Nothing,
    /// What adding it would do.
    Preview(ImportReport),
    /// What adding it did.
    Added(ImportReport),
    /// It could not be read.
    Failed(ApiError),
}

#[derive(PartialEq, Properties)]
pub struct AddKeysProps {
    /// Called when keys were added.
    pub changed: Callback<()>,
}

/// Takes any text that holds keys.
#[component]
pub fn AddKeys(props: &AddKeysProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let text = use_state_eq(AttrValue::default);
    let busy = use_state_eq(|| false);
    let outcome = use_state_eq(|| Outcome::Nothing);
    let oninput = {
        let (text, outcome) = (text.setter(), outcome.setter());
        use_callback((), move |typed: String, ()| {
            text.set(typed.into());
            outcome.set(Outcome::Nothing);
        })
    };
    let send = {
        let (busy, outcome, set_text) = (busy.setter(), outcome.setter(), text.setter());
        let (changed, toasts) = (props.changed.clone(), toasts.clone());
        use_callback(
            ((*text).clone(), lang),
            move |dry_run: bool, (text, lang)| {
                let request = ImportRequest {
                    text: text.to_string(),
                    dry_run,
                };
                let (busy, outcome, set_text) = (busy.clone(), outcome.clone(), set_text.clone());
                let (changed, toasts, lang) = (changed.clone(), toasts.clone(), *lang);
                busy.set(true);
                spawn_local(async move {
                    match host
                        .post::<ImportReport>("/api/keys/import", &request)
                        .await
                    {
                        Ok(report) if dry_run => outcome.set(Outcome::Preview(report)),
                        Ok(report) => {
                            if !report.added.is_empty() {
                                // The keys are in; nobody else should see them on the screen.
                                set_text.set(AttrValue::default());
                                toasts.success(lang.n("keys.added", report.added.len() as u64));
                            }
                            outcome.set(Outcome::Added(report));
                            changed.emit(());
                        }
                        Err(error) => outcome.set(Outcome::Failed(error)),
                    }
                    busy.set(false);
                });
            },
        )
    };
    let open_studio = host.in_window().then(|| {
        Callback::from(move |event: MouseEvent| {
            event.prevent_default();
            let toasts = toasts.clone();
            spawn_local(async move {
                if let Err(error) = host.open_link(Link::GoogleKeys).await {
                    toasts.error(lang, &error);
                }
            });
        })
    });
    html!(
        <AddKeysView
            text={(*text).clone()}
            busy={*busy}
            outcome={(*outcome).clone()}
            {oninput}
            {send}
            {open_studio}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct AddKeysViewProps {
    pub text: AttrValue,
    pub busy: bool,
    pub outcome: Outcome,
    pub oninput: Callback<String>,
    /// Sends the text; `true` only to see what would happen.
    pub send: Callback<bool>,
    /// Opens Google's page by the operating system instead of by the webview.
    pub open_studio: Option<Callback<MouseEvent>>,
}

/// The card that adds keys, as a function of what was typed and answered.
#[component]
pub fn AddKeysView(props: &AddKeysViewProps) -> Html {
    let lang = use_lang();
    let oninput = props.oninput.reform(|event: InputEvent| {
        event
            .target_dyn_into::<HtmlTextAreaElement>()
            .map(|area| area.value())
            .unwrap_or_default()
    });
    let onsubmit = props.send.reform(|event: SubmitEvent| {
        event.prevent_default();
        false
    });
    let empty = props.text.trim().is_empty();
    html!(
        <div class="pf-v6-c-card">
            <div class="pf-v6-c-card__title">
                <h2 class="pf-v6-c-card__title-text">{ lang.t("keys.add.title") }</h2>
            </div>
            <div class="pf-v6-c-card__body">
                <form class="gb-stack" {onsubmit}>
                    <div>
                        <label class="gb-label" for="key-paste">{ lang.t("keys.add.label") }</label>
                        <span class="pf-v6-c-form-control pf-m-textarea pf-m-resize-vertical gb-paste">
                            <textarea
                                id="key-paste"
                                data-testid="key-paste"
                                class="gb-mono"
                                rows="3"
                                spellcheck="false"
                                autocomplete="off"
                                placeholder={lang.t("keys.add.placeholder")}
                                value={props.text.clone()}
                                aria-describedby="key-paste-hint"
                                {oninput}
                            />
                        </span>
                        <p class="gb-muted gb-small" id="key-paste-hint">{ lang.t("keys.add.hint") }</p>
                    </div>
                    <div class="gb-row">
                        <Act
                            id="key-add"
                            kind={Kind::Primary}
                            icon={Some(Icon::Plus)}
                            label={add_label(lang, &props.outcome)}
                            submit=true
                            busy={props.busy}
                            disabled={empty}
                        />
                        <Act
                            id="key-preview"
                            label={lang.t("keys.add.preview")}
                            disabled={empty || props.busy}
                            onclick={props.send.reform(|()| true)}
                        />
                        <a
                            class="pf-v6-c-button pf-m-link gb-push"
                            href={AI_STUDIO}
                            target="_blank"
                            rel="noopener noreferrer"
                            data-testid="get-key"
                            onclick={props.open_studio.clone()}
                        >
                            <span class="pf-v6-c-button__text">{ lang.t("keys.add.get_one") }</span>
                            <span class="pf-v6-c-button__icon pf-m-end">{ Icon::ExternalLinkAlt }</span>
                        </a>
                    </div>
                    <div aria-live="polite">
                        { match &props.outcome {
                            Outcome::Nothing => Html::default(),
                            Outcome::Preview(report) => html!(<ReportView report={report.clone()} preview=true />),
                            Outcome::Added(report) => html!(<ReportView report={report.clone()} preview=false />),
                            Outcome::Failed(error) => html!(<ErrorNote error={error.clone()} />),
                        } }
                    </div>
                </form>
            </div>
        </div>
    )
}

fn add_label(lang: Lang, outcome: &Outcome) -> AttrValue {
    match outcome {
        Outcome::Preview(report) if !report.added.is_empty() => {
            lang.n("keys.add.add_n", report.added.len() as u64)
        }
        _ => lang.t("keys.add.add"),
    }
}
