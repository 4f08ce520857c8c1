//! What surrounds every page: masthead, navigation, in the window also the proxy's bar.

use contract::admin::Overview;
use contract::deploy::DeployState;
use patternfly_yew::prelude::Icon;
use wasm_bindgen_futures::spawn_local;
use yew::{
    Callback, ContextProvider, Html, MouseEvent, Properties, classes, component, html, use_context,
    use_effect_with, use_memo, use_reducer, use_state_eq,
};
use yew_router::Router;
use yew_router::history::{AnyHistory, HashHistory};
use yew_router::hooks::{use_location, use_route};

use super::{Desktop, Features, Route, Skew, Theme, use_host, use_lang, use_prefs, use_toasts};
use crate::controls::{Act, Kind};
use crate::host::{self, Host, panel_of, remote_in};
use crate::load::use_load;
use crate::pages::{
    account::Account,
    connect::Connect,
    dashboard::Dashboard,
    data::Data,
    deploy::Deploy,
    doctor::Doctor,
    instances::{Detail, Instances, PanelBanner, Part},
    keys::Keys,
    requests::Requests,
    settings::Settings,
    stats::Stats,
    tokens::Tokens,
};
use crate::text::Lang;
use crate::window::{ProxyBar, ProxyTrouble};

/// How often the dashboard's numbers are asked for, in milliseconds.
const OVERVIEW_EVERY: u32 = 3_000;

