use contract::deploy::{RemoteAction, RemoteView, VariablesFormat};
use contract::links::{NewApp, Page};
use yew::{AttrValue, Callback, Html, Properties, SubmitEvent, component, html, use_state_eq};

use super::draft::{DataKind, Draft};
use super::place::Door;
use crate::app::{use_host, use_lang};
use crate::controls::{
    Act, Card, Choice, Choices, CopyField, ErrorNote, Kind, Out, Place, TextField,
};
use crate::pages::instances::{FORMATS, TextOf, VariableTexts};
use crate::send::use_send;
use crate::text::{Lang, wire_name};

/// The port that every image listens on.
const PORT: &str = "8000";
/// What a provider asks to know whether it runs.
const HEALTH: &str = "/health";

/// The regions of ClawCloud Run whose consoles are known, by their host names (as of
/// 2026-11).
const CLAWCLOUD_REGIONS: [&str; 3] = ["ap-southeast-1", "ap-northeast-1", "us-west-1"];

#[derive(PartialEq, Properties)]
pub struct ByHandProps {
    /// The draft.
    pub id: i64,
    pub door: Door,
    pub draft: Draft,
    pub default_image: AttrValue,
    /// Called when the draft has been found at its address.
    pub located: Callback<()>,
}

/// What is to be done in the provider's console, field by field, and the way back with the
/// address.
#[component]
pub fn ByHand(props: &ByHandProps) -> Html {
    let lang = use_lang();
    let (id, door, draft) = (props.id, props.door, &props.draft);
    let image: AttrValue = if draft.image.trim().is_empty() {
        props.default_image.clone()
    } else {
        draft.image.trim().to_owned().into()
    };
    let name = wire_name(&door);
    html!(
        <>
            <Card id="by-hand-card" title={lang.t(&format!("deploy.hand.{name}.title"))}>
                { match door {
                    Door::Render => html!(<Render {id} {image} name={draft.name.clone()} />),
                    Door::ClawCloud => html!(<ClawCloud {id} {image} draft={draft.clone()} />),
                    Door::Koyeb => html!(<Koyeb {id} {image} name={draft.name.clone()} />),
                    Door::Kubernetes => html!(<Kubernetes {id} {image} name={draft.name.clone()} />),
                    Door::Docker => html!(<Docker {id} name={draft.name.clone()} />),
                    Door::Variables => html!(
                        <>
                            <p>{ lang.t("deploy.hand.variables.help") }</p>
                            <VariableTexts {id} formats={FORMATS.to_vec()} />
                        </>
                    ),
                } }
            </Card>
            <Locate {id} {door} located={props.located.clone()} />
        </>
    )
}

#[derive(PartialEq, Properties)]
struct HandProps {
    id: i64,
    image: AttrValue,
    name: AttrValue,
}

/// A step with a value to copy into the field that it names.
fn field(lang: Lang, key: &str, id: &'static str, value: impl Into<AttrValue>) -> Html {
    let text = lang.t(key);
    html!(
        <li>
            { &text }
            <CopyField {id} label={text} text={value.into()} />
        </li>
    )
}

#[component]
fn Render(props: &HandProps) -> Html {
    let lang = use_lang();
    let open = Place::Page(Page::RenderNew);
    html!(
        <>
            <ol class="gb-steps" data-testid="hand-steps">
                <li>{ lang.t("deploy.hand.render.open") }{ " " }<Out id="hand-open" label={lang.t("deploy.account.open")} to={open} /></li>
                { field(lang, "deploy.hand.render.image", "hand-image", props.image.clone()) }
                { field(lang, "deploy.hand.render.name", "hand-name", props.name.clone()) }
                <li>{ lang.t("deploy.hand.render.region") }</li>
                <li>{ lang.t("deploy.hand.render.plan") }</li>
                <li>{ lang.t("deploy.hand.render.env") }<TextOf id={props.id} format={VariablesFormat::Env} /></li>
                { field(lang, "deploy.hand.render.health", "hand-health", HEALTH) }
                <li>{ lang.t("deploy.hand.render.deploy") }</li>
                <li>{ lang.t("deploy.hand.render.wait") }</li>
            </ol>
            <details class="gb-details">
                <summary data-testid="hand-yaml">{ lang.t("deploy.hand.render.yaml") }</summary>
                <p class="gb-muted">{ lang.t("deploy.hand.render.yaml_help") }</p>
                <TextOf id={props.id} format={VariablesFormat::RenderYaml} />
            </details>
        </>
    )
}

