//! One whole life on ClawCloud, as a person has it: `gemini-balance deploy …` against the fake
//! cloud, whose pods are processes of this very program, in front of the fake Google.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod person;
mod serving;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use person::{Panel, http};
use serde_json::{Value, json};
use testkit::google::{FakeGoogle, Quota};
use testkit::kubernetes::{Dialect, FakeKubernetes, Image};
use testkit::registry::{FakeRegistry, Pushed};

const PROGRAM: &str = env!("CARGO_BIN_EXE_gemini-balance");
const KEY: &str = "AIzaSyTEST-0000000000000000000000000001";
const PLACE: &str = "ns-abc";
const IMAGE: &str = "owner/gemini-balance";

/// Where the commands are called: a data folder, and the authority that the cloud's edge is
/// trusted by.
#[derive(Clone)]
struct Desk {
    folder: PathBuf,
    authority: PathBuf,
}

impl Desk {
    /// What `gemini-balance deploy` prints; it must succeed.
    async fn run(&self, arguments: &[&str]) -> String {
        let desk = self.clone();
        let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
        // The clouds live on this test's runtime.
        let ran = tokio::task::spawn_blocking(move || {
            let output = Command::new(PROGRAM)
                .arg("deploy")
                .args(&arguments)
                .env_clear()
                .env("DATA_DIR", &desk.folder)
                .env("TZ", "Asia/Shanghai")
                .env("SSL_CERT_FILE", &desk.authority)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{arguments:?}: {said}\n{errors}");
            said
        });
        ran.await.unwrap()
    }

    /// The deploys, newest first, each as `NUMBER  STATE`.
    async fn deploys(&self) -> Vec<String> {
        let said = self.run(&["deploys", "gb"]).await;
        let line = |line: &str| {
            let mut words = line.split("  ");
            format!("{}  {}", words.next().unwrap(), words.next().unwrap())
        };
        said.lines().map(line).collect()
    }
}

/// Keys that this instance knows, as a person adds them in the panel.
async fn add_key(folder: &Path) {
    let running = serving::serve(folder, Some("correct horse")).await;
    let address = running.address();
    let panel = Panel::enter(
        &address,
        "/api/login",
        json!({ "password": "correct horse" }),
    )
    .await;
    let import = json!({ "text": KEY });
    let added = panel.ask(&address, "POST", "/api/keys/import", Some(import));
    added.await.unwrap();
    running.shutdown(std::time::Duration::ZERO).await;
}

/// The domain of the cloud's apps, told by another app of the namespace.
fn neighbour(cloud: &FakeKubernetes) {
    let resource = "ingresses.networking.k8s.io";
    cloud.edit(resource, PLACE, "neighbour", |ingress| {
        let service = json!({ "name": "neighbour", "port": { "number": 80 } });
        let path = json!({ "pathType": "Prefix", "path": "/", "backend": { "service": service } });
        let host = "neighbour.apps.localhost";
        ingress["metadata"]["labels"]["run.claw.cloud/app-deploy-manager-domain"] =
            json!("neighbour");
        ingress["spec"] = json!({ "rules": [{ "host": host, "http": { "paths": [path] } }] });
    });
}

/// What the instance answers a client.
async fn chat(url: &str, token: &str) -> (u16, Value) {
    let body = json!({
        "model": "gemini-2.5-flash", "messages": [{ "role": "user", "content": "Say hello." }],
    });
    let answer = http()
        .post(format!("{url}/v1/chat/completions"))
        .bearer_auth(token)
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_default())
}

