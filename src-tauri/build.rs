//! Declares the commands to Tauri's access control, so that a command exists for the
//! window only if a capability grants it, and embeds the panel.

use std::path::Path;

use tauri_build::{AppManifest, Attributes};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    embed_a_notice_without_panel()?;
    tauri_build::try_build(
        Attributes::new()
            .capabilities_path_pattern("./src-tauri/capabilities/**/*")
            .app_manifest(AppManifest::new().commands(&contract::desktop::COMMANDS)),
    )?;
    Ok(())
}

/// `ui/dist` is built by `cargo xtask`, for another target. Where it is missing (a plain
/// `cargo clippy`, say) the window gets a page that says so, instead of a failed build.
fn embed_a_notice_without_panel() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::var("CARGO_MANIFEST_DIR")?;
    let panel = Path::new(&root).join("ui/dist/index.html");
    println!("cargo:rerun-if-changed={}", panel.display());
    if panel.exists() {
        println!("cargo:rerun-if-changed=ui/dist");
        return Ok(());
    }
    let page = Path::new(&std::env::var("OUT_DIR")?).join("no-panel");
    std::fs::create_dir_all(&page)?;
    std::fs::write(
        page.join("index.html"),
        "<!doctype html><meta charset=utf-8><title>Gemini Balance</title>\
         <p lang=en>This app was built without its panel. <code>cargo xtask run</code> builds both.\
         <p lang=zh>此程序构建时缺少界面。请运行 <code>cargo xtask run</code>。",
    )?;
    // Tauri merges this variable into tauri.conf.json (what its CLI's `--config` sets too).
    let mut config: serde_json::Value = std::env::var("TAURI_CONFIG")
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_else(|| serde_json::json!({}));
    config["build"]["frontendDist"] = serde_json::json!(page);
    println!("cargo:rustc-env=TAURI_CONFIG={config}");
    Ok(())
}
