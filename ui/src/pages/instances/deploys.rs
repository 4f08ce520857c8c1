use contract::deploy::{DeployProgress, DeployView, RemoteAction, RemoteView, RemoteWarning};
use patternfly_yew::prelude::{Color, Icon, Label};
use yew::{AttrValue, Callback, Html, Properties, component, html, use_state_eq};

use super::actions::send;
use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{Act, Card, Confirm, ErrorNote, Kind, Moment, Skeleton, TextField};
use crate::load::{LoadResult, use_load};
use crate::send::use_send;
use crate::text::wire_name;

/// How often the deploys are asked for, in milliseconds.
const DEPLOYS_EVERY: u32 = 5_000;

#[derive(PartialEq, Properties)]
pub struct DeploysProps {
    pub remote: RemoteView,
    /// Called when something was done.
    pub changed: Callback<()>,
}

/// What is about to be done.
#[derive(Clone, PartialEq)]
enum Asked {
    Nothing,
    Newest,
    Image,
    Back(DeployView),
}

/// Earlier deploys, the way back to one, and the way to a newer or another image.
#[component]
pub fn Deploys(props: &DeploysProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let sending = use_send();
    let asked = use_state_eq(|| Asked::Nothing);
    let image = use_state_eq(AttrValue::default);
    let id = props.remote.id;
    let path = format!("/api/deploy/remotes/{id}/deploys");
    let deploys = use_load::<Vec<DeployView>>(host, path, Some(DEPLOYS_EVERY));
    let close = {
        let asked = asked.setter();
        Callback::from(move |()| asked.set(Asked::Nothing))
    };
    let ask = {
        let asked = asked.setter();
        move |what: Asked| {
            let asked = asked.clone();
            Callback::from(move |()| asked.set(what.clone()))
        }
    };
    let confirm = {
        let (asked, image, sending) = ((*asked).clone(), (*image).clone(), sending.clone());
        let (changed, reload, close) =
            (props.changed.clone(), deploys.reload.clone(), close.clone());
        Callback::from(move |()| {
            let action = match &asked {
                Asked::Nothing => return,
                Asked::Newest => RemoteAction::Redeploy { image: None },
                Asked::Image => RemoteAction::Redeploy {
                    image: Some(image.trim().to_owned()),
                },
                Asked::Back(deploy) => RemoteAction::RollBack {
                    deploy: deploy.id.clone(),
                },
            };
            let (changed, reload, close, toasts) = (
                changed.clone(),
                reload.clone(),
                close.clone(),
                toasts.clone(),
            );
            send(host, &sending, id, action, move |_| {
                toasts.success(lang.t("instances.deploys.begun"));
                close.emit(());
                reload.emit(());
                changed.emit(());
            });
        })
    };
    let onimage = {
        let image = image.setter();
        Callback::from(move |text: String| image.set(text.into()))
    };
    let back = {
        let asked = asked.setter();
        Callback::from(move |deploy: DeployView| asked.set(Asked::Back(deploy)))
    };
    let newer = props
        .remote
        .warnings
        .iter()
        .any(|warning| matches!(warning, RemoteWarning::NewerImage { .. }));
    let (title, label, help) = match &*asked {
        Asked::Back(_) => (
            "instances.deploys.back_title",
            "instances.deploys.back",
            "instances.deploys.back_help",
        ),
        Asked::Image => (
            "instances.deploys.image_title",
            "instances.deploys.deploy",
            "instances.deploys.image_help",
        ),
        Asked::Newest | Asked::Nothing => (
            "instances.deploys.newest_title",
            "instances.deploys.deploy",
            "instances.deploys.newest_help",
        ),
    };
    html!(
        <>
            <Card
                id="deploys-card"
                title={lang.t("instances.deploys.title")}
                corner={html!(
                    <>
                        <Act
                            id="deploy-newest"
                            kind={if newer { Kind::Primary } else { Kind::Secondary }}
                            icon={Some(Icon::SyncAlt)}
                            label={lang.t("instances.deploys.newest")}
                            onclick={ask(Asked::Newest)}
                        />
                        <Act id="deploy-image" label={lang.t("instances.deploys.image")} onclick={ask(Asked::Image)} />
                    </>
                )}
            >
                if newer {
                    <p data-testid="newer-image">{ lang.t("instances.warning.newer_image.title") }</p>
                }
                <DeploysView deploys={deploys.result.clone()} {back} />
            </Card>
            if *asked != Asked::Nothing {
                <Confirm
                    id="deploy-again"
                    title={lang.t(title)}
                    label={lang.t(label)}
                    busy={sending.busy}
                    error={sending.error.clone()}
                    onclose={close}
                    {confirm}
                >
                    <p>{ lang.t(help) }</p>
                    if let Asked::Back(deploy) = &*asked {
                        <p class="gb-mono gb-small">{ deploy.image.clone().unwrap_or_else(|| deploy.id.clone()) }</p>
                    }
                    if *asked == Asked::Image {
                        <TextField
                            id="deploy-image-name"
                            label={lang.t("instances.fact.image")}
                            placeholder="ghcr.io/owner/name:tag"
                            value={(*image).clone()}
                            oninput={onimage}
                        />
                    }
                </Confirm>
            }
        </>
    )
}

