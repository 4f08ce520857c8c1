//! The registry: tokens, manifests, platforms.

use std::time::Duration;

use base64::Engine as _;
use serde_json::Value;
use testkit::clock::VirtualClock;
use testkit::cloud::{Fault, ImageError, Login};
use testkit::registry::{Denial, FakeRegistry, Pushed};

use super::{NOW, Reply, ask};

const NAME: &str = "owner/gemini-balance";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

async fn get(registry: &FakeRegistry, path: &str, headers: &[(&str, &str)]) -> Reply {
    let url = format!("http://{}{path}", registry.host());
    ask("GET", &url, headers, None).await.unwrap()
}

/// A token as the challenge to a call says how to get it; the status, when there is none.
async fn token(registry: &FakeRegistry, path: &str, basic: Option<&str>) -> Result<String, u16> {
    let refused = get(registry, path, &[]).await;
    assert_eq!(refused.status, 401);
    let challenge = refused.header("www-authenticate").to_owned();
    let field = |name: &str| {
        let begin = challenge.find(&format!("{name}=\"")).unwrap() + name.len() + 2;
        let rest = &challenge[begin..];
        rest[..rest.find('"').unwrap()].to_owned()
    };
    let url = format!(
        "{}?service={}&scope={}",
        field("realm"),
        field("service"),
        field("scope")
    );
    let basic = basic.map(|login| {
        let login = base64::engine::general_purpose::STANDARD.encode(login);
        format!("Basic {login}")
    });
    let headers: Vec<(&str, &str)> = basic
        .iter()
        .map(|basic| ("authorization", basic.as_str()))
        .collect();
    let reply = ask("GET", &url, &headers, None).await.unwrap();
    match reply.status {
        200 => Ok(format!(
            "Bearer {}",
            reply.json()["token"].as_str().unwrap()
        )),
        status => Err(status),
    }
}

