use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::admin::openapi;

/// Method and path of every operation in the description.
fn described() -> BTreeSet<(String, String)> {
    let api = serde_json::to_value(openapi()).unwrap();
    let paths = api["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect()
}

/// Method and path of every row of the table in `contract::admin`, without the
/// description's own.
fn promised() -> BTreeSet<(String, String)> {
    let rows = include_str!("../../../../contract/src/admin/mod.rs").lines();
    rows.filter_map(|line| line.strip_prefix("//! | "))
        .filter_map(|row| {
            let (method, rest) = row.split_once(" `")?;
            let path = rest.split('`').next()?;
            path.starts_with("/api/")
                .then(|| (method.to_owned(), path.to_owned()))
        })
        .filter(|(_, path)| path != "/api/openapi.json")
        .collect()
}

#[test]
fn the_description_has_every_promised_path_and_no_other() {
    assert!(promised().len() >= 18, "the table was read");
    assert_eq!(described(), promised());
}

#[tokio::test]
async fn the_router_answers_what_is_described_and_wants_a_session_where_it_says_so() {
    let world = World::new(&[("AUTH_TOKEN", PASSWORD)]).await;
    let api = serde_json::to_value(openapi()).unwrap();
    for (method, path) in described() {
        let operation = &api["paths"][&path][method.to_lowercase()];
        let has_body = operation["requestBody"].is_object();
        let body = has_body.then(|| json!({}));
        let concrete = path.replace("{id}", "1").replace("{name}", "x");
        let (status, said) = world.call(method.parse().unwrap(), &concrete, body).await;
        let closed = operation["security"].is_array();
        if closed {
            assert_eq!(status, 401, "{method} {path}: {said}");
        } else {
            assert!(
                [200, 400].contains(&status),
                "{method} {path}: {status} {said}"
            );
        }
    }
    let (status, served) = world.call(Method::GET, "/api/openapi.json", None).await;
    assert_eq!((status, served), (200, api));
}

#[test]
fn every_operation_describes_itself_its_errors_and_its_parameters() {
    let api = serde_json::to_value(openapi()).unwrap();
    for (method, path) in described() {
        let operation = &api["paths"][&path][method.to_lowercase()];
        let place = format!("{method} {path}");
        assert!(operation["summary"].is_string(), "{place}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(
            responses.keys().any(|status| status.starts_with('2')),
            "{place}"
        );
        assert!(
            responses.contains_key("403"),
            "{place}: the origin is checked everywhere"
        );
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
        }
        if path.contains("{name}") {
            assert_eq!(operation["parameters"][0]["name"], "name", "{place}");
        }
        if operation["requestBody"].is_object() {
            assert!(responses.contains_key("400"), "{place}");
        }
        match operation["security"].as_array() {
            Some(security) => {
                assert_eq!(security[0], json!({"session": []}), "{place}");
                assert!(responses.contains_key("401"), "{place}");
            }
            None => assert!(
                ["/api/state", "/api/setup", "/api/login"].contains(&path.as_str()),
                "{place} is open"
            ),
        }
    }
    let session = &api["components"]["securitySchemes"]["session"];
    assert_eq!(session["type"], "apiKey");
    assert_eq!(
        (&session["in"], &session["name"]),
        (&json!("cookie"), &json!("gb_session"))
    );
}

#[test]
fn every_reference_leads_somewhere() {
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
    let api = serde_json::to_value(openapi()).unwrap();
    let mut found = BTreeSet::new();
    references(&api, &mut found);
    assert!(found.len() > 15);
    for to in found {
        let pointer = to.strip_prefix('#').unwrap();
        assert!(api.pointer(pointer).is_some(), "{to}");
    }
}
