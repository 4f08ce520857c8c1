//! The pool: add keys, see what each can do, check, switch off, delete with undo.

mod add;
mod check;
mod filter;
mod label;
mod models;
mod replace;
mod report;
mod row;
mod rules;
mod state;
mod table;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use contract::admin::{ClearCooldowns, KeyCheck, KeyPatch, KeyRules, KeyView, PoolView};
use contract::{ApiError, Millis};
use serde_json::json;
use wasm_bindgen_futures::spawn_local;
use yew::{
    Callback, Html, Properties, component, html, use_callback, use_mut_ref, use_reducer,
    use_state_eq,
};

use crate::app::{Toast, use_host, use_lang, use_now, use_toasts};
use crate::controls::{ErrorNote, Tone};
use crate::host::Method;
use crate::load::{LoadResult, use_load};

pub use check::{CheckRun, Step};

/// How often the list is asked for, in milliseconds.
const KEYS_EVERY: u32 = 5_000;

/// What a user can do to one key, or to all.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyAction {
    /// Ask Google whether it accepts the key.
    Check(i64),
    /// Ask Google about every key that is switched on, one after the other.
    CheckAll,
    /// Stop doing so.
    StopChecking,
    /// Switch it on or off.
    Enable(i64, bool),
    /// Call it something else.
    Rename(i64, String),
    /// Choose what it may be used for.
    Rules(i64, Box<KeyRules>),
    /// Another key has taken its place.
    Replaced {
        /// How the new one is shown.
        masked: String,
        /// It is switched off, so it is not checked.
        is_off: bool,
    },
    /// Forget cooldowns: of a key or of all, for a model or for all.
    Clear(Option<i64>, Option<String>),
    /// Delete it.
    Delete(i64),
}

#[derive(PartialEq, Properties)]
pub struct KeysProps {
    /// Called when the pool has changed, so that the rest of the panel asks anew.
    pub changed: Callback<()>,
}

/// The page of keys.
#[component]
pub fn Keys(props: &KeysProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let now = use_now();
    let keys = use_load::<Vec<KeyView>>(host, "/api/keys", Some(KEYS_EVERY));
    let pool = use_load::<PoolView>(host, "/api/pool", Some(KEYS_EVERY));
    let busy = use_state_eq(BTreeSet::<i64>::new);
    // The set as of now: several answers can come between two renderings.
    let busy_now: Rc<RefCell<BTreeSet<i64>>> = use_mut_ref(BTreeSet::new);
    let run = use_reducer(CheckRun::default);
    let stop = use_mut_ref(|| false);

    let changed = {
        let (reload, changed) = (keys.reload.clone(), props.changed.clone());
        let reload_pool = pool.reload.clone();
        use_callback((), move |(), ()| {
            reload.emit(());
            reload_pool.emit(());
            changed.emit(());
        })
    };
    let mark = {
        let busy = busy.setter();
        use_callback((), move |(id, on): (i64, bool), ()| {
            let mut set = busy_now.borrow_mut();
            if on {
                set.insert(id);
            } else {
                set.remove(&id);
            }
            busy.set(set.clone());
        })
    };

    let act = {
        let (changed, mark, toasts, run) = (changed.clone(), mark, toasts, run.dispatcher());
        let list = keys.result.data.clone();
        use_callback((lang, list), move |action: KeyAction, (lang, list)| {
            let (lang, list) = (*lang, list.clone().unwrap_or_default());
            let (changed, mark, toasts) = (changed.clone(), mark.clone(), toasts.clone());
            let name = {
                let list = list.clone();
                move |id: i64| {
                    list.iter()
                        .find(|k| k.id == id)
                        .map(|k| k.masked.clone())
                        .unwrap_or_default()
                }
            };
            match action {
                KeyAction::Check(id) => spawn_local(async move {
                    mark.emit((id, true));
                    let path = format!("/api/keys/{id}/check");
                    match host.post::<KeyCheck>(&path, &json!({})).await {
                        Ok(check) if check.ok => {
                            let done = lang.f(
                                "keys.check.works",
                                &[("key", &check.key.masked), ("ms", &check.latency_ms)],
                            );
                            toasts.success(done);
                        }
                        Ok(check) => toasts.show(Toast {
                            tone: Tone::Warning,
                            title: lang.f("keys.check.fails", &[("key", &check.key.masked)]),
                            body: Some(check.message.into()),
                            undo: None,
                        }),
                        Err(error) => toasts.error(lang, &error),
                    }
                    mark.emit((id, false));
                    changed.emit(());
                }),
                KeyAction::CheckAll => {
                    let ids = check::in_turn(&list);
                    *stop.borrow_mut() = false;
                    let (run, stop) = (run.clone(), stop.clone());
                    run.dispatch(Step::Start(ids.len()));
                    spawn_local(async move {
                        for id in ids {
                            if *stop.borrow() {
                                break;
                            }
                            mark.emit((id, true));
                            let path = format!("/api/keys/{id}/check");
                            let answer = host.post::<KeyCheck>(&path, &json!({})).await;
                            mark.emit((id, false));
                            match answer {
                                Ok(check) => run.dispatch(Step::Checked(check.ok)),
                                Err(error) => {
                                    // What fails for one key (no connection, no session)
                                    // would fail for all of them.
                                    run.dispatch(Step::Broken(error));
                                    break;
                                }
                            }
                            changed.emit(());
                        }
                        run.dispatch(Step::End);
                        changed.emit(());
                    });
                }
                KeyAction::StopChecking => *stop.borrow_mut() = true,
                KeyAction::Enable(id, enabled) => {
                    let patch = KeyPatch {
                        enabled: Some(enabled),
                        ..KeyPatch::default()
                    };
                    spawn_local(async move {
                        mark.emit((id, true));
                        if let Err(error) = change(host, id, &patch).await {
                            toasts.error(lang, &error);
                        }
                        mark.emit((id, false));
                        changed.emit(());
                    });
                }
                KeyAction::Rename(id, label) => {
                    let patch = KeyPatch {
                        label: Some(label),
                        ..KeyPatch::default()
                    };
                    spawn_local(async move {
                        if let Err(error) = change(host, id, &patch).await {
                            toasts.error(lang, &error);
                        }
                        changed.emit(());
                    });
                }
                KeyAction::Rules(id, rules) => {
                    let patch = KeyPatch {
                        rules: Some(*rules),
                        ..KeyPatch::default()
                    };
                    spawn_local(async move {
                        if let Err(error) = change(host, id, &patch).await {
                            toasts.error(lang, &error);
                        }
                        changed.emit(());
                    });
                }
                KeyAction::Replaced { masked, is_off } => {
                    let said = match is_off {
                        true => "keys.replace.done_off",
                        false => "keys.replace.done",
                    };
                    toasts.success(lang.f(said, &[("key", &masked)]));
                    changed.emit(());
                }
                KeyAction::Clear(id, model) => {
                    let which = ClearCooldowns {
                        keys: id.into_iter().collect(),
                        model,
                    };
                    spawn_local(async move {
                        let body = serde_json::to_value(&which).unwrap_or_default();
                        match host.post::<()>("/api/pool/clear", &body).await {
                            Ok(()) => toasts.success(lang.t("keys.clear.done")),
                            Err(error) => toasts.error(lang, &error),
                        }
                        changed.emit(());
                    });
                }
                KeyAction::Delete(id) => {
                    let masked = name(id);
                    spawn_local(async move {
                        mark.emit((id, true));
                        let path = format!("/api/keys/{id}");
                        match host.admin::<()>(Method::Delete, &path, None).await {
                            Ok(()) => {
                                let undo = undo(host, lang, id, changed.clone(), toasts.clone());
                                toasts.show(Toast {
                                    tone: Tone::Success,
                                    title: lang.f("keys.deleted", &[("key", &masked)]),
                                    body: None,
                                    undo: Some(undo),
                                });
                            }
                            Err(error) => toasts.error(lang, &error),
                        }
                        mark.emit((id, false));
                        changed.emit(());
                    });
                }
            }
        })
    };

    html!(
        <KeysView
            keys={keys.result.clone()}
            pool={pool.result.data.clone()}
            {now}
            busy={(*busy).clone()}
            run={(*run).clone()}
            {act}
            adder={html!(<add::AddKeys {changed} />)}
        />
    )
}

