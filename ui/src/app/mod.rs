//! The root: what the panel runs in, language and colours, and which screen is due.

pub mod again;
mod features;
mod gate;
mod prefs;
mod shell;
mod toasts;

use contract::admin::InstanceState;
use contract::desktop::DesktopState;
use contract::{ApiError, Millis};
use gloo::timers::callback::Interval;
use wasm_bindgen_futures::spawn_local;
use yew::{
    AttrValue, Callback, ContextProvider, Html, Properties, Reducible, component, hook, html,
    use_callback, use_context, use_effect_with, use_memo, use_reducer, use_state_eq,
};
use yew_router::{HashRouter, Routable};

pub use features::{Can, Features, use_feature};
pub use prefs::{Prefs, Theme, use_prefs};
pub use toasts::{Toast, Toasts, use_toasts};

use crate::controls::{Act, ErrorNote, Kind, Spinner};
use crate::host::{self, Host};
use crate::load::{LoadResult, SessionEnded};
use crate::pages::instances::Part;
use crate::pages::sign_in::{Frame, Login, Setup};
use crate::text::Lang;
use crate::window::VaultScreen;
use gate::Gate;
use shell::Shell;
pub use shell::Switches;

/// The pages of the panel, behind the `#` of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Routable)]
pub enum Route {
    /// What is going on.
    #[at("/")]
    Dashboard,
    /// The pool.
    #[at("/keys")]
    Keys,
    /// Who may ask.
    #[at("/tokens")]
    Tokens,
    /// How clients get here.
    #[at("/connect")]
    Connect,
    /// What was asked, and what went wrong.
    #[at("/requests")]
    Requests,
    /// How much was asked.
    #[at("/stats")]
    Stats,
    /// How this instance behaves.
    #[at("/settings")]
    Settings,
    /// The configuration as a file.
    #[at("/settings/transfer")]
    Transfer,
    /// What was changed, and by whom.
    #[at("/settings/history")]
    History,
    /// Whether everything works.
    #[at("/doctor")]
    Doctor,
    /// Where everything is kept.
    #[at("/data")]
    Data,
    /// Who may use the panel.
    #[at("/account")]
    Account,
    /// The instances on other machines.
    #[at("/instances")]
    Instances,
    /// One of them.
    #[at("/instances/:id")]
    Instance {
        /// Its number here.
        id: i64,
    },
    /// A part of what is known of it.
    #[at("/instances/:id/:part")]
    InstancePart {
        /// Its number here.
        id: i64,
        /// Which part.
        part: Part,
    },
    /// Puts an instance on another machine.
    #[at("/deploy")]
    Deploy,
    /// The target of the set-up link; the dashboard once set up.
    #[at("/setup")]
    Setup,
    /// Anything else: the dashboard.
    #[not_found]
    #[at("/404")]
    NotFound,
}

/// The language in which to show things.
#[hook]
pub fn use_lang() -> Lang {
    use_context::<Prefs>().map_or(Lang::En, |prefs| prefs.lang)
}

/// What the panel runs in.
#[hook]
pub fn use_host() -> Host {
    use_context::<Host>().unwrap_or(Host::BROWSER)
}

/// The instance's clock, ticking once a second.
#[hook]
pub fn use_now() -> Millis {
    let skew = use_context::<Skew>().map_or(0, |skew| skew.0);
    let now = use_state_eq(host::now);
    use_effect_with((), {
        let now = now.setter();
        move |()| {
            let interval = Interval::new(1_000, move || now.set(host::now()));
            move || drop(interval)
        }
    });
    *now + skew
}

/// How far the instance's clock is ahead of this computer's, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Skew(pub Millis);

