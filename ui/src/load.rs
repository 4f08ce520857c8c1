//! Data from the admin API, kept on screen while newer data is on its way or fails to come.

use std::cell::Cell;
use std::rc::Rc;

use contract::{ApiError, ErrorCode};
use gloo::timers::callback::Interval;
use serde::de::DeserializeOwned;
use wasm_bindgen_futures::spawn_local;
use yew::{Callback, hook, use_callback, use_context, use_effect_with, use_mut_ref, use_reducer};

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
    /// Asks again now.
    pub reload: Callback<()>,
}

/// Reads `path` of the admin API now and every `every_ms` while somebody can see the
/// page. Questions do not overtake each other: while one is open no other is sent.
#[hook]
pub fn use_load<T: DeserializeOwned + PartialEq + 'static>(
    host: Host,
    path: &'static str,
    every_ms: Option<u32>,
) -> Load<T> {
    let result = use_reducer(LoadResult::<T>::default);
    let busy = use_mut_ref(|| Rc::new(Cell::new(false)));
    let ended = use_context::<SessionEnded>();

    let reload = {
        let dispatch = result.dispatcher();
        use_callback((host, path), move |(), (host, path)| {
            let busy = busy.borrow().clone();
            if busy.replace(true) {
                return;
            }
            let (host, path) = (*host, *path);
            let dispatch = dispatch.clone();
            let ended = ended.clone();
            spawn_local(async move {
                let answer = host.get::<T>(path).await;
                busy.set(false);
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
            });
        })
    };

    use_effect_with((path, every_ms), {
        let reload = reload.clone();
        move |(_, every_ms)| {
            reload.emit(());
            let interval = every_ms.map(|every| {
                Interval::new(every, move || {
                    if !document_hidden() {
                        reload.emit(());
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
