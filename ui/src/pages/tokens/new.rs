use contract::ApiError;
use contract::admin::{TokenCreate, TokenCreated, TokenView};
use patternfly_yew::prelude::Icon;
use serde_json::json;
use yew::{AttrValue, Callback, Html, Properties, SubmitEvent, component, html, use_state_eq};

use super::rules::{Draft, RulesFields};
use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{Act, CopyField, ErrorNote, Kind, Notice, TextField, Tone};
use crate::host::zone_here;
use crate::send::use_send;

#[derive(PartialEq, Properties)]
pub struct NewTokenProps {
    /// The token just made (browser).
    pub fresh: Option<AttrValue>,
    pub onfresh: Callback<AttrValue>,
    /// Called when a token was made.
    pub changed: Callback<()>,
    /// Also asks for its rules.
    #[prop_or_default]
    pub with_rules: bool,
    /// What else there is to say of the token just made.
    #[prop_or_default]
    pub note: AttrValue,
}

/// Makes a client token and shows it, once. In the desktop window the token goes to the
/// clipboard from Rust and never comes here.
#[component]
pub fn NewToken(props: &NewTokenProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let sending = use_send();
    let name = use_state_eq(AttrValue::default);
    let draft = use_state_eq(Draft::default);
    let rules = draft.read(&zone_here());
    let create = {
        let wish = rules.clone().map(|rules| TokenCreate {
            name: name.trim().to_owned(),
            rules,
        });
        let (sending, set_name, set_draft) = (sending.clone(), name.setter(), draft.setter());
        let (changed, onfresh) = (props.changed.clone(), props.onfresh.clone());
        Callback::from(move |()| {
            let Some(wish) = wish.clone().filter(|wish| !wish.name.is_empty()) else {
                return;
            };
            let (set_name, set_draft) = (set_name.clone(), set_draft.clone());
            let (changed, onfresh, toasts) = (changed.clone(), onfresh.clone(), toasts.clone());
            sending.run(
                async move {
                    if host.in_window() {
                        let args = json!({
                            "name": wish.name, "rules": wish.rules, "remote": host.remote(),
                        });
                        let token: TokenView = host.command("token_create", args).await?;
                        let said = lang.f("tokens.on_clipboard", &[("name", &token.name)]);
                        toasts.success(said);
                    } else {
                        let made: TokenCreated = host.post("/api/tokens", &wish).await?;
                        onfresh.emit(made.secret.into());
                    }
                    Ok(())
                },
                move |()| {
                    set_name.set(AttrValue::default());
                    set_draft.set(Draft::default());
                    changed.emit(());
                },
            );
        })
    };
    let onname = {
        let name = name.setter();
        Callback::from(move |typed: String| name.set(typed.into()))
    };
    let onrules = {
        let draft = draft.setter();
        Callback::from(move |now: Draft| draft.set(now))
    };
    html!(
        <NewTokenView
            name={(*name).clone()}
            draft={props.with_rules.then(|| (*draft).clone())}
            ready={rules.is_some() && !name.trim().is_empty()}
            busy={sending.busy}
            error={sending.error.clone()}
            fresh={props.fresh.clone()}
            note={props.note.clone()}
            {onname}
            {onrules}
            {create}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct NewTokenViewProps {
    pub name: AttrValue,
    /// The rules so far; none where they are not asked for.
    pub draft: Option<Draft>,
    /// Everything is filled in, and right.
    pub ready: bool,
    pub busy: bool,
    pub error: Option<ApiError>,
    pub fresh: Option<AttrValue>,
    pub note: AttrValue,
    pub onname: Callback<String>,
    pub onrules: Callback<Draft>,
    pub create: Callback<()>,
}

/// The form, and the token just made, as a function of what was typed.
#[component]
pub fn NewTokenView(props: &NewTokenViewProps) -> Html {
    let lang = use_lang();
    let onsubmit = props
        .create
        .reform(|event: SubmitEvent| event.prevent_default());
    html!(
        <>
            <form class="gb-stack" {onsubmit}>
                <div class="gb-token-form">
                    <TextField
                        id="token-name"
                        label={lang.t("tokens.name")}
                        placeholder={lang.t("tokens.name_example")}
                        value={&props.name}
                        max_length={Some(100)}
                        oninput={props.onname.clone()}
                    />
                    <Act
                        id="token-create"
                        kind={Kind::Primary}
                        icon={Some(Icon::Plus)}
                        label={lang.t("tokens.create")}
                        submit=true
                        busy={props.busy}
                        disabled={!props.ready}
                    />
                </div>
                if let Some(draft) = props.draft.clone() {
                    <details class="gb-details">
                        <summary data-testid="token-rules">{ lang.t("tokens.rules") }</summary>
                        <RulesFields id="token" {draft} onchange={props.onrules.clone()} />
                    </details>
                }
            </form>
            if let Some(error) = props.error.clone() {
                <ErrorNote {error} />
            }
            if let Some(secret) = props.fresh.clone() {
                <Notice tone={Tone::Success} title={lang.t("tokens.shown_once")} id="token-fresh">
                    <p>{ lang.t("tokens.shown_once_help") }{ " " }{ &props.note }</p>
                    <CopyField id="token-secret" label={lang.t("tokens.secret")} text={secret} />
                </Notice>
            }
        </>
    )
}
