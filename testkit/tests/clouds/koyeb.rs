//! Koyeb: apps, services, deployments, sleep.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::clock::VirtualClock;
use testkit::cloud::{self, Fault, Launch, Launched};
use testkit::koyeb::{Builder, FakeKoyeb, KEY};
use testkit::launch::{LaunchError, Output};

use super::{NOW, Reply, ask};

const STEP: Duration = Duration::from_secs(5);

struct Cloud {
    koyeb: FakeKoyeb,
    clock: VirtualClock,
}

impl Cloud {
    async fn with(change: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = VirtualClock::at(NOW);
        let builder = FakeKoyeb::builder().clock(&clock).step(STEP);
        Self {
            koyeb: change(builder).start().await,
            clock,
        }
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        let url = format!("{}{path}", self.koyeb.base_url());
        let key = format!("Bearer {KEY}");
        ask(method, &url, &[("authorization", &key)], body.as_ref())
            .await
            .unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let reply = self.call("GET", path, None).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.json());
        reply.json()
    }

    /// Makes an app and a service in it; gives the service's id and the app's address.
    async fn create(&self, name: &str) -> (String, String) {
        let app = self
            .call("POST", "/v1/apps", Some(json!({ "name": name })))
            .await
            .json();
        let domain = app["app"]["domains"][0]["name"].as_str().unwrap();
        let body = json!({ "app_id": app["app"]["id"], "definition": definition(name) });
        let made = self.call("POST", "/v1/services", Some(body)).await;
        assert_eq!(made.status, 200, "{}", made.json());
        let id = made.json()["service"]["id"].as_str().unwrap().to_owned();
        (id, format!("http://{domain}"))
    }

    async fn statuses(&self, service: &str) -> Vec<String> {
        let deployments = self
            .get(&format!("/v1/deployments?service_id={service}"))
            .await;
        let deployments = deployments["deployments"].as_array().unwrap().iter();
        deployments
            .map(|it| it["status"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn definition(name: &str) -> Value {
    json!({
        "name": name,
        "type": "WEB",
        "regions": ["fra"],
        "instance_types": [{ "type": "free" }],
        "scalings": [{ "min": 0, "max": 1 }],
        "ports": [{ "port": 8000, "protocol": "http" }],
        "routes": [{ "path": "/", "port": 8000 }],
        "health_checks": [{ "http": { "port": 8000, "path": "/health" } }],
        "env": [{ "key": "AUTH_TOKEN", "value": "t" }],
        "docker": { "image": "ghcr.io/owner/gemini-balance:latest" },
    })
}

#[tokio::test]
async fn keys_are_checked_and_calls_counted() {
    let cloud = Cloud::with(|builder| builder).await;
    let profile = cloud.call("GET", "/v1/account/profile", None).await;
    assert!(profile.json()["user"]["id"].is_string());
    assert_eq!(profile.header("x-ratelimit-limit"), "400, 400;w=60");
    assert_eq!(profile.header("x-ratelimit-remaining"), "399");
    cloud.get("/v1/account/organization").await;
    for _ in 2..400 {
        cloud.get("/v1/apps").await;
    }
    let over = cloud.call("GET", "/v1/apps", None).await;
    assert_eq!((over.status, over.header("x-ratelimit-reset")), (429, "60"));
    cloud.clock.advance(Duration::from_secs(60));
    cloud.get("/v1/apps").await;
    cloud.koyeb.fault_next(Fault::Status(503));
    assert_eq!(
        cloud.call("GET", "/v1/apps", None).await.json()["status"],
        503
    );
    cloud.koyeb.revoke_key(KEY);
    assert_eq!(cloud.call("GET", "/v1/apps", None).await.status, 401);
}

#[tokio::test]
async fn a_service_is_deployed_changed_paused_and_deleted() {
    let cloud = Cloud::with(|builder| builder).await;
    let (id, url) = cloud.create("gemini").await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.extend(cloud.statuses(&id).await);
        cloud.clock.advance(STEP);
    }
    assert_eq!(seen, ["PENDING", "PROVISIONING", "STARTING", "HEALTHY"]);
    let service = cloud.get(&format!("/v1/services/{id}")).await;
    assert_eq!(service["service"]["status"], "HEALTHY");
    let launch = cloud.koyeb.launches().pop().unwrap();
    assert_eq!(launch.environment["PORT"], "8000");
    assert_eq!(launch.environment["AUTH_TOKEN"], "t");
    let visit = ask("GET", &format!("{url}/health"), &[], None)
        .await
        .unwrap();
    assert_eq!(visit.status, 200);
    let instances = cloud.get(&format!("/v1/instances?service_id={id}")).await;
    assert_eq!(instances["count"], 1);
    let memory = format!("/v1/streams/metrics?service_id={id}&name=MEM_RSS");
    let memory = cloud.get(&memory).await;
    assert_eq!(memory["metrics"][0]["samples"][0]["value"], 44_040_192.0);

    let mut changed = definition("gemini");
    changed["env"] = json!([{ "key": "AUTH_TOKEN", "value": "u" }]);
    let path = format!("/v1/services/{id}");
    let dry = format!("{path}?dry_run=true");
    let body = json!({ "definition": changed });
    cloud.call("PATCH", &dry, Some(body.clone())).await;
    assert_eq!(cloud.statuses(&id).await.len(), 1, "nothing is done");
    cloud.call("PATCH", &path, Some(body)).await;
    cloud.clock.advance(STEP * 3);
    assert_eq!(cloud.statuses(&id).await, ["HEALTHY", "STOPPED"]);
    assert_eq!(
        cloud.koyeb.launches().pop().unwrap().environment["AUTH_TOKEN"],
        "u"
    );

    cloud.call("POST", &format!("{path}/pause"), None).await;
    assert_eq!(cloud.statuses(&id).await, ["STOPPED", "STOPPED"]);
    assert_eq!(cloud.get(&path).await["service"]["status"], "PAUSED");
    let visit = ask("GET", &format!("{url}/"), &[], None).await.unwrap();
    assert_eq!(visit.status, 404);
    cloud.call("POST", &format!("{path}/resume"), None).await;
    cloud.clock.advance(STEP * 3);
    assert_eq!(cloud.get(&path).await["service"]["status"], "HEALTHY");
    let redeployed = cloud
        .call("POST", &format!("{path}/redeploy"), None)
        .await
        .json();
    let deployment = redeployed["deployment"]["id"].as_str().unwrap();
    cloud
        .call(
            "POST",
            &format!("/v1/deployments/{deployment}/cancel"),
            None,
        )
        .await;
    assert_eq!(cloud.statuses(&id).await[0], "CANCELED");
    let events = cloud
        .get(&format!("/v1/deployment_events?deployment_id={deployment}"))
        .await;
    assert_eq!(events["events"][0]["message"], "Deployment canceled");
    let app = cloud.get(&path).await["service"]["app_id"].clone();
    let app = format!("/v1/apps/{}", app.as_str().unwrap());
    let refused = cloud.call("DELETE", &app, None).await;
    assert_eq!(refused.status, 400, "it still has a service");
    assert_eq!(cloud.call("DELETE", &path, None).await.status, 200);
    assert_eq!(cloud.call("GET", &path, None).await.status, 404);
    assert_eq!(cloud.call("DELETE", &app, None).await.status, 200);

    let name = json!({ "name": "short", "life_cycle": { "delete_when_empty": true } });
    let made = cloud.call("POST", "/v1/apps", Some(name)).await.json();
    let body = json!({ "app_id": made["app"]["id"], "definition": definition("web") });
    let made = cloud.call("POST", "/v1/services", Some(body)).await.json();
    let service = format!("/v1/services/{}", made["service"]["id"].as_str().unwrap());
    assert_eq!(cloud.get("/v1/apps").await["count"], 1);
    cloud.call("DELETE", &service, None).await;
    assert_eq!(cloud.get("/v1/apps").await["count"], 0);
}

#[tokio::test]
async fn mistakes_are_named() {
    let cloud = Cloud::with(|builder| builder).await;
    let (_, _) = cloud.create("one").await;
    let again = cloud
        .call("POST", "/v1/apps", Some(json!({ "name": "one" })))
        .await;
    assert_eq!(again.json()["fields"][0]["field"], "name");
    for name in ["A", "a-name-of-24-characters-"] {
        let bad = json!({ "name": name });
        assert_eq!(cloud.call("POST", "/v1/apps", Some(bad)).await.status, 400);
    }
    let app = cloud.get("/v1/apps?name=one").await["apps"][0]["id"].clone();
    let second = json!({ "app_id": app, "definition": definition("two") });
    let refused = cloud.call("POST", "/v1/services", Some(second)).await;
    assert_eq!(refused.json()["code"], "quota_exceeded");
    let mut paid = definition("two");
    paid["instance_types"] = json!([{ "type": "nano" }]);
    paid["docker"] = json!({});
    let no_image = json!({ "app_id": app, "definition": paid });
    let refused = cloud.call("POST", "/v1/services", Some(no_image)).await;
    assert_eq!(
        refused.json()["fields"][0]["field"],
        "definition.docker.image"
    );
}

#[tokio::test]
async fn an_image_or_a_program_that_fails_is_an_error() {
    let cloud = Cloud::with(|builder| builder.images(cloud::images(["nginx"]))).await;
    let (id, _) = cloud.create("missing").await;
    cloud.clock.advance(STEP * 3);
    assert_eq!(cloud.statuses(&id).await, ["ERROR"]);
    let service = cloud.get(&format!("/v1/services/{id}")).await;
    let message = service["service"]["messages"][0].to_string();
    assert!(message.contains("manifest unknown"), "{message}");
    assert_eq!(service["service"]["status"], "UNHEALTHY");

    let refuses = |launch: Launch| async move {
        launch.log.push(Output::Stderr, "MYSQL_HOST: who?");
        Err(LaunchError::Ended(None, String::new()))
    };
    let cloud =
        Cloud::with(|builder| builder.on_live(Arc::new(move |launch| Box::pin(refuses(launch)))))
            .await;
    let (id, _) = cloud.create("crash").await;
    cloud.clock.advance(STEP * 3);
    assert_eq!(cloud.statuses(&id).await, ["ERROR"]);
    let logs = format!("/v1/streams/logs/query?type=runtime&service_id={id}");
    assert_eq!(cloud.get(&logs).await["data"][0]["msg"], "MYSQL_HOST: who?");

    // Nobody listens on this port.
    let sick = |_: Launch| async { Ok(Launched::at(([127, 0, 0, 1], 9).into())) };
    let cloud = Cloud::with(|builder| {
        let on_live: cloud::OnLive = Arc::new(move |launch| Box::pin(sick(launch)));
        builder.on_live(on_live).step_per_get()
    })
    .await;
    let (id, _) = cloud.create("sick").await;
    let mut seen = Vec::new();
    for _ in 0..8 {
        seen.extend(cloud.statuses(&id).await);
    }
    assert_eq!(seen[1], "STARTING");
    assert_eq!(seen[7], "UNHEALTHY");
}

#[tokio::test]
async fn a_free_instance_sleeps_after_an_hour() {
    let cloud = Cloud::with(|builder| builder.wake(Duration::ZERO)).await;
    let (id, url) = cloud.create("sleeper").await;
    cloud.clock.advance(STEP * 3);
    cloud.koyeb.settle().await;
    let instances = format!("/v1/instances?service_id={id}");
    assert_eq!(cloud.get(&instances).await["count"], 1);
    cloud.clock.advance(Duration::from_secs(3600));
    assert_eq!(cloud.get(&instances).await["count"], 0);
    let visit = ask("GET", &format!("{url}/"), &[], None).await.unwrap();
    assert_eq!(visit.status, 200);
    assert_eq!(cloud.get(&instances).await["count"], 1);
    assert_eq!(cloud.koyeb.launches().len(), 2);
}
