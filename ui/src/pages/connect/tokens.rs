use std::rc::Rc;

use contract::ApiError;
use contract::admin::{Origin, TokenCreate, TokenCreated, TokenRules, TokenView};
use contract::desktop::Copy;
use patternfly_yew::prelude::{Color, Icon, Label};
use serde_json::json;
use wasm_bindgen_futures::spawn_local;
use yew::{
    AttrValue, Callback, Html, Properties, SubmitEvent, component, html, use_callback, use_state_eq,
};

use crate::app::{use_host, use_lang, use_now, use_toasts};
use crate::controls::{
    Act, CopyButton, CopyField, ErrorNote, Kind, Notice, Skeleton, TextField, Tone,
};
use crate::host::{Host, Method};
use crate::text::ago;

#[derive(PartialEq, Properties)]
pub struct TokensCardProps {
    /// None while the first answer is on its way.
    pub tokens: Option<Rc<Vec<TokenView>>>,
    /// The token just made (browser).
    pub fresh: Option<AttrValue>,
    pub onfresh: Callback<AttrValue>,
    /// Called when tokens were made or revoked.
    pub changed: Callback<()>,
}

/// Makes, shows and revokes client tokens.
#[component]
pub fn TokensCard(props: &TokensCardProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let name = use_state_eq(AttrValue::default);
    let busy = use_state_eq(|| false);
    let error = use_state_eq(|| None::<ApiError>);
    let revoking = use_state_eq(|| None::<i64>);

    let onsubmit = {
        let (busy, error, set_name) = (busy.setter(), error.setter(), name.setter());
        let (changed, onfresh, toasts) =
            (props.changed.clone(), props.onfresh.clone(), toasts.clone());
        use_callback(
            ((*name).clone(), lang),
            move |event: SubmitEvent, (name, lang)| {
                event.prevent_default();
                let (name, lang) = (name.trim().to_owned(), *lang);
                if name.is_empty() {
                    return;
                }
                let (busy, error, set_name) = (busy.clone(), error.clone(), set_name.clone());
                let (changed, onfresh, toasts) = (changed.clone(), onfresh.clone(), toasts.clone());
                busy.set(true);
                error.set(None);
                spawn_local(async move {
                    let made = match host {
                        Host::Browser => host
                            .post::<TokenCreated>(
                                "/api/tokens",
                                &TokenCreate {
                                    name,
                                    rules: TokenRules::default(),
                                },
                            )
                            .await
                            .map(|made| onfresh.emit(made.secret.into())),
                        Host::Window => host
                            .command::<TokenView>("token_create", json!({ "name": name }))
                            .await
                            .map(|token| {
                                toasts.success(
                                    lang.f("tokens.on_clipboard", &[("name", &token.name)]),
                                );
                            }),
                    };
                    match made {
                        Ok(()) => set_name.set(AttrValue::default()),
                        Err(e) => error.set(Some(e)),
                    }
                    busy.set(false);
                    changed.emit(());
                });
            },
        )
    };
    let revoke = {
        let (changed, revoking) = (props.changed.clone(), revoking.setter());
        use_callback(lang, move |id: i64, lang| {
            let (changed, revoking, toasts, lang) =
                (changed.clone(), revoking.clone(), toasts.clone(), *lang);
            spawn_local(async move {
                let path = format!("/api/tokens/{id}");
                match host.admin::<()>(Method::Delete, &path, None).await {
                    Ok(()) => toasts.success(lang.t("tokens.revoked")),
                    Err(error) => toasts.error(lang, &error),
                }
                revoking.set(None);
                changed.emit(());
            });
        })
    };
    let ask = {
        let revoking = revoking.setter();
        use_callback((), move |id: Option<i64>, ()| revoking.set(id))
    };
    let oninput = {
        let name = name.setter();
        use_callback((), move |typed: String, ()| name.set(typed.into()))
    };
    let own_token = (host == Host::Window).then(|| {
        let instead = Callback::from(move |done: Callback<bool>| {
            spawn_local(async move { done.emit(host.copy_in_rust(Copy::Token).await.is_ok()) });
        });
        html!(
            <div class="gb-row">
                <span>{ lang.t("tokens.own") }</span>
                <CopyButton id="token-copy-own" worded=true text="" what={lang.t("tokens.own_what")} {instead} />
            </div>
        )
    });
    html!(
        <div class="pf-v6-c-card" data-testid="tokens-card">
            <div class="pf-v6-c-card__title">
                <h2 class="pf-v6-c-card__title-text">{ lang.t("tokens.title") }</h2>
            </div>
            <div class="pf-v6-c-card__body gb-stack">
                <p class="gb-muted">{ lang.t("tokens.help") }</p>
                { own_token.unwrap_or_default() }
                <form class="gb-token-form" {onsubmit}>
                    <TextField
                        id="token-name"
                        label={lang.t("tokens.name")}
                        placeholder={lang.t("tokens.name_example")}
                        value={(*name).clone()}
                        max_length={Some(100)}
                        {oninput}
                    />
                    <Act
                        id="token-create"
                        kind={Kind::Primary}
                        icon={Some(Icon::Plus)}
                        label={lang.t("tokens.create")}
                        submit=true
                        busy={*busy}
                        disabled={name.trim().is_empty()}
                    />
                </form>
                if let Some(error) = (*error).clone() {
                    <ErrorNote {error} />
                }
                if let Some(secret) = props.fresh.clone() {
                    <Notice tone={Tone::Success} title={lang.t("tokens.shown_once")} id="token-fresh">
                        <p>{ lang.t("tokens.shown_once_help") }</p>
                        <CopyField id="token-secret" label={lang.t("tokens.secret")} text={secret} />
                    </Notice>
                }
                if let Some(tokens) = props.tokens.clone() {
                    <TokenList {tokens} revoking={*revoking} {ask} {revoke} />
                } else {
                    <Skeleton lines={2} />
                }
            </div>
        </div>
    )
}