#[derive(PartialEq, Properties)]
pub struct DeploysViewProps {
    pub deploys: LoadResult<Vec<DeployView>>,
    pub back: Callback<DeployView>,
}

/// The deploys as a function of what is known.
#[component]
pub fn DeploysView(props: &DeploysViewProps) -> Html {
    let lang = use_lang();
    let error = props.deploys.error.clone();
    let Some(deploys) = props.deploys.data.clone() else {
        return match error {
            Some(error) => html!(<ErrorNote {error} />),
            None => html!(<Skeleton lines={4} />),
        };
    };
    html!(
        <>
            if let Some(error) = error {
                <ErrorNote {error} />
            }
            if deploys.is_empty() {
                <p class="gb-muted">{ lang.t("instances.deploys.none") }</p>
            }
            <ul class="gb-entries" data-testid="deploys">
                { for deploys.iter().map(|deploy| {
                    let (color, detail) = match &deploy.state {
                        DeployProgress::Queued => (Color::Grey, None),
                        DeployProgress::UnderWay { detail } => (Color::Blue, Some(detail)),
                        DeployProgress::Live => (Color::Green, None),
                        DeployProgress::Replaced | DeployProgress::Cancelled => (Color::Grey, None),
                        DeployProgress::Failed { detail } => (Color::Red, Some(detail)),
                    };
                    let name = wire_name(&deploy.state);
                    let target = deploy.clone();
                    html!(
                        <li class="gb-entries__one" key={deploy.id.clone()} data-testid={format!("deploy-{}", deploy.id)}>
                            <div class="gb-row">
                                <Label compact=true {color} label={lang.t(&format!("instances.deploys.state.{name}")).to_string()} />
                                if let Some(at) = deploy.at { <span class="gb-small gb-muted"><Moment {at} /></span> }
                                <span class="gb-mono gb-small">{ deploy.image.clone().unwrap_or_else(|| deploy.id.clone()) }</span>
                                if deploy.can_roll_back {
                                    <span class="gb-push">
                                        <Act
                                            id={format!("roll-back-{}", deploy.id)}
                                            small=true
                                            label={lang.t("instances.deploys.back")}
                                            onclick={props.back.reform(move |()| target.clone())}
                                        />
                                    </span>
                                }
                            </div>
                            if let Some(detail) = detail.filter(|detail| !detail.is_empty()) {
                                <div class="gb-detail">{ detail }</div>
                            }
                        </li>
                    )
                }) }
            </ul>
        </>
    )
}
