//! Who owns which field: server-side apply, its conflicts, and `metadata.managedFields`.
//!
//! A path is a list of the tokens that `fieldsV1` writes: `f:spec` for a field,
//! `k:{"name":"app"}` for an item of a list that is a map, `v:"x"` for a member of a list
//! that is a set. After the library structured-merge-diff, whose words these are, too.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::resource::Kind;
use super::status::Failure;

/// A path to a field.
type Path = Vec<String>;

/// How a list is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// As a whole.
    Atomic,
    /// Member by member.
    Set,
    /// Item by item, by these fields; a key may have a default.
    ByKeys(&'static [(&'static str, Option<&'static str>)]),
}

/// How the list at this field is merged, given the name of the field and of the one around
/// it. In custom resources without a schema of their own every list is a whole.
pub(super) fn list_kind(kind: &Kind, parent: &str, field: &str) -> List {
    let common = match (parent, field) {
        ("metadata", "finalizers") => Some(List::Set),
        ("metadata", "ownerReferences") => Some(List::ByKeys(&[("uid", None)])),
        _ => None,
    };
    if let Some(list) = common {
        return list;
    }
    if kind.round_trip.is_none() {
        return List::Atomic;
    }
    match (parent, field) {
        (_, "containers" | "initContainers" | "env" | "volumes" | "imagePullSecrets") => {
            List::ByKeys(&[("name", None)])
        }
        ("", "secrets") => List::ByKeys(&[("name", None)]),
        (_, "volumeMounts") => List::ByKeys(&[("mountPath", None)]),
        (_, "volumeDevices") => List::ByKeys(&[("devicePath", None)]),
        (_, "hostAliases") => List::ByKeys(&[("ip", None)]),
        (_, "conditions") => List::ByKeys(&[("type", None)]),
        ("containers" | "initContainers", "ports") => {
            List::ByKeys(&[("containerPort", None), ("protocol", Some("TCP"))])
        }
        ("spec", "ports") => List::ByKeys(&[("port", None), ("protocol", Some("TCP"))]),
        (_, "topologySpreadConstraints") => {
            List::ByKeys(&[("topologyKey", None), ("whenUnsatisfiable", None)])
        }
        _ => List::Atomic,
    }
}

/// Objects that are owned and replaced as a whole.
fn is_atomic(kind: &Kind, parent: &str, field: &str) -> bool {
    matches!(parent, "ownerReferences" | "imagePullSecrets")
        || kind.round_trip.is_some()
            && matches!(
                field,
                "selector"
                    | "nodeSelector"
                    | "secretKeyRef"
                    | "configMapKeyRef"
                    | "fieldRef"
                    | "resourceFieldRef"
                    | "roleRef"
                    | "involvedObject"
                    | "defaultBackend"
            )
}

/// The token of an item within its list.
fn item_token(list: List, item: &Value, index: usize) -> String {
    match list {
        List::ByKeys(keys) => {
            let mut named = BTreeMap::new();
            for (key, default) in keys {
                let value = item.get(*key).cloned();
                named.insert(
                    *key,
                    value
                        .or_else(|| default.map(Value::from))
                        .unwrap_or_default(),
                );
            }
            format!("k:{}", json!(named))
        }
        List::Set => format!("v:{item}"),
        List::Atomic => format!("i:{index}"),
    }
}

/// What belongs to nobody.
fn is_system(path: &[String]) -> bool {
    let token = |at: usize| path.get(at).map(String::as_str);
    match token(0) {
        Some("f:apiVersion" | "f:kind") => true,
        Some("f:metadata") => matches!(
            token(1),
            Some(
                "f:name"
                    | "f:namespace"
                    | "f:uid"
                    | "f:creationTimestamp"
                    | "f:resourceVersion"
                    | "f:generation"
                    | "f:managedFields"
                    | "f:selfLink"
                    | "f:deletionTimestamp"
                    | "f:deletionGracePeriodSeconds"
            )
        ),
        _ => false,
    }
}

/// Every field of an object that can be owned, with its value; items of lists are there
/// themselves, too.
fn leaves(kind: &Kind, object: &Value) -> BTreeMap<Path, Value> {
    let mut found = BTreeMap::new();
    collect(kind, object, ("", ""), &mut Vec::new(), &mut found);
    found.retain(|path, _| !is_system(path) && !path.is_empty());
    found
}

