//! A schema with what it refers to: `$ref` and `allOf` put in place.

use std::collections::{HashMap, HashSet};
use std::ptr;

use serde_json::{Map, Value, json};

use super::{LONGEST_NOTE, Schema, types};

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

/// How many schemas stand within each other in one place: references to references, and `allOf`.
const DEEPEST: usize = 64;
/// How often one and the same schema stands on the way to itself.
const TWICE: usize = 2;
/// Longer descriptions are not made longer, in bytes.
const LONG: usize = 16 * 1024;

/// What may still be spent, in bytes.
pub(super) struct Budget(usize);

impl Budget {
    pub fn of(bytes: usize) -> Self {
        Self(bytes)
    }

    pub fn charge(&mut self, bytes: usize) {
        self.0 = self.0.saturating_sub(bytes);
    }

    pub fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

/// About how many bytes a value takes.
pub(super) fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(all) => all.iter().map(size).sum::<usize>() + 2,
        Value::Object(fields) => size_of(fields),
        _ => 8,
    }
}

pub(super) fn size_of(fields: &Schema) -> usize {
    let each = fields
        .iter()
        .map(|(key, value)| key.len() + 4 + size(value));
    each.sum::<usize>() + 2
}

/// The names that parts of a schema have of their own.
#[derive(Default)]
struct Names<'a> {
    ids: HashMap<&'a str, &'a Value>,
    anchors: HashMap<&'a str, &'a Value>,
}

impl<'a> Names<'a> {
    /// Of two with the same name the first is meant.
    fn read(&mut self, from: &'a Value) {
        match from {
            Value::Object(fields) => {
                let text = |key: &str| fields.get(key).and_then(Value::as_str);
                for id in [text("$id"), text("id")].into_iter().flatten() {
                    self.ids.entry(id).or_insert(from);
                }
                let old = text("id").and_then(|id| id.strip_prefix('#'));
                let anchors = [text("$anchor"), text("$dynamicAnchor"), old];
                for anchor in anchors.into_iter().flatten() {
                    self.anchors.entry(anchor).or_insert(from);
                }
                fields.values().for_each(|value| self.read(value));
            }
            Value::Array(all) => all.iter().for_each(|value| self.read(value)),
            _ => {}
        }
    }
}

/// The schema whose parts refer to each other. A schema that is referred to is known by where it
/// is in memory, so it is the same under all its names.
pub(super) struct Refs<'a> {
    root: &'a Value,
    names: HashMap<usize, Names<'a>>,
    /// What was referred to on the way to where we are.
    way: Vec<usize>,
    /// How long the way was at each place that led here.
    places: Vec<usize>,
    /// The places at which each was referred to.
    seen: HashMap<usize, Vec<usize>>,
    /// How deep we are in one place.
    deep: usize,
    /// What may still be read.
    work: Budget,
}

impl<'a> Refs<'a> {
    /// `work` is how many bytes may be read altogether, those that are read again included.
    pub fn of(root: &'a Value, work: usize) -> Self {
        let own = ptr::from_ref(root).addr();
        Self {
            root,
            names: HashMap::new(),
            way: Vec::new(),
            places: Vec::new(),
            seen: HashMap::from([(own, vec![0])]),
            deep: 0,
            work: Budget::of(work),
        }
    }

    /// Whether no more is read.
    pub fn is_spent(&self) -> bool {
        self.work.is_spent()
    }

    /// Goes to a place within the one where we are.
    pub fn enter(&mut self) {
        self.places.push(self.way.len());
    }

    /// Goes back from there.
    pub fn leave(&mut self) {
        let before = self.places.pop().unwrap_or_default();
        self.forget(before);
    }

    fn forget(&mut self, before: usize) {
        for target in self.way.drain(before..) {
            if let Some(places) = self.seen.get_mut(&target) {
                places.pop();
            }
        }
    }

    /// The schema as one that refers to no other; its parts may. Until [`Refs::leave`] they are
    /// behind the references that were followed.
    pub fn flat(&mut self, schema: &Map<String, Value>) -> Schema {
        if self.deep >= DEEPEST || self.work.is_spent() {
            return brief(schema);
        }
        self.deep += 1;
        let flat = self.merged(schema);
        self.deep -= 1;
        flat
    }

