//! JSON Schema in Google's own, smaller language of schemas, for the models that take no other
//! ([`super::takes_json_schema`]).
//!
//! An allow-list: a schema of Google's is written anew from what is understood, so nothing gets
//! through that Google does not know, and a *property* that is called like a keyword is a property.
//!
//! | JSON Schema | here |
//! |---|---|
//! | `$ref`, `$dynamicRef`, `allOf` | put in place; a cycle is cut where it begins anew |
//! | `anyOf`, `oneOf`, a list of types, an `enum` of several types | `anyOf`, which stands alone |
//! | the type `null`, `nullable`, `null` among the values | `nullable` |
//! | `const`, `enum` | `enum` of texts; of numbers their bounds, and the values as text |
//! | `prefixItems`, `items` of draft 4 | `items` of any of them |
//! | `format`s that Google refuses, maps, other names of properties | text in `description` |
//! | `then`, `else`, `dependentSchemas` | their properties, none of them required |
//!
//! What has no place in Google's language is left out, which allows more and forbids nothing. So
//! every value that fits the schema fits what is made of it, with these exceptions: an empty text
//! among the values of an `enum`, lists within lists where anything may stand, what may follow the
//! items of `prefixItems` unsaid, and what lies behind a cut.
//!
//! Sources: ai.google.dev "Schema" (v1beta) for the keywords; for what is refused beyond them the
//! messages of Google's that tell: `format: only 'enum' and 'date-time' are supported for STRING
//! type`, `enum: only allowed for STRING type`, `enum[0]: cannot be empty`, `items: missing field`,
//! `properties: should be non-empty for OBJECT type`, `required[0]: property is not defined`, and
//! Vertex AI's `When using any_of, it must be the only field set`.

mod flat;
mod made;
mod values;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use self::flat::Refs;
use self::made::Made;
use self::values::{Values, grouped};

pub(super) type Schema = Map<String, Value>;

/// How deep schemas are followed.
const DEEPEST: usize = 32;
/// How many schemas one may become when its references are put in place.
const MOST: usize = 4_000;
/// The longest text that tells of a schema, in bytes.
const LONGEST_NOTE: usize = 400;

/// The parameters of a function; `None` when there are none that can be told.
pub(crate) fn parameters(schema: &RawValue) -> Option<Box<RawValue>> {
    let mut schema = converted(schema)?;
    if let Some(Value::Array(choices)) = schema.remove("anyOf") {
        schema = one_object(choices)?;
    }
    schema.remove("nullable");
    // Google refuses an object without properties here, and there is nothing to tell of it.
    match schema.contains_key("properties") {
        true => to_raw_value(&schema).ok(),
        false => None,
    }
}

/// What an answer has to look like.
pub(crate) fn answer(schema: &RawValue) -> Option<Box<RawValue>> {
    to_raw_value(&converted(schema)?).ok()
}

fn converted(schema: &RawValue) -> Option<Schema> {
    let root: Value = serde_json::from_str(schema.get()).ok()?;
    let mut converter = Converter {
        refs: Refs::of(&root),
        left: MOST,
    };
    converter.schema(&root, 0)
}

struct Converter<'a> {
    refs: Refs<'a>,
    /// How many more schemas are written.
    left: usize,
}

