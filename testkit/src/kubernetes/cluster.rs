//! What a write does to the objects, whoever writes: the API's clients and the controllers.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::defaults;
use super::fields::{self, Writer};
use super::kubelet::{Order, Run};
use super::quota;
use super::resource::{self, Kind};
use super::status::Failure;
use super::store::{Store, is_deleting, name, namespace, uid};
use super::{Image, MySql, Settings};

/// The manager of what controllers write.
pub(super) const CONTROLLER: &str = "kube-controller-manager";

/// The objects and what runs for them.
#[derive(Debug)]
pub(super) struct Cluster {
    pub settings: Settings,
    pub store: Store,
    /// What the kubelet knows of pods, by their uid.
    pub runs: HashMap<String, Run>,
    pub orders: mpsc::UnboundedSender<Order>,
    pub images: Vec<(String, Image)>,
    pub mysql: HashMap<String, MySql>,
    /// Now, in milliseconds since 1970-01-01T00:00:00Z.
    pub now: i64,
    pub next_address: u32,
}

/// What may be said with a deletion.
#[derive(Clone, Debug, Default)]
pub(super) struct Deletion {
    pub propagation: Option<Propagation>,
    /// Seconds.
    pub grace: Option<i64>,
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    pub dry: bool,
}

/// What becomes of the objects that the deleted one owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// What a deletion came to.
pub(super) enum Deleted {
    /// It is gone.
    Gone(Arc<Value>),
    /// It waits for its finalizers, or for its processes.
    Waits(Arc<Value>),
}

/// A write: by whom, to what, and whether only for show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Write<'a> {
    pub manager: &'a str,
    pub subresource: &'a str,
    pub dry: bool,
    /// The managed fields are already right.
    pub applied: bool,
}

impl<'a> Write<'a> {
    pub const fn by(manager: &'a str) -> Self {
        Self {
            manager,
            subresource: "",
            dry: false,
            applied: false,
        }
    }
}

/// A time as Kubernetes writes it.
pub(super) fn time(millis: i64) -> String {
    let seconds = millis.div_euclid(1000);
    Timestamp::from_second(seconds)
        .map(|time| time.to_string())
        .unwrap_or_default()
}

/// A time as Kubernetes writes it, in milliseconds since 1970-01-01T00:00:00Z.
pub(super) fn millis(time: &Value) -> Option<i64> {
    let time: Timestamp = time.as_str()?.parse().ok()?;
    Some(time.as_millisecond())
}

impl Cluster {
    pub fn time(&self) -> String {
        time(self.now)
    }

    /// Makes an object.
    pub fn create(
        &mut self,
        kind: &'static Kind,
        mut object: Value,
        write: Write<'_>,
    ) -> Result<Arc<Value>, Failure> {
        object["apiVersion"] = json!(kind.api_version());
        object["kind"] = json!(kind.kind);
        if let Some(prefix) = object["metadata"]["generateName"].as_str()
            && name(&object).is_empty()
        {
            let generated = format!("{prefix}{}", self.store.new_suffix());
            object["metadata"]["name"] = json!(generated);
        }
        let (place, called) = (namespace(&object).to_owned(), name(&object).to_owned());
        if self.store.get(kind, &place, &called).is_some() {
            return Err(Failure::already_exists(kind, &called));
        }
        if kind.namespaced
            && let Some(namespaces) = resource::by_id("namespaces")
            && self.store.get(namespaces, "", &place).is_none()
        {
            return Err(Failure::not_found(namespaces, &place));
        }
        if kind.plural == "pods" {
            quota::limit_range(self, &mut object)?;
        }
        defaults::complete(kind, &mut object);
        defaults::check(kind, &object, None)?;
        quota::admit(self, kind, &object)?;

        if kind.status
            && let Value::Object(map) = &mut object
        {
            map.shift_remove("status");
        }
        let now = self.time();
        let new_uid = self.store.new_uid();
        if !object["metadata"].is_object() {
            object["metadata"] = json!({});
        }
        let metadata = &mut object["metadata"];
        metadata["uid"] = json!(new_uid);
        metadata["creationTimestamp"] = json!(now);
        if let Value::Object(metadata) = metadata {
            for field in [
                "resourceVersion",
                "deletionTimestamp",
                "selfLink",
                "generation",
            ] {
                metadata.shift_remove(field);
            }
        }
        if kind.has_generation() {
            metadata["generation"] = json!(1);
        }
        self.allocate(kind, &mut object);
        if !write.applied {
            if let Value::Object(metadata) = &mut object["metadata"] {
                metadata.shift_remove("managedFields");
            }
            let writer = Writer {
                manager: write.manager,
                subresource: write.subresource,
                time: &now,
            };
            fields::update(kind, &Value::Null, &mut object, writer);
        }
        if write.dry {
            return Ok(Arc::new(object));
        }
        Ok(self.store.put(kind, object))
    }

