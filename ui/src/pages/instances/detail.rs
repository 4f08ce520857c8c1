use std::fmt::{Display, Formatter};
use std::str::FromStr;

use contract::Millis;
use contract::deploy::{DeployFeature, RemoteState, RemoteView};
use serde::{Deserialize, Serialize};
use yew::{Callback, Html, Properties, component, html};

use super::actions::Actions;
use super::state::{Explained, StateLabel};
use super::warnings::Warnings;
use super::{app, deploys, drift, events, keep_alive, log, overview, usage, variables};
use super::{open_panel, page_of};
use crate::app::{use_feature, use_host, use_lang, use_now};
use crate::controls::{ErrorNote, Skeleton, Tab, Tabs};
use crate::load::{LoadResult, use_load};
use crate::pages::deploy::RunCard;
use crate::text::{Lang, wire_name};

/// How often the remote is asked for, in milliseconds.
const REMOTE_EVERY: u32 = 4_000;

/// A part of what is known of a remote; the tab that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// How it is.
    Overview,
    /// What it is given by its environment.
    Variables,
    /// What it says.
    Log,
    /// What happened to it.
    Events,
    /// What it uses.
    Usage,
    /// Its earlier deploys.
    Deploys,
    /// Where it differs from what it should be.
    Drift,
    /// How it is kept awake.
    KeepAlive,
    /// What it runs on and from, its secrets, its end.
    App,
}

impl Part {
    /// The parts in the order of the tabs.
    pub const ALL: [Self; 9] = [
        Self::Overview,
        Self::Variables,
        Self::Log,
        Self::Events,
        Self::Usage,
        Self::Deploys,
        Self::Drift,
        Self::KeepAlive,
        Self::App,
    ];

    /// Whether there is anything to show: a remote that was added by its address has no
    /// provider to tell of it and no wish to compare it with.
    fn is_for(self, remote: &RemoteView, kept_awake: bool, compared: bool) -> bool {
        match self {
            Self::Overview | Self::App => true,
            Self::KeepAlive => kept_awake,
            Self::Drift => compared,
            Self::Variables => remote.wish.is_some(),
            Self::Log | Self::Events | Self::Usage | Self::Deploys => remote.provider.is_some(),
        }
    }
}

impl Display for Part {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&wire_name(self))
    }
}

impl FromStr for Part {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|part| wire_name(part) == name)
            .ok_or(())
    }
}

#[derive(PartialEq, Properties)]
pub struct DetailProps {
    /// The remote's number here.
    pub id: i64,
    pub part: Part,
}

/// The page of one remote.
#[component]
pub fn Detail(props: &DetailProps) -> Html {
    let host = use_host();
    let now = use_now();
    let path = format!("/api/deploy/remotes/{}", props.id);
    let remote = use_load::<RemoteView>(host, path, Some(REMOTE_EVERY));
    html!(<DetailView remote={remote.result} part={props.part} {now} changed={remote.reload} />)
}

#[derive(PartialEq, Properties)]
pub struct DetailViewProps {
    pub remote: LoadResult<RemoteView>,
    pub part: Part,
    /// The instance's clock.
    pub now: Millis,
    /// Called when something was done to it.
    pub changed: Callback<()>,
}

/// The page as a function of what is known and the time.
#[component]
pub fn DetailView(props: &DetailViewProps) -> Html {
    let lang = use_lang();
    let kept_awake = use_feature(DeployFeature::KeepAlive);
    let compared = use_feature(DeployFeature::Drift);
    let error = props.remote.error.clone();
    let Some(remote) = props.remote.data.clone() else {
        return html!(
            <section class="pf-v6-c-page__main-section gb-stack">
                { back(lang) }
                if let Some(error) = error { <ErrorNote {error} /> } else { <Skeleton lines={8} /> }
            </section>
        );
    };
    let remote = (*remote).clone();
    let id = remote.id;
    let tabs: Vec<Tab> = Part::ALL
        .into_iter()
        .filter(|part| part.is_for(&remote, kept_awake, compared))
        .map(|part| Tab {
            href: page_of(id, part),
            id: format!("tab-{part}").into(),
            text: lang.t(&format!("instances.tab.{part}")),
            here: part == props.part,
        })
        .collect();
    let running = matches!(
        remote.state,
        RemoteState::Deploying | RemoteState::Interrupted { .. } | RemoteState::Deleting
    );
    let changed = props.changed.clone();
    html!(
        <>
            <section class="pf-v6-c-page__main-section gb-page-head">
                { back(lang) }
                <div class="gb-row">
                    <h1 class="pf-v6-c-title pf-m-2xl" data-testid="remote-name">{ &remote.name }</h1>
                    <StateLabel state={remote.state.clone()} />
                    <span class="gb-muted">{ super::card::place(lang, &remote) }</span>
                    <div class="gb-push gb-row">{ open_panel(lang, &remote) }</div>
                </div>
                <Explained state={remote.state.clone()} since={remote.state_since} now={props.now} />
                <div class="gb-row"><Actions remote={remote.clone()} changed={changed.clone()} /></div>
            </section>
            <Tabs label={lang.t("instances.parts")} {tabs} />
            <section class="pf-v6-c-page__main-section gb-stack" data-testid={format!("part-{}", props.part)}>
                if let Some(error) = error {
                    <ErrorNote {error} />
                }
                if running {
                    <RunCard {id} provider={remote.provider} changed={changed.clone()} />
                }
                { match props.part {
                    Part::Overview => html!(
                        <>
                            <Warnings remote={remote.clone()} />
                            <overview::Overview remote={remote.clone()} now={props.now} />
                        </>
                    ),
                    Part::Variables => html!(<variables::Variables {id} />),
                    Part::Log => html!(<log::Log {id} />),
                    Part::Events => html!(<events::Events {id} />),
                    Part::Usage => html!(<usage::UsagePart {id} />),
                    Part::Deploys => html!(<deploys::Deploys remote={remote.clone()} {changed} />),
                    Part::Drift => html!(<drift::Drift remote={remote.clone()} {changed} />),
                    Part::KeepAlive => html!(<keep_alive::KeepAlivePart remote={remote.clone()} now={props.now} {changed} />),
                    Part::App => html!(<app::AppPart remote={remote.clone()} {changed} />),
                } }
            </section>
        </>
    )
}

fn back(lang: Lang) -> Html {
    html!(
        <a class="gb-small" href="#/instances" data-testid="back-to-instances">
            <i class="fas fa-arrow-left" aria-hidden="true" />{ " " }{ lang.t("instances.title") }
        </a>
    )
}