fn collect(
    kind: &Kind,
    value: &Value,
    (parent, field): (&str, &str),
    path: &mut Path,
    found: &mut BTreeMap<Path, Value>,
) {
    match value {
        Value::Object(map) if !map.is_empty() && !is_atomic(kind, parent, field) => {
            for (name, value) in map {
                path.push(format!("f:{name}"));
                collect(kind, value, (field, name), path, found);
                path.pop();
            }
        }
        Value::Array(items) if list_kind(kind, parent, field) != List::Atomic => {
            let list = list_kind(kind, parent, field);
            for (i, item) in items.iter().enumerate() {
                path.push(item_token(list, item, i));
                found.insert(path.clone(), Value::Bool(true));
                if matches!(list, List::ByKeys(_)) {
                    collect(kind, item, (field, field), path, found);
                }
                path.pop();
            }
        }
        leaf => {
            found.insert(path.clone(), leaf.clone());
        }
    }
}

/// `live` with `config` over it.
fn merge(kind: &Kind, live: &mut Value, config: &Value, (parent, field): (&str, &str)) {
    match (live, config) {
        (Value::Object(live), Value::Object(config)) if !is_atomic(kind, parent, field) => {
            for (name, value) in config {
                if value.is_null() {
                    continue;
                }
                match live.get_mut(name) {
                    Some(old) => merge(kind, old, value, (field, name)),
                    None => {
                        live.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        (Value::Array(live), Value::Array(config))
            if list_kind(kind, parent, field) != List::Atomic =>
        {
            let list = list_kind(kind, parent, field);
            for item in config {
                let token = item_token(list, item, 0);
                match live
                    .iter_mut()
                    .find(|old| item_token(list, old, 0) == token)
                {
                    Some(old) => merge(kind, old, item, (field, field)),
                    None => live.push(item.clone()),
                }
            }
        }
        (live, config) => *live = config.clone(),
    }
}

/// Takes a field out of an object, and what is empty then.
fn remove(kind: &Kind, value: &mut Value, path: &[String], (parent, field): (&str, &str)) {
    let Some((token, rest)) = path.split_first() else {
        return;
    };
    match value {
        Value::Object(map) => {
            let name = token.strip_prefix("f:").unwrap_or_default();
            if rest.is_empty() {
                map.shift_remove_entry(name);
            } else if let Some(inner) = map.get_mut(name) {
                remove(kind, inner, rest, (field, name));
                let emptied = inner.as_object().is_some_and(Map::is_empty)
                    || inner.as_array().is_some_and(Vec::is_empty);
                if emptied {
                    map.shift_remove_entry(name);
                }
            }
        }
        Value::Array(items) => {
            let list = list_kind(kind, parent, field);
            let at = items
                .iter()
                .enumerate()
                .position(|(i, item)| item_token(list, item, i) == *token);
            if let Some(at) = at {
                if rest.is_empty() {
                    items.remove(at);
                } else if let Some(item) = items.get_mut(at) {
                    remove(kind, item, rest, (field, field));
                }
            }
        }
        _ => {}
    }
}

/// Whether a path is to a field by which its item is found; it goes with the item only.
fn is_key(path: &[String]) -> bool {
    let [.., item, field] = path else {
        return false;
    };
    let keys = item.strip_prefix("k:");
    let keys: Option<Map<String, Value>> = keys.and_then(|keys| serde_json::from_str(keys).ok());
    let field = field.strip_prefix("f:").unwrap_or_default();
    keys.is_some_and(|keys| keys.contains_key(field))
}

/// An entry of `metadata.managedFields`.
#[derive(Clone, Debug, PartialEq)]
struct Manager {
    name: String,
    applies: bool,
    api_version: String,
    time: String,
    subresource: String,
    fields: BTreeSet<Path>,
}

impl Manager {
    fn read(entry: &Value) -> Self {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let mut fields = BTreeSet::new();
        read_fields(&entry["fieldsV1"], &mut Vec::new(), &mut fields);
        Self {
            name: text("manager"),
            applies: entry["operation"] == "Apply",
            api_version: text("apiVersion"),
            time: text("time"),
            subresource: text("subresource"),
            fields,
        }
    }

    fn write(&self) -> Value {
        let mut entry = json!({
            "manager": self.name,
            "operation": if self.applies { "Apply" } else { "Update" },
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": write_fields(&self.fields),
        });
        if !self.subresource.is_empty() {
            entry["subresource"] = json!(self.subresource);
        }
        entry
    }

    /// As a conflict names it.
    fn told(&self) -> String {
        let mut told = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            told.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if !self.applies {
            told.push_str(&format!(" using {}", self.api_version));
        }
        told
    }
}

fn read_fields(value: &Value, path: &mut Path, fields: &mut BTreeSet<Path>) {
    let Some(map) = value.as_object() else { return };
    if map.is_empty() && !path.is_empty() {
        fields.insert(path.clone());
    }
    for (token, inner) in map {
        if token == "." {
            fields.insert(path.clone());
        } else {
            path.push(token.clone());
            read_fields(inner, path, fields);
            path.pop();
        }
    }
}

fn write_fields(fields: &BTreeSet<Path>) -> Value {
    let mut root = Map::new();
    for path in fields {
        let mut at = &mut root;
        let deeper = fields
            .range(path.clone()..)
            .nth(1)
            .is_some_and(|next| next.starts_with(path));
        for token in path {
            let inner = at.entry(token.clone()).or_insert_with(|| json!({}));
            let Value::Object(map) = inner else {
                return Value::Null;
            };
            at = map;
        }
        if deeper {
            at.insert(".".to_owned(), json!({}));
        }
    }
    Value::Object(root)
}

/// `.spec.template.spec.containers[name="app"].image`
fn told(path: &[String]) -> String {
    let mut text = String::new();
    for token in path {
        match token.split_once(':') {
            Some(("f", name)) => text.push_str(&format!(".{name}")),
            Some(("k", keys)) => {
                let keys: BTreeMap<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let keys: Vec<String> = keys
                    .iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect();
                text.push_str(&format!("[{}]", keys.join(",")));
            }
            Some(("v", value)) => text.push_str(&format!("[={value}]")),
            _ => text.push_str(&format!("[{token}]")),
        }
    }
    text
}

/// The path of an unknown field as the server's typed patches name it.
pub(super) fn told_in(kind: &Kind, object: &Value, field: &str) -> String {
    let mut text = String::new();
    let mut at = object;
    let mut parent = String::new();
    for part in field.split('.') {
        let (name, indexes) = part.split_once('[').unwrap_or((part, ""));
        text.push_str(&format!(".{name}"));
        at = &at[name];
        if let Ok(index) = indexes.trim_end_matches(']').parse::<usize>() {
            at = &at[index];
            let token = item_token(list_kind(kind, &parent, name), at, index);
            text.push_str(&told(&[token]));
        }
        name.clone_into(&mut parent);
    }
    text
}

fn managers(object: &Value) -> Vec<Manager> {
    object["metadata"]["managedFields"]
        .as_array()
        .map(|entries| entries.iter().map(Manager::read).collect())
        .unwrap_or_default()
}

fn put_managers(object: &mut Value, mut managers: Vec<Manager>) {
    managers.retain(|manager| !manager.fields.is_empty());
    // Appliers come first, as the server writes them.
    managers.sort_by_key(|manager| !manager.applies);
    let entries: Vec<Value> = managers.iter().map(Manager::write).collect();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        if entries.is_empty() {
            metadata.shift_remove_entry("managedFields");
        } else {
            metadata.insert("managedFields".to_owned(), Value::Array(entries));
        }
    }
}

/// Who writes, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer<'a> {
    pub manager: &'a str,
    /// Empty, or `status` or `scale`.
    pub subresource: &'a str,
    /// Now, as the server writes times.
    pub time: &'a str,
}

/// The object as an apply leaves it, before defaults.
///
/// # Errors
/// A conflict, when it would change fields of others and is not forced.
pub(super) fn apply(
    kind: &Kind,
    live: &Value,
    config: &Value,
    writer: Writer<'_>,
    force: bool,
) -> Result<Value, Failure> {
    let mut others = managers(live);
    let own = others
        .iter()
        .position(|one| {
            one.applies && one.name == writer.manager && one.subresource == writer.subresource
        })
        .map(|at| others.remove(at));
    let before = leaves(kind, live);
    let mut merged = live.clone();
    merge(kind, &mut merged, config, ("", ""));

    let after = leaves(kind, &merged);
    let wanted: BTreeSet<Path> = leaves(kind, config)
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(path, _)| path)
        .collect();
    let changed: BTreeSet<&Path> = after
        .iter()
        .filter(|(path, value)| before.get(*path) != Some(value))
        .map(|(path, _)| path)
        .collect();
    let mut conflicts: Vec<(String, Path)> = Vec::new();
    for other in &mut others {
        let lost: Vec<Path> = other
            .fields
            .iter()
            .filter(|path| changed.contains(path))
            .cloned()
            .collect();
        for path in lost {
            other.fields.remove(&path);
            conflicts.push((other.told(), path));
        }
    }
    if !conflicts.is_empty() && !force {
        return Err(conflict(&conflicts));
    }

    // What this manager applied before and does not any more is gone, unless others have it.
    if let Some(own) = &own {
        let mut dropped: Vec<&Path> = own.fields.difference(&wanted).collect();
        // Items before what is in them: without its keys an item could not be found.
        dropped.sort_by_key(|path| path.len());
        for path in dropped {
            let shared = others
                .iter()
                .any(|other| other.fields.iter().any(|theirs| theirs.starts_with(path)));
            let holds_wanted = wanted.iter().any(|kept| kept.starts_with(path));
            if !shared && !holds_wanted && !is_key(path) {
                remove(kind, &mut merged, path, ("", ""));
            }
        }
    }
    // An object that became a value, or the other way round, leaves owners of nothing.
    let present = leaves(kind, &merged);
    for other in &mut others {
        other
            .fields
            .retain(|path| !before.contains_key(path) || present.contains_key(path));
    }

    let unchanged = own.as_ref().is_some_and(|own| own.fields == wanted)
        && without_managers(&merged) == without_managers(live)
        && conflicts.is_empty();
    let time = match &own {
        Some(own) if unchanged => own.time.clone(),
        _ => writer.time.to_owned(),
    };
    others.push(Manager {
        name: writer.manager.to_owned(),
        applies: true,
        api_version: kind.api_version(),
        time,
        subresource: writer.subresource.to_owned(),
        fields: wanted,
    });
    put_managers(&mut merged, others);
    Ok(merged)
}

fn without_managers(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove_entry("managedFields");
    }
    object
}

