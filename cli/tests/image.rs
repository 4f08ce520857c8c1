//! The container image, started as a careful host would: another user than root, a root file
//! system that is read-only, no rights, no new ones.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod person;

use std::env;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::google::{FakeGoogle, Fault, Rule, Script};

use crate::person::{Panel, http};

const KEY: &str = "AIzaSyTestKeyNumber00000000000000000001";
const PASSWORD: &str = "the password of the panel";

/// How long Google waits before each event of its streams: long enough for SIGTERM to come
/// in the middle, whatever else the machine does.
const PACE: Duration = Duration::from_millis(400);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an image; `cargo xtask image` builds one and runs this"]
async fn the_image_is_set_up_answers_ends_streams_properly_and_keeps_its_data() {
    let image = Image::given();
    image.assert_described();
    let google = FakeGoogle::builder()
        .key(KEY, "project")
        .script(Script::new().rule(Rule::new(Fault::SlowDrip(PACE))))
        .start()
        .await;
    let container = Container::start(&image, &google);
    let mut log = container.log();

    // The health check must not fail a server that waits for its set-up.
    let link = log.line_with("set up here");
    container.assert_healthy();
    let code = link.rsplit_once("code=").unwrap().1.trim().to_owned();
    let address = &*container.address;
    let body = json!({ "code": code, "password": PASSWORD });
    let panel = Panel::enter(address, "/api/setup", body).await;
    assert_has_panel(address).await;

    let keys = json!({ "text": KEY });
    let imported = panel.ask(address, "POST", "/api/keys/import", Some(keys));
    imported.await.unwrap();
    let token = json!({ "name": "test" });
    let token = panel.ask(address, "POST", "/api/tokens", Some(token));
    let token = token.await.unwrap()["secret"].as_str().unwrap().to_owned();
    assert_chats(address, &token).await;

    // Asked to end in the middle of a stream, it ends the stream and then itself.
    let mut stream = ask(address, &token, true).await;
    let mut text = stream.chunk().await.unwrap().unwrap().to_vec();
    container.engine(&["kill", "--signal", "TERM"]);
    while let Some(part) = stream.chunk().await.unwrap() {
        text.extend_from_slice(&part);
    }
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains(r#""finish_reason":"stop""#), "{text}");
    assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");
    assert_eq!(container.engine(&["wait"]).trim(), "0");

    // What was entered is on the volume, and sealed with a key that is there, too.
    container.engine(&["start"]);
    let mut log = container.log();
    log.line_with("stopping; answers");
    log.line_with("listening on");
    let password = json!({ "password": PASSWORD });
    Panel::enter(address, "/api/login", password).await;
    assert_chats(address, &token).await;
}

#[test]
#[ignore = "needs an image; `cargo xtask image` builds one and runs this"]
fn the_image_knows_time_zones_and_says_where_it_cannot_write() {
    let image = Image::given();
    let unknown = image.fails(&["TZ=Mars/Olympus_Mons"]);
    assert!(unknown.contains("TZ"), "{unknown}");
    // This one is known, so that it gets as far as a folder that belongs to the image.
    let read_only = image.fails(&["TZ=Asia/Shanghai", "DATA_DIR=/usr/data"]);
    assert!(!read_only.contains("TZ"), "{read_only}");
    assert!(read_only.contains("/usr/data"), "{read_only}");
}

/// The image to try, and what runs it.
struct Image {
    name: String,
    engine: Vec<String>,
}

impl Image {
    fn given() -> Self {
        let variable =
            |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} must be given"));
        Self {
            name: variable("GB_IMAGE"),
            engine: variable("GB_IMAGE_ENGINE")
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
        }
    }

    fn engine(&self) -> Command {
        let mut command = Command::new(&self.engine[0]);
        command.args(&self.engine[1..]).stdin(Stdio::null());
        command
    }

    /// `run`, with everything taken away that can be.
    fn run(&self, options: &[&str], environment: &[String]) -> Output {
        let mut command = self.engine();
        command
            .arg("run")
            .args(["--network=host", "--read-only", "--cap-drop=all"])
            .args(["--security-opt", "no-new-privileges"])
            // Podman wants systemd for these; the test asks by itself.
            .arg("--no-healthcheck")
            // What it would set else, not every machine may.
            .args(["--ulimit", "nofile=4096:4096"])
            .args(["--ulimit", "nproc=4096:4096"])
            .args(options);
        for variable in environment {
            command.args(["--env", variable]);
        }
        command.arg(&self.name).output().unwrap()
    }

    /// Runs it to its end, which must be a failure; gives what it said.
    fn fails(&self, environment: &[&str]) -> String {
        let environment: Vec<String> = environment.iter().map(|&text| text.to_owned()).collect();
        let output = self.run(&["--rm"], &environment);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        said
    }

    fn inspected(&self) -> Value {
        let mut command = self.engine();
        let output = command.args(["image", "inspect", &self.name]).output();
        let list: Value = serde_json::from_str(&succeeded(&output.unwrap())).unwrap();
        list[0].clone()
    }

    /// What hosts and people read off it.
    fn assert_described(&self) {
        let image = self.inspected();
        let config = &image["Config"];
        assert_eq!(config["User"], "65532:65532");
        assert!(config["ExposedPorts"].get("8000/tcp").is_some(), "{config}");
        assert!(config["Volumes"].get("/data").is_some(), "{config}");
        let label = |name: &str| {
            let text = &config["Labels"][format!("org.opencontainers.image.{name}")];
            text.as_str().unwrap_or_default().to_owned()
        };
        assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
        assert_eq!(label("licenses"), "MIT OR Apache-2.0");
        assert!(label("source").starts_with("https://"), "{config}");
    }

    /// The command of its `HEALTHCHECK`, which Docker and Podman show in different places.
    fn health_check(&self) -> Vec<String> {
        let image = self.inspected();
        let shown = [
            &image["Config"]["Healthcheck"],
            &image["Healthcheck"],
            &image["HealthCheck"],
        ];
        let test = shown.iter().find_map(|check| check["Test"].as_array());
        let test: Vec<String> = test
            .unwrap_or_else(|| panic!("no health check: {image}"))
            .iter()
            .map(|part| part.as_str().unwrap().to_owned())
            .collect();
        assert_eq!(test[0], "CMD", "a shell is wanted, and there is none");
        test[1..].to_vec()
    }
}

