//! A registry of images that behaves (OCI distribution 1.1), as far as a client needs it
//! to see what a name stands for.
//!
//! ```no_run
//! # async fn example() {
//! use testkit::registry::{FakeRegistry, Pushed};
//!
//! let registry = FakeRegistry::builder().start().await;
//! let digest = registry.push(Pushed::new("owner/name", "latest"));
//! assert!(digest.starts_with("sha256:"));
//! // … ask for registry.reference("owner/name", "latest"): `127.0.0.1:PORT/owner/name:latest`
//! # }
//! ```
//!
//! | faked | as |
//! |---|---|
//! | `GET /v2/` | 401 with a `Bearer` challenge, until a token comes along |
//! | `GET /token` | anonymous tokens for public images; `Basic` for private ones; [`Denial`] says where a private one is refused |
//! | `HEAD`, `GET /v2/{name}/manifests/{tag or digest}` | an index with its platforms, or one manifest; `Docker-Content-Digest`; 404 `MANIFEST_UNKNOWN`, also for an index that the client does not accept; 401 without a token for that very image |
//! | `GET /v2/{name}/blobs/{digest}` | the configuration of an image, which names its platform |
//! | `GET /v2/{name}/tags/list` | all tags |
//! | faults | [`Fault`]s for the next call or calls of a kind |
//!
//! Deliberately absent: uploads over HTTP, layers (they are named and not there),
//! redirects of blobs to a store, and TLS: the address is loopback, which every client
//! of registries takes without.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::accept::{ANY_PORT, Listening, starts};
use crate::clock::Clock;
use crate::cloud::http::{Answer, Call, Gone, serve};
use crate::cloud::{
    Fault, FaultRule, Faults, Image, ImageError, Images, Login, SeenCall, digest_of, rfc3339,
};

/// Media types.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// How long a token is good for.
const TOKEN_LIFE: Duration = Duration::from_secs(300);

/// Where a private image is refused to who has no right to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Denial {
    /// At the token, as ghcr.io does, which does not tell missing images from private ones.
    #[default]
    AtToken,
    /// At the manifest, as Docker Hub does.
    AtManifest,
}

/// An image that is pushed.
#[derive(Clone, Debug)]
pub struct Pushed {
    name: String,
    tag: String,
    platforms: Vec<String>,
    is_index: bool,
    version: String,
    login: Option<Login>,
}

impl Pushed {
    /// An image for linux/amd64 and linux/arm64, public, of version `1`.
    #[must_use]
    pub fn new(name: impl Into<String>, tag: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            tag: tag.into(),
            platforms: vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()],
            is_index: true,
            version: "1".to_owned(),
            login: None,
        }
    }

    /// For these platforms instead, e.g. `linux/arm64`.
    #[must_use]
    pub fn platforms<P: Into<String>>(mut self, platforms: impl IntoIterator<Item = P>) -> Self {
        self.platforms = platforms.into_iter().map(Into::into).collect();
        self
    }

    /// As one manifest for one platform, without an index.
    #[must_use]
    pub fn single(mut self, platform: impl Into<String>) -> Self {
        self.platforms = vec![platform.into()];
        self.is_index = false;
        self
    }

    /// In this version (its label): another version has another digest.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// For who signs in so, only. That is for the name, whatever the tag.
    #[must_use]
    pub fn private(mut self, user: impl Into<String>, token: impl Into<String>) -> Self {
        self.login = Some(Login {
            user: user.into(),
            token: token.into(),
        });
        self
    }
}

/// A running fake. It stops when it is dropped.
#[derive(Debug)]
pub struct FakeRegistry {
    world: Arc<World>,
    listening: Listening,
}

#[derive(Debug)]
struct World {
    clock: Clock,
    denial: Denial,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    repositories: BTreeMap<String, Repository>,
    faults: Faults,
    calls: Vec<SeenCall>,
}

/// All images of one name.
#[derive(Debug, Default)]
struct Repository {
    login: Option<Login>,
    tags: BTreeMap<String, String>,
    /// By digest.
    contents: BTreeMap<String, Content>,
}

/// A manifest or a configuration.
#[derive(Clone, Debug)]
struct Content {
    media_type: &'static str,
    bytes: Bytes,
    /// What it runs on; of an index, all that is in it.
    platforms: Vec<String>,
}

impl FakeRegistry {
    /// A fake without images.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `127.0.0.1:PORT`, the host in an image's name.
    #[must_use]
    pub fn host(&self) -> String {
        self.listening.address.to_string()
    }

