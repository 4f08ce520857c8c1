//! A Kubernetes API that behaves, with clouds' habits.
//!
//! ```no_run
//! # async fn example() {
//! use testkit::clock::VirtualClock;
//! use testkit::kubernetes::{Dialect, FakeKubernetes, Fault, Image};
//!
//! let clock = VirtualClock::at(1_790_000_000_000);
//! let cloud = FakeKubernetes::builder()
//!     .clock(&clock)
//!     .dialect(Dialect::ClawCloud)
//!     .owner("abc", "ns-abc")
//!     .image("ghcr.io/o/n", Image::Server("target/debug/gemini-balance".into()))
//!     .start()
//!     .await;
//! cloud.fault_next(Fault::TooManyRequests { retry_after: 1 });
//! // … give the code under test cloud.kubeconfig("abc"), and once it has deployed …
//! let url = cloud.url_of("ns-abc", "network-qwertyuiopas");
//! # }
//! ```
//!
//! A request passes the stations in the server's order: faults, credential, path, rights,
//! body, admission (limit ranges, quotas), storage. The controllers then do at once what
//! they would do within seconds, unless [`Builder::on_demand`] said otherwise; what takes
//! long (deadlines, back-offs, the edge's delay) takes it of the fake's clock. A pod whose
//! image is an [`Image::Server`] is a process of this machine: its log, its readiness and
//! its end are real.
//!
//! There is no network within the cluster. So a process listens on a port of the loopback
//! interface that it is told in a variable, what its variables say of volumes is replaced
//! by folders, and of the namespace's database by [`MySql::address`].
//!
//! Deliberately absent: bodies in YAML or protobuf, `exec`, `attach` and `portforward`,
//! jobs, init containers and sidecars (only the first container of a pod runs), the
//! measurements that would make an autoscaler do something, liveness probes, and more
//! versions of a group than one.

mod cluster;
mod controllers;
mod defaults;
mod edge;
mod fault;
mod fields;
mod handle;
mod kubelet;
mod process;
mod quantity;
mod quota;
mod resource;
mod rights;
mod selector;
mod server;
mod status;
mod store;
mod verbs;
mod watching;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::Method;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub use fault::{Fault, Rule};
pub use rights::Right;

use crate::accept::{ANY_PORT, starts};
use crate::clock::Clock;
use cluster::{Cluster, Write};
use rights::User;
use store::Store;

/// How long the waiting methods of [`FakeKubernetes`] wait: as long as a process may take
/// to start on a machine that is compiling beside it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Whose names a cloud gives to labels, annotations and its own group of resources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// ClawCloud Run: the group `app.claw.cloud`.
    #[default]
    ClawCloud,
    /// Sealos: the group `app.sealos.io`.
    Sealos,
    /// A cluster without a console, databases or certificates of its own.
    Plain,
}

impl Dialect {
    /// The domain of annotations: `deploy.run.claw.cloud`.
    #[must_use]
    pub const fn annotations(self) -> &'static str {
        match self {
            Self::ClawCloud => "deploy.run.claw.cloud",
            Self::Sealos | Self::Plain => "deploy.cloud.sealos.io",
        }
    }

    /// The domain of labels: `run.claw.cloud`.
    #[must_use]
    pub const fn labels(self) -> &'static str {
        match self {
            Self::ClawCloud => "run.claw.cloud",
            Self::Sealos | Self::Plain => "cloud.sealos.io",
        }
    }
}

/// What is behind the name of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// No registry has it. So it is with every image that was not named.
    Missing,
    /// It runs, listens and answers nothing of interest; no process is started.
    Simulated {
        /// From its start until it is ready, on the fake's clock.
        startup: Duration,
    },
    /// It ends as soon as it has started.
    Crashes {
        /// Its exit code.
        code: i32,
        /// What it writes before.
        log: String,
    },
    /// The real server: this program of the machine, which [`crate::launch`] starts.
    Server(PathBuf),
}

/// The account of a namespace's database, and where it really is.
#[derive(Clone, PartialEq, Eq)]
pub struct MySql {
    /// A server of this machine that pods reach under the database's name; `None` when
    /// no process is to reach any.
    pub address: Option<SocketAddr>,
    /// User name in the Secret.
    pub username: String,
    /// Password in the Secret.
    pub password: String,
}

