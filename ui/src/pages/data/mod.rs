//! Where everything is kept: the database and its state, how secrets are sealed, what was
//! taken over from the original program, and backups.

mod backups;
mod database;
mod sealing;
mod takeover;

#[cfg(test)]
mod tests;

use contract::Millis;
use contract::admin::DataView;
use yew::{Callback, Html, Properties, component, html};

use super::PageHead;
use crate::app::{use_host, use_lang, use_now};
use crate::controls::{ErrorNote, Skeleton};
use crate::load::{LoadResult, use_load};

/// How often the state is asked for, in milliseconds.
const DATA_EVERY: u32 = 5_000;

/// The page of data.
#[component]
pub fn Data() -> Html {
    let host = use_host();
    let load = use_load::<DataView>(host, "/api/data", Some(DATA_EVERY));
    let now = use_now();
    html!(<DataPage data={load.result.clone()} {now} changed={load.reload.clone()} />)
}

#[derive(PartialEq, Properties)]
pub struct DataPageProps {
    pub data: LoadResult<DataView>,
    /// The instance's clock.
    pub now: Millis,
    /// Called when something was done that changes it.
    pub changed: Callback<()>,
}

/// The page as a function of what is known.
#[component]
pub fn DataPage(props: &DataPageProps) -> Html {
    let lang = use_lang();
    html!(
        <>
            <PageHead title={lang.t("data.title")} subtitle={lang.t("data.subtitle")} />
            <section class="pf-v6-c-page__main-section gb-stack">
                if let Some(error) = props.data.error.clone() {
                    <ErrorNote {error} />
                }
                if let Some(data) = props.data.data.clone() {
                    <database::DatabaseCard data={(*data).clone()} now={props.now} />
                    <sealing::SealingCard sealing={data.sealing} changed={props.changed.clone()} />
                    <backups::BackupsCard
                        supported={data.backups_supported}
                        backups={data.backups.clone()}
                        changed={props.changed.clone()}
                    />
                    if let Some(takeover) = data.takeover.clone() {
                        <takeover::TakeoverCard {takeover} />
                    }
                } else if props.data.error.is_none() {
                    { for (0..3).map(|i| html!(
                        <div key={i} class="pf-v6-c-card"><div class="pf-v6-c-card__body"><Skeleton lines={4} /></div></div>
                    )) }
                }
            </section>
        </>
    )
}