/// One entry of the navigation: route, address, test id, text, icon (a class of
/// PatternFly's, as patternfly-yew does not name all of them).
type Page = (
    Route,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

/// The group that is shown only where there is a deployer.
const CLOUD: &str = "nav.cloud";

/// The navigation in its groups, each with its title: what is looked at daily comes first.
const GROUPS: [(&str, &[Page]); 3] = [
    (
        "nav.daily",
        &[
            (
                Route::Dashboard,
                "#/",
                "nav-dashboard",
                "nav.dashboard",
                "fas fa-tachometer-alt",
            ),
            (Route::Keys, "#/keys", "nav-keys", "nav.keys", "fas fa-key"),
            (
                Route::Tokens,
                "#/tokens",
                "nav-tokens",
                "nav.tokens",
                "fas fa-ticket-alt",
            ),
            (
                Route::Connect,
                "#/connect",
                "nav-connect",
                "nav.connect",
                "pf-v6-pficon pf-v6-pficon-connected",
            ),
            (
                Route::Requests,
                "#/requests",
                "nav-requests",
                "nav.requests",
                "fas fa-list",
            ),
            (
                Route::Stats,
                "#/stats",
                "nav-stats",
                "nav.stats",
                "fas fa-chart-bar",
            ),
        ],
    ),
    (
        CLOUD,
        &[
            (
                Route::Instances,
                "#/instances",
                "nav-instances",
                "nav.instances",
                "fas fa-cloud",
            ),
            (
                Route::Deploy,
                "#/deploy",
                "nav-deploy",
                "nav.deploy",
                "fas fa-cloud-upload-alt",
            ),
        ],
    ),
    (
        "nav.manage",
        &[
            (
                Route::Settings,
                "#/settings",
                "nav-settings",
                "nav.settings",
                "fas fa-cog",
            ),
            (
                Route::Doctor,
                "#/doctor",
                "nav-doctor",
                "nav.doctor",
                "fas fa-stethoscope",
            ),
            (
                Route::Data,
                "#/data",
                "nav-data",
                "nav.data",
                "fas fa-database",
            ),
            (
                Route::Account,
                "#/account",
                "nav-account",
                "nav.account",
                "fas fa-user",
            ),
        ],
    ),
];

#[derive(PartialEq, Properties)]
pub struct ShellProps {
    /// Tells the root that the session has ended by the user's wish.
    pub signed_out: Callback<()>,
}

/// The panel of this instance, or of the remote that the address names.
#[component]
pub fn Shell(props: &ShellProps) -> Html {
    let path = use_location();
    match path.and_then(|at| remote_in(at.path())) {
        None => html!(<Panel signed_out={props.signed_out.clone()} />),
        Some(id) => html!(<RemotePanel key={id} {id} signed_out={props.signed_out.clone()} />),
    }
}

#[derive(PartialEq, Properties)]
struct RemotePanelProps {
    /// The remote's number here.
    id: i64,
    signed_out: Callback<()>,
}

/// The same pages, talking to a remote, with addresses of their own.
#[component]
fn RemotePanel(props: &RemotePanelProps) -> Html {
    let host = use_host();
    let history = use_memo((), |()| AnyHistory::from(HashHistory::new()));
    html!(
        <ContextProvider<Host> context={host.of_remote(props.id)}>
            <Router history={(*history).clone()} basename={panel_of(props.id)}>
                <Panel signed_out={props.signed_out.clone()} />
            </Router>
        </ContextProvider<Host>>
    )
}

/// Masthead, navigation and the page that the address names.
#[component]
fn Panel(props: &ShellProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let remote = host.remote();
    let desktop = use_context::<Desktop>().filter(|_| remote.is_none());
    let route = match use_route::<Route>() {
        None | Some(Route::Setup | Route::NotFound) => Route::Dashboard,
        Some(route) => route,
    };
    let overview = use_load::<Overview>(host, "/api/overview", Some(OVERVIEW_EVERY));
    let deploy = use_load::<DeployState>(host.own(), "/api/deploy", None);
    let deploys = deploy
        .result
        .data
        .as_ref()
        .is_some_and(|state| state.available);
    let features = Features(
        deploy
            .result
            .data
            .as_ref()
            .map_or_else(Vec::new, |state| state.features.clone()),
    );
    let skew = use_reducer(Skew::default);
    use_effect_with(overview.result.data.clone(), {
        let skew = skew.dispatcher();
        move |data| {
            if let Some(overview) = data {
                skew.dispatch(overview.now - host::now());
            }
        }
    });
    // A person who starts the proxy or mends the vault should not wait for the next tick.
    use_effect_with(desktop.as_ref().map(|d| d.state.proxy.clone()), {
        let (overview, deploy) = (overview.reload.clone(), deploy.reload.clone());
        move |_| {
            overview.emit(());
            deploy.emit(());
        }
    });

    // None: as wide as the window allows. On a narrow one, choosing a page folds it again.
    let sidebar = use_state_eq(|| None::<bool>);
    use_effect_with(route, {
        let sidebar = sidebar.setter();
        move |_| {
            if !host::is_wide() {
                sidebar.set(None);
            }
        }
    });
    let toggle = {
        let sidebar = sidebar.clone();
        Callback::from(move |()| {
            let open = sidebar.unwrap_or_else(host::is_wide);
            sidebar.set(Some(!open));
        })
    };
    let version = overview.result.data.as_ref().map(|o| o.version.clone());
    html!(
        <div class="pf-v6-c-page">
            <a class="pf-v6-c-skip-to-content pf-v6-c-button pf-m-primary gb-skip" href="#main" onclick={skip_to_main()}>
                { lang.t("nav.skip") }
            </a>
            <Masthead {toggle} open={*sidebar} signed_out={props.signed_out.clone()} />
            <div
                class={classes!("pf-v6-c-page__sidebar", match *sidebar {
                    None => "",
                    Some(true) => "pf-m-expanded",
                    Some(false) => "pf-m-collapsed",
                })}
                id="sidebar"
            >
                <div class="pf-v6-c-page__sidebar-main">
                    <div class="pf-v6-c-page__sidebar-body gb-sidebar">
                        <nav class="pf-v6-c-nav" aria-label={lang.t("nav.label")}>
                            { for GROUPS.iter().filter(|(title, _)| *title != CLOUD || (deploys && remote.is_none())).map(|(title, pages)| html!(
                                <section class="pf-v6-c-nav__section" aria-labelledby={*title} key={*title}>
                                    <h2 class="pf-v6-c-nav__section-title" id={*title}>{ lang.t(title) }</h2>
                                    <ul class="pf-v6-c-nav__list" role="list">
                                        { for pages.iter()
                                            // Who signs in to a remote is this instance, which rotates the password.
                                            .filter(|page| remote.is_none() || page.0 != Route::Account)
                                            .map(|page| nav_item(host, lang, page, route)) }
                                    </ul>
                                </section>
                            )) }
                        </nav>
                        <div class="gb-sidebar__foot">
                            { version.map(|v| lang.f("nav.version", &[("version", &v)])).unwrap_or_default() }
                        </div>
                    </div>
                </div>
            </div>
            <div class="pf-v6-c-page__main-container">
                <main class="pf-v6-c-page__main" id="main" tabindex="-1">
                    if let Some(desktop) = desktop {
                        <ProxyBar proxy={desktop.state.proxy.clone()} run={desktop.run.clone()} />
                        <ProxyTrouble proxy={desktop.state.proxy.clone()} run={desktop.run.clone()} />
                    }
                    if let Some(id) = remote {
                        <PanelBanner {id} />
                    }
                    <ContextProvider<Skew> context={*skew}>
                    <ContextProvider<Features> context={features}>
                        { match route {
                            Route::Keys => html!(<Keys changed={overview.reload.clone()} />),
                            Route::Tokens => html!(<Tokens />),
                            Route::Connect => html!(<Connect />),
                            Route::Requests => html!(<Requests />),
                            Route::Stats => html!(<Stats />),
                            Route::Settings | Route::Transfer | Route::History => html!(<Settings tab={route} />),
                            Route::Doctor => html!(<Doctor />),
                            Route::Data => html!(<Data />),
                            Route::Account => html!(<Account />),
                            Route::Instances => html!(<Instances />),
                            Route::Instance { id } => html!(<Detail key={id} {id} part={Part::Overview} />),
                            Route::InstancePart { id, part } => html!(<Detail key={id} {id} {part} />),
                            Route::Deploy => html!(<Deploy state={deploy.result.data.clone()} />),
                            Route::Dashboard | Route::Setup | Route::NotFound => html!(
                                <Dashboard overview={overview.result.clone()} />
                            ),
                        } }
                    </ContextProvider<Features>>
                    </ContextProvider<Skew>>
                </main>
            </div>
        </div>
    )
}

fn nav_item(host: Host, lang: Lang, page: &Page, at: Route) -> Html {
    let (route, href, id, text, icon) = *page;
    // Import, export and history are parts of the page of settings.
    let page = match at {
        Route::Transfer | Route::History => Route::Settings,
        Route::Instance { .. } | Route::InstancePart { .. } => Route::Instances,
        page => page,
    };
    let here = route == page;
    html!(
        <li class="pf-v6-c-nav__item" key={id}>
            <a
                class={classes!("pf-v6-c-nav__link", here.then_some("pf-m-current"))}
                href={host.page(href)}
                data-testid={id}
                aria-current={here.then_some("page")}
            >
                <span class="pf-v6-c-nav__link-icon"><i class={icon} aria-hidden="true" /></span>
                <span class="pf-v6-c-nav__link-text">{ lang.t(text) }</span>
            </a>
        </li>
    )
}

/// The router owns the address's `#`, so the skip link moves the focus itself.
fn skip_to_main() -> Callback<MouseEvent> {
    Callback::from(|event: MouseEvent| {
        event.prevent_default();
        host::focus("main");
    })
}

#[derive(PartialEq, Properties)]
struct MastheadProps {
    toggle: Callback<()>,
    /// Whether the user opened or closed the navigation; none while it follows the width.
    open: Option<bool>,
    signed_out: Callback<()>,
}

#[component]
fn Masthead(props: &MastheadProps) -> Html {
    let lang = use_lang();
    let host = use_host();
    let toasts = use_toasts();
    let sign_out = {
        let signed_out = props.signed_out.clone();
        Callback::from(move |()| {
            let (signed_out, toasts) = (signed_out.clone(), toasts.clone());
            spawn_local(async move {
                match host.post::<()>("/api/logout", &serde_json::json!({})).await {
                    Ok(()) => signed_out.emit(()),
                    Err(error) => toasts.error(lang, &error),
                }
            });
        })
    };
    html!(
        <header class="pf-v6-c-masthead pf-m-display-inline">
            <div class="pf-v6-c-masthead__main">
                <span class="pf-v6-c-masthead__toggle">
                    <Act
                        id="nav-toggle"
                        kind={Kind::Plain}
                        icon={Some(Icon::Bars)}
                        label={lang.t("nav.toggle")}
                        aria_expanded={props.open.map(|open| open.to_string())}
                        onclick={props.toggle.clone()}
                    />
                </span>
                <div class="pf-v6-c-masthead__brand">
                    <a class="gb-brand" href={host.page("#/")}>
                        <img src="logo.svg" alt="" width="32" height="32" />
                        <span class="gb-brand__name">{ "Gemini Balance" }</span>
                    </a>
                </div>
            </div>
            <div class="pf-v6-c-masthead__content gb-masthead__content">
                <Switches />
                if host == Host::BROWSER {
                    <button
                        type="button"
                        class="pf-v6-c-button pf-m-plain"
                        data-testid="sign-out"
                        aria-label={lang.t("nav.sign_out")}
                        title={lang.t("nav.sign_out")}
                        onclick={sign_out.reform(|_: MouseEvent| ())}
                    >
                        <span class="pf-v6-c-button__icon"><i class="fas fa-sign-out-alt" aria-hidden="true" /></span>
                    </button>
                }
            </div>
        </header>
    )
}

/// The switches of language and colours; also on the pages before the panel.
#[component]
pub fn Switches() -> Html {
    let lang = use_lang();
    let Some(prefs) = use_prefs() else {
        return Html::default();
    };
    let other = if lang == Lang::Zh { Lang::En } else { Lang::Zh };
    let onlang = prefs.set_lang.reform(move |_: MouseEvent| other);
    let theme = prefs.theme;
    let ontheme = prefs.set_theme.reform(move |_: MouseEvent| theme.next());
    let theme_text = lang.t(&format!("theme.{}", theme.name()));
    let theme_icon = match theme {
        Theme::System => "fas fa-adjust",
        Theme::Light => "fas fa-sun",
        Theme::Dark => "fas fa-moon",
    };
    html!(
        <div class="gb-switches">
            <button
                type="button"
                class="pf-v6-c-button pf-m-plain gb-switches__lang"
                data-testid="lang-switch"
                lang={other.code()}
                title={lang.t("nav.language")}
                onclick={onlang}
            >
                <span class="pf-v6-c-button__icon pf-m-start"><i class="fas fa-globe" aria-hidden="true" /></span>
                <span class="pf-v6-c-button__text">{ other.own_name() }</span>
            </button>
            <button
                type="button"
                class="pf-v6-c-button pf-m-plain"
                data-testid="theme-switch"
                data-theme={theme.name()}
                aria-label={theme_text.clone()}
                title={theme_text}
                onclick={ontheme}
            >
                <span class="pf-v6-c-button__icon"><i class={theme_icon} aria-hidden="true" /></span>
            </button>
        </div>
    )
}