    fn merged(&mut self, schema: &Map<String, Value>) -> Schema {
        self.work.charge(16 + 16 * schema.len());
        let mut flat = Schema::new();
        for (key, value) in schema {
            if KNOWN.contains(&&**key) || matches!(&**key, "anyOf" | "oneOf") || key == CUT {
                self.work.charge(size(value));
                flat.insert(key.clone(), value.clone());
            }
        }
        if let Some(only) = schema.get("const") {
            self.work.charge(size(only));
            flat.insert("enum".to_owned(), json!([only]));
        }
        if let Some(example) = schema.get("examples").and_then(|all| all.get(0)) {
            self.work.charge(size(example));
            flat.entry("example").or_insert_with(|| example.clone());
        }
        for key in ["$ref", "$dynamicRef", "$recursiveRef"] {
            if let Some(to) = schema.get(key).and_then(Value::as_str) {
                self.work.charge(to.len());
                let target = self.follow(to);
                merge(&mut flat, target, &mut self.work);
            }
        }
        let all = schema.get("allOf").and_then(Value::as_array);
        self.work.charge(all.map_or(0, Vec::len));
        for one in all.into_iter().flatten() {
            if self.work.is_spent() {
                break;
            }
            if let Some(one) = one.as_object() {
                let one = self.flat(one);
                merge(&mut flat, one, &mut self.work);
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
        let own = ptr::from_ref(target).addr();
        let Some(target) = target.as_object() else {
            return Schema::new();
        };
        if self.deep >= DEEPEST || self.work.is_spent() {
            return brief(target);
        }
        let seen = self.seen.entry(own).or_default();
        if seen.last() == Some(&self.places.len()) {
            // It is part of this schema already.
            return Schema::new();
        }
        if seen.len() >= TWICE {
            let name = to.rsplit(['/', '#']).next().filter(|name| !name.is_empty());
            let mut cut = Schema::from_iter([(CUT.to_owned(), json!(name.unwrap_or("one")))]);
            cut.extend(brief(target));
            cut.entry("type").or_insert(json!("object"));
            return cut;
        }
        seen.push(self.places.len());
        self.way.push(own);
        self.flat(target)
    }

    fn find(&mut self, to: &str) -> Option<&'a Value> {
        let (document, fragment) = to.split_once('#').unwrap_or((to, ""));
        let start = match document {
            "" => self.root,
            id => *self.names(self.root).ids.get(id)?,
        };
        let fragment = decoded(fragment);
        if fragment.is_empty() || fragment.starts_with('/') {
            return start.pointer(&fragment);
        }
        self.names(start).anchors.get(&*fragment).copied()
    }

    fn names(&mut self, within: &'a Value) -> &Names<'a> {
        let own = ptr::from_ref(within).addr();
        self.names.entry(own).or_insert_with(|| {
            let mut names = Names::default();
            names.read(within);
            names
        })
    }

    /// Properties that exist under conditions: they may be there.
    fn conditional(&mut self, schema: &Map<String, Value>, flat: &mut Schema) {
        let dependent = schema.get("dependentSchemas").and_then(Value::as_object);
        self.work.charge(dependent.map_or(0, Map::len));
        let branches = ["then", "else"].iter().filter_map(|key| schema.get(*key));
        for branch in branches.chain(dependent.into_iter().flat_map(Map::values)) {
            let Some(branch) = branch.as_object() else {
                continue;
            };
            if self.work.is_spent() {
                break;
            }
            // Only the properties are taken, so what is referred to is no part of this schema.
            let before = self.way.len();
            let mut branch = self.flat(branch);
            self.forget(before);
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

/// What is said of a schema that is not read.
fn brief(schema: &Schema) -> Schema {
    let mut brief = Schema::new();
    for own in ["type", "description", "title"] {
        if let Some(value) = schema.get(own).filter(|value| size(value) <= LONGEST_NOTE) {
            brief.insert(own.to_owned(), value.clone());
        }
    }
    brief
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
fn merge(flat: &mut Schema, more: Schema, work: &mut Budget) {
    for (key, value) in more {
        let Some(slot) = flat.get_mut(&key) else {
            flat.insert(key, value);
            continue;
        };
        if *slot == value {
            continue;
        }
        let known = slot.take();
        let both = match &*key {
            "type" => both_types(known, &value),
            "enum" => {
                work.charge(size(&known));
                match work.is_spent() {
                    true => known,
                    false => both_lists(known, &value),
                }
            }
            "required" => {
                let mut all = list(known);
                all.extend(list(value));
                Value::Array(all)
            }
            "properties" | "patternProperties" => both_maps(known, value),
            "items" | "additionalProperties" | "additionalItems" => both_schemas(known, value),
            "description" => match (known, value.as_str()) {
                // The outer one is about this place, the inner one about the thing.
                (Value::String(mut outer), Some(inner))
                    if outer.len() <= LONG && !outer.contains(inner) =>
                {
                    outer.push('\n');
                    outer.push_str(inner);
                    outer.into()
                }
                (known, _) => known,
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
    let theirs: HashSet<String> = theirs.iter().map(Value::to_string).collect();
    let both: Vec<Value> = ours
        .iter()
        .filter(|value| theirs.contains(&value.to_string()))
        .cloned()
        .collect();
    match both.is_empty() {
        true => known,
        false => both.into(),
    }
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(all) => all,
        _ => Vec::new(),
    }
}

fn both_maps(known: Value, other: Value) -> Value {
    let (Value::Object(mut ours), Value::Object(theirs)) = (known, other) else {
        return json!({});
    };
    for (name, schema) in theirs {
        match ours.get_mut(&name) {
            None => {
                ours.insert(name, schema);
            }
            Some(own) => *own = both_schemas(own.take(), schema),
        }
    }
    ours.into()
}

fn both_schemas(known: Value, other: Value) -> Value {
    match (&known, &other) {
        _ if known == other => known,
        (Value::Bool(true), _) => other,
        (_, Value::Bool(true)) => known,
        (Value::Bool(false), _) | (_, Value::Bool(false)) => Value::Bool(false),
        _ => all_of(known, other),
    }
}

/// What is both. Many of them stand side by side, not within each other.
fn all_of(known: Value, other: Value) -> Value {
    let mut all = match known {
        Value::Object(mut only) if only.len() == 1 => match only.remove("allOf") {
            Some(Value::Array(all)) => all,
            Some(none) => vec![json!({ "allOf": none })],
            None => vec![only.into()],
        },
        known => vec![known],
    };
    all.push(other);
    // `into` would go through all of them each time.
    Value::Object(Schema::from_iter([("allOf".to_owned(), Value::Array(all))]))
}
