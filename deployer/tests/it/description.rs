//! What `/api/openapi.json` says of the deployer's routes.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::world::{Ground, World};

/// Method, path and description of every route of the deployer.
async fn described(world: &World) -> Vec<(String, String, Value)> {
    let api: Value = world.get("/api/openapi.json").await;
    let paths = api["paths"].as_object().unwrap();
    let ours = paths
        .iter()
        .filter(|(path, _)| path.starts_with("/api/deploy"));
    ours.flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations
            .map(|(method, operation)| (method.to_uppercase(), path.clone(), operation.clone()))
    })
    .collect()
}

/// Method and path of every row of the table in `contract::deploy`.
fn promised() -> BTreeSet<(String, String)> {
    let rows = include_str!("../../../contract/src/deploy.rs").lines();
    rows.filter_map(|line| line.strip_prefix("//! | "))
        .filter_map(|row| {
            let (method, rest) = row.split_once(" `")?;
            let path = rest.split('`').next()?;
            path.starts_with("/api/")
                .then(|| (method.to_owned(), path.to_owned()))
        })
        .collect()
}

#[tokio::test]
async fn every_route_is_promised_describes_itself_and_wants_a_session() {
    let world = Ground::new(Cloud::new().providers()).start().await;
    let promised = promised();
    let described = described(&world).await;
    assert!(described.len() >= 6);
    let stranger = reqwest::Client::builder().no_proxy().build().unwrap();
    for (method, path, operation) in described {
        let place = format!("{method} {path}");
        assert!(
            promised.contains(&(method.clone(), path.clone())),
            "{place}"
        );
        assert!(operation["summary"].is_string(), "{place}");
        assert_eq!(operation["security"][0], json!({"session": []}), "{place}");
        let responses = operation["responses"].as_object().unwrap();
        for status in ["401", "403"] {
            assert!(responses.contains_key(status), "{place} {status}");
        }
        for (status, response) in responses {
            let schema = &response["content"]["application/json"]["schema"];
            match status.as_str() {
                "204" => assert!(response["content"].is_null(), "{place}"),
                "200" => assert!(!schema.is_null(), "{place}"),
                _ => assert_eq!(
                    schema["$ref"], "#/components/schemas/ApiError",
                    "{place} {status}"
                ),
            }
        }
        if path.contains("{id}") {
            assert_eq!(operation["parameters"][0]["name"], "id", "{place}");
            assert!(responses.contains_key("404"), "{place}");
        }
        if operation["requestBody"].is_object() {
            assert!(responses.contains_key("400"), "{place}");
        }
        let address = world.running.panel_address();
        let concrete = path.replace("{id}", "1");
        let answer = stranger
            .request(
                method.parse::<Method>().unwrap(),
                format!("{address}{concrete}"),
            )
            .header("content-type", "application/json")
            .body("{}")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 401, "{place}");
    }
}

#[tokio::test]
async fn every_reference_of_the_whole_description_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(to)) = members.get("$ref") {
                    found.insert(to.clone());
                }
                members
                    .values()
                    .for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let world = Ground::new(Cloud::new().providers()).start().await;
    let api: Value = world.get("/api/openapi.json").await;
    let mut found = BTreeSet::new();
    references(&api, &mut found);
    for to in found {
        let pointer = to.strip_prefix('#').unwrap();
        assert!(api.pointer(pointer).is_some(), "{to}");
    }
}
