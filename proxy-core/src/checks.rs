//! Checks of keys that nobody has tried yet.
//!
//! Google is asked for its models with each, which costs no quota: by each way out one after the
//! other, with a pause between them and in turn with the calls of clients, because many at once
//! from one address look to Google like an attack. Whether a key works may show meanwhile by a call
//! of a client; then it is not asked.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use contract::admin::KeyState;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Core;
use crate::egress::Route;

/// The pause between two checks by one way.
const PAUSE: Duration = Duration::from_millis(300);
/// How long clients have to show by their calls that a key works, before it is checked that is
/// just there, e.g. in the environment.
const FOUND_PAUSE: Duration = Duration::from_secs(10);
/// How long a check waits for its turn to leave.
const PATIENCE: Duration = Duration::from_secs(600);

/// The keys that are to be checked.
#[derive(Default)]
pub(crate) struct Checks {
    state: Mutex<State>,
    /// Told when there are more.
    more: Notify,
}

#[derive(Default)]
struct State {
    /// Those whose way is not known yet.
    asked: Vec<i64>,
    /// Those that are checked when clients had the time to do it.
    found: Vec<i64>,
    /// Those that were found before: one that could not be checked is not tried again and again.
    seen: HashSet<i64>,
    /// Those that wait, by [`Route::id`]. Who takes the first of them away goes on until there is
    /// none left.
    by_way: HashMap<u64, VecDeque<i64>>,
}

impl Checks {
    /// Checks these as soon as it is their turn.
    pub fn ask(&self, ids: impl IntoIterator<Item = i64>) {
        self.state.lock().asked.extend(ids);
        self.more.notify_one();
    }

    /// Checks these, which are just there, if nobody has tried them in a while. `exchanged` are
    /// other keys than before under their numbers.
    pub fn found(&self, ids: impl IntoIterator<Item = i64>, exchanged: &[i64]) {
        let mut state = self.state.lock();
        for id in exchanged {
            state.seen.remove(id);
        }
        for id in ids {
            if state.seen.insert(id) {
                state.found.push(id);
                self.more.notify_one();
            }
        }
    }

    /// Puts a key behind those that go by the same way. Whether it is the first of them.
    fn waits(&self, way: u64, id: i64) -> bool {
        let mut state = self.state.lock();
        let is_first = !state.by_way.contains_key(&way);
        let waiting = state.by_way.entry(way).or_default();
        if !waiting.contains(&id) {
            waiting.push_back(id);
        }
        is_first
    }

    /// The next by a way; when there is none, who asks is done.
    fn next(&self, way: u64) -> Option<i64> {
        let mut state = self.state.lock();
        let next = state.by_way.get_mut(&way)?.pop_front();
        if next.is_none() {
            state.by_way.remove(&way);
        }
        next
    }
}

/// Begins checks whenever there are keys to be checked, until it is dropped.
pub(crate) async fn run(core: Arc<Core>) {
    let checks = &core.checks;
    loop {
        let asked = std::mem::take(&mut checks.state.lock().asked);
        for id in asked {
            begin(&core, id);
        }
        let has_found = !checks.state.lock().found.is_empty();
        if has_found {
            let more = core.clock.within(FOUND_PAUSE, checks.more.notified());
            if more.await.is_none() {
                let found = std::mem::take(&mut checks.state.lock().found);
                checks.ask(found);
            }
        } else {
            checks.more.notified().await;
        }
    }
}

/// Has a key checked, after those that go by the same way.
fn begin(core: &Arc<Core>, id: i64) {
    let Some(key) = core.pool.pick_by_id(id).filter(|_| is_untested(core, id)) else {
        return;
    };
    let (settings, now) = (core.settings(), core.clock.monotonic());
    let route = (core.egress).route(&settings, key.bound_by(), &settings.base_url, now);
    if core.checks.waits(route.id(), id) {
        let checking = one_after_the_other(core.clone(), route);
        core.in_background(checking);
    }
}

async fn one_after_the_other(core: Arc<Core>, route: Route) {
    let mut is_first = true;
    while let Some(id) = core.checks.next(route.id()) {
        if !is_untested(&core, id) {
            continue;
        }
        if !std::mem::take(&mut is_first) {
            tokio::time::sleep(PAUSE).await;
        }
        let settings = arc_swap::Guard::into_inner(core.settings());
        let turn = core.egress.turn(&settings, &route, (&core.clock, PATIENCE));
        // Where too many wait, the next call of a client will show whether the key works.
        let Ok(_turn) = turn.await else { continue };
        // What is said while all are refused says nothing of one.
        if core.pool.is_outage() {
            continue;
        }
        // It may have shown meanwhile.
        let key = core.pool.pick_by_id(id);
        if let Some(key) = key.filter(|_| is_untested(&core, id)) {
            core.upstream.check(&core, &key).await;
        }
    }
}

fn is_untested(core: &Core, id: i64) -> bool {
    let status = core.pool.status(id);
    status.is_some_and(|key| matches!(key.state, KeyState::Unchecked))
}
