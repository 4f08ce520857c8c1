use contract::ApiError;
use contract::deploy::{LogPage, RunLine};
use gloo::timers::callback::Interval;
use wasm_bindgen_futures::spawn_local;
use yew::{
    AttrValue, Callback, Html, Properties, Reducible, component, html, use_callback,
    use_effect_with, use_mut_ref, use_node_ref, use_reducer, use_state_eq,
};

use crate::app::{use_host, use_lang};
use crate::controls::{Act, Card, CopyButton, ErrorNote};
use crate::host::{document_hidden, to_end, zone_here};

/// How often later lines are asked for, in milliseconds.
const LINES_EVERY: u32 = 3_000;

/// So many lines are kept on the page.
const KEPT: usize = 2_000;

#[derive(PartialEq, Properties)]
pub struct LogProps {
    /// The remote.
    pub id: i64,
}

/// The lines that have come.
#[derive(Clone, Default, PartialEq)]
pub struct Lines {
    lines: Vec<RunLine>,
    asked: bool,
    error: Option<ApiError>,
}

impl Reducible for Lines {
    type Action = Result<LogPage, ApiError>;

    fn reduce(self: std::rc::Rc<Self>, page: Self::Action) -> std::rc::Rc<Self> {
        let mut now = (*self).clone();
        now.asked = true;
        match page {
            Ok(page) => {
                now.error = None;
                now.lines.extend(page.lines);
                let over = now.lines.len().saturating_sub(KEPT);
                now.lines.drain(..over);
            }
            Err(error) => now.error = Some(error),
        }
        now.into()
    }
}

/// What a remote says, as it says it.
#[component]
pub fn Log(props: &LogProps) -> Html {
    let host = use_host();
    let lines = use_reducer(Lines::default);
    let following = use_state_eq(|| true);
    let cursor = use_mut_ref(|| None::<String>);
    let open = use_mut_ref(|| false);
    let ask = {
        let dispatch = lines.dispatcher();
        use_callback(props.id, move |(), id| {
            if std::mem::replace(&mut *open.borrow_mut(), true) {
                return;
            }
            let (cursor, open, dispatch) = (cursor.clone(), open.clone(), dispatch.clone());
            let base = format!("/api/deploy/remotes/{id}/logs");
            let path = match &*cursor.borrow() {
                Some(after) => crate::address::with_query(&base, &[("cursor", after)]),
                None => AttrValue::from(base),
            };
            spawn_local(async move {
                let page = host.get::<LogPage>(&path).await;
                if let Ok(page) = &page
                    && page.cursor.is_some()
                {
                    cursor.borrow_mut().clone_from(&page.cursor);
                }
                *open.borrow_mut() = false;
                dispatch.dispatch(page);
            });
        })
    };
    use_effect_with(*following, {
        move |following| {
            let interval = following.then(|| {
                ask.emit(());
                Interval::new(LINES_EVERY, move || {
                    if !document_hidden() {
                        ask.emit(());
                    }
                })
            });
            move || drop(interval)
        }
    });
    let follow = {
        let following = following.clone();
        Callback::from(move |()| following.set(!*following))
    };
    html!(<LogView lines={(*lines).clone()} following={*following} {follow} />)
}

#[derive(PartialEq, Properties)]
pub struct LogViewProps {
    pub lines: Lines,
    /// Later lines are asked for.
    pub following: bool,
    pub follow: Callback<()>,
}

/// The log as a function of what has come.
#[component]
pub fn LogView(props: &LogViewProps) -> Html {
    let lang = use_lang();
    let lines = &props.lines.lines;
    let all: String = lines.iter().map(line).collect();
    html!(
        <Card
            id="log-card"
            title={lang.t("instances.log.title")}
            corner={html!(
                <>
                    <CopyButton id="log-copy" worded=true text={all} what={lang.t("instances.log.title")} />
                    <Act
                        id="log-follow"
                        label={lang.t(if props.following { "instances.log.pause" } else { "instances.log.follow" })}
                        onclick={props.follow.clone()}
                    />
                </>
            )}
        >
            <p class="gb-muted gb-small">{ lang.t("instances.log.help") }</p>
            if let Some(error) = props.lines.error.clone() {
                <ErrorNote {error} />
            }
            if lines.is_empty() && props.lines.asked && props.lines.error.is_none() {
                <p class="gb-muted" data-testid="log-empty">{ lang.t("instances.log.none") }</p>
            } else {
                <Screen lines={lines.clone()} following={props.following} />
            }
        </Card>
    )
}

#[derive(PartialEq, Properties)]
pub struct ScreenProps {
    pub lines: Vec<RunLine>,
    /// The last line stays in sight.
    pub following: bool,
}

/// Lines in a box of their own.
#[component]
pub fn Screen(props: &ScreenProps) -> Html {
    let lang = use_lang();
    let node = use_node_ref();
    use_effect_with((props.lines.len(), props.following), {
        let node = node.clone();
        move |(_, following)| {
            if *following {
                to_end(&node);
            }
        }
    });
    let zone = zone_here();
    html!(
        <div ref={node} class="gb-screen gb-mono" role="log" tabindex="0" aria-label={lang.t("instances.log.title")} data-testid="log-lines">
            { for props.lines.iter().enumerate().map(|(i, line)| html!(
                <div key={i}><span class="gb-muted">{ zone.time(line.at) }</span>{ " " }{ &line.text }</div>
            )) }
        </div>
    )
}

fn line(line: &RunLine) -> String {
    let zone = zone_here();
    format!(
        "{} {} {}\n",
        zone.date(line.at),
        zone.time(line.at),
        line.text
    )
}
