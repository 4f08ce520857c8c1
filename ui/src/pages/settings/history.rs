use std::rc::Rc;

use contract::ApiError;
use contract::admin::{AuditEntry, AuditPage, SettingDiff};
use patternfly_yew::prelude::Icon;
use wasm_bindgen_futures::spawn_local;
use yew::{
    AttrValue, Callback, Html, Properties, Reducible, component, html, use_callback,
    use_effect_with, use_reducer, use_state_eq,
};

use super::diffs::Diffs;
use super::{Known, take_back};
use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{Act, Card, Dialog, ErrorNote, Kind, Moment, Skeleton};
use crate::send::use_send;
use crate::text::Lang;

/// How many entries come at a time.
const PORTION: u32 = 30;

/// The entries that have come, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The entries; none before the first answer.
    pub entries: Option<Vec<AuditEntry>>,
    /// Where older ones begin.
    pub next: Option<i64>,
    /// Why the last question failed.
    pub error: Option<ApiError>,
}

/// An answer.
pub enum Came {
    /// The newest entries: all earlier ones go.
    Newest(Result<AuditPage, ApiError>),
    /// More of them, older.
    Older(Result<AuditPage, ApiError>),
}

impl Reducible for History {
    type Action = Came;

    fn reduce(self: Rc<Self>, came: Came) -> Rc<Self> {
        let mut history = (*self).clone();
        let (answer, older) = match came {
            Came::Newest(answer) => (answer, false),
            Came::Older(answer) => (answer, true),
        };
        match answer {
            Ok(page) => {
                let mut entries = history.entries.filter(|_| older).unwrap_or_default();
                entries.extend(page.entries);
                history = Self {
                    entries: Some(entries),
                    next: page.next,
                    error: None,
                };
            }
            Err(error) => history.error = Some(error),
        }
        history.into()
    }
}

#[derive(PartialEq, Properties)]
pub struct HistoryCardProps {
    pub settings: Known,
    /// Called when a change was undone.
    pub changed: Callback<()>,
}

/// What was changed, when, by whom; and back again.
#[component]
pub fn HistoryCard(props: &HistoryCardProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let history = use_reducer(History::default);
    let asking = use_state_eq(|| None::<AuditEntry>);
    let busy = use_state_eq(|| false);
    let undoing = use_send();
    let load = use_callback((), {
        let (history, busy) = (history.dispatcher(), busy.setter());
        move |before: Option<i64>, ()| {
            let (history, busy) = (history.clone(), busy.clone());
            busy.set(true);
            spawn_local(async move {
                let before = before.map(|id| format!("&before={id}"));
                let older = before.is_some();
                let path = format!("/api/audit?limit={PORTION}{}", before.unwrap_or_default());
                let answer = host.get(&path).await;
                busy.set(false);
                history.dispatch(if older {
                    Came::Older(answer)
                } else {
                    Came::Newest(answer)
                });
            });
        }
    });
    use_effect_with((), {
        let load = load.clone();
        move |()| load.emit(None)
    });
    let ask = {
        let (asking, undoing) = (asking.setter(), undoing.clone());
        Callback::from(move |entry: Option<AuditEntry>| {
            undoing.forget();
            asking.set(entry);
        })
    };
    let onundo = {
        let (undoing, load, asking) = (undoing.clone(), load.clone(), asking.setter());
        let changed = props.changed.clone();
        Callback::from(move |id: i64| {
            let (load, asking, changed) = (load.clone(), asking.clone(), changed.clone());
            let toasts = toasts.clone();
            undoing.run(take_back(host, id), move |()| {
                asking.set(None);
                toasts.success(lang.t("settings.undone"));
                load.emit(None);
                changed.emit(());
            });
        })
    };
    html!(
        <>
            <HistoryView
                history={(*history).clone()}
                settings={props.settings.clone()}
                busy={*busy}
                older={load.reform(Some)}
                undo={ask.reform(Some)}
            />
            if let Some(entry) = (*asking).clone() {
                <UndoDialog
                    {entry}
                    settings={props.settings.clone()}
                    busy={undoing.busy}
                    error={undoing.error.clone()}
                    {onundo}
                    onclose={ask.reform(|()| None)}
                />
            }
        </>
    )
}

#[derive(PartialEq, Properties)]
pub struct HistoryViewProps {
    pub history: History,
    pub settings: Known,
    pub busy: bool,
    /// Asks for entries older than that one.
    pub older: Callback<i64>,
    /// Asks whether to undo.
    pub undo: Callback<AuditEntry>,
}