/// A container of the image; gone, with its volume, when this is dropped.
struct Container<'a> {
    image: &'a Image,
    id: String,
    address: String,
}

impl<'a> Container<'a> {
    fn start(image: &'a Image, google: &FakeGoogle) -> Self {
        // Taken and given back: the health check has to know it beforehand.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let environment = [
            format!("PORT={port}"),
            "HOST=127.0.0.1".to_owned(),
            "TZ=Asia/Shanghai".to_owned(),
            // A name, because looking those up is what a static program may fail at.
            format!(
                "BASE_URL={}",
                google.base_url().replace("127.0.0.1", "localhost")
            ),
        ];
        let id = succeeded(&image.run(&["--detach"], &environment));
        Self {
            image,
            id: id.trim().to_owned(),
            address: format!("http://127.0.0.1:{port}"),
        }
    }

    /// Has the engine do something with it; gives what it printed.
    fn engine(&self, arguments: &[&str]) -> String {
        let mut command = self.image.engine();
        succeeded(&command.args(arguments).arg(&self.id).output().unwrap())
    }

    /// Both streams of its output from the very beginning, as it comes.
    fn log(&self) -> Log {
        let mut command = self.image.engine();
        let (reader, writer) = std::io::pipe().unwrap();
        command
            .args(["logs", "--follow", &self.id])
            .stdout(writer.try_clone().unwrap())
            .stderr(writer);
        let follower = command.spawn().unwrap();
        Log {
            follower,
            lines: BufReader::new(reader),
        }
    }

    fn assert_healthy(&self) {
        let mut command = self.image.engine();
        command.args(["exec", &self.id]);
        succeeded(&command.args(self.image.health_check()).output().unwrap());
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let mut command = self.image.engine();
        let _ = command
            .args(["rm", "--force", "--volumes", &self.id])
            .output();
    }
}

/// What a container says.
struct Log {
    follower: Child,
    lines: BufReader<std::io::PipeReader>,
}

impl Log {
    /// Waits for a line that holds this text.
    fn line_with(&mut self, text: &str) -> String {
        let mut said = String::new();
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).unwrap();
            assert!(read > 0, "it ended without {text:?}:\n{said}");
            if line.contains(text) {
                return line;
            }
            said += &line;
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = self.follower.kill();
        let _ = self.follower.wait();
    }
}

/// The panel is in the program, and not the page that says that it is missing.
async fn assert_has_panel(address: &str) {
    let get = async |path: &str| {
        let answer = http().get(format!("{address}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.bytes().await.unwrap()
    };
    let page = String::from_utf8(get("/").await.to_vec()).unwrap();
    assert!(page.contains("boot.js"), "{page}");
    assert!(get("/ui_bg.wasm").await.starts_with(b"\0asm"));
}

async fn ask(address: &str, token: &str, stream: bool) -> reqwest::Response {
    let body = json!({
        "model": "gemini-2.5-flash",
        "messages": [{ "role": "user", "content": "Hello" }],
        "stream": stream,
    });
    let answer = http()
        .post(format!("{address}/v1/chat/completions"))
        .bearer_auth(token)
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    answer
}

async fn assert_chats(address: &str, token: &str) {
    let text = ask(address, token, false).await.text().await.unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    let said = &answer["choices"][0]["message"]["content"];
    assert!(said.as_str().is_some_and(|said| !said.is_empty()), "{text}");
}

fn succeeded(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}
