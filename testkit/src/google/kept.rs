//! What tests may ask and make of what the fake keeps for projects.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::live::Push;
use super::shelf::{Caller, Owned, Resource};
use super::{FakeGoogle, Work, batches, caches, files, interactions, operations, stores};

impl FakeGoogle {
    /// Everything that is kept now and whose name begins so (`files/`), the oldest first of each
    /// kind; an empty prefix is everything. Live sessions that are open are `liveSessions/…`, and
    /// show their setup; handles to go on by are `liveHandles/…`.
    #[must_use]
    pub fn resources(&self, prefix: &str) -> Vec<Resource> {
        let now = self.world.clock.now();
        let inner = self.world.inner.lock();
        let mut all = inner.files.seen(now, files::show);
        all.extend(inner.caches.seen(now, caches::show));
        all.extend(inner.operations.seen(now, operations::show));
        all.extend(inner.batches.seen(now, batches::show));
        all.extend(inner.interactions.seen(now, interactions::show));
        all.extend(inner.stores.seen(now, stores::show));
        all.extend(inner.documents.seen(now, stores::show_document));
        all.extend(inner.imports.seen(now, stores::show_operation));
        let said = |handle: &Owned<Vec<Value>>| Value::Array(handle.it.clone());
        all.extend(inner.handles.seen(now, said));
        all.extend(inner.live.iter().cloned());
        all.retain(|resource| resource.name.starts_with(prefix));
        all
    }

    /// A file as models make them, which can be downloaded; `None` when the key is in no project.
    /// Its name is `files/…`.
    #[must_use]
    pub fn generate_file(
        &self,
        key: &str,
        mime_type: &str,
        content: impl Into<Bytes>,
    ) -> Option<String> {
        let project = {
            let inner = self.world.inner.lock();
            inner.keys.get(key)?.project.clone()
        };
        let owner = Caller {
            key: key.to_owned(),
            project,
        };
        let content = content.into();
        Some(files::generated(
            &self.world,
            &owner,
            None,
            mime_type,
            content,
        ))
    }

    /// Whether downloads of files are answered by a redirect (302) to the same path below
    /// `/download` at the same host, as Google does for videos.
    pub fn redirect_downloads(&self, redirects: bool) {
        self.world.inner.lock().redirects = redirects;
    }

    /// How many tokens a project may keep cached of one model. `None`, as at first, is no limit;
    /// `Some(0)` is what Google gives to projects without billing.
    pub fn set_cached_storage(&self, project: &str, limit: Option<u64>) {
        let mut inner = self.world.inner.lock();
        match limit {
            Some(limit) => inner.cached_storage.insert(project.to_owned(), limit),
            None => inner.cached_storage.remove(project),
        };
    }

    /// How long the operations, batches and interactions in the background take that are begun
    /// from now on. At first they take one look that finds them at work.
    pub fn set_work(&self, work: Work) {
        self.world.inner.lock().work = work;
    }

    /// Tells every Live session that it ends in so much time (`goAway`). It does not.
    pub fn live_go_away(&self, left: Duration) {
        // Nobody listens when there is no session.
        let _ = self.world.live.pushes.send(Push::GoAway(left));
    }

    /// Closes every Live session with this code and reason.
    pub fn live_close(&self, code: u16, reason: &str) {
        let push = Push::Close(code, reason.to_owned());
        let _ = self.world.live.pushes.send(push);
    }
}
