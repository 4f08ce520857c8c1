//! Render: its API against its own description, its deploys, its edge, its limits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::{Value, json};
use testkit::clock::VirtualClock;
use testkit::cloud::{self, Fault, FaultRule, Launch, Launched};
use testkit::launch::{LaunchError, Output, server_binary};
use testkit::render::{Builder, FakeRender, KEY, OWNER, Pace, ResetStyle};

use tokio::net::TcpStream;

use super::oracle::Oracle;
use super::{NOW, Reply, ask};

const IMAGE: &str = "ghcr.io/owner/gemini-balance:latest";
const STEP: Duration = Duration::from_secs(10);

/// A Render, its clock, and a client that compares every call with the description.
struct Cloud {
    render: FakeRender,
    clock: VirtualClock,
    oracle: Option<Oracle>,
}

impl Cloud {
    async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(change: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = VirtualClock::at(NOW);
        let builder = FakeRender::builder().clock(&clock).pace(Pace::every(STEP));
        Self {
            render: change(builder).start().await,
            clock,
            oracle: Oracle::find(),
        }
    }

    /// A call with the usual key; `{}` in the path is filled with `id`.
    async fn call(&self, method: &str, path: &str, id: &str, body: Option<Value>) -> Reply {
        let plain = path.split('?').next().unwrap();
        let described = plain
            .replace("{}", "{serviceId}")
            .replace("/deploys/:", "/deploys/{deployId}")
            .replace("/env-vars/:", "/env-vars/{envVarKey}");
        let (first, second) = id.split_once(' ').unwrap_or((id, ""));
        let url = format!("{}{}", self.render.base_url(), path)
            .replace("{}", first)
            .replace("{ownerId}", first)
            .replace("{registryCredentialId}", first)
            .replace("/:", &format!("/{second}"));
        let key = format!("Bearer {KEY}");
        let reply = ask(method, &url, &[("authorization", &key)], body.as_ref())
            .await
            .unwrap();
        if let Some(oracle) = &self.oracle {
            if let Some(body) = body.filter(|_| reply.status < 400) {
                let wrong = oracle.request(method, &described, &body);
                assert_eq!(wrong, [""; 0], "request of {method} {path}");
            }
            let wrong = oracle.response(method, &described, reply.status, &reply.json());
            assert_eq!(wrong, [""; 0], "{method} {path}: {}", reply.json());
        }
        reply
    }