impl std::fmt::Debug for MySql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MySql")
            .field("address", &self.address)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl Default for MySql {
    fn default() -> Self {
        Self {
            address: None,
            username: "root".to_owned(),
            password: "kb7l2xq9".to_owned(),
        }
    }
}

/// What does not change while the fake runs.
#[derive(Clone, Debug)]
struct Settings {
    clock: Clock,
    dialect: Dialect,
    immediate: bool,
    ingress_delay: Duration,
    database_delay: Duration,
    /// Where ingresses say that they are reached, when that is where they are.
    edge: Option<SocketAddr>,
    /// What processes find in their environment unless their pod sets it.
    variables: Vec<(String, String)>,
    /// Where the folders are that stand for volumes.
    volumes: PathBuf,
}

/// A request as the fake received it.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    /// Counts up from 0 over the life of the fake.
    pub id: u64,
    /// When it came, by the fake's clock, in milliseconds since 1970-01-01T00:00:00Z.
    pub at: i64,
    /// HTTP method.
    pub method: Method,
    /// Path without the query.
    pub path: String,
    /// Query without the `?`; empty when there is none.
    pub query: String,
    /// Its header `User-Agent`.
    pub user_agent: String,
    /// The user whom the token is for; empty when it is nobody's.
    pub user: String,
    /// The body, byte for byte.
    pub body: Bytes,
    /// HTTP status of the answer; `None` while there is none, or none comes.
    pub status: Option<u16>,
}

impl SeenRequest {
    /// The body as JSON; `null` when it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Whether it could have changed something: neither a question nor a dry run.
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.method != Method::GET
            && !self.query.contains("dryRun")
            && !self.path.contains("/selfsubject")
    }
}

/// What all connections share.
#[derive(Debug)]
struct World {
    clock: Clock,
    inner: Mutex<Inner>,
    seen: watch::Sender<usize>,
    /// The revision of the last change, for those who watch.
    changed: watch::Receiver<u64>,
    /// Counts the calls of `bookmark`.
    bookmarks: watch::Sender<u64>,
    /// Counts the calls of `end_watches`.
    watches: watch::Sender<u64>,
    edge: SocketAddr,
    ingress_addresses: edge::Edge,
    address: SocketAddr,
}

#[derive(Debug)]
struct Inner {
    cluster: Cluster,
    users: Vec<User>,
    rules: Vec<Rule>,
    seen: Vec<SeenRequest>,
    next_id: u64,
}

impl World {
    /// Does what time and processes have made due, if controllers act by themselves.
    fn settle(&self) {
        let mut inner = self.inner.lock();
        inner.cluster.now = self.clock.now();
        if inner.cluster.settings.immediate {
            controllers::reconcile(&mut inner.cluster);
        }
    }

    /// Settles whenever the clock moves, until it is dropped.
    async fn keep_settling(self: Arc<Self>) {
        let mut moved = match &self.clock {
            Clock::System | Clock::Ahead(_) => None,
            Clock::Virtual(clock) => Some(clock.subscribe()),
        };
        loop {
            match &mut moved {
                None => tokio::time::sleep(Duration::from_millis(50)).await,
                // Its sender lives in `self.clock`, so it does not fail.
                Some(moved) => _ = moved.changed().await,
            }
            self.settle();
        }
    }
}

/// A running fake. It stops, and ends its processes, when it is dropped.
#[derive(Debug)]
pub struct FakeKubernetes {
    world: Arc<World>,
    ca_pem: String,
    /// The accept loops, the controllers' clock and the kubelet.
    _tasks: JoinSet<()>,
    _folder: TempDir,
}