/// Notes who changed what by an ordinary write, from what was before (null for nothing) to
/// `new`.
pub(super) fn update(kind: &Kind, before: &Value, new: &mut Value, writer: Writer<'_>) {
    let mut all = managers(before);
    let old = leaves(kind, before);
    let now = leaves(kind, new);
    let mut changed: BTreeSet<Path> = now
        .iter()
        .filter(|(path, value)| old.get(*path) != Some(value))
        .map(|(path, _)| path.clone())
        .collect();
    changed.retain(|path| {
        let is_status = path.first().is_some_and(|token| token == "f:status");
        is_status == (writer.subresource == "status")
    });
    for manager in &mut all {
        manager.fields.retain(|path| {
            !changed.contains(path) && (now.contains_key(path) || !old.contains_key(path))
        });
    }
    if !changed.is_empty() {
        let own = all.iter_mut().find(|one| {
            !one.applies && one.name == writer.manager && one.subresource == writer.subresource
        });
        match own {
            Some(own) => {
                own.time = writer.time.to_owned();
                own.fields.extend(changed);
            }
            None => all.push(Manager {
                name: writer.manager.to_owned(),
                applies: false,
                api_version: kind.api_version(),
                time: writer.time.to_owned(),
                subresource: writer.subresource.to_owned(),
                fields: changed,
            }),
        }
    }
    put_managers(new, all);
}

