//! Fake clouds as a program of its own, for `--demo` and browser tests.
//!
//! It prints, each on a line of its own, the address of Render's API (`render
//! http://127.0.0.1:PORT/v1`), of Koyeb's (`koyeb http://127.0.0.1:PORT`), the host of the
//! registry (`registry 127.0.0.1:PORT`), an image in it (`image …`), the keys that are
//! accepted (`render-key …`, `koyeb-key …`), files with the kubeconfig of an account at
//! ClawCloud (`claw-kubeconfig …`) and with the authority by which that cloud's apps are
//! trusted (`claw-ca …`, for `SSL_CERT_FILE`), and `ready`; then it serves until it is
//! stopped. Services run the program that `GB_SERVER_BIN` names, if it does.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use clap::Parser;
use serde_json::json;
use testkit::cloud::{any_image, real_server};
use testkit::koyeb::{self, FakeKoyeb};
use testkit::kubernetes::{Dialect, FakeKubernetes, Image};
use testkit::launch::server_binary;
use testkit::registry::{FakeRegistry, Pushed};
use testkit::render::{self, FakeRender, Pace};

/// A fake Render, a fake Koyeb, a fake ClawCloud and a fake registry of images.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Variables for services that do not set them, as NAME=VALUE; e.g. BASE_URL of a fake
    /// Google.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    default: Vec<(String, String)>,
    /// Milliseconds that each step of a deploy takes.
    #[arg(long, default_value_t = 1000)]
    step: u64,
    /// Milliseconds that a sleeping service takes to wake.
    #[arg(long, default_value_t = 5000)]
    wake: u64,
}

/// The image in the registry.
const IMAGE: &str = "demo/gemini-balance";

/// The account at the fake ClawCloud, its namespace, and what hosts of apps end in there.
const USER: &str = "demo";
const PLACE: &str = "ns-demo";
const DOMAIN: &str = "apps.localhost";

/// A ClawCloud with one account, in whose namespace another app tells the domain.
async fn claw_cloud(image: &str, options: &Options) -> std::io::Result<FakeKubernetes> {
    let image_runs = match server_binary() {
        Some(binary) => Image::Server(binary),
        None => Image::Simulated {
            startup: Duration::from_millis(options.step),
        },
    };
    let mut cloud = FakeKubernetes::builder()
        .dialect(Dialect::ClawCloud)
        .owner(USER, PLACE)
        .domain(DOMAIN)
        .quota(
            PLACE,
            &[("limits.cpu", "4"), ("limits.memory", "8Gi"), ("pods", "8")],
        )
        .database_delay(Duration::from_millis(options.step))
        .image(image, image_runs);
    for (name, value) in &options.default {
        cloud = cloud.variable(name, value);
    }
    let cloud = cloud.try_start().await?;
    let resource = "ingresses.networking.k8s.io";
    cloud.edit(resource, PLACE, "network-another", |ingress| {
        let service = json!({ "name": "another", "port": { "number": 80 } });
        let path = json!({ "pathType": "Prefix", "path": "/", "backend": { "service": service } });
        let rule = json!({ "host": format!("another.{DOMAIN}"), "http": { "paths": [path] } });
        ingress["metadata"]["labels"]["run.claw.cloud/app-deploy-manager-domain"] =
            json!("another");
        ingress["spec"] = json!({ "rules": [rule] });
    });
    Ok(cloud)
}

/// Reads `NAME=VALUE`.
fn variable(given: &str) -> Result<(String, String), String> {
    let (name, value) = given.split_once('=').ok_or("give it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let (step, wake) = (
        Duration::from_millis(options.step),
        Duration::from_millis(options.wake),
    );
    let registry = FakeRegistry::builder()
        .image(Pushed::new(IMAGE, "latest"))
        .try_start()
        .await?;
    let image = format!("{}/{IMAGE}", registry.host());
    let claw = claw_cloud(&image, &options).await?;
    let files = tempfile::Builder::new().prefix("gb-claw-").tempdir()?;
    let (kubeconfig, ca) = (
        files.path().join("kubeconfig.yaml"),
        files.path().join("ca.pem"),
    );
    std::fs::write(&kubeconfig, claw.kubeconfig(USER))?;
    std::fs::write(&ca, claw.ca_pem())?;
    // Images of the public registries exist, too: a demonstration names them.
    let mut render = FakeRender::builder()
        .pace(Pace::every(step))
        .wake(wake)
        .images(any_image());
    let mut koyeb = FakeKoyeb::builder()
        .step(step)
        .wake(wake)
        .images(any_image());
    if let Some(binary) = server_binary() {
        let defaults: BTreeMap<String, String> = options.default.into_iter().collect();
        let on_live = real_server(binary, defaults);
        render = render.on_live(on_live.clone());
        koyeb = koyeb.on_live(on_live);
    }
    let (render, koyeb) = (render.try_start().await?, koyeb.try_start().await?);
    let mut out = std::io::stdout();
    writeln!(out, "render {}", render.base_url())?;
    writeln!(out, "koyeb {}", koyeb.base_url())?;
    writeln!(out, "registry {}", registry.host())?;
    writeln!(out, "image {}", registry.reference(IMAGE, "latest"))?;
    writeln!(out, "render-key {}", render::KEY)?;
    writeln!(out, "koyeb-key {}", koyeb::KEY)?;
    writeln!(out, "claw-kubeconfig {}", kubeconfig.display())?;
    writeln!(out, "claw-ca {}", ca.display())?;
    writeln!(out, "ready")?;
    out.flush()?;
    stopped().await
}

/// Waits until the program is asked to end, so that its services end with it.
async fn stopped() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            interrupted = tokio::signal::ctrl_c() => interrupted,
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
