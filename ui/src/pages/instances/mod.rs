//! Instances on other machines: how they are, what is to be done, and everything that can
//! be done to them. `detail` is the page of one, with a part for each tab; `panel` is the
//! banner over the panel of a remote that is opened inside this one.

mod accounts;
mod actions;
mod add;
mod app;
mod card;
mod deploys;
mod detail;
mod drift;
mod events;
mod keep_alive;
mod log;
mod overview;
mod panel;
mod route;
mod secrets;
mod state;
mod texts;
mod usage;
mod variables;
mod warnings;

#[cfg(test)]
mod tests;

use contract::Millis;
use contract::deploy::{AccountView, DeployFeature, RemoteState, RemoteView};
use patternfly_yew::prelude::{EmptyState, Icon};
use yew::{Callback, Html, Properties, component, html, use_state_eq};

use super::PageHead;
use crate::app::{Can, use_host, use_lang, use_now};
use crate::controls::{Act, ErrorNote, Skeleton};
use crate::host::panel_of;
use crate::load::{LoadResult, use_load};
use crate::text::Lang;

pub use app::choices;
pub use detail::{Detail, Part};
pub use drift::Differences;
pub use keep_alive::Quiet;
pub use log::Screen;
pub use overview::SecretCopies;
pub use panel::PanelBanner;
pub use texts::{TextOf, VariableTexts};
pub use usage::Quotas;
pub use variables::{FORMATS, VariableTable};

/// How often the remotes are asked for, in milliseconds.
const REMOTES_EVERY: u32 = 5_000;

/// How often the accounts are asked for, in milliseconds.
const ACCOUNTS_EVERY: u32 = 30_000;

/// The page.
#[component]
pub fn Instances() -> Html {
    let host = use_host();
    let now = use_now();
    let remotes = use_load::<Vec<RemoteView>>(host, "/api/deploy/remotes", Some(REMOTES_EVERY));
    let accounts = use_load::<Vec<AccountView>>(host, "/api/deploy/accounts", Some(ACCOUNTS_EVERY));
    html!(
        <>
            <InstancesView remotes={remotes.result.clone()} {now} changed={remotes.reload} />
            if let Some(remotes) = remotes.result.data.clone() {
                <Can feature={DeployFeature::Route}>
                    <section class="pf-v6-c-page__main-section gb-stack">
                        <route::RouteCard {remotes} />
                    </section>
                </Can>
            }
            if let Some(accounts_now) = accounts.result.data.clone().filter(|all| !all.is_empty()) {
                <section class="pf-v6-c-page__main-section gb-stack">
                    <accounts::AccountsCard accounts={accounts_now} {now} changed={accounts.reload.clone()} />
                </section>
            }
        </>
    )
}

#[derive(PartialEq, Properties)]
pub struct InstancesViewProps {
    pub remotes: LoadResult<Vec<RemoteView>>,
    /// The instance's clock.
    pub now: Millis,
    /// Called when one was added.
    pub changed: Callback<()>,
}

/// The page as a function of what is known and the time.
#[component]
pub fn InstancesView(props: &InstancesViewProps) -> Html {
    let lang = use_lang();
    let adding = use_state_eq(|| false);
    let add = {
        let adding = adding.setter();
        Callback::from(move |on: bool| adding.set(on))
    };
    html!(
        <>
            <PageHead title={lang.t("instances.title")} subtitle={lang.t("instances.subtitle")}>
                <Act id="remote-add" icon={Some(Icon::PlusCircle)} label={lang.t("instances.add.open")} onclick={add.reform(|()| true)} />
                <a class="pf-v6-c-button pf-m-primary" href="#/deploy" data-testid="deploy-new">
                    <span class="pf-v6-c-button__icon pf-m-start">{ Icon::Plus }</span>
                    <span class="pf-v6-c-button__text">{ lang.t("instances.deploy_new") }</span>
                </a>
            </PageHead>
            <section class="pf-v6-c-page__main-section gb-stack">
                if let Some(error) = props.remotes.error.clone() {
                    <ErrorNote {error} />
                }
                if let Some(remotes) = props.remotes.data.clone() {
                    if remotes.is_empty() {
                        <div class="pf-v6-c-card" data-testid="instances-empty">
                            <EmptyState title={lang.t("instances.empty.title").to_string()} icon={Icon::CloudTenant}>
                                <p>{ lang.t("instances.empty.body") }</p>
                            </EmptyState>
                        </div>
                    }
                    <div class="gb-remotes">
                        { for remotes.iter().map(|remote| html!(
                            <card::RemoteCard key={remote.id} remote={remote.clone()} now={props.now} changed={props.changed.clone()} />
                        )) }
                    </div>
                } else if props.remotes.error.is_none() {
                    <div class="pf-v6-c-card"><div class="pf-v6-c-card__body"><Skeleton lines={6} /></div></div>
                }
            </section>
            if *adding {
                <add::AddRemote onclose={add.reform(|()| false)} added={props.changed.clone()} />
            }
        </>
    )
}

/// The page of one remote, or a part of it.
pub fn page_of(id: i64, part: Part) -> yew::AttrValue {
    match part {
        Part::Overview => format!("#/instances/{id}").into(),
        part => format!("#/instances/{id}/{part}").into(),
    }
}

/// A link that looks like a word of the text.
pub fn inner_link(href: yew::AttrValue, text: yew::AttrValue, id: yew::AttrValue) -> Html {
    html!(<a class="pf-v6-c-button pf-m-link pf-m-inline" {href} data-testid={id}>{ text }</a>)
}

/// The link that opens a remote's panel inside this one; it stands out where the remote
/// answers, and is absent where there is none.
pub fn open_panel(lang: Lang, remote: &RemoteView) -> Html {
    let class = match (&remote.url, &remote.state) {
        (None, _) | (_, RemoteState::Gone | RemoteState::Deleting) => return Html::default(),
        (_, RemoteState::Running) => "pf-v6-c-button pf-m-primary",
        _ => "pf-v6-c-button pf-m-secondary",
    };
    html!(
        <Can feature={DeployFeature::Panel}>
            <a {class} href={format!("#{}/", panel_of(remote.id))} data-testid={format!("remote-panel-{}", remote.id)}>
                <span class="pf-v6-c-button__icon pf-m-start">{ Icon::Desktop }</span>
                <span class="pf-v6-c-button__text">{ lang.t("instances.open_panel") }</span>
            </a>
        </Can>
    )
}
