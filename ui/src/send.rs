//! Something that the user has sent: whether it is under way, and what became of it.

use std::future::Future;

use contract::{ApiError, ErrorCode};
use wasm_bindgen_futures::spawn_local;
use yew::{UseStateSetter, hook, use_context, use_state_eq};

use crate::load::SessionEnded;

/// What [`use_send`] gives a component.
#[derive(Clone, PartialEq)]
pub struct Sending {
    /// It is under way.
    pub busy: bool,
    /// Why the last one failed; gone with the next.
    pub error: Option<ApiError>,
    set_busy: UseStateSetter<bool>,
    set_error: UseStateSetter<Option<ApiError>>,
    ended: Option<SessionEnded>,
}

impl Sending {
    /// Waits for `answer`; `then` gets what came, unless it is an error.
    pub fn run<T: 'static>(
        &self,
        answer: impl Future<Output = Result<T, ApiError>> + 'static,
        then: impl FnOnce(T) + 'static,
    ) {
        let (set_busy, set_error) = (self.set_busy.clone(), self.set_error.clone());
        let ended = self.ended.clone();
        set_busy.set(true);
        set_error.set(None);
        spawn_local(async move {
            match answer.await {
                Ok(value) => then(value),
                Err(error) => {
                    if let (ErrorCode::NotSignedIn, Some(SessionEnded(ended))) =
                        (error.code, &ended)
                    {
                        ended.emit(());
                    }
                    set_error.set(Some(error));
                }
            }
            set_busy.set(false);
        });
    }

    /// Forgets the last error, e.g. when the user types again.
    pub fn forget(&self) {
        self.set_error.set(None);
    }
}

/// Keeps whether something is being sent, and what went wrong with it.
#[hook]
pub fn use_send() -> Sending {
    let busy = use_state_eq(|| false);
    let error = use_state_eq(|| None::<ApiError>);
    Sending {
        busy: *busy,
        error: (*error).clone(),
        set_busy: busy.setter(),
        set_error: error.setter(),
        ended: use_context::<SessionEnded>(),
    }
}
