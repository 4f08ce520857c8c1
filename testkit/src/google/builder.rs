//! What a fake is made of, before it starts.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};

use super::live::Live;
use super::model::{self, Model};
use super::{FakeGoogle, Inner, Key, Quota, Script, World, server, upload};
use crate::accept::{ANY_PORT, Listening, starts};
use crate::clock::Clock;

/// What a [`FakeGoogle`] is made of.
#[derive(Debug)]
pub struct Builder {
    clock: Clock,
    models: Vec<Model>,
    max_body: usize,
    granularity: usize,
    record: bool,
    inner: Inner,
    address: SocketAddr,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            clock: Clock::System,
            models: model::current(),
            max_body: 20 * 1024 * 1024,
            granularity: upload::GRANULARITY,
            record: true,
            inner: Inner::default(),
            address: ANY_PORT,
        }
    }
}

starts!(Builder => FakeGoogle);

impl Builder {
    /// Adds a project with this quota for each model. A project that only keys name has no limits.
    #[must_use]
    pub fn project(mut self, name: impl Into<String>, quota: Quota) -> Self {
        self.inner.projects.entry(name.into()).or_default().quota = quota;
        self
    }

    /// Gives a project another quota for one model.
    #[must_use]
    pub fn model_quota(
        mut self,
        project: impl Into<String>,
        model: impl Into<String>,
        quota: Quota,
    ) -> Self {
        self.inner
            .projects
            .entry(project.into())
            .or_default()
            .per_model
            .insert(model.into(), quota);
        self
    }

    /// Adds a key of any shape to a project.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>, project: impl Into<String>) -> Self {
        self.inner.keys.insert(
            key.into(),
            Key {
                project: project.into(),
                refusal: None,
                express: false,
            },
        );
        self
    }

    /// Adds a key that only Vertex AI's express mode takes, at `/v1beta1/publishers/google`.
    #[must_use]
    pub fn express_key(mut self, key: impl Into<String>, project: impl Into<String>) -> Self {
        self.inner.keys.insert(
            key.into(),
            Key {
                project: project.into(),
                refusal: None,
                express: true,
            },
        );
        self
    }

    /// Takes the time from this clock (quotas, latency). The default is the machine's.
    #[must_use]
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Offers these models instead of the current ones.
    #[must_use]
    pub fn models(mut self, models: impl IntoIterator<Item = Model>) -> Self {
        self.models = models.into_iter().collect();
        self
    }

    /// Adds rules for faults.
    #[must_use]
    pub fn script(mut self, script: Script) -> Self {
        self.inner.script.extend(script);
        self
    }

    /// The largest body taken, in bytes. Google's limit, and the default, is 20 MiB.
    #[must_use]
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// What all chunks of a resumable upload but the last are whole multiples of, in bytes.
    /// Google's, and the default, is 8 MiB.
    #[must_use]
    pub const fn upload_granularity(mut self, bytes: usize) -> Self {
        self.granularity = bytes;
        self
    }

    /// Whether requests are kept for [`FakeGoogle::requests`]. Without, memory stays bounded.
    #[must_use]
    pub const fn record(mut self, record: bool) -> Self {
        self.record = record;
        self
    }

    /// Starts to listen.
    ///
    /// # Errors
    /// When the address is taken or not this machine's.
    pub async fn try_start(self) -> io::Result<FakeGoogle> {
        let (alive, watched) = watch::channel(());
        let world = Arc::new(World {
            clock: self.clock,
            models: self.models,
            max_body: self.max_body,
            granularity: self.granularity,
            record: self.record,
            address: OnceLock::new(),
            inner: Mutex::new(self.inner),
            counts: watch::Sender::default(),
            released: watch::Sender::default(),
            live: Live {
                pushes: broadcast::Sender::new(16),
                alive: watched,
            },
        });
        let shared = Arc::clone(&world);
        let serve = |listener| server::serve(listener, shared);
        let listening = Listening::open(self.address, serve).await?;
        world.address.get_or_init(|| listening.address);
        Ok(FakeGoogle {
            world,
            listening,
            _alive: alive,
        })
    }
}
