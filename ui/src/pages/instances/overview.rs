use contract::Millis;
use contract::deploy::RemoteView;
use contract::desktop::Copy;
use wasm_bindgen_futures::spawn_local;
use yew::{AttrValue, Callback, Html, Properties, component, html};

use super::card::facts;
use crate::app::{use_host, use_lang};
use crate::controls::{Card, CopyButton, Facts, Out, Place};
use crate::host::copy_text;
use crate::pages::deploy::access;

#[derive(PartialEq, Properties)]
pub struct OverviewProps {
    pub remote: RemoteView,
    pub now: Millis,
}

/// How a remote is, and what it is used with.
#[component]
pub fn Overview(props: &OverviewProps) -> Html {
    let lang = use_lang();
    let remote = &props.remote;
    let mut facts = facts(lang, remote, props.now);
    if let Some(image) = &remote.image {
        facts.push((
            lang.t("instances.fact.image"),
            html!(<span class="gb-mono gb-small" data-testid="remote-image">{ image }</span>),
        ));
    }
    if let Some(wish) = &remote.wish {
        let place: Vec<&str> = [&wish.workspace, &wish.region, &wish.plan]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        if !place.is_empty() {
            facts.push((lang.t("instances.fact.place"), html!({ place.join(" · ") })));
        }
        if let Some(region) = &wish.region {
            facts.push((
                lang.t("instances.fact.egress"),
                html!(<span data-testid="remote-egress">{ region }</span>),
            ));
        }
        facts.push((
            lang.t("instances.fact.data"),
            html!({ lang.of("deploy.data", &wish.database) }),
        ));
    }
    html!(
        <>
            <Card id="overview-card" title={lang.t("instances.overview.title")}>
                <Facts {facts} />
                <div class="gb-row">
                    if let Some(url) = &remote.url {
                        <Out id="remote-visit" label={lang.t("instances.visit")} to={Place::Remote { id: remote.id, url: url.clone().into(), console: false }} />
                    }
                    if let Some(url) = &remote.console_url {
                        <Out id="remote-console" label={lang.t("instances.way.console")} to={Place::Remote { id: remote.id, url: url.clone().into(), console: true }} />
                    }
                </div>
            </Card>
            if remote.url.is_some() {
                <Card id="use-card" title={lang.t("instances.use.title")}>
                    <p class="gb-muted">{ lang.t("instances.use.help") }</p>
                    <div class="gb-row">
                        <a class="pf-v6-c-button pf-m-secondary" href={format!("#{}/connect", crate::host::panel_of(remote.id))} data-testid="remote-connect">
                            <span class="pf-v6-c-button__text">{ lang.t("instances.use.connect") }</span>
                        </a>
                    </div>
                    if remote.wish.is_some() {
                        <SecretCopies id={remote.id} />
                    }
                </Card>
            }
        </>
    )
}

#[derive(PartialEq, Properties)]
pub struct SecretCopiesProps {
    /// The remote.
    pub id: i64,
}

/// Copies the token and the password of a remote, without showing them.
#[component]
pub fn SecretCopies(props: &SecretCopiesProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let id = props.id;
    let copy = move |token: bool| {
        Callback::from(move |done: Callback<bool>| {
            spawn_local(async move {
                if host.in_window() {
                    let what = if token {
                        Copy::RemoteToken { remote: id }
                    } else {
                        Copy::RemotePassword { remote: id }
                    };
                    done.emit(host.copy_in_rust(what).await.is_ok());
                    return;
                }
                let text = access(host, id)
                    .await
                    .ok()
                    .and_then(|access| if token { access.token } else { access.password });
                done.emit(match text {
                    Some(text) => copy_text(&text).await,
                    None => false,
                });
            });
        })
    };
    let one = |label: AttrValue, id: &'static str, help: AttrValue, token: bool| {
        html!(
            <div class="gb-format">
                <div>
                    <strong>{ &label }</strong>
                    <div class="gb-muted gb-small">{ help }</div>
                </div>
                <div><CopyButton {id} worded=true text="" what={label} instead={copy(token)} /></div>
            </div>
        )
    };
    html!(
        <>
            { one(lang.t("instances.use.token"), "remote-token-copy", lang.t("instances.use.token_help"), true) }
            { one(lang.t("instances.use.password"), "remote-password-copy", lang.t("instances.use.password_help"), false) }
        </>
    )
}