#[derive(PartialEq, Properties)]
struct TokenListProps {
    tokens: Rc<Vec<TokenView>>,
    /// The one that the user is asked about.
    revoking: Option<i64>,
    ask: Callback<Option<i64>>,
    revoke: Callback<i64>,
}

#[component]
fn TokenList(props: &TokenListProps) -> Html {
    let lang = use_lang();
    let now = use_now();
    if props.tokens.is_empty() {
        return html!(<p class="gb-muted" data-testid="tokens-empty">{ lang.t("tokens.none") }</p>);
    }
    html!(
        <ul class="gb-tokens">
            { for props.tokens.iter().map(|token| {
                let id = token.id;
                let used = token.last_used_at.map_or_else(
                    || lang.t("tokens.never_used"),
                    |at| lang.f("keys.used", &[("ago", &ago(lang, now, at))]),
                );
                html!(
                    <li class="gb-tokens__one" key={id} data-testid={format!("token-row-{id}")}>
                        <div>
                            <strong>{ &token.name }</strong>{ " " }
                            <span class="gb-mono gb-muted">{ &token.masked }</span>
                            <div class="gb-small gb-muted">{ used }</div>
                        </div>
                        <div class="gb-row gb-row--tight gb-push">
                            if token.origin == Origin::Environment {
                                <Label color={Color::Grey} compact=true label={lang.t("tokens.of_environment").to_string()} />
                            } else if props.revoking == Some(id) {
                                <span class="gb-small">{ lang.t("tokens.sure") }</span>
                                <Act id={format!("token-revoke-yes-{id}")} kind={Kind::Danger} small=true label={lang.t("tokens.revoke")} onclick={props.revoke.reform(move |()| id)} />
                                <Act id={format!("token-revoke-no-{id}")} small=true label={lang.t("common.cancel")} onclick={props.ask.reform(|()| None)} />
                            } else {
                                <Act
                                    id={format!("token-revoke-{id}")}
                                    small=true
                                    label={lang.t("tokens.revoke")}
                                    aria_label={AttrValue::from(format!("{}: {}", lang.t("tokens.revoke"), token.name))}
                                    onclick={props.ask.reform(move |()| Some(id))}
                                />
                            }
                        </div>
                    </li>
                )
            }) }
        </ul>
    )
}
