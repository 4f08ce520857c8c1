//! Render's own description of its API, as far as it is at hand.
//!
//! It is looked for where `GB_SPECS` says, or else in `../shared/specs` beside the
//! repository; without it nothing is compared.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// The description, made into JSON schemas.
#[derive(Debug)]
pub struct Oracle {
    document: Value,
    /// By schema; making one takes a while.
    validators: Mutex<HashMap<String, Validator>>,
}

impl Oracle {
    /// `None` when the description is not at hand.
    pub fn find() -> Option<Self> {
        let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/specs");
        let folder = std::env::var_os("GB_SPECS").unwrap_or_else(|| beside.into());
        let path = PathBuf::from(folder).join("render-openapi-subset.json");
        let mut document = serde_json::from_slice(&std::fs::read(path).ok()?).unwrap();
        convert(&mut document);
        // What recordings have and the description has not.
        let schemas = &mut document["components"]["schemas"];
        may_be_null(&mut schemas["deploy"]["properties"]["commit"]);
        may_be_null(&mut schemas["deploy"]["properties"]["finishedAt"]);
        may_be_null(&mut schemas["webServiceDetails"]["properties"]["openPorts"]);
        // There are web services only, and the variants overlap.
        for (schema, kind) in [
            ("service", ""),
            ("servicePOST", "POST"),
            ("servicePATCH", "PATCH"),
        ] {
            let reference = format!("#/components/schemas/webServiceDetails{kind}");
            schemas[schema]["properties"]["serviceDetails"] = json!({ "$ref": reference });
        }
        // It wants each value of a metric to have the unit that its series has.
        remove_unit(&mut document);
        Some(Self {
            document,
            validators: Mutex::default(),
        })
    }

    /// What is wrong with a call's body, with the path as in the description
    /// (`/services/{serviceId}`).
    pub fn request(&self, method: &str, path: &str, body: &Value) -> Vec<String> {
        let operation = self.operation(method, path);
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        self.errors(schema, body)
    }

    /// What is wrong with an answer.
    pub fn response(&self, method: &str, path: &str, status: u16, body: &Value) -> Vec<String> {
        let operation = self.operation(method, path);
        let response = &operation["responses"][status.to_string()];
        // Every call can be limited or fail, whether that is written down or not.
        if response.is_null() && [429, 500, 502, 503].contains(&status) {
            return Vec::new();
        }
        if response.is_null() {
            return vec![format!("{method} {path} never answers {status}")];
        }
        let response = self.resolve(response);
        let schema = &response["content"]["application/json"]["schema"];
        if schema.is_null() {
            return match body {
                Value::Null => Vec::new(),
                body => vec![format!("{status} has no body, and there is {body}")],
            };
        }
        self.errors(schema, body)
    }

    fn operation(&self, method: &str, path: &str) -> &Value {
        let operation = &self.document["paths"][path][method.to_lowercase()];
        assert!(!operation.is_null(), "{method} {path} is not described");
        operation
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => {
                let pointer = reference.strip_prefix('#').unwrap();
                self.document.pointer(pointer).unwrap()
            }
            None => value,
        }
    }

    fn errors(&self, schema: &Value, value: &Value) -> Vec<String> {
        if schema.is_null() {
            return Vec::new();
        }
        let mut validators = self.validators.lock().unwrap();
        let validator = validators.entry(schema.to_string()).or_insert_with(|| {
            let mut whole = self.document.as_object().cloned().unwrap();
            whole.insert("allOf".into(), json!([schema]));
            jsonschema::options()
                .should_validate_formats(true)
                .build(&Value::Object(whole))
                .unwrap()
        });
        validator
            .iter_errors(value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect()
    }
}

/// OpenAPI 3.0 into JSON schema: `nullable` is a type, and the variants of `oneOf` overlap.
fn convert(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(convert),
        Value::Object(object) => {
            if let Some(variants) = object.remove("oneOf") {
                object.insert("anyOf".into(), variants);
            }
            let is_nullable = object.remove("nullable") == Some(Value::Bool(true));
            if is_nullable && let Some(kind) = object.get("type").cloned() {
                object.insert("type".into(), json!([kind, "null"]));
            }
            object.values_mut().for_each(convert);
        }
        _ => {}
    }
}

fn may_be_null(schema: &mut Value) {
    let old = schema.take();
    assert!(old.is_object(), "the description has changed: {old}");
    *schema = json!({ "anyOf": [old, { "type": "null" }] });
}

fn remove_unit(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(remove_unit),
        Value::Object(object) => {
            if is_metric_value(object) {
                object.insert("required".into(), json!(["timestamp", "value"]));
            }
            object.values_mut().for_each(remove_unit);
        }
        _ => {}
    }
}

fn is_metric_value(object: &Map<String, Value>) -> bool {
    object.get("required") == Some(&json!(["timestamp", "value", "unit"]))
}