impl Converter<'_> {
    /// The schema in Google's language; `None` when nothing fits it.
    fn schema(&mut self, schema: &Value, depth: usize) -> Option<Schema> {
        let schema = match schema {
            Value::Bool(false) => return None,
            Value::Object(schema) => schema,
            _ => return Some(anything()),
        };
        self.left = self.left.saturating_sub(1);
        let entered = self.refs.entered();
        let flat = self.refs.flat(schema);
        let made = match self.left == 0 || depth > DEEPEST {
            true => Some(cut(&flat)),
            false => self.one(flat, depth),
        };
        self.refs.leave(entered);
        made
    }

    /// One that refers to no other.
    fn one(&mut self, mut flat: Schema, depth: usize) -> Option<Schema> {
        if let Some(choices) = choices(&mut flat) {
            return self.any_of(&choices, flat, depth);
        }
        let nullable = flat.get("nullable") == Some(&Value::Bool(true));
        let values = Values::take(&mut flat);
        let types = types(&flat);
        let kind = match (&values, types.first()) {
            (Some(values), kind) => values.kind(kind.map(String::as_str)),
            (None, Some(kind)) => kind.clone(),
            (None, None) => match implied(&flat) {
                Some(kind) => kind.to_owned(),
                None => return Some(described(anything(), &flat)),
            },
        };
        let mut made = Made {
            schema: Schema::new(),
            notes: flat
                .get(flat::CUT)
                .and_then(note_of_cut)
                .into_iter()
                .collect(),
        };
        made.set("type", kind.to_uppercase().into());
        match &*kind {
            "string" => made.string(&flat),
            "number" | "integer" => made.number(&flat, &kind),
            "array" => self.array(&flat, &mut made, depth),
            "object" => self.object(&flat, &mut made, depth),
            _ => {}
        }
        if let Some(values) = values {
            values.write(&mut made);
        }
        made.copy(&flat, "title", Value::is_string);
        made.copy(&flat, "default", |_| true);
        made.copy(&flat, "example", |_| true);
        if nullable && kind != "null" {
            made.set("nullable", true.into());
        }
        Some(made.finish(&flat))
    }

    /// One of several, each of which has to fit `rest`, too.
    fn any_of(&mut self, choices: &[Value], mut rest: Schema, depth: usize) -> Option<Schema> {
        let mut nullable = rest.remove("nullable") == Some(Value::Bool(true));
        for own in ["title", "default", "example"] {
            rest.remove(own);
        }
        let mut all: Vec<Schema> = Vec::new();
        let rest = Value::Object(rest);
        for choice in choices
            .iter()
            .filter(|choice| **choice != Value::Bool(false))
        {
            let both = json!({ "allOf": [choice, rest] });
            let Some(mut made) = self.schema(&both, depth + 1) else {
                continue;
            };
            let several = match made.remove("anyOf") {
                Some(Value::Array(several)) => several,
                _ => vec![Value::Object(made)],
            };
            for one in several {
                let Value::Object(mut one) = one else {
                    continue;
                };
                nullable |= one.remove("nullable").is_some();
                if one.get("type") == Some(&json!("NULL")) {
                    nullable = true;
                } else if !all.contains(&one) {
                    all.push(one);
                }
            }
        }
        if all.is_empty() {
            return nullable.then(|| Schema::from_iter([("type".to_owned(), json!("NULL"))]));
        }
        if nullable {
            for one in &mut all {
                one.insert("nullable".to_owned(), true.into());
            }
        }
        Some(alone(all))
    }

    fn array(&mut self, flat: &Schema, made: &mut Made, depth: usize) {
        let first = [flat.get("prefixItems"), flat.get("items")];
        let first = first.into_iter().flatten().find_map(Value::as_array);
        let rest = match flat.get("items") {
            Some(Value::Array(_)) => flat.get("additionalItems"),
            other => other,
        };
        let mut longest = None;
        let items = match first {
            None => rest.cloned().unwrap_or(Value::Bool(true)),
            Some(first) => {
                let mut choices = first.clone();
                match rest {
                    Some(Value::Bool(false)) => longest = Some(first.len()),
                    Some(rest) => choices.push(rest.clone()),
                    // Anything may follow, but what is told here is what is meant.
                    None => {}
                }
                if let Some(note) = self.told_in_order(first, depth) {
                    made.notes.push(note);
                }
                json!({ "anyOf": choices })
            }
        };
        match self.schema(&items, depth + 1) {
            Some(items) => made.set("items", items.into()),
            None => {
                longest = Some(0);
                made.set("items", json!({"type": "STRING"}));
            }
        }
        made.count(flat, "minItems");
        made.count(flat, "maxItems");
        if let Some(longest) = longest {
            let given = made.schema.get("maxItems").and_then(Value::as_u64);
            let longest = given.unwrap_or(u64::MAX).min(longest as u64);
            made.set("maxItems", longest.into());
        }
    }

    fn object(&mut self, flat: &Schema, made: &mut Made, depth: usize) {
        let mut properties = Schema::new();
        for (name, schema) in flat
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            if let Some(schema) = self.schema(schema, depth + 1) {
                properties.insert(name.clone(), schema.into());
            }
        }
        for key in ["patternProperties", "additionalProperties"] {
            let others: Vec<&Value> = match (key, flat.get(key)) {
                ("patternProperties", Some(Value::Object(others))) => others.values().collect(),
                (_, Some(others @ Value::Object(_))) => vec![others],
                _ => Vec::new(),
            };
            for other in others {
                if let Some(told) = self.told(other, depth) {
                    made.notes
                        .push(format!("(other names may stand here, each with: {told})"));
                }
            }
        }
        if properties.is_empty() {
            made.count(flat, "minProperties");
            made.count(flat, "maxProperties");
            return;
        }
        let is_there = |name: &Value| {
            name.as_str()
                .is_some_and(|name| properties.contains_key(name))
        };
        let mut required: Vec<Value> = Vec::new();
        for name in flat
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if is_there(name) && !required.contains(name) {
                required.push(name.clone());
            }
        }
        // Google's parser keeps no order of properties, so it is told.
        let given = flat.get("propertyOrdering").and_then(Value::as_array);
        let given = given.into_iter().flatten().filter(|name| is_there(name));
        let mut ordering: Vec<Value> = given.cloned().collect();
        if ordering.is_empty() && properties.len() > 1 {
            ordering = properties.keys().map(|name| json!(name)).collect();
        }
        made.set("properties", properties.into());
        if !required.is_empty() {
            made.set("required", required.into());
        }
        made.count(flat, "minProperties");
        made.count(flat, "maxProperties");
        if !ordering.is_empty() {
            made.set("propertyOrdering", Value::Array(ordering));
        }
    }

    /// A schema as text, unless it says nothing or too much.
    fn told(&mut self, schema: &Value, depth: usize) -> Option<String> {
        if schema.as_object().is_none_or(Map::is_empty) {
            return None;
        }
        let told = Value::Object(self.schema(schema, depth + 1)?).to_string();
        (told.len() <= LONGEST_NOTE).then_some(told)
    }

    /// The items that stand in this order, as text.
    fn told_in_order(&mut self, first: &[Value], depth: usize) -> Option<String> {
        let mut told = Vec::with_capacity(first.len());
        for item in first {
            let item = self.schema(item, depth + 1)?;
            told.push(match item.get("type") {
                Some(Value::String(kind)) => kind.to_lowercase(),
                _ => "any of several".to_owned(),
            });
        }
        let told = told.join(", ");
        (told.len() <= LONGEST_NOTE).then(|| format!("(items in this order: {told})"))
    }
}

