//! Embeds the panel, when it was built: `ui/dist`, or where `GB_UI_DIST` points.

use std::path::PathBuf;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(panel)");
    println!("cargo::rerun-if-env-changed=GB_UI_DIST");
    // Asked at run time: cargo reuses this program for other checkouts in one target folder.
    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let beside = format!("{here}/../ui/dist");
    let dist = PathBuf::from(std::env::var("GB_UI_DIST").unwrap_or(beside));
    if dist.join("index.html").is_file() {
        println!("cargo::rerun-if-changed={}", dist.display());
        println!("cargo::rustc-cfg=panel");
        memory_serve::load_directory(dist);
    } else if let Some(parent) = dist.parent() {
        // `cargo build` without the panel is fine, and the server says so on its page;
        // this file is looked at again when something appears beside where it belongs.
        println!("cargo::rerun-if-changed={}", parent.display());
    }
}