/// Waits until exactly the pod of a deploy runs, and is ready.
async fn settles(cloud: &FakeKubernetes, deploy: &str) {
    let complete = cloud.wait_for("deployments.apps", PLACE, "gb", |app| {
        let (status, metadata) = (&app["status"], &app["metadata"]);
        let template = &app["spec"]["template"]["metadata"]["annotations"];
        template["gemini-balance/deploy"] == deploy
            && status["observedGeneration"] == metadata["generation"]
            && status["updatedReplicas"] == 1
            && status["availableReplicas"] == 1
            && status["replicas"] == 1
    });
    assert!(
        complete.await,
        "deploy {deploy} did not become the only one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_put_on_clawcloud_used_updated_rolled_back_and_deleted() {
    let google = FakeGoogle::builder()
        .project("a", Quota::UNLIMITED)
        .key(KEY, "a")
        .start()
        .await;
    let registry = FakeRegistry::builder()
        .image(Pushed::new(IMAGE, "1"))
        .image(Pushed::new(IMAGE, "2").version("2"))
        .start()
        .await;
    let name = format!("{}/{IMAGE}", registry.host());
    let cloud = FakeKubernetes::builder()
        .dialect(Dialect::ClawCloud)
        .owner("abc", PLACE)
        .domain("apps.localhost")
        .image(&name, Image::Server(PROGRAM.into()))
        .variable("BASE_URL", &google.base_url())
        .start()
        .await;
    neighbour(&cloud);
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk {
        folder: dir.path().join("data"),
        authority: dir.path().join("ca.pem"),
    };
    std::fs::create_dir(&desk.folder).unwrap();
    std::fs::write(&desk.authority, cloud.ca_pem()).unwrap();
    let kubeconfig = dir.path().join("kubeconfig.yaml");
    std::fs::write(&kubeconfig, cloud.kubeconfig("abc")).unwrap();
    add_key(&desk.folder).await;

    // deploy → healthy → login → chat
    let file = kubeconfig.display().to_string();
    let added = desk
        .run(&["accounts", "add", "claw_cloud", "--secret-file", &file])
        .await;
    assert!(added.contains("ns-abc/abc"), "{added}");
    let first = registry.reference(IMAGE, "1");
    desk.run(&["new", "gb", "--account", "1", "--image", &first])
        .await;
    assert_eq!(cloud.names(PLACE), [""; 0], "something was made already");
    let plan = desk.run(&["plan", "gb"]).await;
    for step in ["create app", "wait healthy", "sign in", "try request"] {
        assert!(plan.contains(step), "{step}: {plan}");
    }
    assert!(!plan.contains(KEY), "{plan}");
    desk.run(&["apply", "gb"]).await;
    let listed = desk.run(&["list"]).await;
    let shown = listed.split("  ").nth(2).unwrap();
    assert!(
        shown.starts_with("https://") && shown.contains(".apps.localhost:"),
        "{listed}"
    );
    assert!(listed.contains("running"), "{listed}");
    let asked = google.requests();
    let tried = asked.iter().filter(|one| one.path.contains(":generate"));
    assert_eq!(tried.count(), 1, "the request that is tried");
    assert_eq!(desk.deploys().await, ["1  live"]);

    // and once more from here
    let variables = desk.run(&["variables", "gb", "--format", "json"]).await;
    let variables: Value = serde_json::from_str(&variables).unwrap();
    let password = variables["AUTH_TOKEN"].as_str().unwrap();
    let tokens = variables["ALLOWED_TOKENS"].as_str().unwrap();
    let tokens: Vec<String> = serde_json::from_str(tokens).unwrap();
    let ingresses = cloud.objects("ingresses.networking.k8s.io", PLACE);
    let ingress = ingresses
        .iter()
        .find(|one| one["metadata"]["labels"]["app"] == "gb")
        .unwrap();
    let ingress = ingress["metadata"]["name"].as_str().unwrap();
    let url = cloud.url_of(PLACE, ingress).await;
    Panel::enter(&url, "/api/login", json!({ "password": password })).await;
    let (status, answer) = chat(&url, &tokens[0]).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer["choices"][0]["message"]["content"].is_string());
    assert_eq!(chat(&url, "sk-nobody").await.0, 401);

    // logs, without a secret
    let log = desk.run(&["logs", "gb"]).await;
    assert!(log.contains("listening on"), "{log}");
    assert!(!log.contains(KEY) && !log.contains(password), "{log}");

    // a second image, beside which the first one serves until it is ready
    let second = registry.reference(IMAGE, "2");
    desk.run(&["redeploy", "gb", "--image", &second]).await;
    settles(&cloud, "2").await;
    assert_eq!(desk.deploys().await, ["2  live", "1  replaced"]);
    assert_eq!(chat(&url, &tokens[0]).await.0, 200);
    let image = || {
        let app = cloud.object("deployments.apps", PLACE, "gb");
        app["spec"]["template"]["spec"]["containers"][0]["image"].clone()
    };
    let newer = image();

    // back
    desk.run(&["roll-back", "gb", "1"]).await;
    settles(&cloud, "3").await;
    assert_ne!(image(), newer);
    let deploys = desk.deploys().await;
    assert_eq!(deploys[..2], ["3  live", "2  replaced"]);
    assert_eq!(chat(&url, &tokens[0]).await.0, 200);

    // stopped and started
    let suspended = desk.run(&["suspend", "gb"]).await;
    assert!(suspended.contains("suspended"), "{suspended}");
    assert_ne!(chat(&url, &tokens[0]).await.0, 200);
    desk.run(&["resume", "gb"]).await;
    settles(&cloud, "3").await;
    assert_eq!(chat(&url, &tokens[0]).await.0, 200);

    // gone, and nothing of it left
    desk.run(&["delete", "gb", "--typed-name", "gb"]).await;
    assert_eq!(desk.run(&["list"]).await, "");
    assert_eq!(cloud.names(PLACE), [""; 0]);
}
