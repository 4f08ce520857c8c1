use contract::admin::{TransferReport, TransferRequest};
use contract::{ApiError, ErrorCode};
use wasm_bindgen_futures::spawn_local;
use web_sys::HtmlInputElement;
use yew::{
    AttrValue, Callback, Event, Html, Properties, SubmitEvent, TargetCast, component, html,
    use_state_eq,
};

use super::diffs::Diffs;
use super::{Known, undo};
use crate::app::{Toast, use_host, use_lang, use_toasts};
use crate::controls::{Act, Card, ErrorNote, Facts, Kind, Notice, TextArea, TextField, Tone};
use crate::host::chosen_text;
use crate::send::use_send;
use crate::text::Lang;

/// How a file begins that wants a passphrase.
const ENCRYPTED: &str = "-----BEGIN AGE ENCRYPTED FILE-----";

#[derive(PartialEq, Properties)]
pub struct ImportCardProps {
    pub settings: Known,
    /// Called when something was imported, or that was undone.
    pub changed: Callback<()>,
}

/// Takes in a configuration, after showing what would become of it.
#[component]
pub fn ImportCard(props: &ImportCardProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let text = use_state_eq(AttrValue::default);
    let passphrase = use_state_eq(AttrValue::default);
    let report = use_state_eq(|| None::<(TransferReport, bool)>);
    let sending = use_send();
    let ontext = {
        let (text, report, sending) = (text.setter(), report.setter(), sending.clone());
        Callback::from(move |typed: String| {
            text.set(typed.into());
            report.set(None);
            sending.forget();
        })
    };
    let onpassphrase = {
        let (passphrase, sending) = (passphrase.setter(), sending.clone());
        Callback::from(move |typed: String| {
            passphrase.set(typed.into());
            sending.forget();
        })
    };
    let send = {
        let (typed, secret) = ((*text).clone(), (*passphrase).clone());
        let (set_text, set_passphrase, report) =
            (text.setter(), passphrase.setter(), report.setter());
        let (sending, changed) = (sending.clone(), props.changed.clone());
        Callback::from(move |dry_run: bool| {
            let request = TransferRequest {
                text: typed.to_string(),
                passphrase: (!secret.is_empty()).then(|| secret.to_string()),
                dry_run,
            };
            let (set_text, set_passphrase, report) =
                (set_text.clone(), set_passphrase.clone(), report.clone());
            let (changed, toasts) = (changed.clone(), toasts.clone());
            sending.run(
                async move { host.post("/api/transfer/import", &request).await },
                move |made: TransferReport| {
                    let done = !dry_run && made.problems.is_empty();
                    if done {
                        // The file may hold secrets; nobody else should see them here.
                        set_text.set(AttrValue::default());
                        set_passphrase.set(AttrValue::default());
                        toasts.show(Toast {
                            tone: Tone::Success,
                            title: lang.t("transfer.import.done"),
                            body: None,
                            undo: made
                                .audit_id
                                .map(|id| undo(host, lang, id, changed.clone(), toasts.clone())),
                        });
                        changed.emit(());
                    }
                    report.set(Some((made, done)));
                },
            );
        })
    };
    html!(
        <ImportView
            text={(*text).clone()}
            passphrase={(*passphrase).clone()}
            {ontext}
            {onpassphrase}
            {send}
            busy={sending.busy}
            error={sending.error.clone()}
            report={(*report).clone()}
            settings={props.settings.clone()}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct ImportViewProps {
    pub text: AttrValue,
    pub passphrase: AttrValue,
    pub ontext: Callback<String>,
    pub onpassphrase: Callback<String>,
    /// Sends the text; `true` only to see what would happen.
    pub send: Callback<bool>,
    pub busy: bool,
    pub error: Option<ApiError>,
    /// What would happen or has happened, and whether it has.
    pub report: Option<(TransferReport, bool)>,
    pub settings: Known,
}

/// The card that imports, as a function of what was typed and answered.
#[component]
pub fn ImportView(props: &ImportViewProps) -> Html {
    let lang = use_lang();
    let onsubmit = props.send.reform(|event: SubmitEvent| {
        event.prevent_default();
        true
    });
    let onfile = {
        let ontext = props.ontext.clone();
        Callback::from(move |event: Event| {
            let Some(input) = event.target_dyn_into::<HtmlInputElement>() else {
                return;
            };
            let ontext = ontext.clone();
            spawn_local(async move {
                if let Some(text) = chosen_text(&input).await {
                    ontext.emit(text);
                }
            });
        })
    };
    let (error, refused) = match &props.error {
        // Said at the field, in words about files.
        Some(error) if error.code == ErrorCode::WrongPassphrase => {
            (None, Some("transfer.import.wrong_passphrase"))
        }
        Some(error) if error.code == ErrorCode::PassphraseNeeded => {
            (None, Some("transfer.import.passphrase_needed"))
        }
        error => (error.clone(), None),
    };
    let encrypted = props.text.trim_start().starts_with(ENCRYPTED) || refused.is_some();
    let empty = props.text.trim().is_empty() || (encrypted && props.passphrase.is_empty());
    let ready = matches!(&props.report, Some((report, false)) if report.problems.is_empty() && brings(report));
    html!(
        <Card id="import-card" title={lang.t("transfer.import.title")}>
            <p class="gb-muted">{ lang.t("transfer.import.help") }</p>
            <form class="pf-v6-c-form" {onsubmit}>
                <TextArea
                    id="import-text"
                    label={lang.t("transfer.import.text")}
                    rows={6}
                    placeholder={lang.t("transfer.import.placeholder")}
                    value={props.text.clone()}
                    oninput={props.ontext.clone()}
                />
                <div class="gb-row">
                    <label class="gb-muted" for="import-file">{ lang.t("transfer.import.file") }</label>
                    <input id="import-file" data-testid="import-file" class="gb-file" type="file" accept=".env,.json,.age,.txt,text/plain" onchange={onfile} />
                </div>
                if encrypted {
                    <div class="gb-narrow">
                        <TextField
                            id="import-passphrase"
                            kind="password"
                            label={lang.t("transfer.passphrase")}
                            hint={lang.t("transfer.import.passphrase_hint")}
                            problem={refused.map(|text| lang.t(text))}
                            value={props.passphrase.clone()}
                            oninput={props.onpassphrase.clone()}
                        />
                    </div>
                }
                if let Some(error) = error {
                    <ErrorNote {error} />
                }
                <div class="gb-row">
                    <Act
                        id="import-preview"
                        kind={if ready { Kind::Secondary } else { Kind::Primary }}
                        submit=true
                        label={lang.t("transfer.import.preview")}
                        busy={props.busy}
                        disabled={empty}
                    />
                    if ready {
                        <Act
                            id="import-confirm"
                            kind={Kind::Primary}
                            label={lang.t("transfer.import.confirm")}
                            busy={props.busy}
                            onclick={props.send.reform(|()| false)}
                        />
                    }
                </div>
            </form>
            <div aria-live="polite">
                if let Some((report, done)) = props.report.clone() {
                    <TransferReportView {report} {done} settings={props.settings.clone()} />
                }
            </div>
        </Card>
    )
}

/// Whether importing changes anything.
fn brings(report: &TransferReport) -> bool {
    !(report.settings.is_empty() && report.keys_added.is_empty() && report.tokens_added.is_empty())
}

#[derive(PartialEq, Properties)]
pub struct TransferReportViewProps {
    pub report: TransferReport,
    /// It has happened.
    pub done: bool,
    pub settings: Known,
}

/// What an import did or would do.
#[component]
pub fn TransferReportView(props: &TransferReportViewProps) -> Html {
    let lang = use_lang();
    let report = &props.report;
    let (tone, title) = if !report.problems.is_empty() {
        (
            Tone::Danger,
            lang.n("transfer.report.problems", report.problems.len() as u64),
        )
    } else if props.done {
        (Tone::Success, lang.t("transfer.import.done"))
    } else if brings(report) {
        (Tone::Info, lang.t("transfer.report.would"))
    } else {
        (Tone::Info, lang.t("transfer.report.nothing"))
    };
    let named = |names: &[String]| (!names.is_empty()).then(|| listed(lang, names));
    let facts = [
        (
            "transfer.report.format",
            Some(html!({ lang.of("transfer.format", &report.format) })),
        ),
        ("transfer.report.keys_added", named(&report.keys_added)),
        ("transfer.report.keys_known", named(&report.keys_known)),
        ("transfer.report.tokens_added", named(&report.tokens_added)),
        ("transfer.report.tokens_known", named(&report.tokens_known)),
    ];
    let facts: Vec<_> = facts
        .into_iter()
        .filter_map(|(name, value)| Some((lang.t(name), value?)))
        .collect();
    html!(
        <div class="gb-stack" data-testid="transfer-report">
            <Notice {tone} {title}>
                if !report.problems.is_empty() {
                    <Reasons of={report.problems.clone()} />
                }
            </Notice>
            <Facts {facts} />
            if !report.settings.is_empty() {
                <Diffs diffs={report.settings.clone()} settings={props.settings.clone()} ahead={!props.done} />
            }
            if !report.ignored.is_empty() {
                <details class="gb-details">
                    <summary>{ lang.n("transfer.report.ignored", report.ignored.len() as u64) }</summary>
                    <Reasons of={report.ignored.clone()} />
                </details>
            }
        </div>
    )
}

fn listed(lang: Lang, names: &[String]) -> Html {
    html!(
        <>
            { lang.n("transfer.report.count", names.len() as u64) }
            <ul class="gb-report__list gb-mono gb-small">
                { for names.iter().map(|name| html!(<li>{ name }</li>)) }
            </ul>
        </>
    )
}

#[derive(PartialEq, Properties)]
pub struct ReasonsProps {
    pub of: Vec<contract::admin::SettingProblem>,
}

/// Names, each with what is the matter with it.
#[component]
pub fn Reasons(props: &ReasonsProps) -> Html {
    let lang = use_lang();
    html!(
        <ul class="gb-reasons">
            { for props.of.iter().map(|problem| html!(
                <li><code class="gb-mono">{ &problem.name }</code>{ ": " }{ lang.pick(&problem.reason) }</li>
            )) }
        </ul>
    )
}