#[tokio::test]
async fn an_image_is_found_by_tag_and_by_digest() {
    let registry = FakeRegistry::builder()
        .image(Pushed::new(NAME, "latest"))
        .start()
        .await;
    let ping = get(&registry, "/v2/", &[]).await;
    assert_eq!(ping.status, 401);
    assert!(
        ping.header("www-authenticate")
            .starts_with("Bearer realm=\"http://127.0.0.1:")
    );
    let path = format!("/v2/{NAME}/manifests/latest");
    let token = token(&registry, &path, None).await.unwrap();
    let headers = [("authorization", token.as_str()), ("accept", INDEX)];
    let url = format!("http://{}{path}", registry.host());
    let head = ask("HEAD", &url, &headers, None).await.unwrap();
    assert_eq!((head.status, head.bytes.len()), (200, 0));
    let digest = head.header("docker-content-digest").to_owned();
    let by_tag = get(&registry, &path, &headers).await;
    let length = by_tag.bytes.len().to_string();
    assert_eq!(head.header("content-length"), length);
    assert_eq!(by_tag.header("content-type"), INDEX);
    let by_digest = get(
        &registry,
        &format!("/v2/{NAME}/manifests/{digest}"),
        &headers,
    )
    .await;
    assert_eq!(by_digest.bytes, by_tag.bytes);

    let index = by_tag.json();
    let platforms: Vec<String> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["platform"]["architecture"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
    let one = index["manifests"][1]["digest"].as_str().unwrap();
    let headers = [("authorization", token.as_str()), ("accept", MANIFEST)];
    let manifest = get(&registry, &format!("/v2/{NAME}/manifests/{one}"), &headers).await;
    let config = manifest.json()["config"]["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let config = get(&registry, &format!("/v2/{NAME}/blobs/{config}"), &headers).await;
    assert_eq!(config.json()["architecture"], "arm64");
    let old_client = get(&registry, &path, &headers).await;
    assert_eq!(old_client.status, 404, "it does not accept an index");
    let tags = get(&registry, &format!("/v2/{NAME}/tags/list"), &headers).await;
    assert_eq!(tags.json()["tags"][0], "latest");
    let missing = get(&registry, &format!("/v2/{NAME}/manifests/9"), &headers).await;
    assert_eq!(missing.json()["errors"][0]["code"], "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn tokens_are_for_one_image_and_end() {
    let clock = VirtualClock::at(NOW);
    let registry = FakeRegistry::builder()
        .clock(&clock)
        .image(Pushed::new(NAME, "1").single("linux/amd64"))
        .image(Pushed::new("owner/other", "1"))
        .start()
        .await;
    let path = format!("/v2/{NAME}/manifests/1");
    let token = token(&registry, &path, None).await.unwrap();
    let headers = [("authorization", token.as_str())];
    let single = get(&registry, &path, &headers).await;
    assert_eq!(single.header("content-type"), MANIFEST);
    assert_eq!(get(&registry, "/v2/", &headers).await.status, 200);
    let other = get(&registry, "/v2/owner/other/manifests/1", &headers).await;
    assert_eq!(other.status, 401);
    clock.advance(Duration::from_secs(300));
    assert_eq!(get(&registry, &path, &headers).await.status, 401);
}

#[tokio::test]
async fn private_images_want_a_login() {
    for denial in [Denial::AtToken, Denial::AtManifest] {
        let registry = FakeRegistry::builder().denial(denial).start().await;
        registry.push(Pushed::new(NAME, "1").private("me", "ghp_good"));
        let path = format!("/v2/{NAME}/manifests/1");
        let anonymous = token(&registry, &path, None).await;
        match denial {
            Denial::AtToken => assert_eq!(anonymous, Err(403)),
            Denial::AtManifest => {
                let headers = [("authorization", &*anonymous.unwrap())];
                assert_eq!(get(&registry, &path, &headers).await.status, 401);
            }
        }
        assert_eq!(token(&registry, &path, Some("me:bad")).await, Err(401));
        let token = token(&registry, &path, Some("me:ghp_good")).await.unwrap();
        let reply = get(&registry, &path, &[("authorization", &token)]).await;
        assert_eq!(reply.status, 200);
        let seen = format!("{:?}", registry.calls());
        assert!(!seen.contains("ghp_good"), "{seen}");
    }
}

#[tokio::test]
async fn a_tag_moves_and_clouds_pull_what_it_stands_for() {
    let registry = FakeRegistry::builder().start().await;
    let first = registry.push(Pushed::new(NAME, "latest"));
    let images = registry.images();
    let latest = registry.reference(NAME, "latest");
    assert_eq!(images(&latest, None), Ok(first.clone()));
    let second = registry.push(Pushed::new(NAME, "latest").version("2"));
    assert_ne!(first, second);
    assert_eq!(images(&latest, None), Ok(second));
    let pinned = registry.reference(NAME, &first);
    assert_eq!(images(&pinned, None), Ok(first));
    registry.push(Pushed::new("owner/arm", "1").platforms(["linux/arm64"]));
    let arm = registry.reference("owner/arm", "1");
    assert_eq!(images(&arm, None), Err(ImageError::WrongPlatform));
    registry.push(Pushed::new("owner/private", "1").private("me", "t"));
    let private = registry.reference("owner/private", "1");
    assert_eq!(images(&private, None), Err(ImageError::Denied));
    let login = Login {
        user: "me".to_owned(),
        token: "t".to_owned(),
    };
    assert!(images(&private, Some(&login)).is_ok());
    assert_eq!(
        images(&format!("ghcr.io/{NAME}:latest"), None),
        Err(ImageError::Unknown)
    );
    assert!(registry.untag(NAME, "latest"));
    assert_eq!(images(&latest, None), Err(ImageError::Unknown));
}

#[tokio::test]
async fn the_registry_fails_when_ordered() {
    let registry = FakeRegistry::builder().start().await;
    registry.fault_next(Fault::RateLimited(Duration::from_secs(7)));
    let limited = get(&registry, "/v2/", &[]).await;
    assert_eq!((limited.status, limited.header("retry-after")), (429, "7"));
    registry.fault_next(Fault::Status(500));
    let failed = get(&registry, "/v2/", &[]).await;
    assert_ne!(failed.json()["errors"], Value::Null);
    assert_eq!(registry.calls().len(), 2);
}
