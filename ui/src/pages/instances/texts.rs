use contract::deploy::{VariablesFormat, VariablesQuestion, VariablesText};
use contract::desktop::Copy;
use patternfly_yew::prelude::Icon;
use wasm_bindgen_futures::spawn_local;
use yew::{AttrValue, Callback, Html, Properties, component, html, use_state_eq};

use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{Act, CopyButton, ErrorNote, TextArea};
use crate::host::{Host, copy_text, download};
use crate::send::use_send;
use crate::text::wire_name;

#[derive(PartialEq, Properties)]
pub struct VariableTextsProps {
    /// The remote.
    pub id: i64,
    /// The forms to offer, the one that fits best first.
    pub formats: Vec<VariablesFormat>,
}

/// A remote's variables with their secrets, to be taken elsewhere, in several forms.
#[component]
pub fn VariableTexts(props: &VariableTextsProps) -> Html {
    html!(
        <div class="gb-stack">
            { for props.formats.iter().map(|format| html!(
                <TextOf key={wire_name(format)} id={props.id} format={*format} />
            )) }
        </div>
    )
}

#[derive(PartialEq, Properties)]
pub struct TextOfProps {
    /// The remote.
    pub id: i64,
    pub format: VariablesFormat,
}

/// One form of a remote's variables: copied, saved, or shown. In the window the text never
/// comes here: Rust copies it.
#[component]
pub fn TextOf(props: &TextOfProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let sending = use_send();
    let shown = use_state_eq(|| None::<AttrValue>);
    let (id, format) = (props.id, props.format);
    let name = wire_name(&format);
    let copy = {
        let toasts = toasts.clone();
        Callback::from(move |done: Callback<bool>| {
            let toasts = toasts.clone();
            spawn_local(async move {
                if host.in_window() {
                    let what = Copy::Variables { remote: id, format };
                    done.emit(host.copy_in_rust(what).await.is_ok());
                    return;
                }
                match text(host, id, format).await {
                    Ok(made) => done.emit(copy_text(&made.text).await),
                    Err(error) => {
                        toasts.error(lang, &error);
                        done.emit(false);
                    }
                }
            });
        })
    };
    let save = {
        let sending = sending.clone();
        Callback::from(move |()| {
            sending.run(text(host, id, format), |made: VariablesText| {
                download(&made.file_name, &made.text);
            });
        })
    };
    let show = {
        let (sending, shown) = (sending.clone(), shown.clone());
        Callback::from(move |()| {
            if shown.is_some() {
                shown.set(None);
                return;
            }
            let shown = shown.setter();
            sending.run(text(host, id, format), move |made: VariablesText| {
                shown.set(Some(made.text.into()));
            });
        })
    };
    html!(
        <div class="gb-format">
            <div>
                <strong>{ lang.of("variables.format", &format) }</strong>
                <div class="gb-muted gb-small">{ lang.of("variables.format_for", &format) }</div>
            </div>
            <div class="gb-row">
                <CopyButton id={format!("variables-{name}")} worded=true text="" what={lang.of("variables.format", &format)} instead={copy} />
                if !host.in_window() {
                    <Act id={format!("variables-{name}-save")} icon={Some(Icon::Download)} label={lang.t("variables.save")} busy={sending.busy} onclick={save} />
                    <Act
                        id={format!("variables-{name}-show")}
                        icon={Some(Icon::Eye)}
                        label={lang.t(if shown.is_some() { "variables.hide" } else { "variables.show" })}
                        busy={sending.busy}
                        onclick={show}
                    />
                }
            </div>
            if let Some(text) = (*shown).clone() {
                <div class="gb-format__text">
                    <TextArea
                        id={format!("variables-{name}-text")}
                        label={lang.of("variables.format", &format)}
                        bare=true readonly=true
                        rows={u32::try_from(text.lines().count()).map_or(20, |n| n.clamp(3, 20))}
                        value={text}
                    />
                </div>
            }
            if let Some(error) = sending.error.clone() {
                <div class="gb-format__text"><ErrorNote {error} /></div>
            }
        </div>
    )
}

async fn text(
    host: Host,
    id: i64,
    format: VariablesFormat,
) -> Result<VariablesText, contract::ApiError> {
    let path = format!("/api/deploy/remotes/{id}/variables");
    host.post(&path, &VariablesQuestion { format }).await
}
