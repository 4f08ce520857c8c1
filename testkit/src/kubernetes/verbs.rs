//! What is done to objects: reading, making, changing and deleting them, and their
//! subresources.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{Method, Response};
use serde_json::{Value, json};

use super::cluster::{Cluster, Deleted, Deletion, Propagation, Write};
use super::controllers::reconcile;
use super::fields::{self, Writer};
use super::handle::{Asked, Target, list, success, warn};
use super::resource::{self, Kind};
use super::selector::Selector;
use super::server::{self, Body};
use super::status::Failure;
use super::store::{name, namespace};
use super::{Inner, watching};

const APPLY: &str = "application/apply-patch+yaml";
const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const PATCH: &str = "application/json-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// Does what was asked, after it was found to be allowed.
pub(super) fn carry_out(
    asked: &Asked<'_>,
    target: &Target,
    verb: &str,
) -> Result<Response<Body>, Failure> {
    let kind = target.kind;
    match (verb, target.subresource.as_str()) {
        ("get", "") => {
            let object = find(asked, target)?;
            Ok(server::json(200, &asked.shape.of(&object)))
        }
        ("get", "status") => Ok(server::json(200, &*find(asked, target)?)),
        ("get", "scale") => Ok(server::json(200, &scale_of(&*find(asked, target)?))),
        ("get", "log") => watching::log(asked.world, &*find(asked, target)?, asked.query),
        ("list", "") => read_list(asked, target),
        ("watch", "") => {
            let selector = selector(asked, kind)?;
            watching::watch(
                asked.world,
                kind,
                &target.namespace,
                selector,
                asked.query,
                asked.shape,
            )
        }
        ("create", "") if target.name.is_empty() => create(asked, target),
        ("update", "" | "status") if !target.name.is_empty() => update(asked, target),
        ("update" | "patch", "scale") => rescale(asked, target),
        ("patch", "" | "status") => patch(asked, target),
        ("delete", "") => delete(asked, target),
        ("deletecollection", "") if kind.namespaced && !target.namespace.is_empty() => {
            delete_all(asked, target)
        }
        _ => Err(Failure::method_not_allowed()),
    }
}

fn find(asked: &Asked<'_>, target: &Target) -> Result<Arc<Value>, Failure> {
    let inner = asked.world.inner.lock();
    inner
        .cluster
        .store
        .get(target.kind, &target.namespace, &target.name)
        .cloned()
        .ok_or_else(|| Failure::not_found(target.kind, &target.name))
}

fn selector(asked: &Asked<'_>, kind: &Kind) -> Result<Selector, Failure> {
    Selector::parse(
        kind,
        asked.query.get("labelSelector"),
        asked.query.get("fieldSelector"),
    )
}

fn read_list(asked: &Asked<'_>, target: &Target) -> Result<Response<Body>, Failure> {
    let selector = selector(asked, target.kind)?;
    let inner = asked.world.inner.lock();
    let store = &inner.cluster.store;
    let mut revision = store.revision();
    let mut from = 0;
    let token = asked.query.get("continue");
    if !token.is_empty() {
        let read = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
        let read: Option<Value> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let read = read.ok_or_else(|| {
            Failure::bad_request("continue key is not valid: illegal base64 data")
        })?;
        let then = read["rv"].as_u64().unwrap_or_default();
        // The list goes on as it was; what has changed since is not kept here.
        if then < store.oldest() {
            return Err(Failure::expired_continue());
        }
        revision = then;
        from = usize::try_from(read["from"].as_u64().unwrap_or_default()).unwrap_or_default();
    }
    let mut items = store.list(target.kind, &target.namespace);
    items.retain(|item| selector.matches(item));
    items.drain(..from.min(items.len()));
    let limit = asked.query.number("limit").filter(|limit| *limit > 0);
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    let rest = limit.filter(|limit| items.len() > *limit).map(|limit| {
        let left = items.len() - limit;
        items.truncate(limit);
        let token = json!({"v": "meta.k8s.io/v1", "rv": revision, "from": from + limit});
        (BASE64_URL_SAFE_NO_PAD.encode(token.to_string()), left)
    });
    Ok(server::json(
        200,
        &list(target.kind, asked.shape, &items, revision, rest),
    ))
}

