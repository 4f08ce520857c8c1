//! JSON Schema in Google's own, smaller language of schemas, for the models that take no other
//! ([`super::takes_json_schema`]).
//!
//! An allow-list: a schema of Google's is written anew from what is understood, so nothing gets
//! through that Google does not know, and a *property* that is called like a keyword is a property.
//!
//! | JSON Schema | here |
//! |---|---|
//! | `$ref`, `$dynamicRef`, `allOf` | put in place; a cycle is cut after its second round |
//! | `anyOf`, `oneOf`, a list of types, an `enum` of several types | `anyOf`, which stands alone |
//! | the type `null`, `nullable`, `null` among the values | `nullable` |
//! | `const`, `enum` | `enum` of texts; of numbers their bounds, and the values as text |
//! | `prefixItems`, `items` of draft 4 | `items` of any of them |
//! | `format`s that Google refuses, other names of properties | text in `description` |
//! | maps, objects without properties | one property that stands for any name, not required |
//! | `then`, `else`, `dependentSchemas` | their properties, none of them required |
//!
//! What has no place in Google's language is left out, which allows more and forbids nothing. So
//! every value that fits the schema fits what is made of it, with these exceptions: an empty text
//! among the values of an `enum`, objects and lists within lists where anything may stand, what may
//! follow the items of `prefixItems` unsaid, and what lies behind a cut: a cycle, more than
//! [`DEEPEST`] or [`MOST`], or what is many times as long as what was given ([`BYTES`], [`WORK`]).
//! Beyond those two also properties and choices are left out.
//!
//! Sources: ai.google.dev "Schema" (v1beta) for the keywords; for what is refused beyond them the
//! messages of Google's that tell: `format: only 'enum' and 'date-time' are supported for STRING
//! type`, `enum: only allowed for STRING type`, `enum[0]: cannot be empty`, `items: missing field`,
//! `properties: should be non-empty for OBJECT type`, `required[0]: property is not defined`, and
//! Vertex AI's `When using any_of, it must be the only field set`.

mod flat;
mod made;
mod values;

use std::collections::{BTreeMap, HashSet};

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use self::flat::{Budget, Refs, size, size_of};
use self::made::Made;
use self::values::{Values, grouped};

pub(super) type Schema = Map<String, Value>;

/// How deep schemas are followed.
const DEEPEST: usize = 32;
/// How many schemas one may become when its references are put in place.
const MOST: usize = 4_000;
/// The longest text that tells of a schema, in bytes.
const LONGEST_NOTE: usize = 400;

/// How many bytes may be written of a schema of no size, and how many more for each of its own.
const BYTES: (usize, usize) = (256 * 1024, 4);
/// The same of what may be read, again and again included.
const WORK: (usize, usize) = (2 * 1024 * 1024, 32);
/// How many schemas of other names an object tells of.
const MOST_OTHERS: usize = 16;
/// The property of an object whose names are not known. Google refuses an object without
/// properties, and a text in its place would be a text for the client, too, which wants an object.
/// It is not required, so an object without it still fits.
const ANY_NAME: &str = "any_name";

/// The parameters of a function; `None` when there are none that can be told.
pub(crate) fn parameters(schema: &RawValue) -> Option<Box<RawValue>> {
    let root: Value = serde_json::from_str(schema.get()).ok()?;
    let mut schema = converted(&root, schema.get().len())?;
    if let Some(Value::Array(choices)) = schema.remove("anyOf") {
        schema = one_object(choices, root.get("description"))?;
    }
    schema.remove("nullable");
    // Google refuses an object without properties here, and there is nothing to tell of it.
    match schema.contains_key("properties") && !is_bare(&schema) {
        true => to_raw_value(&schema).ok(),
        false => None,
    }
}

/// What an answer has to look like; `None` when that is not said, so that it is any JSON.
pub(crate) fn answer(schema: &RawValue) -> Option<Box<RawValue>> {
    let root: Value = serde_json::from_str(schema.get()).ok()?;
    let schema = converted(&root, schema.get().len())?;
    match is_bare(&schema) {
        true => None,
        false => to_raw_value(&schema).ok(),
    }
}

/// `len` is how many bytes the schema has as text.
fn converted(root: &Value, len: usize) -> Option<Schema> {
    let sum = |(base, each): (usize, usize)| base.saturating_add(len.saturating_mul(each));
    let mut converter = Converter {
        refs: Refs::of(root, sum(WORK)),
        left: MOST,
        bytes: Budget::of(sum(BYTES)),
    };
    converter.schema(root, 0)
}

struct Converter<'a> {
    refs: Refs<'a>,
    /// How many more schemas are written.
    left: usize,
    /// How many more bytes are written.
    bytes: Budget,
}