/// The entries as a function of what has come.
#[component]
pub fn HistoryView(props: &HistoryViewProps) -> Html {
    let lang = use_lang();
    let history = &props.history;
    html!(
        <Card id="history-card" title={lang.t("history.title")}>
            <p class="gb-muted">{ lang.t("history.help") }</p>
            if let Some(error) = history.error.clone() {
                <ErrorNote {error} />
            }
            if let Some(entries) = &history.entries {
                if entries.is_empty() {
                    <p class="gb-muted gb-quiet">{ lang.t("history.empty") }</p>
                }
                <ul class="gb-entries">
                    { for entries.iter().map(|entry| html!(
                        <Entry key={entry.id} entry={entry.clone()} settings={props.settings.clone()} undo={props.undo.clone()} />
                    )) }
                </ul>
            } else if history.error.is_none() {
                <Skeleton lines={6} />
            }
            if let Some(next) = history.next {
                <div>
                    <Act id="history-older" label={lang.t("history.older")} busy={props.busy} onclick={props.older.reform(move |()| next)} />
                </div>
            }
        </Card>
    )
}

#[derive(PartialEq, Properties)]
struct EntryProps {
    entry: AuditEntry,
    settings: Known,
    undo: Callback<AuditEntry>,
}

#[component]
fn Entry(props: &EntryProps) -> Html {
    let lang = use_lang();
    let entry = &props.entry;
    let undo = {
        let entry = entry.clone();
        props.undo.reform(move |()| entry.clone())
    };
    html!(
        <li class="gb-entries__one" data-testid={format!("audit-{}", entry.id)}>
            <div class="gb-row">
                <strong>{ said(lang, entry) }</strong>
                if entry.undoable {
                    <span class="gb-push">
                        <Act
                            id={format!("audit-undo-{}", entry.id)}
                            icon={Some(Icon::Undo)}
                            kind={Kind::Link}
                            small=true
                            label={lang.t("common.undo")}
                            onclick={undo}
                        />
                    </span>
                }
            </div>
            <p class="gb-muted gb-small">
                <Moment at={entry.at} />
                { " · " }{ lang.of("actor", &entry.actor) }
                if let Some(address) = &entry.address {
                    { " · " }<span class="gb-mono">{ address }</span>
                }
            </p>
            if !entry.changes.is_empty() {
                <details class="gb-details gb-small">
                    <summary data-testid={format!("audit-changes-{}", entry.id)}>{ lang.n("history.changes", entry.changes.len() as u64) }</summary>
                    <Diffs diffs={entry.changes.clone()} settings={props.settings.clone()} />
                </details>
            }
        </li>
    )
}

/// What was done, and to what.
fn said(lang: Lang, entry: &AuditEntry) -> AttrValue {
    let action = lang.of("audit", &entry.action);
    if entry.subject.is_empty() {
        action
    } else {
        let subject = &entry.subject;
        lang.f("history.of", &[("action", &action), ("subject", subject)])
    }
}

#[derive(PartialEq, Properties)]
struct UndoDialogProps {
    entry: AuditEntry,
    settings: Known,
    busy: bool,
    error: Option<ApiError>,
    onundo: Callback<i64>,
    onclose: Callback<()>,
}

/// What undoing would do, to be agreed to.
#[component]
fn UndoDialog(props: &UndoDialogProps) -> Html {
    let lang = use_lang();
    let id = props.entry.id;
    html!(
        <Dialog
            id="undo-dialog"
            title={lang.t("history.undo_title")}
            wide={!props.entry.changes.is_empty()}
            onclose={props.onclose.clone()}
            actions={html!(
                <>
                    <Act
                        id="undo-confirm"
                        kind={Kind::Primary}
                        label={lang.t("history.undo_confirm")}
                        busy={props.busy}
                        onclick={props.onundo.reform(move |()| id)}
                    />
                    <Act id="undo-cancel" label={lang.t("common.cancel")} onclick={props.onclose.clone()} />
                </>
            )}
        >
            <p>{ said(lang, &props.entry) }{ " (" }<Moment at={props.entry.at} />{ ")" }</p>
            if let Some(error) = props.error.clone() {
                <ErrorNote {error} />
            }
            if !props.entry.changes.is_empty() {
                <Diffs diffs={reversed(&props.entry.changes)} settings={props.settings.clone()} ahead=true />
            }
        </Dialog>
    )
}

/// The way back.
fn reversed(changes: &[SettingDiff]) -> Vec<SettingDiff> {
    changes
        .iter()
        .cloned()
        .map(|mut diff| {
            std::mem::swap(&mut diff.before, &mut diff.after);
            diff
        })
        .collect()
}
