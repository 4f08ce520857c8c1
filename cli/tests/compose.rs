//! `compose.yaml` and `.env.example`: what they name exists, and what they promise is there.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proxy_core::settings::DECLARATIONS;
use serde_json::Value;

/// What compose itself reads from `.env`.
const FOR_COMPOSE: [&str; 2] = ["GEMINI_BALANCE_IMAGE", "PUBLISH"];

fn text(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(name)).unwrap()
}

fn compose() -> Value {
    serde_saphyr::from_str(&text("compose.yaml")).unwrap()
}

fn is_setting(name: &str) -> bool {
    DECLARATIONS.iter().any(|declared| declared.name == name)
}

/// The variables of `.env.example`, with whether each is switched on there.
fn example() -> Vec<(String, bool)> {
    let text = text(".env.example");
    let assignments = text.lines().filter_map(|line| {
        let (name, _) = line.split_once('=')?;
        let (name, on) = name
            .strip_prefix('#')
            .map_or((name, true), |name| (name, false));
        // Comments of people begin with a space.
        let is_name = name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        is_name.then(|| (name.to_owned(), on))
    });
    assignments.collect()
}

/// The names inside `${…}`, with whether compose refuses to start without them.
fn interpolated() -> BTreeSet<(String, bool)> {
    let text = text("compose.yaml");
    let inside = text.split("${").skip(1).map(|rest| {
        let inside = rest.split('}').next().unwrap();
        let end = inside.find(':').unwrap_or(inside.len());
        (inside[..end].to_owned(), inside[end..].starts_with(":?"))
    });
    inside.collect()
}

#[test]
fn all_variables_of_the_server_are_settings() {
    let compose = compose();
    let environment = compose["services"]["gemini-balance"]["environment"]
        .as_object()
        .unwrap();
    assert!(environment.len() > 5);
    for (name, value) in environment {
        assert!(is_setting(name), "{name} is no setting");
        assert!(value.is_string(), "{name}: compose wants texts");
    }
    let example = example();
    assert!(example.iter().any(|(name, on)| name == "SECRET_KEY" && *on));
    for (name, _) in &example {
        assert!(
            is_setting(name) || FOR_COMPOSE.contains(&name.as_str()),
            "{name} is no setting"
        );
    }
}

#[test]
fn what_compose_insists_on_is_asked_for_in_the_example() {
    let example = example();
    let interpolated = interpolated();
    let needed: BTreeSet<&str> = interpolated
        .iter()
        .filter(|(_, needed)| *needed)
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(needed, BTreeSet::from(["MYSQL_PASSWORD", "SECRET_KEY"]));
    for name in needed {
        assert!(example.contains(&(name.to_owned(), true)), "{name}");
    }
    for (name, needed) in &interpolated {
        assert!(*needed || FOR_COMPOSE.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn server_and_database_agree_about_the_database() {
    let compose = compose();
    let server = &compose["services"]["gemini-balance"];
    let database = &compose["services"]["database"];
    for name in ["MYSQL_USER", "MYSQL_PASSWORD", "MYSQL_DATABASE"] {
        let here = &server["environment"][name];
        assert!(here.is_string(), "{name}");
        assert_eq!(*here, database["environment"][name], "{name}");
    }
    assert_eq!(server["environment"]["MYSQL_HOST"], "database");
    assert_eq!(
        server["depends_on"]["database"]["condition"],
        "service_healthy"
    );
    assert!(database["healthcheck"]["test"].is_array());
}

#[test]
fn nothing_in_it_has_rights_or_lasts_outside_a_volume() {
    let compose = compose();
    for (name, service) in compose["services"].as_object().unwrap() {
        assert_eq!(service["cap_drop"][0], "ALL", "{name}");
        assert_eq!(
            service["security_opt"][0], "no-new-privileges:true",
            "{name}"
        );
        for volume in service["volumes"].as_array().unwrap() {
            let volume = volume.as_str().unwrap().split(':').next().unwrap();
            assert!(compose["volumes"].get(volume).is_some(), "{name}: {volume}");
        }
    }
    assert_eq!(compose["services"]["gemini-balance"]["read_only"], true);
    // Only the image's default user is not root; another would not own /data.
    assert!(compose["services"]["gemini-balance"].get("user").is_none());
}

#[test]
fn the_image_is_that_of_the_build() {
    let compose = compose();
    let image = compose["services"]["gemini-balance"]["image"]
        .as_str()
        .unwrap();
    // A build of somebody's own registry has another name than the file in the repository.
    if option_env!("GEMINI_BALANCE_IMAGE").is_none() {
        let default = contract::image::default_image();
        assert_eq!(image, format!("${{GEMINI_BALANCE_IMAGE:-{default}}}"));
    }
}