impl FakeKubernetes {
    /// A cluster of ClawCloud's with the machine's clock, without users and images.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where the API listens, with HTTPS.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.world.address
    }

    /// The certificate of its authority, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The kubeconfig that the cloud's console gives to a user, whose token is made anew if
    /// it was revoked.
    ///
    /// # Panics
    /// When the builder did not name the user.
    #[must_use]
    pub fn kubeconfig(&self, user: &str) -> String {
        let (token, place) = {
            let inner = self.world.inner.lock();
            let found = inner.users.iter().rfind(|known| known.name == user);
            let found = found.unwrap_or_else(|| unknown_user(user));
            (found.token.clone(), found.namespace.clone())
        };
        let ca = BASE64_STANDARD.encode(&self.ca_pem);
        let server = format!("https://{}", self.address());
        format!(
            "apiVersion: v1\n\
             kind: Config\n\
             clusters:\n\
             - cluster:\n    \
                 certificate-authority-data: {ca}\n    \
                 server: {server}\n  \
               name: sealos\n\
             contexts:\n\
             - context:\n    \
                 cluster: sealos\n    \
                 namespace: {place}\n    \
                 user: {user}\n  \
               name: {user}@sealos\n\
             current-context: {user}@sealos\n\
             preferences: {{}}\n\
             users:\n\
             - name: {user}\n  \
               user:\n    \
                 token: {token}\n"
        )
    }

    /// Makes a user's token worthless and gives out another, as the console does.
    ///
    /// # Panics
    /// When the builder did not name the user.
    #[must_use = "it is the new kubeconfig"]
    pub fn rotate_token(&self, user: &str) -> String {
        {
            let mut inner = self.world.inner.lock();
            let number = inner.users.len();
            let found = inner.users.iter().position(|known| known.name == user);
            let old = match found {
                Some(at) => inner.users.remove(at),
                None => unknown_user(user),
            };
            let now = self.world.clock.now();
            inner.users.push(old.renewed(number, now));
        }
        self.kubeconfig(user)
    }

    /// Every request so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.world.inner.lock().seen.clone()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.world.inner.lock().seen.clear();
    }

    /// Adds a rule for faults behind those there are.
    pub fn fault(&self, rule: Rule) {
        self.world.inner.lock().rules.push(rule);
    }

    /// Adds a fault for the next request. Several of these queue up.
    pub fn fault_next(&self, fault: Fault) {
        self.fault(Rule::new(fault).times(1));
    }

    /// Drops all faults.
    pub fn clear_faults(&self) {
        self.world.inner.lock().rules.clear();
    }

    /// Names an image, or says anew what is behind its name: `ghcr.io/o/n` is every tag
    /// and digest, `ghcr.io/o/n:1.2` or `ghcr.io/o/n@sha256:…` is one.
    pub fn set_image(&self, name: &str, image: Image) {
        let mut inner = self.world.inner.lock();
        inner.cluster.images.push((name.to_owned(), image));
        drop(inner);
        self.world.settle();
    }

    /// Lets the controllers do all that is to be done now.
    pub fn reconcile(&self) {
        let mut inner = self.world.inner.lock();
        inner.cluster.now = self.world.clock.now();
        controllers::reconcile(&mut inner.cluster);
    }

    /// An object as it is now; `null` when there is none. Resources are named as in
    /// messages: `pods`, `deployments.apps`.
    #[must_use]
    pub fn object(&self, resource: &str, namespace: &str, name: &str) -> Value {
        self.world.settle();
        let inner = self.world.inner.lock();
        resource::by_id(resource)
            .and_then(|kind| inner.cluster.store.get(kind, namespace, name))
            .map(|object| Value::clone(object))
            .unwrap_or_default()
    }

    /// The objects of a namespace as they are now.
    #[must_use]
    pub fn objects(&self, resource: &str, namespace: &str) -> Vec<Value> {
        self.world.settle();
        let inner = self.world.inner.lock();
        resource::by_id(resource)
            .map(|kind| inner.cluster.store.list(kind, namespace))
            .unwrap_or_default()
            .iter()
            .map(|object| Value::clone(object))
            .collect()
    }

    /// The names of all objects of a namespace that a person or program has made, each
    /// `resource/name`; what the cluster makes by itself is left out, except claims, which
    /// cost money until somebody deletes them.
    #[must_use]
    pub fn names(&self, namespace: &str) -> Vec<String> {
        self.world.settle();
        let inner = self.world.inner.lock();
        let made_by_cluster = |object: &Value| {
            object["metadata"]["managedFields"]
                .as_array()
                .is_none_or(|all| {
                    all.iter().all(|one| {
                        matches!(
                            one["manager"].as_str(),
                            Some(cluster::CONTROLLER | PLATFORM | "kubeblocks")
                        )
                    })
                })
        };
        inner
            .cluster
            .store
            .everything()
            .filter(|(_, object)| store::namespace(object) == namespace)
            .filter(|(id, object)| *id == "persistentvolumeclaims" || !made_by_cluster(object))
            .map(|(id, object)| format!("{id}/{}", store::name(object)))
            .collect()
    }

    /// Makes or changes an object as the platform itself, which may do everything:
    /// `change` gets the object as it is, or `null`.
    ///
    /// # Panics
    /// When there is no such resource, or the result is not a right object.
    pub fn edit(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) {
        let outcome = {
            let mut inner = self.world.inner.lock();
            inner.cluster.now = self.world.clock.now();
            edit(&mut inner.cluster, resource, namespace, name, change)
        };
        if let Err(error) = outcome {
            wrong_edit(&error);
        }
        self.world.settle();
    }

    /// Deletes an object as somebody in the console does. One that is gone is no error.
    pub fn delete(&self, resource: &str, namespace: &str, name: &str) {
        if let Some(kind) = resource::by_id(resource) {
            let mut inner = self.world.inner.lock();
            inner.cluster.now = self.world.clock.now();
            let options = cluster::Deletion::default();
            // There is nothing else that it could be refused for.
            let _ = inner.cluster.delete(kind, namespace, name, &options);
        }
        self.world.settle();
    }

    /// Scales everything of a namespace to 0, as ClawCloud does to those who have not
    /// signed in for 30 days, and Sealos to those in arrears.
    pub fn stop_everything(&self, namespace: &str) {
        for resource in ["deployments.apps", "statefulsets.apps"] {
            for object in self.objects(resource, namespace) {
                self.edit(resource, namespace, store::name(&object), |object| {
                    object["spec"]["replicas"] = json!(0);
                });
            }
        }
    }

    /// Puts the quota over a namespace that arrears bring, which allows nothing.
    pub fn lock_for_debt(&self, namespace: &str) {
        self.edit("resourcequotas", namespace, "debt-limit0", |quota| {
            quota["spec"] = json!({"hard": {
                "limits.cpu": "0",
                "limits.memory": "0",
                "requests.storage": "0",
                "pods": "0",
            }});
        });
    }

    /// Takes the quota of [`Self::lock_for_debt`] away.
    pub fn unlock(&self, namespace: &str) {
        if let Some(kind) = resource::by_id("resourcequotas") {
            let mut inner = self.world.inner.lock();
            inner.cluster.store.remove(kind, namespace, "debt-limit0");
        }
        self.world.settle();
    }

    /// Pauses an app as the console does: no replicas, the annotation `pause`, no
    /// autoscaler, and ingresses of the class `pause`.
    pub fn pause_in_console(&self, namespace: &str, app: &str) {
        let dialect = self.world.inner.lock().cluster.settings.dialect;
        self.edit("deployments.apps", namespace, app, |deployment| {
            deployment["spec"]["replicas"] = json!(0);
            deployment["metadata"]["annotations"][format!("{}/pause", dialect.annotations())] =
                json!("{\"target\":\"\",\"value\":\"\"}");
        });
        let label = format!("{}/app-deploy-manager", dialect.labels());
        for ingress in self.objects("ingresses.networking.k8s.io", namespace) {
            if ingress["metadata"]["labels"][&label] == app {
                let name = store::name(&ingress);
                self.edit("ingresses.networking.k8s.io", namespace, name, |ingress| {
                    ingress["metadata"]["annotations"]["kubernetes.io/ingress.class"] =
                        json!("pause");
                });
            }
        }
        if let Some(kind) = resource::by_id("horizontalpodautoscalers.autoscaling") {
            let mut inner = self.world.inner.lock();
            inner.cluster.store.remove(kind, namespace, app);
        }
        self.world.settle();
    }

    /// Forgets the changes so far: a watch that goes on from before gets 410.
    pub fn compact(&self) {
        self.world.inner.lock().cluster.store.compact();
    }

    /// Sends a bookmark to every watch that allows them, as happens about once a minute.
    pub fn bookmark(&self) {
        self.world.bookmarks.send_modify(|count| *count += 1);
    }

    /// Ends every watch, as happens when the server is restarted.
    pub fn end_watches(&self) {
        self.world.watches.send_modify(|count| *count += 1);
    }

    /// The cloud's edge, which takes all hosts: `http://127.0.0.1:PORT`, for requests with
    /// an ingress's `Host` header.
    #[must_use]
    pub fn edge(&self) -> String {
        format!("http://{}", self.world.edge)
    }

    /// An address that is this ingress's alone, so that its host need not be named.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn url_of(&self, namespace: &str, ingress: &str) -> String {
        let own = &self.world.ingress_addresses;
        own.address_of(namespace, ingress).await.map_or_else(
            |error| no_port(&error),
            |address| format!("http://{address}"),
        )
    }

    /// What a pod has written so far, one line each.
    #[must_use]
    pub fn log(&self, namespace: &str, pod: &str) -> Vec<String> {
        let inner = self.world.inner.lock();
        let uid = resource::by_id("pods")
            .and_then(|kind| inner.cluster.store.get(kind, namespace, pod))
            .map(|pod| store::uid(pod).to_owned())
            .unwrap_or_default();
        let run = inner.cluster.runs.get(&uid);
        run.map(|run| run.log.lines().into_iter().map(|line| line.text).collect())
            .unwrap_or_default()
    }

    /// Waits until an object (or its absence, `null`) is as wanted; false when that takes
    /// longer than [`PATIENCE`].
    #[must_use = "false means that it did not happen"]
    pub async fn wait_for(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> bool {
        let mut changed = self.world.changed.clone();
        let met = async {
            loop {
                changed.borrow_and_update();
                if wanted(&self.object(resource, namespace, name)) {
                    return;
                }
                if changed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(PATIENCE, met).await.is_ok()
    }

    /// Waits until so many requests in all have arrived; false when that takes longer than
    /// [`PATIENCE`].
    #[must_use = "false means that they did not come"]
    pub async fn wait_for_requests(&self, count: usize) -> bool {
        let mut seen = self.world.seen.subscribe();
        let met = seen.wait_for(|seen| *seen >= count);
        matches!(tokio::time::timeout(PATIENCE, met).await, Ok(Ok(_)))
    }
}

/// The manager of what the platform writes.
const PLATFORM: &str = "sealos-controller";

#[expect(clippy::panic, reason = "a mistake of the test itself")]
fn unknown_user(user: &str) -> ! {
    panic!("there is no user {user}: name it to the builder with `owner` or `user`")
}

#[expect(clippy::panic, reason = "a mistake of the test itself")]
fn wrong_edit(error: &str) -> ! {
    panic!("the platform's edit is refused: {error}")
}

#[expect(clippy::panic, reason = "a test cannot go on without")]
fn no_port(error: &io::Error) -> ! {
    panic!("no port for an ingress: {error}")
}

fn edit(
    cluster: &mut Cluster,
    resource: &str,
    namespace: &str,
    name: &str,
    change: impl FnOnce(&mut Value),
) -> Result<(), String> {
    let kind = resource::by_id(resource)
        .ok_or_else(|| format!("there is no resource {resource}; say e.g. deployments.apps"))?;
    let old = cluster.store.get(kind, namespace, name).cloned();
    let outcome = match old {
        Some(old) => {
            let mut new = Value::clone(&old);
            change(&mut new);
            if new["status"] != old["status"] {
                let write = Write {
                    subresource: "status",
                    ..Write::by(PLATFORM)
                };
                cluster.replace(kind, &old, new, write)
            } else {
                cluster.replace(kind, &old, new, Write::by(PLATFORM))
            }
        }
        None => {
            let mut new = json!({"metadata": {"name": name, "namespace": namespace}});
            if !kind.namespaced {
                new = json!({"metadata": {"name": name}});
            }
            change(&mut new);
            cluster.create(kind, new, Write::by(PLATFORM))
        }
    };
    outcome.map(|_| ()).map_err(|failure| failure.message())
}

/// What a [`FakeKubernetes`] is made of.
#[derive(Debug)]
pub struct Builder {
    clock: Clock,
    dialect: Dialect,
    immediate: bool,
    ingress_delay: Duration,
    database_delay: Duration,
    users: Vec<User>,
    images: Vec<(String, Image)>,
    mysql: HashMap<String, MySql>,
    quotas: Vec<(String, Value)>,
    limits: Vec<(String, Value)>,
    domain: Option<String>,
    variables: Vec<(String, String)>,
    address: SocketAddr,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            clock: Clock::System,
            dialect: Dialect::default(),
            immediate: true,
            ingress_delay: Duration::ZERO,
            database_delay: Duration::ZERO,
            users: Vec::new(),
            images: Vec::new(),
            mysql: HashMap::new(),
            quotas: Vec::new(),
            limits: Vec::new(),
            domain: None,
            variables: Vec::new(),
            address: ANY_PORT,
        }
    }
}