#[derive(PartialEq, Properties)]
struct ClawCloudProps {
    id: i64,
    image: AttrValue,
    draft: Draft,
}

#[component]
fn ClawCloud(props: &ClawCloudProps) -> Html {
    let lang = use_lang();
    let region = use_state_eq(|| AttrValue::from(CLAWCLOUD_REGIONS[0]));
    let onregion = {
        let region = region.setter();
        Callback::from(move |text: String| region.set(text.into()))
    };
    let regions = CLAWCLOUD_REGIONS
        .map(|name| Choice {
            value: name.into(),
            text: name.into(),
        })
        .to_vec();
    let open = Place::NewApp(NewApp::ClawCloud {
        region: region.to_string(),
        name: props.draft.name.trim().to_owned(),
        image: props.image.to_string(),
    });
    let has_volume = props.draft.data == Some(DataKind::Volume);
    html!(
        <>
            <p class="gb-muted">{ lang.t("deploy.hand.claw_cloud.help") }</p>
            <div class="gb-narrow">
                <Choices id="hand-region" label={lang.t("deploy.account.region")} choices={regions} chosen={(*region).clone()} onchange={onregion} />
            </div>
            <ol class="gb-steps" data-testid="hand-steps">
                <li>{ lang.t("deploy.hand.claw_cloud.open") }{ " " }<Out id="hand-open" label={lang.t("deploy.hand.open")} to={open} /></li>
                { field(lang, "deploy.hand.claw_cloud.name", "hand-name", props.draft.name.clone()) }
                { field(lang, "deploy.hand.claw_cloud.image", "hand-image", props.image.clone()) }
                <li>{ lang.t("deploy.hand.claw_cloud.size") }</li>
                { field(lang, "deploy.hand.claw_cloud.port", "hand-port", PORT) }
                <li>{ lang.t("deploy.hand.claw_cloud.env") }<TextOf id={props.id} format={VariablesFormat::Lines} /></li>
                if has_volume {
                    { field(lang, "deploy.hand.claw_cloud.storage", "hand-storage", "/data") }
                }
                <li>{ lang.t("deploy.hand.claw_cloud.deploy") }</li>
                <li>{ lang.t("deploy.hand.claw_cloud.wait") }</li>
            </ol>
            <details class="gb-details">
                <summary data-testid="hand-template">{ lang.t("deploy.hand.template") }</summary>
                <p class="gb-muted">{ lang.t("deploy.hand.template_help") }</p>
                <TextOf id={props.id} format={VariablesFormat::Template} />
            </details>
        </>
    )
}

#[component]
fn Koyeb(props: &HandProps) -> Html {
    let lang = use_lang();
    let open = Place::NewApp(NewApp::Koyeb {
        name: props.name.trim().to_owned(),
        image: props.image.to_string(),
    });
    html!(
        <ol class="gb-steps" data-testid="hand-steps">
            <li>{ lang.t("deploy.hand.koyeb.open") }{ " " }<Out id="hand-open" label={lang.t("deploy.hand.open")} to={open} /></li>
            { field(lang, "deploy.hand.koyeb.image", "hand-image", props.image.clone()) }
            <li>{ lang.t("deploy.hand.koyeb.env") }<TextOf id={props.id} format={VariablesFormat::Env} /></li>
            <li>{ lang.t("deploy.hand.koyeb.plan") }</li>
            { field(lang, "deploy.hand.koyeb.port", "hand-port", PORT) }
            { field(lang, "deploy.hand.koyeb.health", "hand-health", HEALTH) }
            { field(lang, "deploy.hand.koyeb.name", "hand-name", props.name.clone()) }
            <li>{ lang.t("deploy.hand.koyeb.deploy") }</li>
        </ol>
    )
}