    async fn get(&self, path: &str, id: &str) -> Value {
        let reply = self.call("GET", path, id, None).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.json());
        reply.json()
    }

    async fn post(&self, path: &str, id: &str, body: Value) -> Reply {
        self.call("POST", path, id, Some(body)).await
    }

    /// Makes a service, and gives its id.
    async fn create(&self, wish: Value) -> String {
        let reply = self.post("/services", "", wish).await;
        assert_eq!(reply.status, 201, "{}", reply.json());
        reply.json()["service"]["id"].as_str().unwrap().to_owned()
    }

    /// Makes a service, and waits until it is live.
    async fn live(&self, wish: Value) -> String {
        let id = self.create(wish).await;
        self.clock.advance(STEP * 4);
        assert_eq!(self.status(&id).await, "live");
        id
    }

    /// The status of the latest deploy.
    async fn status(&self, id: &str) -> String {
        let deploys = self.get("/services/{}/deploys?limit=1", id).await;
        deploys[0]["deploy"]["status"].as_str().unwrap().to_owned()
    }

    /// The kinds of a service's events, oldest first.
    async fn events(&self, id: &str) -> Vec<String> {
        let events = self.get("/services/{}/events?limit=100", id).await;
        let mut kinds: Vec<String> = events
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["event"]["type"].as_str().unwrap().to_owned())
            .collect();
        kinds.reverse();
        kinds
    }

    /// A request at a service's own address.
    async fn visit(&self, id: &str) -> Reply {
        let url = self.url(id).await;
        ask("GET", &format!("{url}/health"), &[], None)
            .await
            .unwrap()
    }

    async fn url(&self, id: &str) -> String {
        let service = self.get("/services/{}", id).await;
        service["serviceDetails"]["url"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

fn wish(name: &str) -> Value {
    json!({
        "type": "web_service",
        "name": name,
        "ownerId": OWNER,
        "autoDeploy": "no",
        "image": { "ownerId": OWNER, "imagePath": IMAGE },
        "envVars": [
            { "key": "PORT", "value": "8000" },
            { "key": "AUTH_TOKEN", "generateValue": true },
        ],
        "serviceDetails": {
            "runtime": "image", "plan": "free", "region": "singapore",
            "healthCheckPath": "/health", "numInstances": 1, "envSpecificDetails": {},
        },
    })
}

#[test]
fn the_description_is_understood() {
    let Some(oracle) = Oracle::find() else {
        return;
    };
    let good = wish("a");
    assert_eq!(oracle.request("POST", "/services", &good), [""; 0]);
    let mut bad = good;
    bad["serviceDetails"]["plan"] = json!("golden");
    bad["envVars"] = json!([{ "key": "A" }]);
    assert_eq!(oracle.request("POST", "/services", &bad).len(), 2);
    let user = json!({ "email": "a@b.c" });
    assert_eq!(oracle.response("GET", "/users", 200, &user).len(), 1);
    assert_eq!(oracle.response("GET", "/users", 204, &json!(null)).len(), 1);
}

#[tokio::test]
async fn only_known_keys_are_let_in() {
    let cloud = Cloud::new().await;
    let user = cloud.get("/users", "").await;
    assert!(user["email"].as_str().unwrap().contains('@'));
    let owners = cloud.get("/owners", "").await;
    assert_eq!(owners[0]["owner"]["id"], OWNER);
    assert_eq!(owners[0]["owner"]["type"], "team");
    cloud.get("/owners/{ownerId}", OWNER).await;
    cloud.render.revoke_key(KEY);
    let refused = cloud.call("GET", "/users", "", None).await;
    assert_eq!(refused.status, 401);
    let url = format!("{}/users", cloud.render.base_url());
    cloud.render.add_key("rnd_new");
    let headers = [("authorization", "Bearer rnd_new"), ("accept", "text/html")];
    let refused = ask("GET", &url, &headers, None).await.unwrap();
    assert_eq!(refused.status, 406);
}

#[tokio::test]
async fn a_service_is_made_shown_changed_and_deleted() {
    let cloud = Cloud::new().await;
    let mut first = wish("one");
    first["image"]["imagePath"] = json!("nginx");
    let made = cloud.post("/services", "", first).await.json();
    let service = &made["service"];
    assert_eq!(service["imagePath"], "docker.io/library/nginx:latest");
    assert_eq!(service["slug"].as_str().unwrap().len(), "one-abcd".len());
    assert_eq!(service["serviceDetails"]["openPorts"], json!(null));
    let id = service["id"].as_str().unwrap();
    assert_eq!(
        cloud.get("/services/{}/deploys", id).await[0]["deploy"]["id"],
        made["deployId"]
    );
    let again = cloud.post("/services", "", wish("one")).await;
    assert_eq!(again.status, 409);
    cloud.create(wish("two")).await;
    let named = cloud
        .get("/services?name=two,three&type=web_service&limit=20", "")
        .await;
    assert_eq!(named.as_array().unwrap().len(), 1);
    assert_eq!(named[0]["service"]["name"], "two");

    let change = json!({
        "image": { "ownerId": OWNER, "imagePath": "ghcr.io/other/image" },
        "serviceDetails": { "healthCheckPath": "/healthz", "maxShutdownDelaySeconds": 60 },
    });
    let changed = cloud
        .call("PATCH", "/services/{}", id, Some(change))
        .await
        .json();
    assert_eq!(changed["imagePath"], "ghcr.io/other/image:latest");
    assert_eq!(changed["serviceDetails"]["healthCheckPath"], "/healthz");
    assert_eq!(changed["serviceDetails"]["maxShutdownDelaySeconds"], 60);
    let deploys = cloud.get("/services/{}/deploys", id).await;
    assert_eq!(
        deploys.as_array().unwrap().len(),
        1,
        "PATCH does not deploy"
    );

    let url = cloud.url(id).await;
    let gone = cloud.call("DELETE", "/services/{}", id, None).await;
    assert_eq!(gone.status, 204);
    let missing = cloud.call("GET", "/services/{}", id, None).await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.json()["message"], format!("not found: {id}"));
    let ruin = ask("GET", &format!("{url}/"), &[], None).await.unwrap();
    assert_eq!(
        (ruin.status, ruin.header("x-render-routing")),
        (404, "no-server")
    );
}

#[tokio::test]
async fn mistakes_are_named() {
    let cloud = Cloud::new().await;
    for (change, said) in [
        (json!({ "name": null }), "name is required"),
        (json!({ "ownerId": "tea-nobody" }), "invalid ownerId"),
        (json!({ "image": null }), "image is required"),
        (
            json!({ "envVars": [{ "key": "A" }] }),
            "value or generateValue",
        ),
        (
            json!({ "envVars": [{ "key": "1A", "value": "" }] }),
            "invalid environment",
        ),
        (
            json!({ "envVars": [{ "key": "A", "value": "" }, { "key": "A", "value": "" }] }),
            "duplicate",
        ),
        (
            json!({ "envVars": [{ "key": "PORT", "value": "19099" }] }),
            "reserved",
        ),
        (
            json!({ "serviceDetails": { "runtime": "image", "plan": "golden" } }),
            "invalid plan: golden",
        ),
        (
            json!({ "image": { "ownerId": "tea-other", "imagePath": "nginx" } }),
            "image.ownerId",
        ),
    ] {
        let mut bad = wish("bad");
        for (name, value) in change.as_object().unwrap() {
            bad[name] = value.clone();
        }
        let refused = cloud.post("/services", "", bad).await;
        assert_eq!(refused.status, 400);
        let message = refused.json()["message"].to_string();
        assert!(message.contains(said), "{message} should say {said}");
    }
    assert_eq!(cloud.get("/services", "").await, json!([]));
}

#[tokio::test]
async fn lists_come_in_pages() {
    let cloud = Cloud::new().await;
    let id = cloud.create(wish("paged")).await;
    let many: Vec<Value> = (0..45)
        .map(|i| json!({ "key": format!("V{i}"), "value": "x" }))
        .collect();
    let all = cloud
        .call("PUT", "/services/{}/env-vars", &id, Some(json!(many)))
        .await;
    assert_eq!(all.json().as_array().unwrap().len(), 45);
    let mut seen = Vec::new();
    let mut path = "/services/{}/env-vars".to_owned();
    loop {
        let page = cloud.get(&path, &id).await;
        let page = page.as_array().unwrap();
        seen.push(page.len());
        let Some(last) = page.last() else { break };
        let cursor = last["cursor"].as_str().unwrap();
        path = format!("/services/{{}}/env-vars?cursor={cursor}");
    }
    assert_eq!(seen, [20, 20, 5, 0]);
    for query in ["limit=0", "limit=101", "limit=x", "cursor=x"] {
        // The description has no 400 here, so ask past it.
        let url = format!("{}/services/{id}/env-vars?{query}", cloud.render.base_url());
        let key = format!("Bearer {KEY}");
        let refused = ask("GET", &url, &[("authorization", &key)], None)
            .await
            .unwrap();
        assert_eq!(refused.status, 400, "{query}");
    }
}

#[tokio::test]
async fn variables_take_effect_with_the_next_deploy_only() {
    let cloud = Cloud::new().await;
    let id = cloud.live(wish("env")).await;
    let generated = cloud
        .get("/services/{}/env-vars/:", &format!("{id} AUTH_TOKEN"))
        .await;
    assert_eq!(generated["value"].as_str().unwrap().len(), 44);
    let last = || cloud.render.launches().pop().unwrap().environment;
    assert_eq!(last()["AUTH_TOKEN"], generated["value"]);
    assert_eq!(last()["RENDER_SERVICE_ID"], *id);
    assert_eq!(last()["PORT"], "8000");

    let all = json!([{ "key": "A", "value": "1" }]);
    cloud
        .call("PUT", "/services/{}/env-vars", &id, Some(all))
        .await;
    let one = json!({ "value": "2" });
    cloud
        .call(
            "PUT",
            "/services/{}/env-vars/:",
            &format!("{id} B"),
            Some(one),
        )
        .await;
    let gone = format!("{id} AUTH_TOKEN");
    let missing = cloud
        .call("DELETE", "/services/{}/env-vars/:", &gone, None)
        .await;
    assert_eq!(missing.status, 404, "replaced away");
    cloud.call("POST", "/services/{}/restart", &id, None).await;
    assert_eq!(
        last()["AUTH_TOKEN"],
        generated["value"],
        "the old environment"
    );

    assert_eq!(
        cloud
            .post("/services/{}/deploys", &id, json!({}))
            .await
            .status,
        201
    );
    cloud.clock.advance(STEP * 4);
    assert_eq!(cloud.status(&id).await, "live");
    assert_eq!((&*last()["A"], &*last()["B"]), ("1", "2"));
    assert!(!last().contains_key("AUTH_TOKEN"));
    assert_eq!(last()["PORT"], "10000", "Render's own default");
}

#[tokio::test]
async fn a_deploy_goes_its_way_by_the_clock() {
    let cloud = Cloud::new().await;
    let id = cloud.create(wish("steps")).await;
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(cloud.status(&id).await);
        cloud.clock.advance(STEP);
    }
    let way = [
        "created",
        "queued",
        "build_in_progress",
        "update_in_progress",
        "live",
    ];
    assert_eq!(seen, way);
    let deploy = &cloud.get("/services/{}/deploys", &id).await[0]["deploy"];
    assert_eq!(deploy["commit"], json!(null));
    assert_eq!(deploy["finishedAt"], "2026-09-21T14:14:00Z");
    assert!(
        deploy["image"]["sha"]
            .as_str()
            .unwrap()
            .starts_with("sha256:")
    );
    assert_eq!(
        cloud.events(&id).await,
        ["deploy_started", "server_available", "deploy_ended"]
    );
    let service = cloud.get("/services/{}", &id).await;
    let ports = &service["serviceDetails"]["openPorts"];
    assert_eq!(*ports, json!([{ "port": 8000, "protocol": "TCP" }]));
    let instances = cloud.get("/services/{}/instances", &id).await;
    let instance = instances[0]["id"].as_str().unwrap();
    assert_eq!(instance.len(), id.len() + 6);
}