fn conflict(conflicts: &[(String, Path)]) -> Failure {
    let causes: Vec<Value> = conflicts
        .iter()
        .map(|(manager, path)| {
            json!({
                "reason": "FieldManagerConflict",
                "message": format!("conflict with {manager}"),
                "field": told(path),
            })
        })
        .collect();
    let message = match conflicts {
        [(manager, path)] => {
            format!(
                "Apply failed with 1 conflict: conflict with {manager}: {}",
                told(path)
            )
        }
        many => {
            let mut by_manager: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for (manager, path) in many {
                by_manager.entry(manager).or_default().push(told(path));
            }
            let mut lines = Vec::new();
            for (manager, paths) in by_manager {
                lines.push(format!("conflicts with {manager}:"));
                lines.extend(paths.iter().map(|path| format!("- {path}")));
            }
            format!(
                "Apply failed with {} conflicts: {}",
                many.len(),
                lines.join("\n")
            )
        }
    };
    Failure::new(409, "Conflict", message, json!({"causes": causes}))
}

/// The object after a strategic merge patch.
///
/// # Errors
/// When the patch has a directive that there is not.
pub(super) fn strategic(kind: &Kind, live: &Value, patch: &Value) -> Result<Value, Failure> {
    let mut object = live.clone();
    strategic_into(kind, &mut object, patch, ("", ""))?;
    Ok(object)
}