    /// What the server gives an object that is new.
    fn allocate(&mut self, kind: &Kind, object: &mut Value) {
        match kind.plural {
            "services" => {
                let spec = &mut object["spec"];
                if spec["clusterIP"].is_null() {
                    let address = self.address("10.96");
                    spec["clusterIPs"] = json!([address]);
                    spec["clusterIP"] = json!(address);
                } else if spec["clusterIPs"].is_null() {
                    spec["clusterIPs"] = json!([spec["clusterIP"]]);
                }
                if spec["type"] == "NodePort"
                    && let Some(ports) = spec["ports"].as_array_mut()
                {
                    for port in ports {
                        if port["nodePort"].is_null() {
                            self.next_address += 1;
                            port["nodePort"] = json!(30_000 + self.next_address % 2_768);
                        }
                    }
                }
                object["status"] = json!({"loadBalancer": {}});
            }
            "pods" => {
                object["status"] = json!({"phase": "Pending", "qosClass": "Burstable"});
            }
            "persistentvolumeclaims" => {
                object["status"] = json!({"phase": "Pending"});
                object["metadata"]["finalizers"] = json!(["kubernetes.io/pvc-protection"]);
            }
            "namespaces" => object["status"] = json!({"phase": "Active"}),
            "deployments" | "ingresses" => {
                object["status"] = if kind.plural == "ingresses" {
                    json!({"loadBalancer": {}})
                } else {
                    json!({})
                };
            }
            "statefulsets" | "replicasets" => object["status"] = json!({"replicas": 0}),
            "resourcequotas" => object["status"] = json!({}),
            _ => {}
        }
    }

    /// An address that nobody has.
    pub fn address(&mut self, network: &str) -> String {
        self.next_address += 1;
        let number = self.next_address;
        format!("{network}.{}.{}", number / 250, number % 250 + 2)
    }

    /// Puts a new state in the place of an object.
    pub fn replace(
        &mut self,
        kind: &'static Kind,
        old: &Value,
        mut new: Value,
        write: Write<'_>,
    ) -> Result<Arc<Value>, Failure> {
        let called = name(old).to_owned();
        let version = &new["metadata"]["resourceVersion"];
        if version.as_str().is_some_and(|version| !version.is_empty())
            && *version != old["metadata"]["resourceVersion"]
        {
            return Err(Failure::modified_meanwhile(kind, &called));
        }
        if let Some(given) = new["metadata"]["uid"].as_str()
            && !given.is_empty()
            && given != uid(old)
        {
            return Err(Failure::conflict(
                kind,
                &called,
                &format!(
                    "Precondition failed: UID in precondition: {given}, UID in object meta: {}",
                    uid(old)
                ),
            ));
        }
        if !new["metadata"].is_object() {
            new["metadata"] = json!({});
        }
        if write.subresource == "status" {
            let (status, managed) = (
                new["status"].take(),
                new["metadata"]["managedFields"].take(),
            );
            new = old.clone();
            new["status"] = status;
            if write.applied {
                new["metadata"]["managedFields"] = managed;
            }
        } else if kind.status {
            match old.get("status") {
                Some(status) => new["status"] = status.clone(),
                None => {
                    if let Value::Object(map) = &mut new {
                        map.shift_remove("status");
                    }
                }
            }
        }
        new["apiVersion"] = json!(kind.api_version());
        new["kind"] = json!(kind.kind);
        for field in [
            "name",
            "namespace",
            "uid",
            "creationTimestamp",
            "generation",
            "resourceVersion",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
        ] {
            match old["metadata"].get(field) {
                Some(value) => new["metadata"][field] = value.clone(),
                None => {
                    if let Value::Object(metadata) = &mut new["metadata"] {
                        metadata.shift_remove(field);
                    }
                }
            }
        }
        if kind.plural == "services" {
            for field in ["clusterIP", "clusterIPs"] {
                if new["spec"][field].is_null() {
                    new["spec"][field] = old["spec"][field].clone();
                }
            }
        }
        defaults::complete(kind, &mut new);
        if write.subresource != "status" {
            defaults::check(kind, &new, Some(old))?;
        }
        if kind.has_generation() && without(&new) != without(old) {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or(1);
            new["metadata"]["generation"] = json!(generation + 1);
        }
        if !write.applied {
            let now = self.time();
            let writer = Writer {
                manager: write.manager,
                subresource: write.subresource,
                time: &now,
            };
            fields::update(kind, old, &mut new, writer);
        }
        if new == *old {
            return Ok(Arc::new(new));
        }
        if write.dry {
            return Ok(Arc::new(new));
        }
        if is_deleting(&new) && !has_finalizers(&new) && kind.plural != "pods" {
            self.store.remove(kind, namespace(old), &called);
            return Ok(Arc::new(new));
        }
        Ok(self.store.put(kind, new))
    }

    /// Changes an object as a controller does.
    pub fn change(&mut self, kind: &'static Kind, old: &Value, change: impl FnOnce(&mut Value)) {
        let mut new = old.clone();
        change(&mut new);
        // What a controller of ours writes is right, or it would not be written.
        let _ = self.replace(kind, old, new, Write::by(CONTROLLER));
    }