starts!(Builder => FakeKubernetes);

impl Builder {
    /// Takes the time from this clock. The default is the machine's.
    #[must_use]
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Whose cluster it is.
    #[must_use]
    pub const fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Lets controllers act only when [`FakeKubernetes::reconcile`] is called.
    #[must_use]
    pub const fn on_demand(mut self) -> Self {
        self.immediate = false;
        self
    }

    /// From the making of an ingress until the edge knows it. Minutes on the real clouds;
    /// the default is none.
    #[must_use]
    pub const fn ingress_delay(mut self, delay: Duration) -> Self {
        self.ingress_delay = delay;
        self
    }

    /// From the making of a database until it runs; the default is none.
    #[must_use]
    pub const fn database_delay(mut self, delay: Duration) -> Self {
        self.database_delay = delay;
        self
    }

    /// Adds a user who owns a namespace, which is made: every right within, none without.
    #[must_use]
    pub fn owner(self, user: &str, namespace: &str) -> Self {
        self.user(user, namespace, Right::Owner, None)
    }

    /// Adds a user with rights in a namespace, which is made, and with a token that is
    /// worth something for so long.
    #[must_use]
    pub fn user(
        mut self,
        user: &str,
        namespace: &str,
        right: Right,
        token_lives: Option<Duration>,
    ) -> Self {
        let number = self.users.len();
        self.users
            .push(User::new(user, namespace, right, token_lives, number));
        self
    }

