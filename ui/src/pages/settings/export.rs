use contract::admin::{EnvFile, ExportFile, ExportRequest};
use patternfly_yew::prelude::Icon;
use yew::{AttrValue, Callback, Html, Properties, SubmitEvent, component, html, use_state_eq};

use crate::app::{use_host, use_lang};
use crate::controls::{
    Act, Card, CopyButton, ErrorNote, Kind, Notice, Skeleton, TextArea, TextField, Tone,
};
use crate::host::download;
use crate::load::{LoadResult, use_load};
use crate::send::use_send;

/// What the file with the settings is called.
const ENV_FILE: &str = "gemini-balance.env";

/// The shortest passphrase that is taken, in characters.
const SHORTEST: usize = 8;

/// The settings as lines of a `.env` file.
#[component]
pub fn EnvCard() -> Html {
    let host = use_host();
    let load = use_load::<EnvFile>(host, "/api/settings/env", None);
    html!(<EnvView env={load.result.clone()} saves={!host.in_window()} />)
}

#[derive(PartialEq, Properties)]
pub struct EnvViewProps {
    pub env: LoadResult<EnvFile>,
    /// Files can be saved here; the window's webview cannot.
    pub saves: bool,
}

/// The settings as lines of a `.env` file, as far as known.
#[component]
pub fn EnvView(props: &EnvViewProps) -> Html {
    let lang = use_lang();
    html!(
        <Card id="env-card" title={lang.t("transfer.env.title")}>
            <p class="gb-muted">{ lang.t("transfer.env.help") }</p>
            if let Some(error) = props.env.error.clone() {
                <ErrorNote {error} />
            }
            if let Some(env) = props.env.data.clone() {
                <TextArea id="env-text" label={lang.t("transfer.env.title")} bare=true readonly=true rows={8} value={env.text.clone()} />
                <div class="gb-row">
                    <CopyButton id="env-copy" worded=true text={env.text.clone()} what={lang.t("transfer.env.title")} />
                    if props.saves {
                        <Act
                            id="env-download"
                            icon={Some(Icon::Download)}
                            label={lang.t("transfer.download")}
                            onclick={Callback::from(move |()| download(ENV_FILE, &env.text))}
                        />
                    }
                </div>
            } else if props.env.error.is_none() {
                <Skeleton lines={5} />
            }
        </Card>
    )
}

/// The whole configuration as a file.
#[component]
pub fn ExportCard() -> Html {
    let host = use_host();
    let passphrase = use_state_eq(AttrValue::default);
    let again = use_state_eq(AttrValue::default);
    let file = use_state_eq(|| None::<ExportFile>);
    let sending = use_send();
    let onsubmit = {
        let (file, sending) = (file.setter(), sending.clone());
        let (typed, set_passphrase, set_again) =
            ((*passphrase).clone(), passphrase.setter(), again.setter());
        Callback::from(move |()| {
            let request = ExportRequest {
                passphrase: (!typed.is_empty()).then(|| typed.to_string()),
            };
            let (file, set_passphrase, set_again) =
                (file.clone(), set_passphrase.clone(), set_again.clone());
            file.set(None);
            sending.run(
                async move { host.post("/api/transfer/export", &request).await },
                move |made: ExportFile| {
                    if !host.in_window() {
                        download(&made.file_name, &made.text);
                    }
                    // It has done its work, and nobody else should find it here.
                    set_passphrase.set(AttrValue::default());
                    set_again.set(AttrValue::default());
                    file.set(Some(made));
                },
            );
        })
    };
    let typing = |field: yew::UseStateSetter<AttrValue>| {
        Callback::from(move |text: String| field.set(text.into()))
    };
    html!(
        <ExportView
            passphrase={(*passphrase).clone()}
            again={(*again).clone()}
            onpassphrase={typing(passphrase.setter())}
            onagain={typing(again.setter())}
            {onsubmit}
            busy={sending.busy}
            error={sending.error.clone()}
            file={(*file).clone()}
            saves={!host.in_window()}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct ExportViewProps {
    pub passphrase: AttrValue,
    pub again: AttrValue,
    pub onpassphrase: Callback<String>,
    pub onagain: Callback<String>,
    pub onsubmit: Callback<()>,
    pub busy: bool,
    pub error: Option<contract::ApiError>,
    /// What was exported.
    pub file: Option<ExportFile>,
    /// Files can be saved here; the window's webview cannot.
    pub saves: bool,
}

/// The card that exports, as a function of what was typed and answered.
#[component]
pub fn ExportView(props: &ExportViewProps) -> Html {
    let lang = use_lang();
    let onsubmit = props
        .onsubmit
        .reform(|event: SubmitEvent| event.prevent_default());
    let with_secrets = !props.passphrase.is_empty();
    let short = with_secrets && props.passphrase.chars().count() < SHORTEST;
    let differ = with_secrets && props.passphrase != props.again;
    html!(
        <Card id="export-card" title={lang.t("transfer.export.title")}>
            <p class="gb-muted">{ lang.t("transfer.export.help") }</p>
            <form class="pf-v6-c-form gb-narrow" {onsubmit}>
                <TextField
                    id="export-passphrase"
                    kind="password"
                    autocomplete="new-password"
                    label={lang.t("transfer.passphrase")}
                    hint={lang.t("transfer.export.passphrase_hint")}
                    problem={short.then(|| lang.t("transfer.export.short"))}
                    value={props.passphrase.clone()}
                    oninput={props.onpassphrase.clone()}
                />
                if with_secrets {
                    <TextField
                        id="export-passphrase2"
                        kind="password"
                        autocomplete="new-password"
                        label={lang.t("transfer.export.again")}
                        problem={(differ && !props.again.is_empty()).then(|| lang.t("transfer.export.differ"))}
                        value={props.again.clone()}
                        oninput={props.onagain.clone()}
                    />
                }
                if let Some(error) = props.error.clone() {
                    <ErrorNote {error} />
                }
                <div class="gb-row">
                    <Act
                        id="export-submit"
                        submit=true
                        icon={Some(Icon::Download)}
                        label={lang.t(if with_secrets { "transfer.export.all" } else { "transfer.export.plain" })}
                        busy={props.busy}
                        disabled={short || differ}
                    />
                </div>
            </form>
            if let Some(file) = props.file.clone() {
                <Notice
                    tone={Tone::Success}
                    id="export-done"
                    title={if props.saves {
                        lang.f("transfer.export.saved", &[("file", &file.file_name)])
                    } else {
                        lang.t("transfer.export.copy_it")
                    }}
                >
                    if !props.saves {
                        <p>{ lang.f("transfer.export.copy_help", &[("file", &file.file_name)]) }</p>
                    }
                </Notice>
                if props.saves {
                    <div>
                        <Act
                            id="export-download"
                            kind={Kind::Link}
                            label={lang.t("transfer.download_again")}
                            onclick={Callback::from(move |()| download(&file.file_name, &file.text))}
                        />
                    </div>
                } else {
                    <TextArea id="export-text" label={file.file_name.clone()} bare=true readonly=true rows={8} value={file.text.clone()} />
                    <div>
                        <CopyButton id="export-copy" worded=true text={file.text.clone()} what={file.file_name.clone()} />
                    </div>
                }
            }
        </Card>
    )
}