/// Checks a body against its path and its type; gives the fields it should not have.
fn examine(asked: &Asked<'_>, target: &Target, object: &Value) -> Result<Vec<String>, Failure> {
    let kind = target.kind;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (version, of) = (text(&object["apiVersion"]), text(&object["kind"]));
    if of.is_empty() {
        return Err(Failure::bad_request(
            "Object 'Kind' is missing in the object provided",
        ));
    }
    if version != kind.api_version() || of != kind.kind {
        let known = resource::of_object(&version, &of).is_some();
        let (group, wanted) = (kind.group, kind.kind);
        return Err(Failure::bad_request(
            if known || version != kind.api_version() {
                format!(
                    "the API version in the data ({version}) does not match the expected API version \
                 ({})",
                    kind.api_version()
                )
            } else {
                format!(
                    "{of} in version \"{}\" cannot be handled as a {wanted}: no kind \"{of}\" is \
                 registered for version \"{group}/{}\"",
                    kind.version, kind.version
                )
            },
        ));
    }
    let given = namespace(object);
    if kind.namespaced && !given.is_empty() && given != target.namespace {
        return Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if !target.name.is_empty() && !name(object).is_empty() && name(object) != target.name {
        return Err(Failure::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            name(object),
            target.name
        )));
    }
    let unknown = resource::unknown_fields(kind, object).map_err(|error| {
        Failure::bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: {error}",
            kind.kind, kind.version, kind.kind
        ))
    })?;
    if !unknown.is_empty() && asked.query.get("fieldValidation") == "Strict" {
        return Err(Failure::bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: strict decoding error: {}",
            kind.kind,
            kind.version,
            kind.kind,
            told(&unknown).join(", ")
        )));
    }
    Ok(unknown)
}

fn told(unknown: &[String]) -> Vec<String> {
    unknown
        .iter()
        .map(|field| format!("unknown field \"{field}\""))
        .collect()
}

/// Takes out what a type does not have, as decoding does.
fn prune(object: &mut Value, unknown: &[String]) {
    for field in unknown {
        let mut pointer = String::new();
        for part in field.split('.') {
            let (name, index) = part.split_once('[').unwrap_or((part, ""));
            pointer.push('/');
            pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
            if !index.is_empty() {
                pointer.push('/');
                pointer.push_str(index.trim_end_matches(']'));
            }
        }
        if let Some((parent, last)) = pointer.rsplit_once('/')
            && let Some(Value::Object(map)) = object.pointer_mut(parent)
        {
            map.shift_remove(last);
        }
    }
}

fn create(asked: &Asked<'_>, target: &Target) -> Result<Response<Body>, Failure> {
    if asked.content_type() != JSON && !asked.content_type().is_empty() {
        return Err(Failure::unsupported_media_type(JSON));
    }
    let mut object = asked.json()?;
    let unknown = examine(asked, target, &object)?;
    prune(&mut object, &unknown);
    if target.kind.namespaced {
        if target.namespace.is_empty() {
            return Err(Failure::bad_request(
                "an empty namespace may not be set during creation",
            ));
        }
        object["metadata"]["namespace"] = json!(target.namespace);
    }
    let manager = asked.manager();
    let write = Write {
        dry: asked.query.is_dry()?,
        ..Write::by(&manager)
    };
    let made = {
        let mut inner = asked.world.inner.lock();
        let made = inner.cluster.create(target.kind, object, write)?;
        settle(&mut inner);
        made
    };
    let mut response = server::json(201, &asked.shape.of(&made));
    for text in told(&unknown) {
        warn(&mut response, &text);
    }
    Ok(response)
}

/// Lets the controllers act before anybody else does, as the answer is on its way.
fn settle(inner: &mut Inner) {
    if inner.cluster.settings.immediate {
        reconcile(&mut inner.cluster);
    }
}

fn current(cluster: &Cluster, target: &Target) -> Result<Arc<Value>, Failure> {
    cluster
        .store
        .get(target.kind, &target.namespace, &target.name)
        .cloned()
        .ok_or_else(|| Failure::not_found(target.kind, &target.name))
}

fn update(asked: &Asked<'_>, target: &Target) -> Result<Response<Body>, Failure> {
    if asked.content_type() != JSON && !asked.content_type().is_empty() {
        return Err(Failure::unsupported_media_type(JSON));
    }
    let mut object = asked.json()?;
    let unknown = examine(asked, target, &object)?;
    prune(&mut object, &unknown);
    let manager = asked.manager();
    let write = Write {
        manager: &manager,
        subresource: &target.subresource,
        dry: asked.query.is_dry()?,
        applied: false,
    };
    let mut inner = asked.world.inner.lock();
    let old = current(&inner.cluster, target)?;
    let made = inner.cluster.replace(target.kind, &old, object, write)?;
    settle(&mut inner);
    drop(inner);
    let mut response = server::json(200, &asked.shape.of(&made));
    for text in told(&unknown) {
        warn(&mut response, &text);
    }
    Ok(response)
}