    /// Names an image; see [`FakeKubernetes::set_image`].
    #[must_use]
    pub fn image(mut self, name: &str, image: Image) -> Self {
        self.images.push((name.to_owned(), image));
        self
    }

    /// The account of the databases that KubeBlocks makes in a namespace.
    #[must_use]
    pub fn mysql(mut self, namespace: &str, mysql: MySql) -> Self {
        self.mysql.insert(namespace.to_owned(), mysql);
        self
    }

    /// Gives a namespace the quota `quota-NAMESPACE` with these limits, e.g.
    /// `[("pods", "4"), ("limits.cpu", "4")]`.
    #[must_use]
    pub fn quota(mut self, namespace: &str, hard: &[(&str, &str)]) -> Self {
        let hard: BTreeMap<&str, &str> = hard.iter().copied().collect();
        self.quotas
            .push((namespace.to_owned(), json!({"hard": hard})));
        self
    }

    /// Gives a namespace a LimitRange with this entry for containers, e.g.
    /// `{"default": {"cpu": "50m", "memory": "64Mi"}}`.
    #[must_use]
    pub fn limit_range(mut self, namespace: &str, mut container: Value) -> Self {
        container["type"] = json!("Container");
        self.limits
            .push((namespace.to_owned(), json!({"limits": [container]})));
        self
    }

