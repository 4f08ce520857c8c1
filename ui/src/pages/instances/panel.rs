use contract::deploy::RemoteView;
use yew::{Html, Properties, component, html};

use super::card::place;
use super::state::StateLabel;
use super::{Part, page_of};
use crate::app::{use_host, use_lang};
use crate::load::{LoadResult, use_load};

/// How often the remote's state is asked for, in milliseconds.
const STATE_EVERY: u32 = 10_000;

#[derive(PartialEq, Properties)]
pub struct PanelBannerProps {
    /// The remote's number here.
    pub id: i64,
}

/// Says whose panel this is, and leads back to one's own.
#[component]
pub fn PanelBanner(props: &PanelBannerProps) -> Html {
    let host = use_host();
    let path = format!("/api/deploy/remotes/{}", props.id);
    let remote = use_load::<RemoteView>(host.own(), path, Some(STATE_EVERY));
    html!(<BannerView id={props.id} remote={remote.result} />)
}

#[derive(PartialEq, Properties)]
pub struct BannerViewProps {
    pub id: i64,
    pub remote: LoadResult<RemoteView>,
}

/// The banner as a function of what is known.
#[component]
pub fn BannerView(props: &BannerViewProps) -> Html {
    let lang = use_lang();
    let remote = props.remote.data.as_deref();
    html!(
        <section class="gb-elsewhere" aria-label={lang.t("instances.panel.label")} data-testid="panel-banner">
            <span class="gb-elsewhere__icon"><i class="fas fa-cloud" aria-hidden="true" /></span>
            <div>
                <div>
                    { lang.t("instances.panel.of") }{ " " }
                    <strong data-testid="panel-banner-name">{ remote.map(|remote| remote.name.clone()).unwrap_or_default() }</strong>
                    if let Some(remote) = remote {
                        <span class="gb-muted">{ " · " }{ place(lang, remote) }</span>
                    }
                </div>
                if let Some(url) = remote.and_then(|remote| remote.url.as_ref()) {
                    <div class="gb-small gb-mono gb-muted">{ url }</div>
                }
            </div>
            if let Some(remote) = remote {
                <StateLabel state={remote.state.clone()} />
            }
            <a class="pf-v6-c-button pf-m-secondary gb-push" href={page_of(props.id, Part::Overview)} data-testid="panel-back">
                <span class="pf-v6-c-button__icon pf-m-start"><i class="fas fa-arrow-left" aria-hidden="true" /></span>
                <span class="pf-v6-c-button__text">{ lang.t("instances.panel.back") }</span>
            </a>
        </section>
    )
}