#[component]
fn Kubernetes(props: &HandProps) -> Html {
    let lang = use_lang();
    html!(
        <>
            <ol class="gb-steps" data-testid="hand-steps">
                <li>{ lang.t("deploy.hand.kubernetes.open") }</li>
                { field(lang, "deploy.hand.claw_cloud.name", "hand-name", props.name.clone()) }
                { field(lang, "deploy.hand.claw_cloud.image", "hand-image", props.image.clone()) }
                <li>{ lang.t("deploy.hand.claw_cloud.size") }</li>
                { field(lang, "deploy.hand.claw_cloud.port", "hand-port", PORT) }
                <li>{ lang.t("deploy.hand.claw_cloud.env") }<TextOf id={props.id} format={VariablesFormat::Lines} /></li>
                <li>{ lang.t("deploy.hand.claw_cloud.deploy") }</li>
                <li>{ lang.t("deploy.hand.claw_cloud.wait") }</li>
            </ol>
            <details class="gb-details">
                <summary data-testid="hand-template">{ lang.t("deploy.hand.template") }</summary>
                <p class="gb-muted">{ lang.t("deploy.hand.template_help") }</p>
                <TextOf id={props.id} format={VariablesFormat::Template} />
            </details>
        </>
    )
}

#[derive(PartialEq, Properties)]
struct DockerProps {
    id: i64,
    name: AttrValue,
}

#[component]
fn Docker(props: &DockerProps) -> Html {
    let lang = use_lang();
    html!(
        <ol class="gb-steps" data-testid="hand-steps">
            <li>{ lang.t("deploy.hand.docker.install") }</li>
            { field(lang, "deploy.hand.docker.folder", "hand-folder", format!("mkdir {0} && cd {0}", props.name.trim())) }
            <li>{ lang.t("deploy.hand.docker.file") }<TextOf id={props.id} format={VariablesFormat::Compose} /></li>
            { field(lang, "deploy.hand.docker.up", "hand-up", "docker compose up -d") }
            { field(lang, "deploy.hand.docker.logs", "hand-logs", "docker compose logs -f") }
            { field(lang, "deploy.hand.docker.update", "hand-update", "docker compose pull && docker compose up -d") }
            <li>{ lang.t("deploy.hand.docker.https") }</li>
        </ol>
    )
}

#[derive(PartialEq, Properties)]
struct LocateProps {
    id: i64,
    door: Door,
    located: Callback<()>,
}

/// Takes the address at which the draft answers now.
#[component]
fn Locate(props: &LocateProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let sending = use_send();
    let url = use_state_eq(AttrValue::default);
    let id = props.id;
    let send = {
        let (url, sending, located) = ((*url).clone(), sending.clone(), props.located.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            let action = RemoteAction::Locate {
                url: url.trim().to_owned(),
            };
            let path = format!("/api/deploy/remotes/{id}/action");
            let located = located.clone();
            sending.run(
                async move { host.post(&path, &action).await },
                move |_: RemoteView| located.emit(()),
            );
        })
    };
    let oninput = {
        let (url, sending) = (url.setter(), sending.clone());
        Callback::from(move |text: String| {
            url.set(text.into());
            sending.forget();
        })
    };
    let example = match props.door {
        Door::Render => "https://name.onrender.com",
        Door::ClawCloud => "https://abcdefghijkl.ap-southeast-1.clawcloudrun.com",
        Door::Koyeb => "https://name-org.koyeb.app",
        Door::Kubernetes => "https://abcdefghijkl.example.com",
        Door::Docker | Door::Variables => "http://192.168.1.10:8000",
    };
    html!(
        <Card id="locate-card" title={lang.t("deploy.locate.title")}>
            <p class="gb-muted">{ lang.t("deploy.locate.help") }</p>
            <form class="gb-token-form" onsubmit={send}>
                <TextField id="locate-url" label={lang.t("instances.fact.address")} placeholder={example} value={(*url).clone()} {oninput} />
                <Act id="locate-submit" kind={Kind::Primary} submit=true label={lang.t("deploy.locate.submit")} busy={sending.busy} disabled={url.trim().is_empty()} />
            </form>
            if let Some(error) = sending.error.clone() {
                <ErrorNote {error} />
            }
        </Card>
    )
}