fn patch(asked: &Asked<'_>, target: &Target) -> Result<Response<Body>, Failure> {
    let kind = target.kind;
    let content_type = asked.content_type();
    if content_type == APPLY {
        return apply(asked, target);
    }
    if !asked.query.get("force").is_empty() {
        let cause =
            super::status::Cause::forbidden("force", "may not be specified for non-apply patch");
        return Err(Failure::invalid(kind, "", &[cause]));
    }
    let patch = asked.json()?;
    let manager = asked.manager();
    let write = Write {
        manager: &manager,
        subresource: &target.subresource,
        dry: asked.query.is_dry()?,
        applied: false,
    };
    let mut inner = asked.world.inner.lock();
    let old = current(&inner.cluster, target)?;
    let mut new = Value::clone(&old);
    match content_type {
        MERGE => json_patch::merge(&mut new, &patch),
        STRATEGIC if kind.round_trip.is_some() => new = fields::strategic(kind, &old, &patch)?,
        PATCH => {
            let operations: json_patch::Patch = serde_json::from_value(patch)
                .map_err(|error| Failure::bad_request(format!("error decoding patch: {error}")))?;
            json_patch::patch(&mut new, &operations).map_err(|error| {
                Failure::new(
                    422,
                    "Invalid",
                    format!(
                        "the server rejected our request due to an error in our request: {error}"
                    ),
                    json!({}),
                )
            })?;
        }
        _ => {
            let accepted = if kind.round_trip.is_some() {
                format!("{PATCH}, {MERGE}, {STRATEGIC}, {APPLY}")
            } else {
                format!("{PATCH}, {MERGE}, {APPLY}")
            };
            return Err(Failure::unsupported_media_type(&accepted));
        }
    }
    let unknown = examine(asked, target, &new)?;
    prune(&mut new, &unknown);
    let made = inner.cluster.replace(kind, &old, new, write)?;
    settle(&mut inner);
    drop(inner);
    let mut response = server::json(200, &asked.shape.of(&made));
    for text in told(&unknown) {
        warn(&mut response, &text);
    }
    Ok(response)
}

/// Server-side apply.
fn apply(asked: &Asked<'_>, target: &Target) -> Result<Response<Body>, Failure> {
    let kind = target.kind;
    if asked.query.get("fieldManager").is_empty() {
        let cause = super::status::Cause::required("fieldManager", "is required for apply patch");
        let what = "PatchOptions.meta.k8s.io \"\" is invalid: ";
        let failure = Failure::invalid(kind, "", &[cause]);
        let (_, why) = failure
            .message()
            .split_once("is invalid: ")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap_or_default();
        return Err(Failure::new(
            422,
            "Invalid",
            format!("{what}{why}"),
            json!({}),
        ));
    }
    let config: Value = serde_json::from_slice(asked.body).map_err(|_| {
        Failure::bad_request("error decoding YAML: this fake reads JSON only; send the object so")
    })?;
    if !config["metadata"]["managedFields"].is_null() {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    let unknown = examine(asked, target, &config)?;
    if let Some(field) = unknown.first() {
        return Err(Failure::new(
            500,
            "",
            format!(
                "failed to create typed patch object ({}/{}; {}, Kind={}): {}: field not declared \
                 in schema",
                target.namespace,
                target.name,
                kind.api_version(),
                kind.kind,
                fields::told_in(kind, &config, field)
            ),
            Value::Null,
        ));
    }
    let manager = asked.query.get("fieldManager").to_owned();
    let dry = asked.query.is_dry()?;
    let force = asked.query.get("force") == "true";
    let mut inner = asked.world.inner.lock();
    let cluster = &mut inner.cluster;
    let old = cluster
        .store
        .get(kind, &target.namespace, &target.name)
        .cloned();
    if old.is_none() && !target.subresource.is_empty() {
        return Err(Failure::not_found(kind, &target.name));
    }
    if old.is_none() && !asked.user.may("create", kind.group, &target.namespace) {
        let resource = (kind.group, kind.plural);
        return asked
            .user
            .must("create", resource, &target.name, &target.namespace)
            .and(Err(Failure::unauthorized()));
    }
    let nothing = {
        let mut metadata = json!({"name": target.name});
        if kind.namespaced {
            metadata["namespace"] = json!(target.namespace);
        }
        json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": metadata})
    };
    // Each part of an object belongs to one way of writing it.
    let mut config = config;
    if let Value::Object(map) = &mut config {
        if target.subresource == "status" {
            map.retain(|field, _| field != "spec");
        } else if kind.status {
            map.shift_remove("status");
        }
        if let Some(Value::Object(metadata)) = map.get_mut("metadata") {
            for field in ["creationTimestamp", "generation", "uid"] {
                metadata.shift_remove(field);
            }
        }
    }
    let time = cluster.time();
    let writer = Writer {
        manager: &manager,
        subresource: &target.subresource,
        time: &time,
    };
    let live = old.as_deref().unwrap_or(&nothing);
    let merged = fields::apply(kind, live, &config, writer, force)?;
    let write = Write {
        manager: &manager,
        subresource: &target.subresource,
        dry,
        applied: true,
    };
    let (code, made) = match &old {
        Some(old) => (200, cluster.replace(kind, old, merged, write)?),
        None => (201, cluster.create(kind, merged, write)?),
    };
    settle(&mut inner);
    drop(inner);
    Ok(server::json(code, &asked.shape.of(&made)))
}

/// The `Scale` of a workload.
fn scale_of(object: &Value) -> Value {
    let selector = object["spec"]["selector"]["matchLabels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect::<Vec<_>>()
        .join(",");
    let metadata = &object["metadata"];
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {"replicas": object["spec"]["replicas"]},
        "status": {
            "replicas": object["status"]["replicas"].as_i64().unwrap_or_default(),
            "selector": selector,
        },
    })
}

