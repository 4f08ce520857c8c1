use contract::ApiError;
use contract::deploy::{RemoteState, RemoteView, RoutePresence, RouteView, RouteWish, WhenAway};
use yew::{Callback, Html, Properties, component, html};

use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{Card, Choice, Choices, ErrorNote};
use crate::load::use_load;
use crate::send::use_send;
use crate::text::wire_name;

/// How often it is asked whether the remote answers, in milliseconds.
const EVERY: u32 = 5_000;

#[derive(PartialEq, Properties)]
pub struct RouteCardProps {
    pub remotes: std::rc::Rc<Vec<RemoteView>>,
}

/// Where the requests of this instance's clients go.
#[component]
pub fn RouteCard(props: &RouteCardProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let sending = use_send();
    let route = use_load::<RouteView>(host, "/api/deploy/route", Some(EVERY));
    let Some(now) = route.result.data.clone() else {
        return match route.result.error.clone() {
            Some(error) => html!(<ErrorNote {error} />),
            None => Html::default(),
        };
    };
    let set = {
        let (sending, reload) = (sending.clone(), route.reload.clone());
        Callback::from(move |wish: RouteWish| {
            let (reload, toasts) = (reload.clone(), toasts.clone());
            sending.run(
                async move { host.put("/api/deploy/route", &wish).await },
                move |_: RouteView| {
                    toasts.success(lang.t("route.saved"));
                    reload.emit(());
                },
            );
        })
    };
    html!(
        <RouteChoice
            route={(*now).clone()}
            remotes={props.remotes.clone()}
            error={sending.error.clone()}
            {set}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct RouteChoiceProps {
    pub route: RouteView,
    pub remotes: std::rc::Rc<Vec<RemoteView>>,
    pub error: Option<ApiError>,
    pub set: Callback<RouteWish>,
}

/// The card as a function of what is known. Without a remote that answers somewhere there is
/// nothing to choose.
#[component]
pub fn RouteChoice(props: &RouteChoiceProps) -> Html {
    let lang = use_lang();
    let RouteView {
        remote,
        when_away,
        presence,
        problem,
    } = props.route.clone();
    let offered = |one: &&RemoteView| {
        Some(one.id) == remote || (one.url.is_some() && one.state != RemoteState::Gone)
    };
    let mut choices = vec![Choice {
        value: "".into(),
        text: lang.t("route.direct"),
    }];
    let through = |one: &RemoteView| Choice {
        value: one.id.to_string().into(),
        text: lang.f("route.through", &[("name", &one.name)]),
    };
    choices.extend(props.remotes.iter().filter(offered).map(through));
    if choices.len() == 1 && remote.is_none() {
        return Html::default();
    }
    let onroute = props.set.reform(move |id: String| RouteWish {
        remote: id.parse().ok(),
        when_away,
    });
    let onaway = props.set.reform(move |chosen: String| RouteWish {
        remote,
        when_away: [WhenAway::Hold, WhenAway::Local]
            .into_iter()
            .find(|way| wire_name(way) == chosen)
            .unwrap_or_default(),
    });
    let ways = [WhenAway::Hold, WhenAway::Local].map(|way| Choice {
        text: lang.t(match way {
            WhenAway::Hold => "route.hold",
            WhenAway::Local => "route.local",
        }),
        value: wire_name(&way).into(),
    });
    html!(
        <Card id="route-card" title={lang.t("route.title")}>
            <p class="gb-muted">{ lang.t("route.help") }</p>
            if let Some(error) = props.error.clone().or(problem) {
                <ErrorNote {error} />
            }
            <div class="gb-fields">
                <Choices
                    id="route" label={lang.t("route.choice")} {choices}
                    chosen={remote.map(|id| id.to_string()).unwrap_or_default()} onchange={onroute}
                />
                if remote.is_some() {
                    <Choices
                        id="route-away" label={lang.t("route.when_away")} choices={ways.to_vec()}
                        chosen={wire_name(&when_away)} onchange={onaway}
                    />
                }
            </div>
            if let Some(presence) = presence {
                <p data-testid="route-presence">{ lang.t(match presence {
                    RoutePresence::Unknown => "route.presence.unknown",
                    RoutePresence::Awake => "route.presence.awake",
                    RoutePresence::Waking => "route.presence.waking",
                    RoutePresence::Away => "route.presence.away",
                }) }</p>
            }
        </Card>
    )
}