    /// Changes the status of an object as its controller does.
    pub fn set_status(&mut self, kind: &'static Kind, old: &Value, status: Value) {
        if old["status"] == status {
            return;
        }
        let mut new = old.clone();
        new["status"] = status;
        let write = Write {
            subresource: "status",
            ..Write::by(CONTROLLER)
        };
        let _ = self.replace(kind, old, new, write);
    }

    /// Deletes an object, or begins to.
    pub fn delete(
        &mut self,
        kind: &'static Kind,
        place: &str,
        called: &str,
        options: &Deletion,
    ) -> Result<Deleted, Failure> {
        let Some(object) = self.store.get(kind, place, called).cloned() else {
            return Err(Failure::not_found(kind, called));
        };
        for (wanted, is, what) in [
            (&options.uid, uid(&object), ("UID", "UID")),
            (
                &options.resource_version,
                object["metadata"]["resourceVersion"]
                    .as_str()
                    .unwrap_or_default(),
                ("ResourceVersion", "ResourceVersion"),
            ),
        ] {
            if let Some(wanted) = wanted
                && wanted != is
            {
                let why = format!(
                    "Precondition failed: {} in precondition: {wanted}, {} in object meta: {is}",
                    what.0, what.1
                );
                return Err(Failure::conflict(kind, called, &why));
            }
        }
        if options.dry {
            return Ok(Deleted::Gone(object));
        }
        let mut new = Value::clone(&object);
        let extra = match options.propagation {
            Some(Propagation::Foreground) => Some("foregroundDeletion"),
            Some(Propagation::Orphan) => Some("orphan"),
            Some(Propagation::Background) | None => None,
        };
        if let Some(extra) = extra {
            let mut finalizers = new["metadata"]["finalizers"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            if !finalizers.contains(&json!(extra)) {
                finalizers.push(json!(extra));
            }
            new["metadata"]["finalizers"] = json!(finalizers);
        }
        let grace = if kind.plural == "pods" {
            let own = object["spec"]["terminationGracePeriodSeconds"].as_i64();
            options.grace.or(own).unwrap_or(30)
        } else {
            0
        };
        if grace == 0 && !has_finalizers(&new) {
            self.store.remove(kind, place, called);
            return Ok(Deleted::Gone(object));
        }
        if !is_deleting(&object) {
            let end = self.now.saturating_add(grace.saturating_mul(1000));
            new["metadata"]["deletionTimestamp"] = json!(time(end));
            new["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
        }
        if new == *object {
            return Ok(Deleted::Waits(object));
        }
        Ok(Deleted::Waits(self.store.put(kind, new)))
    }

    /// Tells of something that happened to an object, as an `Event`; one that repeats counts.
    pub fn event(
        &mut self,
        about: &Value,
        component: &str,
        (severity, reason): (&str, &str),
        message: &str,
    ) {
        let Some(kind) = resource::by_id("events") else {
            return;
        };
        let now = self.time();
        let place = namespace(about).to_owned();
        let same = self.store.list(kind, &place).into_iter().find(|event| {
            event["involvedObject"]["uid"] == about["metadata"]["uid"]
                && event["reason"] == reason
                && event["message"] == message
        });
        if let Some(old) = same {
            self.change(kind, &old, |event| {
                event["count"] = json!(event["count"].as_i64().unwrap_or(1) + 1);
                event["lastTimestamp"] = json!(now);
            });
            return;
        }
        let suffix = self.store.revision();
        let event = json!({
            "metadata": {"name": format!("{}.{suffix:016x}", name(about)), "namespace": place},
            "involvedObject": {
                "kind": about["kind"],
                "namespace": place,
                "name": about["metadata"]["name"],
                "uid": about["metadata"]["uid"],
                "apiVersion": about["apiVersion"],
                "resourceVersion": about["metadata"]["resourceVersion"],
            },
            "reason": reason,
            "message": message,
            "source": {"component": component},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": severity,
            "reportingComponent": component,
            "reportingInstance": "",
        });
        let _ = self.create(kind, event, Write::by(CONTROLLER));
    }

    /// The image of this reference: the longest name that was registered and fits.
    pub fn image(&self, reference: &str) -> Option<&Image> {
        let bare = reference.split('@').next().unwrap_or(reference);
        let slash = bare.rfind('/').map_or(0, |at| at + 1);
        let repository = match bare.get(slash..).and_then(|last| last.find(':')) {
            Some(colon) => bare.get(..slash + colon).unwrap_or(bare),
            None => bare,
        };
        [reference, bare, repository]
            .into_iter()
            .find_map(|wanted| {
                self.images
                    .iter()
                    .rev()
                    .find(|(name, _)| name == wanted)
                    .map(|(_, image)| image)
            })
    }
}

/// An object without what does not count for its generation.
fn without(object: &Value) -> Map<String, Value> {
    let mut map = object.as_object().cloned().unwrap_or_default();
    map.shift_remove("metadata");
    map.shift_remove("status");
    map
}

pub(super) fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"]
        .as_array()
        .is_some_and(|all| !all.is_empty())
}