impl Converter<'_> {
    /// The schema in Google's language; `None` when nothing fits it.
    fn schema(&mut self, schema: &Value, depth: usize) -> Option<Schema> {
        let schema = match schema {
            Value::Bool(false) => return None,
            Value::Object(schema) => schema,
            _ => return Some(self.anything(None)),
        };
        self.left = self.left.saturating_sub(1);
        self.refs.enter();
        let flat = self.refs.flat(schema);
        let made = match self.left == 0 || depth > DEEPEST || self.is_spent() {
            true => Some(self.cut(&flat)),
            false => self.one(flat, depth),
        };
        self.refs.leave();
        made
    }

    /// Whether nothing more is written than what has been begun.
    fn is_spent(&self) -> bool {
        self.bytes.is_spent() || self.refs.is_spent()
    }

    /// Any value, with the description of `flat`.
    fn anything(&mut self, flat: Option<&Schema>) -> Schema {
        let mut made = anything();
        let description = flat.and_then(|flat| flat.get("description"));
        if let Some(Value::String(text)) = description {
            self.bytes.charge(4 * text.len());
            if !self.bytes.is_spent() || text.len() <= LONGEST_NOTE {
                made = described(made, text);
            }
        }
        self.bytes.charge(size_of(&made));
        made
    }

    /// What was made, with the description of `flat`.
    fn finish(&mut self, made: Made, flat: &Schema) -> Schema {
        let text = flat.get("description").and_then(Value::as_str);
        let text = text.unwrap_or_default();
        self.bytes.charge(16 + text.len());
        for (key, value) in &made.schema {
            // Those were charged when they were made.
            if !matches!(&**key, "properties" | "items") {
                self.bytes.charge(key.len() + 4 + size(value));
            }
        }
        match self.bytes.is_spent() && text.len() > LONGEST_NOTE {
            true => made.finish(""),
            false => made.finish(text),
        }
    }

    /// What stands where a schema goes on for ever, or for too long.
    fn cut(&mut self, flat: &Schema) -> Schema {
        let kind = match (types(flat).first(), implied(flat)) {
            (Some(kind), _) => kind.clone(),
            (None, Some(kind)) => kind.to_owned(),
            (None, None) => return self.anything(Some(flat)),
        };
        let mut made = Made {
            schema: Schema::new(),
            notes: Vec::new(),
        };
        made.set("type", kind.to_uppercase().into());
        match &*kind {
            "object" => made.set("properties", any_name(None)),
            "array" => made.set("items", cut_items(flat)),
            _ => {}
        }
        self.bytes.charge(96);
        self.finish(made, flat)
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
                None => return Some(self.anything(Some(&flat))),
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
        Some(self.finish(made, &flat))
    }

    /// One of several, each of which has to fit `rest`, too.
    fn any_of(&mut self, choices: &[Value], mut rest: Schema, depth: usize) -> Option<Schema> {
        let mut nullable = rest.remove("nullable") == Some(Value::Bool(true));
        let own = ["title", "default", "example"];
        let own: Vec<(&str, Value)> = own
            .into_iter()
            .filter_map(|key| Some((key, rest.remove(key)?)))
            .collect();
        let mut all: Vec<Schema> = Vec::new();
        let mut known = HashSet::new();
        let rest = Value::Object(rest);
        for choice in choices
            .iter()
            .filter(|choice| **choice != Value::Bool(false))
        {
            if self.is_spent() && !all.is_empty() {
                break;
            }
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
                } else if known.insert(key_of(&one)) {
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
        for (key, value) in own {
            self.bytes.charge(all.len() * size(&value));
            if !self.bytes.is_spent() || size(&value) <= LONGEST_NOTE {
                give(&mut all, key, &value);
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
            if self.is_spent() && !properties.is_empty() {
                break;
            }
            if let Some(schema) = self.schema(schema, depth + 1) {
                self.bytes.charge(name.len() + 4);
                properties.insert(name.clone(), schema.into());
            }
        }
        let mut values = None;
        let mut notes = Vec::new();
        for other in others(flat) {
            if self.is_spent() {
                break;
            }
            let Some(other) = self.schema(other, depth + 1) else {
                continue;
            };
            let other = Value::Object(other);
            let told = other.to_string();
            if told.len() <= LONGEST_NOTE {
                notes.push(format!("(other names may stand here, each with: {told})"));
            }
            values.get_or_insert(other);
        }
        if properties.is_empty() {
            if values.is_some() {
                if notes.len() < 2 {
                    notes = vec![format!("(other names than {ANY_NAME} may stand here, too)")];
                }
                made.notes.append(&mut notes);
            }
            self.bytes.charge(96);
            made.set("properties", any_name(values));
            made.count(flat, "minProperties");
            made.count(flat, "maxProperties");
            return;
        }
        made.notes.append(&mut notes);
        let is_there = |name: &Value| {
            name.as_str()
                .is_some_and(|name| properties.contains_key(name))
        };
        let mut required: Vec<Value> = Vec::new();
        let mut known = HashSet::new();
        for name in flat
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if is_there(name) && known.insert(name.as_str()) {
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

    /// The items that stand in this order, as text.
    fn told_in_order(&mut self, first: &[Value], depth: usize) -> Option<String> {
        let mut told = Vec::with_capacity(first.len());
        for item in first {
            if self.is_spent() {
                return None;
            }
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

/// Any value, objects and lists within lists excepted: a schema of Google's has an end, and an
/// object has properties.
fn anything() -> Schema {
    let one = [
        json!({"type": "STRING", "nullable": true}),
        json!({"type": "NUMBER", "nullable": true}),
        json!({"type": "BOOLEAN", "nullable": true}),
    ];
    let mut all = one.to_vec();
    all.push(json!({"type": "ARRAY", "items": {"anyOf": one}, "nullable": true}));
    Schema::from_iter([("anyOf".to_owned(), all.into())])
}

/// Each of several with the description of all.
fn described(mut several: Schema, description: &str) -> Schema {
    let all = several.get_mut("anyOf").and_then(Value::as_array_mut);
    for one in all.into_iter().flatten() {
        one["description"] = description.into();
    }
    several
}

/// The properties of an object whose names are not known; `values` is what stands under each.
fn any_name(values: Option<Value>) -> Value {
    let unknown = || json!({"type": "STRING", "description": "(stands for names not told here; leave it out)"});
    let one = values.unwrap_or_else(unknown);
    Value::Object(Schema::from_iter([(ANY_NAME.to_owned(), one)]))
}

/// Whether it is an object of which nothing is known.
fn is_bare(made: &Schema) -> bool {
    made.get("properties") == Some(&any_name(None))
}

/// What stands under other names than the properties', where that says something.
fn others(flat: &Schema) -> impl Iterator<Item = &Value> {
    let patterns = flat.get("patternProperties").and_then(Value::as_object);
    let patterns = patterns.into_iter().flat_map(Map::values);
    let says = |other: &&Value| other.as_object().is_some_and(|other| !other.is_empty());
    patterns
        .chain(flat.get("additionalProperties"))
        .filter(says)
        .take(MOST_OTHERS)
}

/// The items of a list that goes on for too long: only their type.
fn cut_items(flat: &Schema) -> Value {
    let items = flat.get("items").and_then(Value::as_object);
    match items.and_then(|items| types(items).into_iter().next()) {
        Some(kind) if kind != "object" && kind != "array" => {
            json!({ "type": kind.to_uppercase() })
        }
        _ => json!({ "type": "OBJECT", "properties": any_name(None) }),
    }
}

/// Two schemas of the same text are the same.
fn key_of(schema: &Schema) -> String {
    let fields: BTreeMap<&String, &Value> = schema.iter().collect();
    serde_json::to_string(&fields).unwrap_or_default()
}

/// Gives what is said of a choice to those it may be about: Google lets nothing stand beside
/// `anyOf`.
fn give(all: &mut [Schema], key: &str, value: &Value) {
    if key == "title" {
        if value.is_string() {
            for one in all {
                one.entry(key).or_insert_with(|| value.clone());
            }
        }
        return;
    }
    let fitting = all.iter_mut().find(|one| values::is_of(value, one));
    if let Some(one) = fitting {
        one.entry(key).or_insert_with(|| value.clone());
    }
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
fn one_object(choices: Vec<Value>, description: Option<&Value>) -> Option<Schema> {
    let mut all = Schema::new();
    let mut known: HashSet<(&str, String)> = HashSet::new();
    let mut required: Option<Vec<Value>> = None;
    let objects = choices.iter().filter(|one| one["type"] == "OBJECT");
    for one in objects {
        let bare = one.as_object().is_some_and(is_bare);
        let properties = one["properties"].as_object().filter(|_| !bare);
        for (name, schema) in properties.into_iter().flatten() {
            let either = all.entry(name.clone()).or_insert_with(|| json!([]));
            for other in of_any(schema) {
                if let (Value::Array(either), Some(fields)) = (&mut *either, other.as_object())
                    && known.insert((name, key_of(fields)))
                {
                    either.push(other.clone());
                }
            }
        }
        let own = one["required"].as_array().cloned().unwrap_or_default();
        match &mut required {
            None => required = Some(own),
            Some(required) => {
                let own: HashSet<Option<&str>> = own.iter().map(Value::as_str).collect();
                required.retain(|name| own.contains(&name.as_str()));
            }
        }
    }
    let required = required?;
    for either in all.values_mut() {
        *either = match either.take() {
            Value::Array(mut one) if one.len() == 1 => one.remove(0),
            several => Value::Object(Schema::from_iter([("anyOf".to_owned(), several)])),
        };
    }
    let ordering: Vec<Value> = all.keys().map(|name| json!(name)).collect();
    let mut made = Schema::from_iter([("type".to_owned(), json!("OBJECT"))]);
    if let Some(text) = description.filter(|text| text.is_string()) {
        made.insert("description".to_owned(), text.clone());
    }
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

/// What a schema of Google's leaves the choice of; itself when it leaves none.
fn of_any(schema: &Value) -> &[Value] {
    match schema.get("anyOf") {
        Some(Value::Array(several)) => several,
        _ => std::slice::from_ref(schema),
    }
}