fn strategic_into(
    kind: &Kind,
    live: &mut Value,
    patch: &Value,
    (_, field): (&str, &str),
) -> Result<(), Failure> {
    let Value::Object(patch) = patch else {
        *live = patch.clone();
        return Ok(());
    };
    match patch.get("$patch").and_then(Value::as_str) {
        None | Some("merge") => {}
        Some("replace") => {
            let mut whole = patch.clone();
            whole.shift_remove_entry("$patch");
            *live = Value::Object(whole);
            return Ok(());
        }
        Some("delete") => {
            *live = Value::Null;
            return Ok(());
        }
        Some(other) => {
            return Err(Failure::bad_request(format!(
                "unrecognized patch directive: {other}"
            )));
        }
    }
    if !live.is_object() {
        *live = json!({});
    }
    let Value::Object(map) = live else {
        return Ok(());
    };
    for (name, value) in patch {
        if let Some(of) = name.strip_prefix("$deleteFromPrimitiveList/") {
            if let Some(Value::Array(items)) = map.get_mut(of) {
                let gone = value.as_array().cloned().unwrap_or_default();
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if name.starts_with('$') {
            // Order and retained keys: what they are for does not matter to a fake.
            continue;
        }
        if value.is_null() {
            map.shift_remove_entry(name);
            continue;
        }
        let list = list_kind(kind, field, name);
        let old = map.entry(name.clone()).or_insert(Value::Null);
        match (value, list) {
            (Value::Array(items), List::ByKeys(keys)) => {
                let key = keys.first().map_or("name", |(key, _)| *key);
                strategic_items(kind, old, items, key, (field, name))?;
            }
            (Value::Array(items), List::Set) => {
                let mut all = old.as_array().cloned().unwrap_or_default();
                for item in items {
                    if !all.contains(item) {
                        all.push(item.clone());
                    }
                }
                *old = Value::Array(all);
            }
            _ => strategic_into(kind, old, value, (field, name))?,
        }
        if old.is_null() {
            map.shift_remove_entry(name);
        }
    }
    Ok(())
}

fn strategic_items(
    kind: &Kind,
    old: &mut Value,
    items: &[Value],
    key: &str,
    (_, field): (&str, &str),
) -> Result<(), Failure> {
    let mut all = old.as_array().cloned().unwrap_or_default();
    if items.iter().any(|item| item["$patch"] == "replace") {
        all.clear();
    }
    for item in items {
        if item["$patch"] == "replace" && item.get(key).is_none() {
            continue;
        }
        let wanted = item.get(key).cloned().unwrap_or_default();
        let at = all.iter().position(|one| one.get(key) == Some(&wanted));
        if item["$patch"] == "delete" {
            if let Some(at) = at {
                all.remove(at);
            }
            continue;
        }
        let mut one = at.and_then(|at| all.get(at).cloned()).unwrap_or_default();
        strategic_into(kind, &mut one, item, (field, field))?;
        match at.and_then(|at| all.get_mut(at)) {
            Some(place) => *place = one,
            None => all.push(one),
        }
    }
    *old = Value::Array(all);
    Ok(())
}