    /// An image's full name by tag or digest.
    #[must_use]
    pub fn reference(&self, name: &str, tag: &str) -> String {
        let mark = if tag.contains(':') { '@' } else { ':' };
        format!("{}/{name}{mark}{tag}", self.listening.address)
    }

    /// Adds an image, and gives its digest. A tag that is there already moves.
    pub fn push(&self, image: Pushed) -> String {
        let mut inner = self.world.inner.lock();
        inner
            .repositories
            .entry(image.name.clone())
            .or_default()
            .push(image)
    }

    /// Removes a tag; false when there is none.
    pub fn untag(&self, name: &str, tag: &str) -> bool {
        let mut inner = self.world.inner.lock();
        let repository = inner.repositories.get_mut(name);
        repository.is_some_and(|repository| repository.tags.remove(tag).is_some())
    }

    /// The images for a fake cloud, which pulls for linux/amd64. Images of other registries
    /// do not exist for it.
    #[must_use]
    pub fn images(&self) -> Images {
        let (world, host) = (Arc::clone(&self.world), self.host());
        Arc::new(move |name, login| {
            let image = Image::parse(name);
            let inner = world.inner.lock();
            let repository = inner.repositories.get(&image.path);
            let repository = repository
                .filter(|_| image.host == host)
                .ok_or(ImageError::Unknown)?;
            if repository.login.is_some() && repository.login.as_ref() != login {
                return Err(ImageError::Denied);
            }
            let reference = image.digest.or(image.tag).unwrap_or_default();
            let (digest, content) = repository.find(&reference).ok_or(ImageError::Unknown)?;
            if content.platforms.iter().any(|it| it == "linux/amd64") {
                Ok(digest.to_owned())
            } else {
                Err(ImageError::WrongPlatform)
            }
        })
    }

    /// The calls so far, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<SeenCall> {
        self.world.inner.lock().calls.clone()
    }

    /// Adds a rule for faults behind those there are.
    pub fn fault(&self, rule: FaultRule) {
        self.world.inner.lock().faults.add(rule);
    }

    /// Adds a fault for the next call. Several of these queue up.
    pub fn fault_next(&self, fault: Fault) {
        self.fault(FaultRule::new(fault).times(1));
    }

    /// Drops all faults.
    pub fn clear_faults(&self) {
        self.world.inner.lock().faults.clear();
    }
}

impl Repository {
    fn push(&mut self, image: Pushed) -> String {
        if image.login.is_some() {
            self.login = image.login;
        }
        let mut manifests = Vec::new();
        let mut last = String::new();
        for platform in &image.platforms {
            let (os, architecture) = platform.split_once('/').unwrap_or(("linux", platform));
            let config = json!({
                "architecture": architecture,
                "os": os,
                "config": {
                    "ExposedPorts": { "8000/tcp": {} },
                    "Labels": { "org.opencontainers.image.version": image.version },
                },
                "rootfs": { "type": "layers", "diff_ids": [digest_of(b"layer")] },
            });
            let platforms = vec![platform.clone()];
            let config = self.add(CONFIG, &config, platforms.clone());
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": config,
                "layers": [{ "mediaType": LAYER, "size": 5, "digest": digest_of(b"layer") }],
            });
            let mut manifest = self.add(MANIFEST, &manifest, platforms);
            last = digest(&manifest);
            manifest["platform"] = json!({ "architecture": architecture, "os": os });
            manifests.push(manifest);
        }
        if image.is_index {
            let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
            last = digest(&self.add(INDEX, &index, image.platforms));
        }
        self.tags.insert(image.tag, last.clone());
        last
    }

    /// Keeps a content, and gives its descriptor.
    fn add(&mut self, media_type: &'static str, content: &Value, platforms: Vec<String>) -> Value {
        let bytes = Bytes::from(content.to_string());
        let digest = digest_of(&bytes);
        let descriptor = json!({ "mediaType": media_type, "size": bytes.len(), "digest": digest });
        let content = Content {
            media_type,
            bytes,
            platforms,
        };
        self.contents.insert(digest, content);
        descriptor
    }

    /// Finds a content by tag or digest.
    fn find(&self, reference: &str) -> Option<(&str, &Content)> {
        let digest = self.tags.get(reference).map_or(reference, String::as_str);
        let (digest, content) = self.contents.get_key_value(digest)?;
        Some((digest, content))
    }
}

fn digest(descriptor: &Value) -> String {
    let digest = descriptor.get("digest").and_then(Value::as_str);
    digest.unwrap_or_default().to_owned()
}

