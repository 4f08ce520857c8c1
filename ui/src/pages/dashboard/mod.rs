//! Is it running, can it answer, what happened today, what to mend.

mod errors;
mod pool;
mod traffic;
mod warnings;

use contract::Millis;
use contract::admin::Overview;
use yew::{AttrValue, Html, Properties, component, html};

use crate::app::{use_lang, use_now};
use crate::controls::{ErrorNote, Skeleton};
use crate::load::LoadResult;

pub use errors::meaning;

#[derive(PartialEq, Properties)]
pub struct DashboardProps {
    /// The instance's last answer; the shell asks for it.
    pub overview: LoadResult<Overview>,
}

/// The dashboard.
#[component]
pub fn Dashboard(props: &DashboardProps) -> Html {
    let now = use_now();
    html!(<DashboardView overview={props.overview.clone()} {now} />)
}

#[derive(PartialEq, Properties)]
pub struct DashboardViewProps {
    pub overview: LoadResult<Overview>,
    /// The instance's clock.
    pub now: Millis,
}

/// The dashboard as a function of what is known and the time.
#[component]
pub fn DashboardView(props: &DashboardViewProps) -> Html {
    let lang = use_lang();
    let now = props.now;
    let title: AttrValue = lang.t("dashboard.title");
    html!(
        <>
            <section class="pf-v6-c-page__main-section gb-page-head">
                <h1 class="pf-v6-c-title pf-m-2xl">{ title }</h1>
            </section>
            <section class="pf-v6-c-page__main-section gb-stack">
                if let Some(error) = props.overview.error.clone() {
                    <ErrorNote {error} />
                }
                if let Some(overview) = props.overview.data.clone() {
                    <warnings::Warnings warnings={overview.warnings.clone()} />
                    <div class="gb-dashboard">
                        <pool::PoolCard overview={overview.clone()} {now} />
                        <traffic::TrafficCard overview={overview.clone()} />
                        <errors::ErrorsCard overview={overview.clone()} {now} />
                    </div>
                } else {
                    <div class="gb-dashboard">
                        { for (0..3).map(|i| html!(
                            <div key={i} class="pf-v6-c-card gb-dashboard__wait">
                                <div class="pf-v6-c-card__body"><Skeleton lines={5} /></div>
                            </div>
                        )) }
                    </div>
                }
            </section>
        </>
    )
}

#[cfg(test)]
mod tests;