/// Several as one.
fn alone(mut all: Vec<Schema>) -> Schema {
    match all.len() {
        1 => all.remove(0),
        _ => Schema::from_iter([("anyOf".to_owned(), all.into_iter().collect())]),
    }
}

/// Any value, lists within lists excepted: a schema of Google's has an end.
fn anything() -> Schema {
    let one = [
        json!({"type": "STRING", "nullable": true}),
        json!({"type": "NUMBER", "nullable": true}),
        json!({"type": "BOOLEAN", "nullable": true}),
        json!({"type": "OBJECT", "nullable": true}),
    ];
    let mut all = one.to_vec();
    all.push(json!({"type": "ARRAY", "items": {"anyOf": one}, "nullable": true}));
    Schema::from_iter([("anyOf".to_owned(), all.into())])
}

/// Each of several with the description of all.
fn described(mut several: Schema, flat: &Schema) -> Schema {
    let description = flat.get("description").filter(|text| text.is_string());
    let all = several.get_mut("anyOf").and_then(Value::as_array_mut);
    for one in all.into_iter().flatten() {
        if let Some(description) = description {
            one["description"] = description.clone();
        }
    }
    several
}

/// What stands where a schema goes on for ever, or for too long.
fn cut(flat: &Schema) -> Schema {
    let kind = match (types(flat).first(), implied(flat)) {
        (Some(kind), _) => kind.clone(),
        (None, Some(kind)) => kind.to_owned(),
        (None, None) => return anything(),
    };
    let mut made = Made {
        schema: Schema::new(),
        notes: Vec::new(),
    };
    made.set("type", kind.to_uppercase().into());
    if kind == "array" {
        made.set("items", json!({"type": "OBJECT"}));
    }
    made.finish(flat)
}

