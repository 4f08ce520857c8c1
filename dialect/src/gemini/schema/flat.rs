//! A schema with what it refers to: `$ref` and `allOf` put in place.

use serde_json::{Map, Value, json};

use super::{Schema, types};

/// Keywords that are understood; all others are passed over.
const KNOWN: [&str; 27] = [
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "items",
    "prefixItems",
    "additionalItems",
    "minItems",
    "maxItems",
    "properties",
    "patternProperties",
    "additionalProperties",
    "required",
    "propertyOrdering",
    "minProperties",
    "maxProperties",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "pattern",
    "default",
    "example",
];
/// The name of what was cut, in a flat schema. No keyword has a space.
pub(super) const CUT: &str = "cut here";

/// The schema whose parts refer to each other.
pub(super) struct Refs<'a> {
    root: &'a Value,
    /// The references that lead to where we are.
    way: Vec<String>,
}

impl<'a> Refs<'a> {
    pub fn of(root: &'a Value) -> Self {
        Self {
            root,
            way: Vec::new(),
        }
    }

    /// How many references led here.
    pub fn entered(&self) -> usize {
        self.way.len()
    }

    /// Goes back to where so many references had led.
    pub fn leave(&mut self, entered: usize) {
        self.way.truncate(entered);
    }

    /// The schema as one that refers to no other; its parts may. Until [`Refs::leave`] they are
    /// behind the references that were followed.
    pub fn flat(&mut self, schema: &Map<String, Value>) -> Schema {
        let mut flat = Schema::new();
        for (key, value) in schema {
            if KNOWN.contains(&&**key) || matches!(&**key, "anyOf" | "oneOf") || key == CUT {
                flat.insert(key.clone(), value.clone());
            }
        }
        if let Some(only) = schema.get("const") {
            flat.insert("enum".to_owned(), json!([only]));
        }
        if let Some(example) = schema.get("examples").and_then(|all| all.get(0)) {
            flat.entry("example").or_insert_with(|| example.clone());
        }
        for key in ["$ref", "$dynamicRef", "$recursiveRef"] {
            if let Some(to) = schema.get(key).and_then(Value::as_str) {
                let target = self.follow(to);
                merge(&mut flat, target);
            }
        }
        for one in schema
            .get("allOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if let Some(one) = one.as_object() {
                let one = self.flat(one);
                merge(&mut flat, one);
            }
        }
        self.conditional(schema, &mut flat);
        flat
    }

    /// What a reference leads to.
    fn follow(&mut self, to: &str) -> Schema {
        let Some(target) = self.find(to) else {
            // Elsewhere: anything may stand there.
            return Schema::new();
        };
        let Some(target) = target.as_object() else {
            return Schema::new();
        };
        if self.way.iter().any(|known| known == to) {
            let name = to.rsplit(['/', '#']).next().filter(|name| !name.is_empty());
            let mut cut = Schema::from_iter([(CUT.to_owned(), json!(name.unwrap_or("one")))]);
            for own in ["type", "description", "title"] {
                if let Some(value) = target.get(own) {
                    cut.insert(own.to_owned(), value.clone());
                }
            }
            cut.entry("type").or_insert(json!("object"));
            return cut;
        }
        self.way.push(to.to_owned());
        self.flat(target)
    }

    fn find(&self, to: &str) -> Option<&'a Value> {
        let (document, fragment) = to.split_once('#').unwrap_or((to, ""));
        let start = match document {
            "" => self.root,
            id => search(self.root, &|schema| {
                ["$id", "id"]
                    .iter()
                    .any(|key| schema.get(*key).is_some_and(|own| own == id))
            })?,
        };
        let fragment = decoded(fragment);
        if fragment.is_empty() || fragment.starts_with('/') {
            return start.pointer(&fragment);
        }
        search(start, &|schema| {
            let mut names = ["$anchor", "$dynamicAnchor"]
                .iter()
                .filter_map(|key| schema.get(*key));
            let old = schema
                .get("id")
                .and_then(Value::as_str)
                .and_then(|id| id.strip_prefix('#'));
            names.any(|name| *name == *fragment) || old == Some(&*fragment)
        })
    }

    /// Properties that exist under conditions: they may be there.
    fn conditional(&mut self, schema: &Map<String, Value>, flat: &mut Schema) {
        let dependent = schema.get("dependentSchemas").and_then(Value::as_object);
        let branches = ["then", "else"].iter().filter_map(|key| schema.get(*key));
        for branch in branches.chain(dependent.into_iter().flat_map(Map::values)) {
            let Some(branch) = branch.as_object() else {
                continue;
            };
            let mut branch = self.flat(branch);
            let Some(Value::Object(more)) = branch.remove("properties") else {
                continue;
            };
            let known = flat.entry("properties").or_insert_with(|| json!({}));
            if let Some(known) = known.as_object_mut() {
                for (name, schema) in more {
                    known.entry(name).or_insert(schema);
                }
            }
        }
    }
}