    /// Answers with TLS for hosts right below this domain, under [`FakeKubernetes::ca_pem`],
    /// and lets ingresses say at which port. Below `.localhost` names lead to this machine
    /// (RFC 6761), so `https://HOST:PORT` can be asked: `apps.localhost`.
    #[must_use]
    pub fn domain(mut self, domain: &str) -> Self {
        self.domain = Some(domain.to_owned());
        self
    }

    /// Sets a variable for all processes whose pod does not set it, e.g. `BASE_URL` of a
    /// fake Google.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts to listen.
    ///
    /// # Errors
    /// When an address is taken or not this machine's, or what it is made of is not right.
    pub async fn try_start(self) -> io::Result<FakeKubernetes> {
        let listener = TcpListener::bind(self.address).await?;
        let address = listener.local_addr()?;
        let edge_listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let edge = edge_listener.local_addr()?;
        let folder = tempfile::Builder::new()
            .prefix("gb-kubernetes-")
            .tempdir()?;
        let hosts = self.domain.iter().map(|domain| format!("*.{domain}"));
        let hosts: Vec<String> = hosts.collect();
        let made = crate::tls::Authority::new()
            .and_then(|authority| authority.server_called(&hosts))
            .map_err(io::Error::other)?;
        let (ingress_addresses, wanted_addresses) = edge::Edge::new();
        let (orders, ordered) = mpsc::unbounded_channel();
        let mut cluster = Cluster {
            settings: Settings {
                clock: self.clock.clone(),
                dialect: self.dialect,
                immediate: self.immediate,
                ingress_delay: self.ingress_delay,
                database_delay: self.database_delay,
                edge: self.domain.is_some().then_some(edge),
                variables: self.variables,
                volumes: folder.path().to_owned(),
            },
            store: Store::new(),
            runs: HashMap::new(),
            orders,
            images: self.images,
            mysql: self.mysql,
            now: self.clock.now(),
            next_address: 0,
        };
        let now = self.clock.now();
        let users: Vec<User> = self.users.into_iter().map(|user| user.born(now)).collect();
        let mut places: Vec<&str> = users.iter().map(|user| user.namespace.as_str()).collect();
        places.push("default");
        places.dedup();
        for place in places {
            furnish(&mut cluster, place).map_err(io::Error::other)?;
        }
        let wanted = [
            ("resourcequotas", self.quotas),
            ("limitranges", self.limits),
        ];
        for (resource, wanted) in wanted {
            for (place, spec) in wanted {
                let name = format!("quota-{place}");
                edit(&mut cluster, resource, &place, &name, |object| {
                    object["spec"] = spec;
                })
                .map_err(io::Error::other)?;
            }
        }
        let world = Arc::new(World {
            clock: self.clock,
            changed: cluster.store.subscribe(),
            inner: Mutex::new(Inner {
                cluster,
                users,
                rules: Vec::new(),
                seen: Vec::new(),
                next_id: 0,
            }),
            seen: watch::Sender::new(0),
            bookmarks: watch::Sender::new(0),
            watches: watch::Sender::new(0),
            edge,
            ingress_addresses,
            address,
        });
        world.settle();
        let acceptor = server::acceptor(&made)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(server::serve(
            listener,
            acceptor.clone(),
            Arc::clone(&world),
        ));
        tasks.spawn(edge::serve(
            edge_listener,
            wanted_addresses,
            acceptor.clone(),
            Arc::clone(&world),
        ));
        tasks.spawn(process::work(ordered, Arc::clone(&world)));
        tasks.spawn(Arc::clone(&world).keep_settling());
        Ok(FakeKubernetes {
            world,
            ca_pem: made.ca_pem,
            _tasks: tasks,
            _folder: folder,
        })
    }
}

/// Makes a namespace with what every namespace has.
fn furnish(cluster: &mut Cluster, place: &str) -> Result<(), String> {
    if resource::by_id("namespaces")
        .is_some_and(|kind| cluster.store.get(kind, "", place).is_some())
    {
        return Ok(());
    }
    edit(cluster, "namespaces", "", place, |namespace| {
        namespace["metadata"]["labels"] = json!({"kubernetes.io/metadata.name": place});
    })?;
    edit(cluster, "serviceaccounts", place, "default", |_| {})?;
    edit(cluster, "configmaps", place, "kube-root-ca.crt", |map| {
        map["data"] = json!({"ca.crt": ""});
    })
}