/// Says what was cut.
fn note_of_cut(name: &Value) -> Option<String> {
    Some(format!("(another {}, as above)", name.as_str()?))
}

/// Takes what a schema leaves the choice of: one of these.
fn choices(flat: &mut Schema) -> Option<Vec<Value>> {
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(choices)) = flat.remove(key)
            && !choices.is_empty()
        {
            return Some(choices);
        }
    }
    if let Some(groups) = grouped(flat) {
        flat.remove("enum");
        return Some(groups);
    }
    let types = types(flat);
    if flat.get("type").is_some_and(Value::is_array) && types.len() > 1 {
        flat.remove("type");
        return Some(types.iter().map(|kind| json!({ "type": kind })).collect());
    }
    None
}

/// The types that are allowed, as JSON Schema writes them; none when that is not said.
pub(super) fn types(flat: &Schema) -> Vec<String> {
    const KNOWN: [&str; 7] = [
        "string", "number", "integer", "boolean", "array", "object", "null",
    ];
    let given = match flat.get("type") {
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(one)) => vec![&**one],
        _ => Vec::new(),
    };
    let mut types: Vec<String> = Vec::new();
    for kind in given.into_iter().map(str::to_lowercase) {
        if KNOWN.contains(&&*kind) && !types.contains(&kind) {
            types.push(kind);
        }
    }
    if types.iter().any(|kind| kind == "number") {
        types.retain(|kind| kind != "integer");
    }
    types
}

/// The type that a schema's keywords are about.
fn implied(flat: &Schema) -> Option<&'static str> {
    const ABOUT: [(&str, &[&str]); 4] = [
        (
            "object",
            &[
                "properties",
                "required",
                "additionalProperties",
                "patternProperties",
                "minProperties",
                "maxProperties",
            ],
        ),
        ("array", &["items", "prefixItems", "minItems", "maxItems"]),
        ("string", &["minLength", "maxLength", "pattern", "format"]),
        (
            "number",
            &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
        ),
    ];
    let about = ABOUT
        .iter()
        .find(|(_, keys)| keys.iter().any(|key| flat.contains_key(*key)))?;
    Some(about.0)
}

/// One object in place of several: all their properties, of which only those are required that
/// each of them requires. Google wants the parameters of a function to be one.
fn one_object(choices: Vec<Value>) -> Option<Schema> {
    let mut all = Schema::new();
    let mut required: Option<Vec<Value>> = None;
    let objects = choices.iter().filter(|one| one["type"] == "OBJECT");
    for one in objects {
        for (name, schema) in one["properties"].as_object().into_iter().flatten() {
            let known = all.entry(name.clone()).or_insert_with(|| schema.clone());
            if known != schema {
                let mut either = of_any(known.take());
                for other in of_any(schema.clone()) {
                    if !either.contains(&other) {
                        either.push(other);
                    }
                }
                *known = json!({ "anyOf": either });
            }
        }
        let own = one["required"].as_array().cloned().unwrap_or_default();
        match &mut required {
            None => required = Some(own),
            Some(required) => required.retain(|name| own.contains(name)),
        }
    }
    let required = required?;
    let ordering: Vec<Value> = all.keys().map(|name| json!(name)).collect();
    let mut made = Schema::from_iter([("type".to_owned(), json!("OBJECT"))]);
    if !all.is_empty() {
        made.insert("properties".to_owned(), all.into());
    }
    if !required.is_empty() {
        made.insert("required".to_owned(), required.into());
    }
    if ordering.len() > 1 {
        made.insert("propertyOrdering".to_owned(), ordering.into());
    }
    Some(made)
}

fn of_any(schema: Value) -> Vec<Value> {
    match schema {
        Value::Object(mut one) => match one.remove("anyOf") {
            Some(Value::Array(several)) => several,
            _ => vec![one.into()],
        },
        other => vec![other],
    }
}