/// The first schema of `root` that is meant, itself included.
fn search<'a>(
    root: &'a Value,
    is_meant: &dyn Fn(&Map<String, Value>) -> bool,
) -> Option<&'a Value> {
    match root {
        Value::Object(fields) if is_meant(fields) => Some(root),
        Value::Object(fields) => fields.values().find_map(|value| search(value, is_meant)),
        Value::Array(all) => all.iter().find_map(|value| search(value, is_meant)),
        _ => None,
    }
}

/// A fragment of a URI without its percent signs.
fn decoded(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let digits = more.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Adds what `more` asks for besides.
fn merge(flat: &mut Schema, more: Schema) {
    for (key, value) in more {
        let Some(known) = flat.get(&key).cloned() else {
            flat.insert(key, value);
            continue;
        };
        if known == value {
            continue;
        }
        let both = match &*key {
            "type" => both_types(known, &value),
            "enum" => both_lists(known, &value),
            "required" => {
                let mut all = known.as_array().cloned().unwrap_or_default();
                all.extend(value.as_array().cloned().unwrap_or_default());
                all.into()
            }
            "properties" | "patternProperties" => both_maps(known, value),
            "items" | "additionalProperties" | "additionalItems" => both_schemas(known, value),
            "description" => match (known.as_str(), value.as_str()) {
                // The outer one is about this place, the inner one about the thing.
                (Some(outer), Some(inner)) if !outer.contains(inner) => {
                    format!("{outer}\n{inner}").into()
                }
                _ => known,
            },
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "minLength"
            | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
                tighter(&key, Some(known), value)
            }
            // Both have a choice: one is kept under the other name, where that is free.
            "anyOf" | "oneOf" => {
                let other = if key == "anyOf" { "oneOf" } else { "anyOf" };
                flat.entry(other).or_insert(value);
                known
            }
            _ => known,
        };
        flat.insert(key, both);
    }
}

/// The bound that leaves less.
pub(super) fn tighter(bound: &str, known: Option<Value>, other: Value) -> Value {
    let Some(known) = known else { return other };
    let is_least = bound.to_lowercase().contains("min");
    match (known.as_f64(), other.as_f64()) {
        (Some(a), Some(b)) if if is_least { b > a } else { b < a } => other,
        (None, Some(_)) => other,
        _ => known,
    }
}

fn both_types(known: Value, other: &Value) -> Value {
    let read = |value: &Value| types(&Schema::from_iter([("type".to_owned(), value.clone())]));
    let (ours, theirs) = (read(&known), read(other));
    let has = |all: &[String], kind: &str| {
        all.iter()
            .any(|one| one == kind || (one == "number" && kind == "integer"))
    };
    let mut both: Vec<&String> = ours.iter().filter(|kind| has(&theirs, kind)).collect();
    both.extend(
        theirs
            .iter()
            .filter(|kind| has(&ours, kind) && !ours.contains(kind)),
    );
    match &*both {
        [] => known,
        [one] => json!(one),
        all => json!(all),
    }
}

fn both_lists(known: Value, other: &Value) -> Value {
    let (Some(ours), Some(theirs)) = (known.as_array(), other.as_array()) else {
        return known;
    };
    let both: Vec<Value> = ours
        .iter()
        .filter(|value| theirs.contains(value))
        .cloned()
        .collect();
    match both.is_empty() {
        true => known,
        false => both.into(),
    }
}

fn both_maps(known: Value, other: Value) -> Value {
    let (Value::Object(mut ours), Value::Object(theirs)) = (known, other) else {
        return json!({});
    };
    for (name, schema) in theirs {
        let both = match ours.get(&name).cloned() {
            None => schema,
            Some(own) => both_schemas(own, schema),
        };
        ours.insert(name, both);
    }
    ours.into()
}

fn both_schemas(known: Value, other: Value) -> Value {
    match (&known, &other) {
        _ if known == other => known,
        (Value::Bool(true), _) => other,
        (_, Value::Bool(true)) => known,
        (Value::Bool(false), _) | (_, Value::Bool(false)) => Value::Bool(false),
        _ => json!({ "allOf": [known, other] }),
    }
}
