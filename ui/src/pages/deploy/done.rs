use contract::deploy::{DeployFeature, RemoteView};
use patternfly_yew::prelude::Icon;
use yew::{AttrValue, Html, Properties, component, html};

use crate::app::{Can, use_host, use_lang};
use crate::controls::{Card, CopyField, ErrorNote, Facts, Notice, Skeleton, Tone};
use crate::host::panel_of;
use crate::load::{LoadResult, use_load};
use crate::pages::instances::SecretCopies;

/// How often the remote is asked for, in milliseconds.
const REMOTE_EVERY: u32 = 5_000;

#[derive(PartialEq, Properties)]
pub struct DoneProps {
    /// The remote.
    pub id: i64,
}

/// What to do with a remote that runs.
#[component]
pub fn Done(props: &DoneProps) -> Html {
    let host = use_host();
    let path = format!("/api/deploy/remotes/{}", props.id);
    let remote = use_load::<RemoteView>(host, path, Some(REMOTE_EVERY));
    html!(<DoneView id={props.id} remote={remote.result} />)
}

#[derive(PartialEq, Properties)]
pub struct DoneViewProps {
    pub id: i64,
    pub remote: LoadResult<RemoteView>,
}

/// The last step as a function of what is known.
#[component]
pub fn DoneView(props: &DoneViewProps) -> Html {
    let lang = use_lang();
    let id = props.id;
    let Some(remote) = props.remote.data.clone() else {
        return match props.remote.error.clone() {
            Some(error) => html!(<ErrorNote {error} />),
            None => html!(<Skeleton lines={6} />),
        };
    };
    let url: AttrValue = remote
        .url
        .clone()
        .unwrap_or_default()
        .trim_end_matches('/')
        .to_owned()
        .into();
    let facts = vec![
        (
            lang.t("instances.fact.address"),
            html!(<CopyField id="done-url" label={lang.t("instances.fact.address")} text={url.clone()} />),
        ),
        (
            lang.t("deploy.done.openai"),
            html!(<CopyField id="done-openai" label={lang.t("deploy.done.openai")} text={format!("{url}/v1")} />),
        ),
    ];
    html!(
        <>
            <Notice tone={Tone::Success} id="deploy-done" title={lang.f("deploy.done.title", &[("name", &remote.name)])}>
                <p>{ lang.t("deploy.done.help") }</p>
            </Notice>
            <Card id="done-card" title={lang.t("deploy.done.use")}>
                <Facts {facts} />
                <SecretCopies {id} />
                <p class="gb-muted">{ lang.t("deploy.done.connect_help") }</p>
                <div class="gb-row">
                    <Can feature={DeployFeature::Panel}>
                    <a class="pf-v6-c-button pf-m-primary" href={format!("#{}/connect", panel_of(id))} data-testid="done-connect">
                        <span class="pf-v6-c-button__icon pf-m-start">{ Icon::ArrowRight }</span>
                        <span class="pf-v6-c-button__text">{ lang.t("deploy.done.connect") }</span>
                    </a>
                    <a class="pf-v6-c-button pf-m-secondary" href={format!("#{}/", panel_of(id))} data-testid="done-panel">
                        <span class="pf-v6-c-button__text">{ lang.t("instances.open_panel") }</span>
                    </a>
                    </Can>
                    <a class="pf-v6-c-button pf-m-secondary" href={format!("#/instances/{id}")} data-testid="done-instance">
                        <span class="pf-v6-c-button__text">{ lang.t("deploy.done.watch") }</span>
                    </a>
                </div>
            </Card>
        </>
    )
}