/// What a [`FakeRegistry`] is made of.
#[derive(Debug)]
pub struct Builder {
    clock: Clock,
    denial: Denial,
    images: Vec<Pushed>,
    address: SocketAddr,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            clock: Clock::System,
            denial: Denial::default(),
            images: Vec::new(),
            address: ANY_PORT,
        }
    }
}

starts!(Builder => FakeRegistry);

impl Builder {
    /// Takes the time from this clock (tokens end after five minutes). The default is the
    /// machine's.
    #[must_use]
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Where private images are refused.
    #[must_use]
    pub const fn denial(mut self, denial: Denial) -> Self {
        self.denial = denial;
        self
    }

    /// Has this image from the start.
    #[must_use]
    pub fn image(mut self, image: Pushed) -> Self {
        self.images.push(image);
        self
    }

    /// Starts to listen.
    ///
    /// # Errors
    /// When the address is taken or not this machine's.
    pub async fn try_start(self) -> io::Result<FakeRegistry> {
        let world = Arc::new(World {
            clock: self.clock,
            denial: self.denial,
            inner: Mutex::default(),
        });
        let shared = Arc::clone(&world);
        let listening = Listening::open(self.address, |listener| {
            serve(listener, move |call| respond(Arc::clone(&shared), call))
        })
        .await?;
        let registry = FakeRegistry { world, listening };
        for image in self.images {
            registry.push(image);
        }
        Ok(registry)
    }
}

/// An error in the registry's form.
fn error(status: u16, code: &str, message: &str) -> Answer {
    let error = json!({ "code": code, "message": message, "detail": null });
    Answer::json(status, &json!({ "errors": [error] }))
}

fn usual_error(status: u16) -> Answer {
    match status {
        401 => error(401, "UNAUTHORIZED", "authentication required"),
        403 => error(403, "DENIED", "requested access to the resource is denied"),
        404 => error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        429 => error(
            429,
            "TOOMANYREQUESTS",
            "You have reached your pull rate limit.",
        ),
        status => error(status, "UNKNOWN", "unknown error"),
    }
}

async fn respond(world: Arc<World>, call: Call) -> Result<Answer, Gone> {
    let verdict = world.inner.lock().faults.take(&call.name());
    if !verdict.slow.is_zero() {
        world.clock.sleep(verdict.slow).await;
    }
    let answer = match &verdict.fault {
        Some(Fault::CutBefore) => return Err(Gone),
        Some(Fault::Status(status)) => usual_error(*status),
        Some(Fault::Said(status, message)) => error(*status, "UNKNOWN", message),
        Some(Fault::Page(status, page)) => Answer::page(*status, "text/html", page.clone()),
        Some(Fault::RateLimited(after)) => {
            usual_error(429).header("retry-after", after.as_secs().to_string())
        }
        Some(Fault::CutAfter | Fault::Slow(_)) | None => world.answer(&call),
    };
    let answer = answer.header("docker-distribution-api-version", "registry/2.0");
    world.inner.lock().calls.push(SeenCall {
        at: world.clock.now(),
        call: call.name(),
        query: call.raw_query().to_owned(),
        body: Value::Null,
        status: answer.status,
        answer: serde_json::from_slice(&answer.body).unwrap_or_default(),
    });
    match verdict.fault {
        Some(Fault::CutAfter) => Err(Gone),
        _ => Ok(answer),
    }
}

impl World {
    fn answer(&self, call: &Call) -> Answer {
        let segments = call.segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        if !["GET", "HEAD"].contains(&call.parts.method.as_str()) {
            return error(405, "UNSUPPORTED", "this fake is read-only");
        }
        match segments.as_slice() {
            ["token"] => self.token(call),
            ["v2"] | ["v2", ""] => match self.granted(call) {
                Some(_) => Answer::json(200, &json!({})),
                None => challenge(call, None),
            },
            ["v2", name @ .., "manifests", reference] => {
                self.content(call, &name.join("/"), reference, true)
            }
            ["v2", name @ .., "blobs", digest] => {
                self.content(call, &name.join("/"), digest, false)
            }
            ["v2", name @ .., "tags", "list"] => self.tags(call, &name.join("/")),
            _ => error(404, "NAME_UNKNOWN", "no such path"),
        }
    }