/// What is known about the desktop, when the panel runs in its window.
#[derive(Clone, PartialEq)]
pub struct Desktop {
    /// The last state that the shell sent.
    pub state: DesktopState,
    /// Runs a command that answers with a new state; an error becomes a toast.
    pub run: Callback<(&'static str, serde_json::Value)>,
    /// Takes over a state that a command answered with.
    pub became: Callback<DesktopState>,
}

/// The app.
#[component]
pub fn App() -> Html {
    let host = use_memo((), |()| Host::detect());
    let prefs = prefs::use_new_prefs(*host);
    html!(
        <ContextProvider<Host> context={*host}>
            <ContextProvider<Prefs> context={prefs}>
                <toasts::ToastArea>
                    <HashRouter>
                        if host.in_window() {
                            <WindowRoot />
                        } else {
                            <BrowserRoot />
                        }
                    </HashRouter>
                </toasts::ToastArea>
            </ContextProvider<Prefs>>
        </ContextProvider<Host>>
    )
}

/// In the browser: set-up, login or the panel, by what the instance says.
#[component]
fn BrowserRoot() -> Html {
    let host = use_host();
    let state = use_reducer(LoadResult::<InstanceState>::default);
    let refresh = {
        let dispatch = state.dispatcher();
        use_callback((), move |(), ()| {
            let dispatch = dispatch.clone();
            spawn_local(async move { dispatch.dispatch(host.instance().await) });
        })
    };
    use_effect_with((), {
        let refresh = refresh.clone();
        move |()| refresh.emit(())
    });
    let gate = gate::of_instance(&state);
    // While the instance cannot be reached nobody should have to press reload.
    use_effect_with(matches!(gate, Gate::Unreachable(_)), {
        let refresh = refresh.clone();
        move |waiting| {
            let interval = waiting.then(|| Interval::new(3_000, move || refresh.emit(())));
            move || drop(interval)
        }
    });
    match gate {
        Gate::Loading => html!(<Waiting />),
        Gate::Unreachable(error) => html!(<Unreachable {error} retry={refresh} />),
        Gate::Setup => html!(<Setup done={refresh} />),
        Gate::Login => html!(<Login done={refresh} />),
        Gate::Panel => html!(
            <ContextProvider<SessionEnded> context={SessionEnded(refresh.clone())}>
                <again::PasswordAgain />
                <Shell signed_out={refresh} />
            </ContextProvider<SessionEnded>>
        ),
    }
}

/// In the window: the vault's screens or the panel, by what the shell says.
#[component]
fn WindowRoot() -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let state = use_reducer(LoadResult::<DesktopState>::default);
    use_effect_with((), {
        let dispatch = state.dispatcher();
        move |()| {
            spawn_local(async move {
                let events = dispatch.clone();
                // First listen, then ask: a change between the two is not lost.
                if let Err(error) = host.on_desktop_state(move |s| events.dispatch(Ok(s))).await {
                    dispatch.dispatch(Err(error));
                }
                dispatch.dispatch(host.command("desktop_state", serde_json::json!({})).await);
            });
        }
    });
    let run = {
        let dispatch = state.dispatcher();
        use_callback(lang, move |(name, args): (&'static str, _), lang| {
            let (dispatch, toasts, lang) = (dispatch.clone(), toasts.clone(), *lang);
            spawn_local(async move {
                match host.command::<DesktopState>(name, args).await {
                    Ok(state) => dispatch.dispatch(Ok(state)),
                    Err(error) => toasts.error(lang, &error),
                }
            });
        })
    };
    let Some(desktop) = state.data.as_deref().cloned() else {
        return match state.error.clone() {
            Some(error) => html!(
                <Frame title={lang.error_title(error.code)}><ErrorNote {error} /></Frame>
            ),
            None => html!(<Waiting />),
        };
    };
    let vault = desktop.vault.clone();
    let became = {
        let dispatch = state.dispatcher();
        Callback::from(move |state| dispatch.dispatch(Ok(state)))
    };
    let context = Desktop {
        state: desktop,
        run,
        became,
    };
    html!(
        <ContextProvider<Desktop> {context}>
            if matches!(vault, contract::desktop::VaultState::Open { .. }) {
                <Shell signed_out={Callback::noop()} />
            } else {
                <VaultScreen {vault} />
            }
        </ContextProvider<Desktop>>
    )
}

/// The first moment.
#[component]
fn Waiting() -> Html {
    let lang = use_lang();
    html!(
        <div class="pf-v6-l-bullseye gb-full" data-testid="waiting">
            <Spinner label={lang.t("common.loading")} />
        </div>
    )
}

#[derive(PartialEq, Properties)]
struct UnreachableProps {
    error: ApiError,
    retry: Callback<()>,
}

#[component]
fn Unreachable(props: &UnreachableProps) -> Html {
    let lang = use_lang();
    let title: AttrValue = lang.t("app.unreachable");
    html!(
        <Frame {title}>
            <ErrorNote
                error={props.error.clone()}
                actions={html!(
                    <Act id="retry" kind={Kind::Link} label={lang.t("common.try_again")} onclick={props.retry.clone()} />
                )}
            />
        </Frame>
    )
}

impl Reducible for Skew {
    type Action = Millis;

    /// Takes over a new difference only when it is more than a second off, so that the
    /// travelling time of an answer does not make countdowns jump.
    fn reduce(self: std::rc::Rc<Self>, measured: Millis) -> std::rc::Rc<Self> {
        if (self.0 - measured).abs() > 1_500 {
            Self(measured).into()
        } else {
            self
        }
    }
}
