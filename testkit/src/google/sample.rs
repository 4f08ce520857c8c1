//! Values that satisfy a schema: arguments of function calls, and answers in JSON.

use serde_json::{Map, Value, json};

use super::proto::{get, int, list, text};

/// A value for this schema, whether in Google's dialect or JSON Schema. `name` is the
/// property that it is for; a free text takes up the question.
pub(super) fn value(schema: &Value, name: &str, question: &str) -> Value {
    Sampler {
        root: schema,
        question,
    }
    .value(schema, name, 0)
}

struct Sampler<'a> {
    /// Where `$ref` leads from.
    root: &'a Value,
    question: &'a str,
}

/// Schemas may refer to themselves; deeper than this only an empty value is given.
const DEEPEST: usize = 8;

/// Formats of strings, each with a value of it.
const FORMATS: &[(&str, &str)] = &[
    ("date-time", "2026-01-02T03:04:05Z"),
    ("date", "2026-01-02"),
    ("time", "03:04:05Z"),
    ("duration", "PT5M"),
    ("email", "demo@example.com"),
    ("uri", "https://example.com/"),
    ("uuid", "00000000-0000-4000-8000-000000000000"),
    ("ipv4", "192.0.2.1"),
];

/// Words in a property's name, each with a value that a person would expect there.
const NAMES: &[(&str, &str)] = &[
    ("city", "Paris"),
    ("location", "Paris"),
    ("country", "France"),
    ("date", "2026-01-02"),
    ("time", "12:00"),
    ("unit", "celsius"),
    ("file_path", "/tmp/demo.txt"),
    ("path", "/tmp/demo.txt"),
    ("url", "https://example.com/"),
    ("command", "echo demo"),
    ("language", "en"),
    ("name", "Demo"),
    ("start", "00:00:00.000"),
    ("end", "00:00:02.500"),
];

impl Sampler<'_> {
    fn value(&self, schema: &Value, name: &str, depth: usize) -> Value {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let target = reference
                .strip_prefix('#')
                .and_then(|pointer| self.root.pointer(pointer));
            return match target {
                Some(target) if depth < DEEPEST => self.value(target, name, depth + 1),
                _ => json!({}),
            };
        }
        for fixed in ["const", "default", "example"] {
            if let Some(value) = schema.get(fixed) {
                return value.clone();
            }
        }
        if let Some(first) = list(schema, "enum").first() {
            return first.clone();
        }
        for choice in ["any_of", "oneOf", "allOf"] {
            let of = list(schema, choice);
            if let Some(one) = of.iter().find(|one| kind(one) != "NULL") {
                return self.value(one, name, depth);
            }
        }
        match kind(schema).as_str() {
            "OBJECT" => self.object(schema, depth),
            "ARRAY" => {
                let fewest = int(schema, "min_items")
                    .unwrap_or(1)
                    .clamp(if depth < DEEPEST { 1 } else { 0 }, 16);
                let tuple = list(schema, "prefixItems");
                if !tuple.is_empty() {
                    return tuple
                        .iter()
                        .map(|item| self.value(item, name, depth + 1))
                        .collect();
                }
                let item = get(schema, "items")
                    .map_or(json!("demo"), |items| self.value(items, name, depth + 1));
                (0..fewest).map(|_| item.clone()).collect()
            }
            "INTEGER" => json!(self.number(schema, 1.0).round() as i64),
            "NUMBER" => json!(self.number(schema, 1.5)),
            "BOOLEAN" => json!(true),
            "NULL" => Value::Null,
            _ => Value::String(self.string(schema, name)),
        }
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let Some(properties) = get(schema, "properties").and_then(Value::as_object) else {
            return json!({});
        };
        let required = list(schema, "required");
        let mut object = Map::new();
        for (name, inner) in properties {
            let wanted = required.iter().any(|r| r.as_str() == Some(name));
            // Without anything required, everything is given: an empty object shows nothing.
            if wanted || (required.is_empty() && depth < DEEPEST) {
                object.insert(name.clone(), self.value(inner, name, depth + 1));
            }
        }
        Value::Object(object)
    }

    fn number(&self, schema: &Value, usual: f64) -> f64 {
        let bound = |name: &str| get(schema, name).and_then(Value::as_f64);
        let least = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|least| least + 1.0));
        let most = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|most| most - 1.0));
        let number = least.map_or(usual, |least| least.max(usual));
        most.map_or(number, |most| number.min(most))
    }

    fn string(&self, schema: &Value, name: &str) -> String {
        let named = name.to_ascii_lowercase();
        let format = text(schema, "format");
        let mut string = FORMATS
            .iter()
            .find(|(known, _)| *known == format)
            .or_else(|| NAMES.iter().find(|(word, _)| named.contains(word)))
            .map_or_else(
                || {
                    if self.question.is_empty() {
                        "demo"
                    } else {
                        self.question
                    }
                },
                |(_, value)| value,
            )
            .to_owned();
        if let Some(most) = int(schema, "max_length").and_then(|most| usize::try_from(most).ok()) {
            string = string.chars().take(most).collect();
        }
        let fewest = int(schema, "min_length")
            .and_then(|fewest| usize::try_from(fewest).ok())
            .unwrap_or(0);
        while string.chars().count() < fewest.min(10_000) {
            string.push('.');
        }
        string
    }
}

/// The type in capitals; of a list of types the first that is not null.
fn kind(schema: &Value) -> String {
    let named = match schema.get("type") {
        Some(Value::String(name)) => name.as_str(),
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .find(|name| *name != "null")
            .unwrap_or("null"),
        _ if schema.get("properties").is_some() => "OBJECT",
        _ if schema.get("items").is_some() => "ARRAY",
        _ => "STRING",
    };
    named.to_ascii_uppercase()
}
