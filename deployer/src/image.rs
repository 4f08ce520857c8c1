//! Asks a registry whether an image can be deployed, and which content its name stands for.
//!
//! The OCI distribution API (<https://github.com/opencontainers/distribution-spec>), as
//! docker.io, ghcr.io and quay.io speak it, without a login: a private image cannot be pulled
//! by a provider that knows no login either.

use std::net::IpAddr;
use std::time::Duration;

use contract::deploy::{ImageProgram, ImageView};
use contract::{ApiError, ErrorCode};
use oci_spec::distribution::Reference;
use reqwest::header::{ACCEPT, AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::Value;

use crate::run::Setback;

/// What providers run.
const PLATFORM: &str = "linux/amd64";
/// What is understood: an index or a manifest, of OCI or of Docker.
const TYPES: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";
/// The longest answer that is read; registries take manifests up to 4 MiB.
const LONGEST: usize = 4 * 1024 * 1024;
/// The repository of the Python original, on whatever registry or mirror.
const ORIGINAL: &str = "snailyp/gemini-balance";

/// Connections to registries.
#[derive(Clone, Debug)]
pub struct Registry {
    client: Client,
}

/// A manifest or an index, with what its content is called.
struct Manifest {
    digest: String,
    value: Value,
}

/// What a name of an image means, in full, e.g. `docker.io/library/nginx:latest` for `nginx`.
///
/// # Errors
/// When it is no name of an image.
pub fn parse(image: &str) -> Result<Reference, ApiError> {
    image.trim().parse().map_err(|error| {
        refused(format!(
            "{image} is no name of an image ({error}). It is written like \
             ghcr.io/owner/name:tag, in small letters and without https://."
        ))
    })
}

/// An image's name in full, e.g. `docker.io/library/nginx:latest` for `nginx`. What is no name
/// is left for the provider to refuse.
pub(crate) fn whole(image: &str) -> String {
    let reference: Option<Reference> = image.parse().ok();
    reference.map_or_else(|| image.to_owned(), |reference| reference.whole())
}

/// Which program is in an image, as far as its name tells.
pub fn program(reference: &Reference) -> ImageProgram {
    match reference.repository().ends_with(ORIGINAL) {
        true => ImageProgram::Original,
        false => ImageProgram::Ours,
    }
}

/// The same image by its content, e.g. `ghcr.io/owner/name@sha256:…`.
pub fn pinned(reference: &Reference, digest: &str) -> String {
    reference.clone_with_digest(digest.to_owned()).whole()
}

impl Registry {
    /// Sets up connections.
    ///
    /// # Errors
    /// When the TLS set-up of the system cannot be read.
    pub fn new() -> Result<Self, ApiError> {
        // Another part of the process may have installed the same provider; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .no_proxy()
            // Contents may lie elsewhere; the token does not go there.
            .redirect(reqwest::redirect::Policy::limited(5))
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(30))
            .build()
            .map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
        Ok(Self { client })
    }

    /// Looks an image up.
    ///
    /// # Errors
    /// When it is no name, the image does not exist, may not be read or is not for
    /// `linux/amd64`, or the registry could not be asked.
    pub async fn look(&self, image: &str) -> Result<ImageView, Setback> {
        let reference = parse(image).map_err(for_good)?;
        let mut token = None;
        let name = reference
            .digest()
            .or(reference.tag())
            .unwrap_or("latest")
            .to_owned();
        let top = self.manifest(&reference, &name, &mut token).await?;
        let (platforms, manifest) = match top.value.get("manifests").and_then(Value::as_array) {
            Some(manifests) => {
                let all: Vec<(String, &str)> = manifests.iter().filter_map(described).collect();
                let ours = all.iter().find(|(platform, _)| platform == PLATFORM);
                let manifest = match ours {
                    Some((_, digest)) => {
                        let found = self.manifest(&reference, digest, &mut token).await?;
                        Some(found.value)
                    }
                    None => None,
                };
                let platforms = all.into_iter().map(|(platform, _)| platform).collect();
                (platforms, manifest)
            }
            None => {
                let config = top.value.pointer("/config/digest").and_then(Value::as_str);
                let Some(config) = config else {
                    return Err(for_good(refused(format!(
                        "{} is no image that can be run.",
                        reference.whole()
                    ))));
                };
                let path = format!("blobs/{config}");
                let config = self.get(&reference, &path, &mut token).await?;
                let config = json(&reference, config).await?;
                let platforms: Vec<String> = platform(&config).into_iter().collect();
                (platforms, Some(top.value))
            }
        };
        if !platforms.iter().any(|platform| platform == PLATFORM) {
            return Err(for_good(refused(format!(
                "{} is not for {PLATFORM}, which providers run, but for {}.",
                reference.whole(),
                platforms.join(", ")
            ))));
        }
        Ok(ImageView {
            reference: reference.whole(),
            digest: top.digest,
            platforms,
            bytes: manifest.as_ref().and_then(size),
            program: program(&reference),
        })
    }

    /// What is under a tag or digest.
    async fn manifest(
        &self,
        reference: &Reference,
        name: &str,
        token: &mut Option<String>,
    ) -> Result<Manifest, Setback> {
        let path = format!("manifests/{name}");
        let response = self.get(reference, &path, token).await?;
        let header = response.headers().get("docker-content-digest");
        let header = header.and_then(|digest| digest.to_str().ok());
        let digest = match name.contains(':') {
            true => Some(name),
            false => header,
        };
        let Some(digest) = digest.map(str::to_owned) else {
            return Err(for_good(refused(format!(
                "{} does not tell the digest of the image, so it cannot be pinned.",
                reference.registry()
            ))));
        };
        // It becomes part of what is deployed.
        if parse(&pinned(reference, &digest)).is_err() {
            return Err(strange(reference));
        }
        let value = json(reference, response).await?;
        Ok(Manifest { digest, value })
    }

    async fn get(
        &self,
        reference: &Reference,
        path: &str,
        token: &mut Option<String>,
    ) -> Result<Response, Setback> {
        let host = reference.resolve_registry();
        let scheme = if is_loopback(host) { "http" } else { "https" };
        let repository = reference.repository();
        let url = format!("{scheme}://{host}/v2/{repository}/{path}");
        loop {
            let mut request = self.client.get(&url).header(ACCEPT, TYPES);
            if let Some(token) = token.as_deref() {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
            let response = request
                .send()
                .await
                .map_err(|error| away(reference, &error))?;
            match response.status() {
                StatusCode::UNAUTHORIZED if token.is_none() => {
                    *token = Some(self.token(reference, &response).await?);
                }
                status if status.is_success() => return Ok(response),
                _ => return Err(failed(reference, &response)),
            }
        }
    }

    /// A token for everybody, from where the registry's challenge says
    /// (<https://distribution.github.io/distribution/spec/auth/token/>).
    async fn token(&self, reference: &Reference, from: &Response) -> Result<String, Setback> {
        let challenge = from.headers().get(WWW_AUTHENTICATE);
        let challenge = challenge.and_then(|challenge| challenge.to_str().ok());
        let Some((realm, mut questions)) = challenge.and_then(read_challenge) else {
            return Err(private(reference));
        };
        let mut url = Url::parse(&realm).map_err(|_| strange(reference))?;
        let is_safe = url.scheme() == "https" || is_loopback(reference.resolve_registry());
        if !is_safe {
            return Err(strange(reference));
        }
        if !questions.iter().any(|(name, _)| name == "scope") {
            let scope = format!("repository:{}:pull", reference.repository());
            questions.push(("scope".to_owned(), scope));
        }
        url.query_pairs_mut().extend_pairs(questions);
        let response = self.client.get(url).send().await;
        let response = response.map_err(|error| away(reference, &error))?;
        if !response.status().is_success() {
            return Err(failed(reference, &response));
        }
        let answer = json(reference, response).await?;
        let token = answer.get("token").or_else(|| answer.get("access_token"));
        match token.and_then(Value::as_str) {
            Some(token) => Ok(token.to_owned()),
            None => Err(strange(reference)),
        }
    }
}

/// `Bearer realm="…",service="…",scope="…"`: the realm, and what is asked there.
fn read_challenge(text: &str) -> Option<(String, Vec<(String, String)>)> {
    let (scheme, mut rest) = text.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let mut realm = None;
    let mut questions = Vec::new();
    // Values are quoted and may hold commas.
    while let Some((name, after)) = rest.split_once("=\"") {
        let (value, after) = after.split_once('"')?;
        match name.trim_matches([' ', ',']) {
            "realm" => realm = Some(value.to_owned()),
            name @ ("service" | "scope") => questions.push((name.to_owned(), value.to_owned())),
            _ => {}
        }
        rest = after;
    }
    Some((realm?, questions))
}

/// `linux/amd64`; attestations and the like, which call themselves unknown, are none.
fn platform(value: &Value) -> Option<String> {
    let text = |name| value.get(name).and_then(Value::as_str);
    let (os, architecture) = (text("os")?, text("architecture")?);
    if os == "unknown" {
        return None;
    }
    Some(match text("variant") {
        Some(variant) => format!("{os}/{architecture}/{variant}"),
        None => format!("{os}/{architecture}"),
    })
}

fn described(descriptor: &Value) -> Option<(String, &str)> {
    let digest = descriptor.get("digest").and_then(Value::as_str)?;
    Some((platform(descriptor.get("platform")?)?, digest))
}

/// Bytes to download.
fn size(manifest: &Value) -> Option<u64> {
    let layers = manifest.get("layers")?.as_array()?;
    let sizes = layers.iter().chain(manifest.get("config"));
    sizes
        .map(|it| it.get("size").and_then(Value::as_u64))
        .try_fold(0_u64, |sum, size| sum.checked_add(size?))
}

async fn json(reference: &Reference, mut response: Response) -> Result<Value, Setback> {
    let mut body = Vec::new();
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(|error| away(reference, &error))?
    {
        if body.len() + piece.len() > LONGEST {
            return Err(strange(reference));
        }
        body.extend_from_slice(&piece);
    }
    serde_json::from_slice(&body).map_err(|_| strange(reference))
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn refused(message: String) -> ApiError {
    ApiError::new(ErrorCode::ImageRefused, message)
}

fn for_good(error: ApiError) -> Setback {
    Setback {
        error,
        may_pass: false,
    }
}

fn for_now(message: String) -> Setback {
    Setback {
        error: ApiError::new(ErrorCode::Unreachable, message),
        may_pass: true,
    }
}

fn failed(reference: &Reference, response: &Response) -> Setback {
    let host = reference.registry();
    match response.status() {
        StatusCode::NOT_FOUND => for_good(refused(format!(
            "{} does not exist. Look at the name and the tag.",
            reference.whole()
        ))),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => private(reference),
        StatusCode::TOO_MANY_REQUESTS => {
            let after = response.headers().get(RETRY_AFTER);
            let after = after.and_then(|after| after.to_str().ok());
            let after = after.map_or_else(|| "later".to_owned(), |after| format!("in {after} s"));
            for_now(format!(
                "{host} takes no more questions now; again {after}."
            ))
        }
        status if status.is_server_error() => {
            for_now(format!("{host} fails at the moment ({status})."))
        }
        status => for_good(refused(format!("{host} refuses the question ({status})."))),
    }
}

fn private(reference: &Reference) -> Setback {
    for_good(refused(format!(
        "{} does not exist or is private. Look at the name, or make the package public.",
        reference.whole()
    )))
}

fn strange(reference: &Reference) -> Setback {
    for_good(refused(format!(
        "What {} answers is not understood; perhaps it is no registry of images.",
        reference.registry()
    )))
}

fn away(reference: &Reference, error: &reqwest::Error) -> Setback {
    // Its own text holds the address.
    let why = match error {
        error if error.is_timeout() => "no answer in time",
        error if error.is_connect() => "no connection",
        _ => "the connection broke",
    };
    for_now(format!(
        "{} could not be asked: {why}.",
        reference.registry()
    ))
}

#[cfg(test)]
mod tests {
    use testkit::cloud::Fault;
    use testkit::registry::{Denial, FakeRegistry, Pushed};

    use super::*;

    async fn look(registry: &FakeRegistry, tag: &str) -> Result<ImageView, Setback> {
        let image = registry.reference("owner/name", tag);
        Registry::new().unwrap().look(&image).await
    }

    #[test]
    fn names_are_written_in_full_and_pinned() {
        let full = |image: &str| parse(image).unwrap().whole();
        assert_eq!(full("nginx"), "docker.io/library/nginx:latest");
        assert_eq!(full(" ghcr.io/o/n:1 "), "ghcr.io/o/n:1");
        let digest = format!("sha256:{}", "1".repeat(64));
        let reference = parse("ghcr.io/o/n:1").unwrap();
        assert_eq!(pinned(&reference, &digest), format!("ghcr.io/o/n@{digest}"));
        for wrong in ["", "https://ghcr.io/o/n", "ghcr.io/O/N", "a b"] {
            let error = parse(wrong).unwrap_err();
            assert_eq!(error.code, ErrorCode::ImageRefused, "{wrong}");
        }
        let original = parse("ghcr.io/snailyp/gemini-balance:latest").unwrap();
        assert_eq!(program(&original), ImageProgram::Original);
        assert_eq!(program(&reference), ImageProgram::Ours);
    }

    #[test]
    fn a_challenge_is_read_whatever_its_values_hold() {
        let text = r#"Bearer realm="https://a.example/token",service="a,b",scope="repository:o/n:pull,push""#;
        let (realm, questions) = read_challenge(text).unwrap();
        assert_eq!(realm, "https://a.example/token");
        let pairs = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [
            pairs("service", "a,b"),
            pairs("scope", "repository:o/n:pull,push"),
        ];
        assert_eq!(questions, expected);
        assert_eq!(read_challenge("Basic realm=\"a\""), None);
        assert_eq!(read_challenge("Bearer realm=\"a"), None);
    }

    #[tokio::test]
    async fn an_image_is_found_with_its_digest_platforms_and_size() {
        let registry = FakeRegistry::builder().start().await;
        let digest = registry.push(Pushed::new("owner/name", "latest"));
        let found = look(&registry, "latest").await.unwrap();
        assert_eq!(found.digest, digest);
        assert_eq!(found.platforms, ["linux/amd64", "linux/arm64"]);
        assert!(found.bytes.is_some_and(|bytes| bytes > 0));
        let pinned = pinned(&parse(&found.reference).unwrap(), &digest);
        let by_digest = Registry::new().unwrap().look(&pinned).await.unwrap();
        assert_eq!(by_digest.digest, digest);
    }

    #[tokio::test]
    async fn an_image_without_an_index_names_its_platform_in_its_configuration() {
        let registry = FakeRegistry::builder().start().await;
        let single = Pushed::new("owner/name", "one").single("linux/amd64");
        let digest = registry.push(single);
        let found = look(&registry, "one").await.unwrap();
        assert_eq!((found.digest, found.platforms.len()), (digest, 1));
        registry.push(Pushed::new("owner/name", "arm").single("linux/arm64"));
        let error = look(&registry, "arm").await.unwrap_err();
        assert!(error.error.message.contains("but for linux/arm64"));
        assert!(!error.may_pass);
    }

    #[tokio::test]
    async fn what_cannot_be_deployed_is_refused_with_the_reason() {
        for denial in [Denial::AtToken, Denial::AtManifest] {
            let registry = FakeRegistry::builder().denial(denial).start().await;
            registry.push(Pushed::new("owner/name", "latest").private("me", "pass"));
            let setback = look(&registry, "latest").await.unwrap_err();
            assert!(setback.error.message.contains("private"), "{setback:?}");
            assert!(!setback.may_pass);
        }
        let registry = FakeRegistry::builder().start().await;
        registry.push(Pushed::new("owner/name", "latest").platforms(["linux/arm64"]));
        let setback = look(&registry, "latest").await.unwrap_err();
        assert!(setback.error.message.contains("linux/amd64"), "{setback:?}");
        let setback = look(&registry, "other").await.unwrap_err();
        assert!(setback.error.message.contains("tag"), "{setback:?}");
        assert_eq!(setback.error.code, ErrorCode::ImageRefused);
    }

    #[tokio::test]
    async fn a_registry_that_is_away_may_come_back() {
        let registry = FakeRegistry::builder().start().await;
        registry.push(Pushed::new("owner/name", "latest"));
        for fault in [
            Fault::Status(503),
            Fault::CutBefore,
            Fault::RateLimited(Duration::from_secs(9)),
        ] {
            registry.fault_next(fault);
            let setback = look(&registry, "latest").await.unwrap_err();
            assert!(setback.may_pass, "{setback:?}");
            assert_eq!(setback.error.code, ErrorCode::Unreachable);
        }
        look(&registry, "latest").await.unwrap();
    }
}
