use contract::deploy::RemoteEvent;
use patternfly_yew::prelude::Icon;
use yew::{Html, Properties, component, html};

use crate::app::{use_host, use_lang};
use crate::controls::{Card, ErrorNote, Moment, Skeleton};
use crate::load::{LoadResult, use_load};

/// How often events are asked for, in milliseconds.
const EVENTS_EVERY: u32 = 15_000;

#[derive(PartialEq, Properties)]
pub struct EventsProps {
    /// The remote.
    pub id: i64,
}

/// What happened to a remote.
#[component]
pub fn Events(props: &EventsProps) -> Html {
    let host = use_host();
    let path = format!("/api/deploy/remotes/{}/events", props.id);
    let events = use_load::<Vec<RemoteEvent>>(host, path, Some(EVENTS_EVERY));
    html!(<EventsView events={events.result} />)
}

#[derive(PartialEq, Properties)]
pub struct EventsViewProps {
    pub events: LoadResult<Vec<RemoteEvent>>,
}

/// The events as a function of what is known.
#[component]
pub fn EventsView(props: &EventsViewProps) -> Html {
    let lang = use_lang();
    html!(
        <Card id="events-card" title={lang.t("instances.events.title")}>
            <p class="gb-muted gb-small">{ lang.t("instances.events.help") }</p>
            if let Some(error) = props.events.error.clone() {
                <ErrorNote {error} />
            }
            if let Some(events) = props.events.data.clone() {
                if events.is_empty() {
                    <p class="gb-muted">{ lang.t("instances.events.none") }</p>
                }
                <ul class="gb-entries" data-testid="events">
                    { for events.iter().enumerate().map(|(i, event)| html!(
                        <li class="gb-entries__one" key={i}>
                            <div class="gb-row">
                                <span class="gb-small gb-muted"><Moment at={event.at} /></span>
                                if event.is_problem {
                                    <span class="gb-bad">{ Icon::ExclamationCircle }</span>
                                }
                                <span class="gb-wrap-anywhere">{ &event.text }</span>
                            </div>
                        </li>
                    )) }
                </ul>
            } else if props.events.error.is_none() {
                <Skeleton lines={5} />
            }
        </Card>
    )
}