fn rescale(asked: &Asked<'_>, target: &Target) -> Result<Response<Body>, Failure> {
    let given = asked.json()?;
    let manager = asked.manager();
    let write = Write {
        manager: &manager,
        subresource: "scale",
        dry: asked.query.is_dry()?,
        applied: false,
    };
    let mut inner = asked.world.inner.lock();
    let old = current(&inner.cluster, target)?;
    let mut scale = scale_of(&old);
    if asked.method == Method::PUT {
        scale = given;
    } else if matches!(asked.content_type(), MERGE | STRATEGIC | APPLY) {
        json_patch::merge(&mut scale, &given);
    } else {
        return Err(Failure::unsupported_media_type(&format!(
            "{MERGE}, {STRATEGIC}, {APPLY}"
        )));
    }
    let Some(replicas) = scale["spec"]["replicas"].as_i64() else {
        return Err(Failure::bad_request(
            "Scale in version \"v1\" cannot be handled as a Scale: spec.replicas is missing",
        ));
    };
    let mut new = Value::clone(&old);
    new["spec"]["replicas"] = json!(replicas);
    new["metadata"]["resourceVersion"] = scale["metadata"]["resourceVersion"].clone();
    let made = inner.cluster.replace(target.kind, &old, new, write)?;
    settle(&mut inner);
    drop(inner);
    Ok(server::json(200, &scale_of(&made)))
}

/// Reads what is said with a deletion, in the body and in the query.
fn deletion(asked: &Asked<'_>) -> Result<Deletion, Failure> {
    let body = if asked.body.is_empty() {
        Value::Null
    } else {
        asked.json()?
    };
    let propagation = match body["propagationPolicy"]
        .as_str()
        .unwrap_or_else(|| asked.query.get("propagationPolicy"))
    {
        "" => None,
        "Background" => Some(Propagation::Background),
        "Foreground" => Some(Propagation::Foreground),
        "Orphan" => Some(Propagation::Orphan),
        other => {
            return Err(Failure::new(
                422,
                "Invalid",
                format!(
                    "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported \
                     value: \"{other}\": supported values: \"Foreground\", \"Background\", \
                     \"Orphan\", \"nil\""
                ),
                json!({}),
            ));
        }
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Ok(Deletion {
        propagation,
        grace: body["gracePeriodSeconds"]
            .as_i64()
            .or_else(|| asked.query.get("gracePeriodSeconds").parse().ok()),
        uid: text(&body["preconditions"]["uid"]),
        resource_version: text(&body["preconditions"]["resourceVersion"]),
        dry: asked.query.is_dry()? || body["dryRun"] == json!(["All"]),
    })
}

fn delete(asked: &Asked<'_>, target: &Target) -> Result<Response<Body>, Failure> {
    let options = deletion(asked)?;
    let mut inner = asked.world.inner.lock();
    let deleted = inner
        .cluster
        .delete(target.kind, &target.namespace, &target.name, &options)?;
    settle(&mut inner);
    drop(inner);
    Ok(match deleted {
        // A pod is given back even when it is gone at once.
        Deleted::Gone(object) if target.kind.plural != "pods" => {
            server::json(200, &success(target.kind, &object))
        }
        Deleted::Gone(object) | Deleted::Waits(object) => server::json(200, &object),
    })
}

fn delete_all(asked: &Asked<'_>, target: &Target) -> Result<Response<Body>, Failure> {
    let options = deletion(asked)?;
    let selector = selector(asked, target.kind)?;
    let mut inner = asked.world.inner.lock();
    let mut items = inner.cluster.store.list(target.kind, &target.namespace);
    items.retain(|item| selector.matches(item));
    for item in &items {
        inner
            .cluster
            .delete(target.kind, &target.namespace, name(item), &options)?;
    }
    settle(&mut inner);
    let revision = inner.cluster.store.revision();
    drop(inner);
    Ok(server::json(
        200,
        &list(target.kind, asked.shape, &items, revision, None),
    ))
}
