//! What the fake clouds have in common: calls that fail on demand, and containers that can
//! be real processes.

pub(crate) mod edge;
mod fault;
mod health;
pub(crate) mod http;
mod image;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;

pub(crate) use fault::Faults;
pub use fault::{Fault, FaultRule};
pub(crate) use health::is_healthy;
pub(crate) use image::digest_of;
pub use image::{Image, ImageError, Images, Login, any_image, images, normalise};

use crate::launch::{LaunchError, Log, Running, Server};

/// A container that a cloud is about to start.
#[derive(Clone)]
pub struct Launch {
    /// What the cloud calls the service.
    pub service: String,
    /// The image, in full form.
    pub image: String,
    /// What the image's reference was resolved to, e.g. `sha256:…`.
    pub digest: String,
    /// The environment, the cloud's own variables included.
    pub environment: BTreeMap<String, String>,
    /// A folder that outlasts the container, where the service has a volume.
    pub data: Option<PathBuf>,
    /// Where the container's output goes.
    pub log: Log,
}

impl fmt::Debug for Launch {
    /// Names of variables only: values can be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch")
            .field("service", &self.service)
            .field("image", &self.image)
            .field("environment", &self.environment.keys())
            .finish_non_exhaustive()
    }
}

/// A container that runs. Dropped, it is gone.
#[derive(Debug)]
pub struct Launched {
    address: Option<SocketAddr>,
    running: Option<Running>,
}

impl Launched {
    /// Something of the test's own that answers here.
    #[must_use]
    pub const fn at(address: SocketAddr) -> Self {
        Self {
            address: Some(address),
            running: None,
        }
    }

    /// Nothing: the edge answers every request itself, with 200.
    pub(crate) const fn stand_in() -> Self {
        Self {
            address: None,
            running: None,
        }
    }

    /// Where it answers; `None` for a stand-in.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Its exit code, when it has ended by itself; -1 for a signal.
    pub(crate) fn ended(&self) -> Option<i32> {
        let status = self.running.as_ref().and_then(Running::status)?;
        Some(status.code().unwrap_or(-1))
    }

    /// Asks it to end, and kills it after `grace` of the machine's time.
    pub(crate) async fn stop(self, grace: Duration) {
        if let Some(running) = self.running {
            running.terminate(grace).await;
        }
    }
}

impl From<Running> for Launched {
    fn from(running: Running) -> Self {
        Self {
            address: Some(running.address()),
            running: Some(running),
        }
    }
}

/// Starts containers for a fake cloud.
pub type OnLive =
    Arc<dyn Fn(Launch) -> BoxFuture<'static, Result<Launched, LaunchError>> + Send + Sync>;

/// Runs this program for every container, whatever its image says. `defaults` are for
/// variables that the container does not set, e.g. `BASE_URL` of a fake Google.
#[must_use]
pub fn real_server(binary: impl Into<PathBuf>, defaults: BTreeMap<String, String>) -> OnLive {
    let binary = binary.into();
    Arc::new(move |launch: Launch| {
        let mut server = Server::new(binary.clone())
            .variables(defaults.clone())
            .variables(launch.environment)
            .log(&launch.log);
        if let Some(folder) = launch.data {
            server = server.data(folder);
        }
        Box::pin(async move { Ok(server.start().await?.into()) })
    })
}

/// A call of a cloud's API, as the fake received it.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenCall {
    /// When it came, by the fake's clock, in milliseconds since 1970-01-01T00:00:00Z.
    pub at: i64,
    /// `POST /v1/services`: method and path, without the query.
    pub call: String,
    /// The query as sent, without the `?`.
    pub query: String,
    /// The body; `null` when there was none or it was not JSON.
    pub body: Value,
    /// HTTP status of the answer, also of one that a fault kept from the client.
    pub status: u16,
    /// The answer's body; `null` when there was none or it was not JSON.
    pub answer: Value,
}

/// Numbers that look random and are the same in every run.
#[derive(Debug, Default)]
pub(crate) struct Ids(u64);

impl Ids {
    /// The next number: splitmix64.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// So many small letters and digits.
    pub fn letters(&mut self, count: usize) -> String {
        (0..count)
            .filter_map(|_| char::from_digit((self.number() % 36) as u32, 36))
            .collect()
    }

    /// A version-4 UUID.
    pub fn uuid(&mut self) -> String {
        let (a, b) = (self.number(), self.number());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        )
    }
}

/// A time as RFC 3339, in UTC.
pub(crate) fn rfc3339(millis_since_epoch: i64) -> String {
    jiff::Timestamp::from_millisecond(millis_since_epoch)
        .unwrap_or_default()
        .to_string()
}