async fn change(host: crate::host::Host, id: i64, patch: &KeyPatch) -> Result<KeyView, ApiError> {
    let body = serde_json::to_value(patch).unwrap_or_default();
    host.admin(Method::Patch, &format!("/api/keys/{id}"), Some(body))
        .await
}

/// Takes back the deletion of a key.
fn undo(
    host: crate::host::Host,
    lang: crate::text::Lang,
    id: i64,
    changed: Callback<()>,
    toasts: crate::app::Toasts,
) -> Callback<()> {
    Callback::from(move |()| {
        let (changed, toasts) = (changed.clone(), toasts.clone());
        spawn_local(async move {
            let path = format!("/api/keys/{id}/restore");
            match host.post::<KeyView>(&path, &json!({})).await {
                Ok(key) => toasts.success(lang.f("keys.restored", &[("key", &key.masked)])),
                Err(error) => toasts.error(lang, &error),
            }
            changed.emit(());
        });
    })
}

#[derive(PartialEq, Properties)]
pub struct KeysViewProps {
    pub keys: LoadResult<Vec<KeyView>>,
    /// What the pool can still do.
    #[prop_or_default]
    pub pool: Option<Rc<PoolView>>,
    /// The instance's clock.
    pub now: Millis,
    /// Keys that something is being done to.
    pub busy: BTreeSet<i64>,
    /// The check of all keys.
    pub run: CheckRun,
    pub act: Callback<KeyAction>,
    /// The card that adds keys.
    pub adder: Html,
}

/// The page of keys as a function of what is known and the time.
#[component]
pub fn KeysView(props: &KeysViewProps) -> Html {
    let lang = use_lang();
    html!(
        <>
            <section class="pf-v6-c-page__main-section gb-page-head">
                <h1 class="pf-v6-c-title pf-m-2xl">{ lang.t("keys.title") }</h1>
                <p class="gb-muted">{ lang.t("keys.subtitle") }</p>
            </section>
            <section class="pf-v6-c-page__main-section gb-stack">
                if let Some(error) = props.keys.error.clone() {
                    <ErrorNote {error} />
                }
                { props.adder.clone() }
                <models::ModelsCard pool={props.pool.clone()} now={props.now} act={props.act.clone()} />
                <table::KeysCard
                    keys={props.keys.data.clone()}
                    failed={props.keys.error.is_some()}
                    now={props.now}
                    busy={props.busy.clone()}
                    run={props.run.clone()}
                    act={props.act.clone()}
                />
            </section>
        </>
    )
}
