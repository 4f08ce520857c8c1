//! The definition of a deployment: what Koyeb calls everything that a service is.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};
use vault::Secret;

use super::offer;
use crate::provider::{Data, Desired, HEALTH_PATH, PORT, ProviderError, Result};

/// A service that is not there yet.
pub(super) fn new(desired: &Desired) -> Result<Json> {
    changed(&Json::Null, desired)
}

/// What a service is to be that is this now. What is not ours stays.
pub(super) fn changed(base: &Json, desired: &Desired) -> Result<Json> {
    match desired.data {
        Data::Elsewhere => {}
        Data::InCluster { .. } => return Err(no_database()),
        Data::Volume { .. } => {
            return Err(ProviderError::Refused(
                "Volumes of Koyeb are not used here; the free instance has none. Choose a MySQL \
                 elsewhere, or no database."
                    .to_owned(),
            ));
        }
    }
    let env = env(desired)?;
    let plan_there = plan(base);
    let is = |name: Option<&String>, there: Option<String>, usual: &str| {
        let wanted = name.cloned().or(there);
        wanted.unwrap_or_else(|| usual.to_owned())
    };
    let wanted_plan = is(desired.plan.as_ref(), plan_there.clone(), offer::FREE);
    let wanted_region = is(desired.region.as_ref(), region(base), offer::REGION);
    let mut definition = match base {
        Json::Object(base) => base.clone(),
        _ => Map::new(),
    };
    let mut usually = |name: &str, value: Json| {
        definition.entry(name).or_insert(value);
    };
    usually("name", json!(desired.name));
    usually("type", json!("WEB"));
    usually("ports", json!([{ "port": PORT, "protocol": "http" }]));
    usually("routes", json!([{ "path": "/", "port": PORT }]));
    let health = json!([{ "http": { "port": PORT, "path": HEALTH_PATH } }]);
    usually("health_checks", health);
    if plan_there.as_ref() != Some(&wanted_plan) {
        let types = json!([{ "type": wanted_plan }]);
        definition.insert("instance_types".to_owned(), types);
        // Free instances sleep whether one likes it or not; what is paid for is awake.
        let least = u8::from(wanted_plan != offer::FREE);
        let scalings = json!([{ "min": least, "max": 1 }]);
        definition.insert("scalings".to_owned(), scalings);
    }
    if region(base).as_ref() != Some(&wanted_region) {
        definition.insert("regions".to_owned(), json!([wanted_region]));
    }
    definition.insert("env".to_owned(), env);
    for other_source in ["git", "archive", "database"] {
        definition.remove(other_source);
    }
    let docker = definition
        .entry("docker")
        .and_modify(|docker| *docker = object(docker))
        .or_insert_with(|| json!({}));
    if let Json::Object(docker) = docker {
        docker.insert("image".to_owned(), json!(desired.image));
    }
    Ok(Json::Object(definition))
}

fn object(value: &Json) -> Json {
    match value {
        Json::Object(_) => value.clone(),
        _ => json!({}),
    }
}

fn env(desired: &Desired) -> Result<Json> {
    let variable = |(name, value): (&String, &crate::provider::Value)| {
        let value = value.text().ok_or_else(no_database)?;
        if value.contains("{{") {
            // koyeb.com/docs/build-and-deploy/environment-variables
            return Err(ProviderError::Refused(format!(
                "Koyeb would replace what is between {{{{ and }}}} in {name}. Write it without."
            )));
        }
        Ok(json!({ "key": name, "value": value }))
    };
    let variables: Result<Vec<Json>> = desired.variables.iter().map(variable).collect();
    Ok(Json::Array(variables?))
}

/// The variables; one that is taken from a secret of Koyeb's has a value that is not told.
pub(super) fn variables(definition: &Json) -> BTreeMap<String, Option<Secret>> {
    let env = definition.get("env").and_then(Json::as_array);
    let variable = |variable: &Json| {
        let name = variable.get("key")?.as_str()?.to_owned();
        let value = variable.get("value").and_then(Json::as_str);
        let is_reference = variable
            .get("secret")
            .and_then(Json::as_str)
            .is_some_and(|secret| !secret.is_empty());
        let value = value.filter(|_| !is_reference).map(Secret::from);
        Some((name, value))
    };
    env.into_iter().flatten().filter_map(variable).collect()
}

/// The image as it was asked for.
pub(super) fn image(definition: &Json) -> Option<String> {
    text(definition, "/docker/image")
}

/// The first region.
pub(super) fn region(definition: &Json) -> Option<String> {
    text(definition, "/regions/0")
}

/// The instance type.
pub(super) fn plan(definition: &Json) -> Option<String> {
    text(definition, "/instance_types/0/type")
}

fn text(definition: &Json, place: &str) -> Option<String> {
    let text = definition.pointer(place)?.as_str()?;
    Some(text.to_owned())
}

pub(super) fn no_database() -> ProviderError {
    ProviderError::Refused(
        "Koyeb has no MySQL. Choose one elsewhere (Aiven, TiDB Cloud, your own), or no database."
            .to_owned(),
    )
}