    /// A token for what is asked for, as far as it is allowed.
    fn token(&self, call: &Call) -> Answer {
        let basic = call.header("authorization").strip_prefix("Basic ");
        let login = match basic.map(read_basic) {
            None => None,
            Some(Some(login)) => Some(login),
            Some(None) => return usual_error(401),
        };
        let inner = self.inner.lock();
        let is_known = |login: &Login| {
            let mut logins = inner
                .repositories
                .values()
                .filter_map(|it| it.login.as_ref());
            logins.any(|known| known == login)
        };
        if login.as_ref().is_some_and(|login| !is_known(login)) {
            return error(401, "UNAUTHORIZED", "incorrect username or password");
        }
        let mut granted = Vec::new();
        for scope in call
            .parameters("scope")
            .flat_map(|scopes| scopes.split(' '))
        {
            let name = scope
                .strip_prefix("repository:")
                .and_then(|scope| scope.rsplit_once(':'))
                .map(|(name, _)| name);
            let Some(name) = name else { continue };
            let repository = inner.repositories.get(name);
            let may = repository.is_some_and(|it| it.login.is_none() || it.login == login);
            if may {
                granted.push(name);
            } else if self.denial == Denial::AtToken {
                return usual_error(403);
            }
        }
        let now = self.clock.now();
        let life = i64::try_from(TOKEN_LIFE.as_millis()).unwrap_or(i64::MAX);
        let token = json!({ "until": now.saturating_add(life), "pull": granted }).to_string();
        let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token);
        Answer::json(
            200,
            &json!({
                "token": token,
                "access_token": token,
                "expires_in": TOKEN_LIFE.as_secs(),
                "issued_at": rfc3339(now),
            }),
        )
    }

    /// The names that a call's token is good for; `None` without a good token.
    fn granted(&self, call: &Call) -> Option<Vec<String>> {
        let token = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(call.bearer()?)
            .ok()?;
        let token: Value = serde_json::from_slice(&token).ok()?;
        if token.get("until")?.as_i64()? <= self.clock.now() {
            return None;
        }
        let names = token.get("pull")?.as_array()?.iter();
        Some(
            names
                .filter_map(|name| Some(name.as_str()?.to_owned()))
                .collect(),
        )
    }

    /// Whether a call may read this; otherwise the refusal.
    fn allow(&self, call: &Call, name: &str) -> Result<(), Answer> {
        match self.granted(call) {
            Some(names) if names.iter().any(|granted| granted == name) => Ok(()),
            _ => Err(challenge(call, Some(name))),
        }
    }

    fn content(&self, call: &Call, name: &str, reference: &str, is_manifest: bool) -> Answer {
        if let Err(refusal) = self.allow(call, name) {
            return refusal;
        }
        let inner = self.inner.lock();
        let found = inner
            .repositories
            .get(name)
            .and_then(|repository| repository.find(reference))
            .filter(|(_, content)| (content.media_type != CONFIG) == is_manifest);
        let Some((digest, content)) = found else {
            return if is_manifest {
                usual_error(404)
            } else {
                error(404, "BLOB_UNKNOWN", "blob unknown to registry")
            };
        };
        let accept = call.header("accept");
        let accepts_all = accept.is_empty() || accept.contains("*/*");
        if is_manifest && !accepts_all && !accept.contains(content.media_type) {
            return error(
                404,
                "MANIFEST_UNKNOWN",
                "OCI index found, but Accept header does not support OCI indexes",
            );
        }
        Answer::page(200, content.media_type, content.bytes.clone())
            .header("docker-content-digest", digest)
            .header("etag", format!("\"{digest}\""))
    }

    fn tags(&self, call: &Call, name: &str) -> Answer {
        if let Err(refusal) = self.allow(call, name) {
            return refusal;
        }
        let inner = self.inner.lock();
        match inner.repositories.get(name) {
            Some(repository) => {
                let tags: Vec<&String> = repository.tags.keys().collect();
                Answer::json(200, &json!({ "name": name, "tags": tags }))
            }
            None => error(404, "NAME_UNKNOWN", "repository name not known to registry"),
        }
    }
}

/// 401, and where to get a token.
fn challenge(call: &Call, name: Option<&str>) -> Answer {
    let host = call.header("host");
    let scope = name.map(|name| format!(",scope=\"repository:{name}:pull\""));
    let challenge = format!(
        "Bearer realm=\"http://{host}/token\",service=\"{host}\"{}",
        scope.unwrap_or_default()
    );
    usual_error(401).header("www-authenticate", challenge)
}

fn read_basic(given: &str) -> Option<Login> {
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(given)
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, token) = text.split_once(':')?;
    Some(Login {
        user: user.to_owned(),
        token: token.to_owned(),
    })
}

impl fmt::Display for FakeRegistry {
    /// Its host.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.listening.address)
    }
}
