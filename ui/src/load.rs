//! Data from the admin API, kept on screen while newer data is on its way or fails to come.

use std::rc::Rc;

use contract::{ApiError, ErrorCode};
use gloo::timers::callback::Interval;
use serde::de::DeserializeOwned;
use wasm_bindgen_futures::spawn_local;
use yew::{
    AttrValue, Callback, hook, use_callback, use_context, use_effect_with, use_mut_ref, use_reducer,
};

use crate::host::{Host, document_hidden};

/// The last good answer, and what went wrong since.
#[derive(Debug, PartialEq)]
pub struct LoadResult<T> {
    /// The last good answer. Stays when a later one fails.
    pub data: Option<Rc<T>>,
    /// Why the last question failed; gone with the next good answer.
    pub error: Option<ApiError>,
}

impl<T> Default for LoadResult<T> {
    fn default() -> Self {
        Self {
            data: None,
            error: None,
        }
    }
}

impl<T> Clone for LoadResult<T> {
    fn clone(&self) -> Self {
        Self {
            data: self.data.clone(),
            error: self.error.clone(),
        }
    }
}

impl<T> LoadResult<T> {
    /// What is known after one more answer.
    pub fn after(&self, answer: Result<T, ApiError>) -> Self {
        match answer {
            Ok(data) => Self {
                data: Some(Rc::new(data)),
                error: None,
            },
            Err(error) => Self {
                data: self.data.clone(),
                error: Some(error),
            },
        }
    }
}

impl<T: 'static> yew::Reducible for LoadResult<T> {
    type Action = Result<T, ApiError>;

    fn reduce(self: Rc<Self>, answer: Self::Action) -> Rc<Self> {
        self.after(answer).into()
    }
}

/// Tells the app that the session has ended, so that it shows the login page.
#[derive(Clone, PartialEq)]
pub struct SessionEnded(pub Callback<()>);

/// What [`use_load`] gives a component.
pub struct Load<T> {
    /// What is known.
    pub result: LoadResult<T>,
    /// Asks again now; while a question is open, as soon as it is answered.
    pub reload: Callback<()>,
}

/// What is asked, and the question that is open, if any.
#[derive(Default)]
struct Asking {
    /// The path that the component was last rendered with.
    wanted: AttrValue,
    open: Option<AttrValue>,
    /// Somebody wants to know it again, because something has changed meanwhile.
    again: bool,
}

/// Why a question is asked.
#[derive(Clone, Copy, PartialEq)]
enum Why {
    /// The page was opened, or is about something else now.
    New,
    /// Somebody has changed something.
    Changed,
    /// It is time.
    Due,
}

/// Reads `path` of the admin API now, whenever the path changes (a filter in its query,
/// say), and every `every_ms` while somebody can see the page. The last good data stays
/// until newer data has come, also that of another path. Questions do not overtake each
/// other: while one is open no other is sent, and the answer to an earlier path is
/// thrown away.
#[hook]
pub fn use_load<T: DeserializeOwned + PartialEq + 'static>(
    host: Host,
    path: impl Into<AttrValue>,
    every_ms: Option<u32>,
) -> Load<T> {
    let path: AttrValue = path.into();
    let result = use_reducer(LoadResult::<T>::default);
    let asking = use_mut_ref(Asking::default);
    asking.borrow_mut().wanted = path.clone();
    let ended = use_context::<SessionEnded>();

    // Neither callback depends on the path: a page may keep the first it got.
    let ask = {
        let dispatch = result.dispatcher();
        use_callback(host, move |why: Why, host| {
            let path = {
                let mut asking = asking.borrow_mut();
                let path = asking.wanted.clone();
                if asking.open.as_ref() == Some(&path) {
                    asking.again |= why == Why::Changed;
                    return;
                }
                asking.open = Some(path.clone());
                asking.again = false;
                path
            };
            let host = *host;
            let (asking, dispatch, ended) = (asking.clone(), dispatch.clone(), ended.clone());
            spawn_local(async move {
                loop {
                    let answer = host.get::<T>(&path).await;
                    if asking.borrow().open.as_ref() != Some(&path) {
                        return;
                    }
                    if let (Err(error), Some(SessionEnded(ended))) = (&answer, &ended)
                        && matches!(
                            error.code,
                            ErrorCode::NotSignedIn | ErrorCode::SetupRequired
                        )
                    {
                        ended.emit(());
                    }
                    // A component that is gone by now ignores this.
                    dispatch.dispatch(answer);
                    let mut asking = asking.borrow_mut();
                    if !std::mem::take(&mut asking.again) {
                        asking.open = None;
                        return;
                    }
                }
            });
        })
    };
    let reload = {
        let ask = ask.clone();
        use_callback((), move |(), ()| ask.emit(Why::Changed))
    };

    use_effect_with((path, every_ms), {
        move |(_, every_ms)| {
            ask.emit(Why::New);
            let interval = every_ms.map(|every| {
                Interval::new(every, move || {
                    if !document_hidden() {
                        ask.emit(Why::Due);
                    }
                })
            });
            move || drop(interval)
        }
    });

    Load {
        result: (*result).clone(),
        reload,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_good_data_stays_beside_an_error() {
        let first = LoadResult::default().after(Ok(1));
        let failed = first.after(Err(ApiError::new(ErrorCode::Unreachable, "gone")));
        assert_eq!(failed.data.as_deref(), Some(&1), "the data must stay");
        assert!(failed.error.is_some());
        let again = failed.after(Ok(2));
        assert_eq!(again.data.as_deref(), Some(&2));
        assert_eq!(again.error, None, "a good answer clears the error");
    }
}
