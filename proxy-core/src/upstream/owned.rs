//! Calls about something that belongs to one key's project: no other key would find it.

use arc_swap::Guard;

use super::attempt::Way;
use super::{Answer, Call, Failure, SAME_KEY_PAUSE, Upstream};
use crate::Core;
use crate::pool::{Outcome, Retry, Unavailable};
use crate::surface::trace::Trace;

impl Upstream {
    /// Makes `call` with this key and no other, and never through another instance, whose keys
    /// are others. What a failure means for the key is what it always means.
    ///
    /// # Errors
    /// The last attempt's failure, or that there is no such key.
    pub async fn call_with(
        &self,
        core: &Core,
        call: &Call<'_>,
        trace: &mut Trace,
        key: i64,
    ) -> Result<Answer, Failure> {
        let settings = Guard::into_inner(core.settings());
        let Some(key) = core.pool.pick_by_id(key) else {
            return Err(Failure::without_key(call, Unavailable::NoneUsable, None));
        };
        let mut pause = SAME_KEY_PAUSE;
        let mut tries = 0;
        loop {
            trace.attempt(call, &key, &settings.base_url);
            let result = self
                .attempt(core, &settings, call, Way::Key(&key), trace)
                .await;
            let outcome = match &result {
                Ok(_) => Outcome::Answered,
                Err(setback) => setback.outcome,
            };
            core.metrics.attempted(outcome);
            trace.settled(outcome);
            let setback = match result {
                Ok(answer) => {
                    core.pool.settle(&key, outcome, None, None);
                    return Ok(answer);
                }
                Err(setback) => setback,
            };
            let said = setback.failure.in_short();
            trace.failed(&setback.failure);
            let project = setback.failure.project();
            core.pool.settle(&key, outcome, Some(&said), project);
            tries += 1;
            if outcome.consequence().retry != Retry::AnyKey || tries >= settings.max_attempts {
                return Err(setback.failure);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}