#[tokio::test]
async fn a_deploy_goes_on_with_each_look_when_asked_to() {
    let cloud = Cloud::with(|builder| builder.pace(Pace::PerGet)).await;
    let id = cloud.create(wish("looks")).await;
    let deploys = cloud.get("/services/{}/deploys", &id).await;
    let deploy = deploys[0]["deploy"]["id"].as_str().unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let deploy = cloud
            .get("/services/{}/deploys/:", &format!("{id} {deploy}"))
            .await;
        seen.push(deploy["status"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen, ["build_in_progress", "update_in_progress", "live"]);
}

#[tokio::test]
async fn a_deploy_behind_another_is_queued_without_a_body() {
    let cloud = Cloud::new().await;
    let id = cloud.live(wish("queue")).await;
    let first = cloud.post("/services/{}/deploys", &id, json!({})).await;
    assert_eq!(first.status, 201);
    for _ in 0..2 {
        let queued = cloud.post("/services/{}/deploys", &id, json!({})).await;
        assert_eq!((queued.status, queued.bytes.len()), (202, 0));
    }
    let statuses = |deploys: Value| -> Vec<String> {
        let deploys = deploys.as_array().unwrap();
        let statuses = deploys
            .iter()
            .map(|it| it["deploy"]["status"].as_str().unwrap());
        statuses.map(str::to_owned).collect()
    };
    let list = cloud.get("/services/{}/deploys", &id).await;
    assert_eq!(statuses(list), ["queued", "canceled", "created", "live"]);
    cloud.clock.advance(STEP * 4);
    let list = cloud.get("/services/{}/deploys", &id).await;
    assert_eq!(
        statuses(list),
        ["queued", "canceled", "live", "deactivated"]
    );
    cloud.clock.advance(STEP * 3);
    let list = cloud
        .get("/services/{}/deploys?status=live,deactivated", &id)
        .await;
    assert_eq!(statuses(list), ["live", "deactivated", "deactivated"]);
}

#[tokio::test]
async fn an_unknown_image_fails_the_build_and_leaves_the_old_one_in_use() {
    let known = cloud::images([IMAGE]);
    let cloud = Cloud::with(|builder| builder.images(known)).await;
    let id = cloud.live(wish("image")).await;
    let other = json!({ "imageUrl": "ghcr.io/owner/other:1" });
    assert_eq!(
        cloud.post("/services/{}/deploys", &id, other).await.status,
        400
    );
    let missing = json!({ "imageUrl": "ghcr.io/owner/gemini-balance:9" });
    let deploy = cloud.post("/services/{}/deploys", &id, missing).await;
    assert_eq!(
        deploy.json()["image"]["ref"],
        "ghcr.io/owner/gemini-balance:9"
    );
    cloud.clock.advance(STEP * 4);
    assert_eq!(cloud.status(&id).await, "build_failed");
    let events = cloud
        .get("/services/{}/events?type=image_pull_failed", &id)
        .await;
    let message = events[0]["event"]["details"]["message"].to_string();
    assert!(message.contains("manifest unknown"), "{message}");
    assert_eq!(cloud.visit(&id).await.status, 200);
    let service = cloud.get("/services/{}", &id).await;
    assert_eq!(service["imagePath"], IMAGE, "the service's own stays");

    let mut never = wish("never");
    never["image"]["imagePath"] = json!("ghcr.io/owner/gemini-balance:9");
    let never = cloud.create(never).await;
    let early = cloud.visit(&never).await;
    assert_eq!(
        (early.status, early.header("x-render-routing")),
        (404, "no-server")
    );
    cloud.clock.advance(STEP * 4);
    let late = cloud.visit(&never).await;
    assert_eq!(
        (late.status, late.header("x-render-routing")),
        (502, "no-deploy")
    );
}

#[tokio::test]
async fn a_deploy_can_be_canceled_and_rolled_back() {
    let cloud = Cloud::new().await;
    let id = cloud.live(wish("back")).await;
    let first = cloud.get("/services/{}/deploys", &id).await;
    let first = first[0]["deploy"].clone();
    let second = cloud
        .post("/services/{}/deploys", &id, json!({}))
        .await
        .json();
    let place = format!("{id} {}", second["id"].as_str().unwrap());
    let canceled = cloud
        .call("POST", "/services/{}/deploys/:/cancel", &place, None)
        .await;
    assert_eq!(canceled.json()["status"], "canceled");
    let again = cloud
        .call("POST", "/services/{}/deploys/:/cancel", &place, None)
        .await;
    assert_eq!(again.status, 400);
    let never_live = json!({ "deployId": second["id"] });
    let refused = cloud.post("/services/{}/rollback", &id, never_live).await;
    assert_eq!(refused.status, 400);
    let back = json!({ "deployId": first["id"] });
    let back = cloud.post("/services/{}/rollback", &id, back).await;
    assert_eq!(
        (back.status, back.json()["trigger"].clone()),
        (201, json!("rollback"))
    );
    let wanted = format!("@{}", first["image"]["sha"].as_str().unwrap());
    let image = back.json()["image"]["ref"].as_str().unwrap().to_owned();
    assert!(image.ends_with(&wanted), "{image}");
    cloud.clock.advance(STEP * 4);
    assert_eq!(cloud.status(&id).await, "live");
}

#[tokio::test]
async fn a_suspended_service_is_resumed_by_a_deploy() {
    let cloud = Cloud::new().await;
    let id = cloud.live(wish("power")).await;
    let suspended = cloud.call("POST", "/services/{}/suspend", &id, None).await;
    assert_eq!((suspended.status, suspended.bytes.len()), (202, 0));
    let service = cloud.get("/services/{}", &id).await;
    assert_eq!(service["suspended"], "suspended");
    assert_eq!(service["suspenders"], json!(["user"]));
    assert_eq!(
        cloud.get("/services?suspended=not_suspended", "").await,
        json!([])
    );
    let visit = cloud.visit(&id).await;
    assert_eq!(
        (visit.status, visit.header("x-render-routing")),
        (503, "suspend-by-user")
    );
    assert_eq!(cloud.get("/services/{}/instances", &id).await, json!([]));
    cloud.call("POST", "/services/{}/resume", &id, None).await;
    cloud.clock.advance(STEP * 4);
    let deploys = cloud.get("/services/{}/deploys", &id).await;
    assert_eq!(deploys[0]["deploy"]["trigger"], "service_resumed");
    assert_eq!(cloud.visit(&id).await.status, 200);
    let events = cloud.events(&id).await;
    assert!(
        events.contains(&"service_suspended".to_owned()),
        "{events:?}"
    );
    cloud.call("POST", "/services/{}/restart", &id, None).await;
    assert_eq!(cloud.events(&id).await.pop().unwrap(), "server_restarted");
    let many = cloud
        .post("/services/{}/scale", &id, json!({ "numInstances": 3 }))
        .await;
    assert_eq!(many.status, 400, "free is one instance");
}

#[tokio::test]
async fn a_free_service_sleeps_and_wakes_slowly() {
    let cloud = Cloud::with(|builder| builder.wake(Duration::from_secs(50))).await;
    let id = cloud.live(wish("sleeper")).await;
    cloud.clock.advance(Duration::from_secs(14 * 60));
    assert_eq!(cloud.visit(&id).await.status, 200);
    cloud.clock.advance(Duration::from_secs(14 * 60));
    assert!(cloud.render.is_up(&id).await, "the visit counted");
    cloud.clock.advance(Duration::from_secs(60));
    assert!(!cloud.render.is_up(&id).await);
    let service = cloud.get("/services/{}", &id).await;
    assert_eq!(service["suspended"], "not_suspended", "sleep does not show");
    let started = cloud.render.launches().len();

    let url = cloud.url(&id).await;
    let url = format!("{url}/health");
    let mut visit = Box::pin(ask("HEAD", &url, &[], None));
    let mut patience = 0;
    let reply = loop {
        // The clock stands still unless the request waits on it.
        tokio::select! {
            reply = &mut visit => break reply.unwrap(),
            () = tokio::task::yield_now() => {
                patience += 1;
                if patience % 1000 == 0 {
                    cloud.clock.advance(Duration::from_secs(10));
                }
            }
        }
    };
    assert_eq!(reply.status, 200);
    assert!(cloud.clock.now() - NOW >= (28 * 60 + 60 + 50) * 1000);
    assert_eq!(cloud.render.launches().len(), started + 1);
}

#[tokio::test]
async fn a_workspace_has_so_many_free_hours_a_month() {
    let cloud = Cloud::with(|builder| builder.free_hours(10)).await;
    let first = cloud.live(wish("first")).await;
    let second = cloud.live(wish("second")).await;
    let (url, other) = (cloud.url(&first).await, cloud.url(&second).await);
    let mut visits = 0;
    let last = loop {
        ask("GET", &format!("{other}/"), &[], None).await.unwrap();
        let visit = ask("GET", &format!("{url}/"), &[], None).await.unwrap();
        if visit.status != 200 {
            break visit;
        }
        visits += 1;
        assert!(visits < 30, "they are not suspended");
        cloud.clock.advance(Duration::from_secs(12 * 60));
    };
    // Two at once use up two hours an hour.
    assert_eq!(visits, 25);
    assert_eq!(last.header("x-render-routing"), "suspend-by-billing");
    let used = cloud.render.free_time(OWNER).await.as_secs();
    assert!((36_000..36_060).contains(&used), "{used}");
    let service = cloud.get("/services/{}", &first).await;
    assert_eq!(service["suspenders"], json!(["billing"]));
    let resumed = cloud
        .call("POST", "/services/{}/suspend", &first, None)
        .await;
    assert_eq!(resumed.status, 202);
    // 2026-10-01T00:00:00Z.
    cloud.clock.set(1_790_812_800_000);
    let services = cloud.get("/services", "").await;
    assert_eq!(services[0]["service"]["suspenders"], json!(["user"]));
    assert_eq!(services[1]["service"]["suspended"], "not_suspended");
    assert!(cloud.render.free_time(OWNER).await.is_zero());
}

#[tokio::test]
async fn calls_are_limited_and_say_so() {
    for style in [ResetStyle::Seconds, ResetStyle::Epoch] {
        let cloud = Cloud::with(|builder| builder.reset_style(style)).await;
        let first = cloud.post("/services", "", wish("s0")).await;
        assert_eq!(first.header("ratelimit-limit"), "20");
        assert_eq!(first.header("ratelimit-remaining"), "19");
        for i in 1..20 {
            cloud.create(wish(&format!("s{i}"))).await;
        }
        cloud.clock.advance(Duration::from_secs(600));
        let over = cloud.post("/services", "", wish("s20")).await;
        assert_eq!(
            (over.status, over.header("ratelimit-remaining")),
            (429, "0")
        );
        let reset: i64 = over.header("ratelimit-reset").parse().unwrap();
        let expected = match style {
            ResetStyle::Seconds => 3000,
            ResetStyle::Epoch => NOW / 1000 + 3600,
        };
        assert_eq!(reset, expected);
        cloud.clock.advance(Duration::from_secs(3000));
        cloud.create(wish("s20")).await;
        let id = cloud.live(wish("s21")).await;
        let mut statuses = Vec::new();
        for _ in 0..11 {
            let deploy = cloud.post("/services/{}/deploys", &id, json!({})).await;
            statuses.push(deploy.status);
        }
        assert_eq!((statuses[0], statuses[9], statuses[10]), (201, 202, 429));
    }
}

#[tokio::test]
async fn cards_are_asked_for() {
    let cloud = Cloud::new().await;
    let mut paid = wish("paid");
    paid["serviceDetails"]["plan"] = json!("starter");
    paid["serviceDetails"]["disk"] = json!({ "name": "data", "mountPath": "/data", "sizeGB": 1 });
    let refused = cloud.post("/services", "", paid.clone()).await;
    assert_eq!(refused.status, 402);
    assert!(
        refused.json()["message"]
            .to_string()
            .contains("dashboard.render.com/billing")
    );
    cloud.render.free_needs_card(true);
    assert_eq!(cloud.post("/services", "", wish("free")).await.status, 402);
    cloud.render.add_card(OWNER).await;
    let id = cloud.live(paid).await;
    let launch = cloud.render.launches().pop().unwrap();
    assert!(launch.data.unwrap().is_dir());
    cloud.clock.advance(Duration::from_secs(3600));
    assert!(cloud.render.is_up(&id).await, "paid services do not sleep");
    let mut free_disk = wish("disk");
    free_disk["serviceDetails"]["disk"] = json!({ "name": "data", "mountPath": "/data" });
    assert_eq!(cloud.post("/services", "", free_disk).await.status, 400);
}

#[tokio::test]
async fn faults_come_when_ordered() {
    let cloud = Cloud::new().await;
    let url = format!("{}/services", cloud.render.base_url());
    let key = format!("Bearer {KEY}");
    let headers = [("authorization", key.as_str())];
    for (fault, status) in [
        (Fault::Status(503), 503),
        (Fault::Status(402), 402),
        (Fault::Said(400, "no free services by API".to_owned()), 400),
        (Fault::RateLimited(Duration::from_secs(51)), 429),
        (Fault::Page(502, "<html>".to_owned()), 502),
    ] {
        cloud.render.fault_next(fault);
        let reply = ask("POST", &url, &headers, Some(&wish("x"))).await.unwrap();
        assert_eq!(reply.status, status);
        if status == 429 {
            assert_eq!(reply.header("ratelimit-reset"), "51");
        }
    }
    cloud.render.fault_next(Fault::CutBefore);
    assert!(
        ask("POST", &url, &headers, Some(&wish("x")))
            .await
            .is_none()
    );
    assert_eq!(cloud.get("/services", "").await, json!([]));
    cloud.render.fault(
        FaultRule::new(Fault::CutAfter)
            .on("POST /v1/services")
            .times(1),
    );
    assert!(
        ask("POST", &url, &headers, Some(&wish("x")))
            .await
            .is_none()
    );
    let there = cloud.get("/services", "").await;
    assert_eq!(
        there[0]["service"]["name"], "x",
        "made, though nobody was told"
    );
    let made = cloud.render.calls();
    assert!(
        made.iter()
            .any(|call| call.call == "POST /v1/services" && call.status == 201)
    );

    cloud
        .render
        .fault_next(Fault::Slow(Duration::from_secs(30)));
    let mut slow = Box::pin(cloud.call("GET", "/users", "", None));
    for _ in 0..1000 {
        assert!((&mut slow).now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    cloud.clock.advance(Duration::from_secs(30));
    assert_eq!(slow.await.status, 200);
}

#[tokio::test]
async fn credentials_open_private_images_and_keep_their_tokens() {
    let images: cloud::Images = Arc::new(|_, login| match login {
        Some(login) if login.token == "ghp_good" => Ok("sha256:ab".to_owned()),
        _ => Err(cloud::ImageError::Denied),
    });
    let cloud = Cloud::with(|builder| builder.images(images)).await;
    let credential = |token: &str| {
        json!({
            "registry": "GITHUB", "name": "ghcr", "username": "me",
            "authToken": token, "ownerId": OWNER,
        })
    };
    let made = cloud
        .post("/registrycredentials", "", credential("ghp_bad"))
        .await;
    assert!(!String::from_utf8_lossy(&made.bytes).contains("ghp_bad"));
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let mut private = wish("private");
    private["image"]["registryCredentialId"] = json!(id);
    let service = cloud.create(private).await;
    cloud.clock.advance(STEP * 4);
    assert_eq!(cloud.status(&service).await, "build_failed");
    let path = "/registrycredentials/{registryCredentialId}";
    let mut good = credential("ghp_good");
    good.as_object_mut().unwrap().remove("ownerId");
    assert_eq!(cloud.call("PATCH", path, &id, Some(good)).await.status, 200);
    cloud
        .post("/services/{}/deploys", &service, json!({}))
        .await;
    cloud.clock.advance(STEP * 4);
    assert_eq!(cloud.status(&service).await, "live");
    let shown = cloud.get("/services/{}", &service).await;
    assert_eq!(shown["registryCredential"]["name"], "ghcr");
    assert_eq!(cloud.get("/registrycredentials", "").await[0]["id"], *id);
    assert_eq!(cloud.call("DELETE", path, &id, None).await.status, 204);
    assert_eq!(cloud.call("GET", path, &id, None).await.status, 404);
}

#[tokio::test]
async fn logs_come_in_windows_and_metrics_count() {
    let talks = |launch: Launch| async move {
        for i in 0..25 {
            launch.log.push(Output::Stdout, format!("line {i}"));
        }
        launch.log.push(Output::Stderr, "ERROR something");
        Ok(Launched::at(([127, 0, 0, 1], 9).into()))
    };
    let cloud =
        Cloud::with(|builder| builder.on_live(Arc::new(move |launch| Box::pin(talks(launch)))))
            .await;
    let mut quiet = wish("talks");
    // Nobody listens on the port, so the health check would fail.
    quiet["serviceDetails"]["healthCheckPath"] = json!("");
    let id = cloud.create(quiet).await;
    cloud.clock.advance(STEP * 4);
    cloud.render.settle().await;
    let base = format!("/logs?ownerId={OWNER}&resource={id}&type=app&limit=10");
    let mut texts = Vec::new();
    let mut path = base.clone();
    loop {
        let page = cloud.get(&path, "").await;
        for line in page["logs"].as_array().unwrap() {
            texts.push(line["message"].as_str().unwrap().to_owned());
        }
        if page["hasMore"] == json!(false) {
            break;
        }
        let (from, to) = (&page["nextStartTime"], &page["nextEndTime"]);
        let (from, to) = (from.as_str().unwrap(), to.as_str().unwrap());
        path = format!("{base}&startTime={from}&endTime={to}");
    }
    assert_eq!(texts.len(), 26);
    assert_eq!((&*texts[0], &*texts[25]), ("ERROR something", "line 0"));
    let forward = cloud.get(&format!("{base}&direction=forward"), "").await;
    assert_eq!(forward["logs"][0]["message"], "line 0");
    let errors = cloud.get(&format!("{base}&level=error"), "").await;
    assert_eq!(errors["logs"].as_array().unwrap().len(), 1);
    for metric in [
        "cpu",
        "memory",
        "memory-limit",
        "http-requests",
        "http-latency",
        "bandwidth",
        "instance-count",
    ] {
        let series = cloud
            .get(&format!("/metrics/{metric}?resource={id}"), "")
            .await;
        assert_eq!(series[0]["labels"][0]["value"], *id, "{metric}");
    }
}

#[tokio::test]
async fn a_container_that_does_not_start_or_is_sick_fails_the_update() {
    let refuses = |_: Launch| async { Err(LaunchError::Ended(None, "MYSQL_HOST: who?".into())) };
    let cloud =
        Cloud::with(|builder| builder.on_live(Arc::new(move |launch| Box::pin(refuses(launch)))))
            .await;
    let id = cloud.create(wish("crash")).await;
    cloud.clock.advance(STEP * 4);
    assert_eq!(cloud.status(&id).await, "update_failed");
    let failed = cloud
        .get("/services/{}/events?type=server_failed", &id)
        .await;
    assert_eq!(failed[0]["event"]["details"]["reason"]["nonZeroExit"], 1);
    let logs = cloud
        .get(&format!("/logs?ownerId={OWNER}&resource={id}"), "")
        .await;
    assert!(logs.to_string().contains("MYSQL_HOST: who?"));

    // Nobody listens on this port.
    let sick = |_: Launch| async { Ok(Launched::at(([127, 0, 0, 1], 9).into())) };
    let cloud = Cloud::with(|builder| {
        builder
            .on_live(Arc::new(move |launch| Box::pin(sick(launch))))
            .health_patience(Duration::from_secs(60))
    })
    .await;
    let id = cloud.create(wish("sick")).await;
    cloud.clock.advance(STEP * 4);
    assert_eq!(cloud.status(&id).await, "update_in_progress");
    cloud.clock.advance(Duration::from_secs(60));
    assert_eq!(cloud.status(&id).await, "update_failed");
    let failed = cloud
        .get("/services/{}/events?type=server_failed", &id)
        .await;
    let why = failed[0]["event"]["details"]["reason"]["unhealthy"].to_string();
    assert!(why.contains("health check failed"), "{why}");
}

/// Needs the built program; `cargo xtask test` names it.
#[tokio::test]
async fn the_real_server_runs_with_the_services_environment() {
    let Some(binary) = server_binary() else {
        return;
    };
    let addresses = Arc::new(Mutex::new(Vec::new()));
    let (seen, starts) = (
        Arc::clone(&addresses),
        cloud::real_server(binary, BTreeMap::new()),
    );
    let on_live: cloud::OnLive = Arc::new(move |launch| {
        let (seen, starts) = (Arc::clone(&seen), starts(launch));
        Box::pin(async move {
            let launched = starts.await?;
            seen.lock().unwrap().extend(launched.address());
            Ok(launched)
        })
    });
    let cloud = Cloud::with(|builder| builder.on_live(on_live)).await;
    let id = cloud.live(wish("real")).await;
    let health = cloud.visit(&id).await;
    assert_eq!(health.status, 200);
    let token = cloud
        .get("/services/{}/env-vars/:", &format!("{id} AUTH_TOKEN"))
        .await;
    let url = cloud.url(&id).await;
    let sign_in = json!({ "password": token["value"] });
    let headers = [("content-type", "application/json")];
    let login = ask(
        "POST",
        &format!("{url}/api/login"),
        &headers,
        Some(&sign_in),
    )
    .await;
    assert_eq!(login.unwrap().status, 204);
    let logs = cloud
        .get(&format!("/logs?ownerId={OWNER}&resource={id}&type=app"), "")
        .await;
    assert!(logs.to_string().contains("listening on"), "{logs}");
    cloud.clock.advance(Duration::from_secs(900));
    assert!(!cloud.render.is_up(&id).await);
    cloud.call("POST", "/services/{}/restart", &id, None).await;
    assert!(cloud.render.is_up(&id).await);
    drop(cloud);
    let addresses = addresses.lock().unwrap().clone();
    assert_eq!(addresses.len(), 2);
    let all_gone = async {
        for address in addresses {
            while TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        }
    };
    let patience = Duration::from_secs(20);
    tokio::time::timeout(patience, all_gone)
        .await
        .expect("servers end with their cloud");
}
