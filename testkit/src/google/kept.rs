//! What tests may ask and make of what the fake keeps for projects.

use bytes::Bytes;

use super::shelf::{Caller, Resource};
use super::{FakeGoogle, Work, batches, caches, files, interactions, operations};

impl FakeGoogle {
    /// Everything that is kept now and whose name begins so (`files/`), the oldest first of each
    /// kind; an empty prefix is everything.
    #[must_use]
    pub fn resources(&self, prefix: &str) -> Vec<Resource> {
        let now = self.world.clock.now();
        let inner = self.world.inner.lock();
        let mut all = inner.files.seen(now, files::show);
        all.extend(inner.caches.seen(now, caches::show));
        all.extend(inner.operations.seen(now, operations::show));
        all.extend(inner.batches.seen(now, batches::show));
        all.extend(inner.interactions.seen(now, interactions::show));
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
}
