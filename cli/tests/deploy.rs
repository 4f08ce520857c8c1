//! `gemini-balance deploy` as a person calls it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn deploy(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gemini-balance"))
        .arg("deploy")
        .args(arguments)
        .env_clear()
        .env("DATA_DIR", folder)
        .env("TZ", "Asia/Shanghai")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_draft_is_noted_shown_and_deleted_by_its_name_alone() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = deploy(folder.path(), arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {:?}",
            said(&output)
        );
        said(&output).0
    };
    assert_eq!(run(&["accounts", "list"]), "");
    assert!(run(&["new", "mine", "--volume", "1"]).contains("draft"));
    assert!(run(&["list"]).starts_with("mine"));
    let variables = run(&["variables", "mine"]);
    assert!(variables.contains("DATA_DIR=/data") && variables.contains("AUTH_TOKEN="));

    let wish = folder.path().join("wish.json");
    let text = r#"{"name": "mine", "database": {"kind": "none"}, "time_zone": "UTC"}"#;
    std::fs::write(&wish, text).unwrap();
    let wish = wish.display().to_string();
    // A draft that is there already is not overwritten.
    let taken = deploy(folder.path(), &["new", "mine", "--wish", &wish]);
    assert!(!taken.status.success());
    assert!(said(&taken).1.contains("already"), "{taken:?}");
    assert!(run(&["variables", "mine"]).contains("DATA_DIR=/data"));

    // Elsewhere it is the same with another place for its data.
    let moved = run(&["move", "mine", "--wish", &wish]);
    assert!(moved.starts_with("mine-2"), "{moved}");
    let (old, new) = (run(&["variables", "mine"]), run(&["variables", "mine-2"]));
    let token = |text: &str| {
        let mut lines = text.lines();
        let line = lines.find(|line| line.starts_with("ALLOWED_TOKENS="));
        line.unwrap().to_owned()
    };
    assert_eq!(token(&old), token(&new), "with the very secrets");
    assert!(new.contains("TZ=UTC") && !new.contains("DATA_DIR"), "{new}");
    run(&["delete", "mine-2", "--typed-name", "mine-2"]);

    assert!(run(&["keep-alive", "mine", "on", "--quiet", "23-7"]).contains("draft"));
    run(&["keep-alive", "mine", "off"]);
    assert!(run(&["route"]).contains("straight to Google"));

    let refused = deploy(folder.path(), &["delete", "mine", "--typed-name", "yours"]);
    assert!(!refused.status.success());
    assert!(said(&refused).1.contains("mine"), "{refused:?}");
    run(&["delete", "mine", "--typed-name", "mine"]);
    assert_eq!(run(&["list"]), "");
}

#[test]
fn what_cannot_be_done_is_said_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    assert!(deploy(folder.path(), &["new", "mine"]).status.success());
    for (arguments, expected) in [
        (&["apply", "nobody"][..], "deploy list"),
        (&["new", "Not A Name"][..], "small letters"),
        (&["accounts", "add", "render"][..], "--secret-file"),
        (&["drift", "nobody"][..], "deploy list"),
        (&["rotate", "nobody", "auth-token"][..], "deploy list"),
        (&["accounts", "add", "kubernetes"][..], "kubeconfig"),
        (&["keep-alive", "mine", "on", "--quiet", "late"][..], "23-7"),
        (
            &["keep-alive", "mine", "on", "--quiet", "7-7"][..],
            "0 to 23",
        ),
        (&["wake", "mine"][..], "Deploy it first"),
        (&["route", "mine"][..], "Deploy it first"),
        (&["route", "nobody"][..], "deploy list"),
    ] {
        let output = deploy(folder.path(), arguments);
        assert!(!output.status.success(), "{arguments:?}");
        let (_, words) = said(&output);
        assert!(words.contains(expected), "{arguments:?}: {words}");
    }
}

#[test]
fn a_wish_that_is_none_is_refused_without_repeating_it() {
    let folder = tempfile::tempdir().unwrap();
    let wish = folder.path().join("wish.json");
    std::fs::write(&wish, r#"{"name": "mine", "password": "a-secret"}"#).unwrap();
    let output = deploy(
        folder.path(),
        &["new", "mine", "--wish", &wish.display().to_string()],
    );
    let (_, words) = said(&output);
    assert!(
        words.contains("RemoteWish") && !words.contains("a-secret"),
        "{words}"
    );
}
