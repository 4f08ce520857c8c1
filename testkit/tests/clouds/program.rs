//! The fake clouds as a program.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::ask;

/// Ends the program with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_program_says_where_everything_is() {
    let child = Command::new(env!("CARGO_BIN_EXE_fake-clouds"))
        .args(["--step", "0"])
        .env_remove("GB_SERVER_BIN")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let said: HashMap<String, String> = lines
        .map(Result::unwrap)
        .take_while(|line| line != "ready")
        .map(|line| {
            let (name, value) = line.split_once(' ').unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect();
    let key = format!("Bearer {}", said["render-key"]);
    let render = [("authorization", key.as_str())];
    let base = &said["render"];
    let owners = ask("GET", &format!("{base}/owners"), &render, None)
        .await
        .unwrap();
    let owner = owners.json()[0]["owner"]["id"].clone();
    let wish = json!({
        "type": "web_service", "name": "demo", "ownerId": owner,
        "image": { "ownerId": owner, "imagePath": said["image"] },
        "serviceDetails": { "runtime": "image", "plan": "free" },
    });
    let made = ask("POST", &format!("{base}/services"), &render, Some(&wish))
        .await
        .unwrap();
    assert_eq!(made.status, 201);
    let url = made.json()["service"]["serviceDetails"]["url"].clone();
    let visit = ask("GET", &format!("{}/", url.as_str().unwrap()), &[], None)
        .await
        .unwrap();
    assert_eq!(visit.status, 200, "it is live at once");
    let key = format!("Bearer {}", said["koyeb-key"]);
    let profile = format!("{}/v1/account/profile", said["koyeb"]);
    let profile = ask("GET", &profile, &[("authorization", &key)], None)
        .await
        .unwrap();
    assert_eq!(profile.status, 200);
    let ping = ask(
        "GET",
        &format!("http://{}/v2/", said["registry"]),
        &[],
        None,
    )
    .await
    .unwrap();
    assert_eq!(ping.status, 401);
    let kubeconfig = std::fs::read_to_string(&said["claw-kubeconfig"]).unwrap();
    assert!(kubeconfig.contains("namespace: ns-demo"), "{kubeconfig}");
    let ca = std::fs::read_to_string(&said["claw-ca"]).unwrap();
    assert!(ca.starts_with("-----BEGIN CERTIFICATE-----"), "{ca}");
}
