//! What makes objects of objects: Deployments, ReplicaSets, StatefulSets, claims, KubeBlocks'
//! clusters, ingresses, and the collection of what nobody owns any more.
//!
//! Each pass looks at everything and does what is to be done now; passes follow each other
//! until nothing changes. So it does not matter what happened in between.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::cluster::{CONTROLLER, Cluster, Deletion, Write, millis};
use super::resource::{self, Kind};
use super::store::{canonical, hash, is_deleting, letters, name, namespace, uid};
use super::{kubelet, quota};

/// More passes than any chain of objects needs.
const PASSES: usize = 100;

/// Does all that is to be done now.
pub(super) fn reconcile(cluster: &mut Cluster) {
    for _ in 0..PASSES {
        let before = cluster.store.revision();
        collect_garbage(cluster);
        for (id, pass) in [
            (
                "clusters.apps.kubeblocks.io",
                database as fn(&mut Cluster, &'static Kind, &Value),
            ),
            ("deployments.apps", deployment),
            ("replicasets.apps", replica_set),
            ("statefulsets.apps", stateful_set),
            ("persistentvolumeclaims", claim),
            ("ingresses.networking.k8s.io", ingress),
        ] {
            let Some(kind) = resource::by_id(id) else {
                continue;
            };
            for object in cluster.store.list(kind, "") {
                // An earlier pass may have changed it or taken it away.
                let current = cluster.store.get(kind, namespace(&object), name(&object));
                if let Some(current) = current.cloned() {
                    pass(cluster, kind, &current);
                }
            }
        }
        kubelet::sync(cluster);
        quota::show(cluster);
        if cluster.store.revision() == before {
            return;
        }
    }
}

fn owned(cluster: &Cluster, id: &str, owner: &Value) -> Vec<Arc<Value>> {
    let Some(kind) = resource::by_id(id) else {
        return Vec::new();
    };
    let mut all = cluster.store.list(kind, namespace(owner));
    all.retain(|object| {
        owners(object).any(|reference| reference["uid"].as_str() == Some(uid(owner)))
    });
    all
}

fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
}

fn reference_to(owner: &Value) -> Value {
    json!([{
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    }])
}

fn delete(cluster: &mut Cluster, id: &str, object: &Value) {
    if let Some(kind) = resource::by_id(id)
        && !is_deleting(object)
    {
        // It is there, as it was just listed.
        let _ = cluster.delete(kind, namespace(object), name(object), &Deletion::default());
    }
}

/// Deletes what has lost its owners, and ends deletions that wait for their dependents.
fn collect_garbage(cluster: &mut Cluster) {
    let everything: Vec<(&'static Kind, Arc<Value>)> = cluster
        .store
        .everything()
        .filter_map(|(id, object)| Some((resource::by_id(id)?, Arc::clone(object))))
        .collect();
    let uids: HashSet<&str> = everything.iter().map(|(_, object)| uid(object)).collect();
    for (kind, object) in &everything {
        let has_owners = owners(object).next().is_some();
        let has_living =
            owners(object).any(|owner| owner["uid"].as_str().is_some_and(|uid| uids.contains(uid)));
        if has_owners && !has_living {
            delete(cluster, &kind.id(), object);
        }
        let waits_for = |what: &str| {
            is_deleting(object)
                && object["metadata"]["finalizers"]
                    .as_array()
                    .is_some_and(|all| all.contains(&json!(what)))
        };
        let dependents = || {
            everything.iter().filter(|(_, other)| {
                owners(other).any(|owner| owner["uid"].as_str() == Some(uid(object)))
            })
        };
        if waits_for("foregroundDeletion") {
            for (kind, dependent) in dependents() {
                delete(cluster, &kind.id(), dependent);
            }
            if dependents().next().is_none() {
                drop_finalizer(cluster, kind, object, "foregroundDeletion");
            }
        } else if waits_for("orphan") {
            for (kind, dependent) in dependents() {
                cluster.change(kind, dependent, |dependent| {
                    if let Value::Object(metadata) = &mut dependent["metadata"] {
                        metadata.shift_remove("ownerReferences");
                    }
                });
            }
            drop_finalizer(cluster, kind, object, "orphan");
        }
    }
}

fn drop_finalizer(cluster: &mut Cluster, kind: &'static Kind, object: &Value, which: &str) {
    let current = cluster.store.get(kind, namespace(object), name(object));
    let Some(current) = current.cloned() else {
        return;
    };
    cluster.change(kind, &current, |object| {
        if let Some(all) = object["metadata"]["finalizers"].as_array_mut() {
            all.retain(|finalizer| finalizer != which);
            if all.is_empty()
                && let Value::Object(metadata) = &mut object["metadata"]
            {
                metadata.shift_remove("finalizers");
            }
        }
    });
}

fn is_ready(pod: &Value) -> bool {
    condition(&pod["status"], "Ready").is_some_and(|ready| ready["status"] == "True")
}

fn condition<'a>(status: &'a Value, which: &str) -> Option<&'a Value> {
    status["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == which)
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

/// `25%` or a count, of this many.
fn share(value: &Value, of: i64, up: bool) -> i64 {
    match value.as_str().and_then(|text| text.strip_suffix('%')) {
        Some(percent) => {
            let hundredths = percent.parse::<i64>().unwrap_or_default() * of;
            if up {
                (hundredths + 99) / 100
            } else {
                hundredths / 100
            }
        }
        None => number(value),
    }
}

/// A map without those numbers that are zero, as Go writes them.
fn counts(pairs: &[(&str, i64)]) -> Map<String, Value> {
    pairs
        .iter()
        .filter(|(name, count)| *count != 0 || *name == "replicas" && pairs.len() < 6)
        .map(|(name, count)| ((*name).to_owned(), json!(count)))
        .collect()
}

const REVISION: &str = "deployment.kubernetes.io/revision";

fn revision(object: &Value) -> i64 {
    object["metadata"]["annotations"][REVISION]
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

fn deployment(cluster: &mut Cluster, kind: &'static Kind, deployment: &Value) {
    let Some(sets) = resource::by_id("replicasets.apps") else {
        return;
    };
    if is_deleting(deployment) {
        return;
    }
    let spec = &deployment["spec"];
    let desired = number(&spec["replicas"]);
    let template_hash = letters(hash(&canonical(&spec["template"])), 10);
    let mut all = owned(cluster, "replicasets.apps", deployment);
    all.sort_by_key(|set| revision(set));
    let newest = all
        .iter()
        .map(|set| revision(set))
        .max()
        .unwrap_or_default();
    let is_new = |set: &Value| {
        set["metadata"]["labels"]["pod-template-hash"].as_str() == Some(&template_hash)
    };
    let paused = spec["paused"] == true;

    let mut made = false;
    if !all.iter().any(|set| is_new(set)) {
        if paused {
            return;
        }
        let mut template = spec["template"].clone();
        template["metadata"]["labels"]["pod-template-hash"] = json!(template_hash);
        let mut selector = spec["selector"].clone();
        selector["matchLabels"]["pod-template-hash"] = json!(template_hash);
        let mut annotations = deployment["metadata"]["annotations"].clone();
        if !annotations.is_object() {
            annotations = json!({});
        }
        annotations[REVISION] = json!((newest + 1).to_string());
        annotations["deployment.kubernetes.io/desired-replicas"] = json!(desired.to_string());
        let set = json!({
            "metadata": {
                "name": format!("{}-{template_hash}", name(deployment)),
                "namespace": namespace(deployment),
                "labels": template["metadata"]["labels"],
                "annotations": annotations,
                "ownerReferences": reference_to(deployment),
            },
            "spec": {"replicas": 0, "selector": selector, "template": template},
        });
        match cluster.create(sets, set, Write::by(CONTROLLER)) {
            Ok(set) => {
                made = true;
                all.push(set);
            }
            Err(_) => return,
        }
    }
    let Some(new) = all.iter().find(|set| is_new(set)).cloned() else {
        return;
    };
    let old: Vec<Arc<Value>> = all.iter().filter(|set| !is_new(set)).cloned().collect();

    // A template that comes back makes its old set the newest one: that is a rollback.
    let mut current = revision(&new);
    if current < newest {
        current = newest + 1;
        cluster.change(sets, &new, |set| {
            set["metadata"]["annotations"][REVISION] = json!(current.to_string());
        });
    }
    if revision(deployment) != current {
        cluster.change(kind, deployment, |deployment| {
            if !deployment["metadata"]["annotations"].is_object() {
                deployment["metadata"]["annotations"] = json!({});
            }
            deployment["metadata"]["annotations"][REVISION] = json!(current.to_string());
        });
    }
    if !paused {
        roll(cluster, deployment, &new, &old);
    }
    clean_up(cluster, spec, &old);

    let Some(deployment) = cluster
        .store
        .get(kind, namespace(deployment), name(deployment))
        .cloned()
    else {
        return;
    };
    let all = owned(cluster, "replicasets.apps", &deployment);
    let status = deployment_status(cluster, &deployment, &all, &new, made);
    cluster.set_status(kind, &deployment, status);
}

fn clean_up(cluster: &mut Cluster, spec: &Value, old: &[Arc<Value>]) {
    let keep = usize::try_from(number(&spec["revisionHistoryLimit"])).unwrap_or_default();
    let idle: Vec<&Arc<Value>> = old
        .iter()
        .filter(|set| number(&set["spec"]["replicas"]) == 0)
        .filter(|set| number(&set["status"]["replicas"]) == 0)
        .collect();
    let surplus = idle.len().saturating_sub(keep);
    for set in idle.into_iter().take(surplus) {
        delete(cluster, "replicasets.apps", set);
    }
}

/// Takes one step of a rollout.
fn roll(cluster: &mut Cluster, deployment: &Value, new: &Value, old: &[Arc<Value>]) {
    let spec = &deployment["spec"];
    let desired = number(&spec["replicas"]);
    let wants = |set: &Value| number(&set["spec"]["replicas"]);
    let available = |set: &Value| number(&set["status"]["availableReplicas"]);
    let old_wanted: i64 = old.iter().map(|set| wants(set)).sum();
    let has_pods = |set: &Arc<Value>| !owned(cluster, "pods", set).is_empty();

    if spec["strategy"]["type"] == "Recreate" {
        let standing = old.iter().any(has_pods);
        for set in old {
            scale(cluster, deployment, set, 0);
        }
        if !standing {
            scale(cluster, deployment, new, desired);
        }
        return;
    }
    let rolling = &spec["strategy"]["rollingUpdate"];
    let surge = share(&rolling["maxSurge"], desired, true);
    let mut may_miss = share(&rolling["maxUnavailable"], desired, false);
    if surge == 0 && may_miss == 0 {
        may_miss = 1;
    }
    let total = wants(new) + old_wanted;
    if wants(new) > desired {
        scale(cluster, deployment, new, desired);
        return;
    }
    let more = (desired - wants(new)).min(desired + surge - total);
    if more > 0 {
        scale(cluster, deployment, new, wants(new) + more);
        return;
    }
    let least = (desired - may_miss).max(0);
    let mut may_go = total - least - (wants(new) - available(new));
    let mut spare = old.iter().map(|set| available(set)).sum::<i64>() + available(new) - least;
    for set in old {
        let dead = (wants(set) - available(set)).clamp(0, may_go.max(0));
        let healthy = (wants(set) - dead)
            .min(spare.max(0))
            .min((may_go - dead).max(0));
        if dead + healthy > 0 {
            may_go -= dead + healthy;
            spare -= healthy;
            scale(cluster, deployment, set, wants(set) - dead - healthy);
        }
    }
}

fn scale(cluster: &mut Cluster, deployment: &Value, set: &Value, to: i64) {
    let from = number(&set["spec"]["replicas"]);
    let Some(sets) = resource::by_id("replicasets.apps") else {
        return;
    };
    let current = cluster.store.get(sets, namespace(set), name(set)).cloned();
    let Some(current) = current.filter(|_| from != to) else {
        return;
    };
    cluster.change(sets, &current, |set| set["spec"]["replicas"] = json!(to));
    let way = if to > from { "up" } else { "down" };
    let message = format!("Scaled {way} replica set {} from {from} to {to}", name(set));
    cluster.event(
        deployment,
        "deployment-controller",
        ("Normal", "ScalingReplicaSet"),
        &message,
    );
}

fn deployment_status(
    cluster: &Cluster,
    deployment: &Value,
    all: &[Arc<Value>],
    new: &Value,
    made: bool,
) -> Value {
    let spec = &deployment["spec"];
    let before = &deployment["status"];
    let desired = number(&spec["replicas"]);
    let sum = |field: &str| {
        all.iter()
            .map(|set| number(&set["status"][field]))
            .sum::<i64>()
    };
    let (replicas, ready, available) = (
        sum("replicas"),
        sum("readyReplicas"),
        sum("availableReplicas"),
    );
    let updated = all
        .iter()
        .find(|set| uid(set) == uid(new))
        .map_or(0, |set| number(&set["status"]["replicas"]));
    let wanted: i64 = all.iter().map(|set| number(&set["spec"]["replicas"])).sum();
    let missing = (wanted - available).max(0);

    let complete = updated == desired && replicas == desired && available == desired;
    let progressed = updated > number(&before["updatedReplicas"])
        || replicas - updated < number(&before["replicas"]) - number(&before["updatedReplicas"])
        || ready > number(&before["readyReplicas"])
        || available > number(&before["availableReplicas"]);
    let set = format!("ReplicaSet \"{}\"", name(new));
    let progress = condition(before, "Progressing");
    let reason = progress
        .and_then(|progress| progress["reason"].as_str())
        .unwrap_or_default();
    let since = progress
        .and_then(|progress| millis(&progress["lastUpdateTime"]))
        .unwrap_or(cluster.now);
    let deadline = number(&spec["progressDeadlineSeconds"]).saturating_mul(1000);
    let spec_is_new =
        number(&before["observedGeneration"]) < number(&deployment["metadata"]["generation"]);

    let (status, next_reason, message) = if spec["paused"] == true {
        (
            "Unknown",
            "DeploymentPaused",
            "Deployment is paused".to_owned(),
        )
    } else if complete {
        (
            "True",
            "NewReplicaSetAvailable",
            format!("{set} has successfully progressed."),
        )
    } else if made {
        (
            "True",
            "NewReplicaSetCreated",
            format!("Created new replica set \"{}\"", name(new)),
        )
    } else if progressed
        || progress.is_none()
        || (spec_is_new && reason != "NewReplicaSetAvailable")
    {
        (
            "True",
            "ReplicaSetUpdated",
            format!("{set} is progressing."),
        )
    } else if reason == "NewReplicaSetAvailable" {
        // It was complete once: pods that die later are no rollout that fails.
        (
            "True",
            reason,
            format!("{set} has successfully progressed."),
        )
    } else if reason == "ProgressDeadlineExceeded" || cluster.now >= since.saturating_add(deadline)
    {
        (
            "False",
            "ProgressDeadlineExceeded",
            format!("{set} has timed out progressing."),
        )
    } else {
        let told = progress.and_then(|progress| progress["message"].as_str());
        ("True", reason, told.unwrap_or_default().to_owned())
    };

    let may_miss = share(
        &spec["strategy"]["rollingUpdate"]["maxUnavailable"],
        desired,
        false,
    );
    let enough = available >= desired - may_miss;
    let mut conditions = vec![
        if enough {
            made_condition(
                cluster,
                before,
                ("Available", "True", "MinimumReplicasAvailable"),
                "Deployment has minimum availability.",
                false,
            )
        } else {
            made_condition(
                cluster,
                before,
                ("Available", "False", "MinimumReplicasUnavailable"),
                "Deployment does not have minimum availability.",
                false,
            )
        },
        made_condition(
            cluster,
            before,
            ("Progressing", status, next_reason),
            &message,
            progressed && next_reason == "ReplicaSetUpdated",
        ),
    ];
    let failed = all
        .iter()
        .find_map(|set| condition(&set["status"], "ReplicaFailure"));
    if let Some(failed) = failed {
        conditions.push(made_condition(
            cluster,
            before,
            (
                "ReplicaFailure",
                "True",
                failed["reason"].as_str().unwrap_or_default(),
            ),
            failed["message"].as_str().unwrap_or_default(),
            false,
        ));
    }
    let mut status = counts(&[
        (
            "observedGeneration",
            number(&deployment["metadata"]["generation"]),
        ),
        ("replicas", replicas),
        ("updatedReplicas", updated),
        ("readyReplicas", ready),
        ("availableReplicas", available),
        ("unavailableReplicas", missing),
    ]);
    status.insert("conditions".to_owned(), json!(conditions));
    Value::Object(status)
}

/// A condition; its times stay what they were when it says nothing new.
fn made_condition(
    cluster: &Cluster,
    before: &Value,
    (which, status, reason): (&str, &str, &str),
    message: &str,
    touch: bool,
) -> Value {
    let now = json!(cluster.time());
    let old = condition(before, which);
    let same = old.filter(|old| old["status"] == status);
    let transition = same.map_or(&now, |old| &old["lastTransitionTime"]);
    let update = same
        .filter(|old| old["reason"] == reason && !touch)
        .map_or(&now, |old| &old["lastUpdateTime"]);
    json!({
        "type": which,
        "status": status,
        "lastUpdateTime": update,
        "lastTransitionTime": transition,
        "reason": reason,
        "message": message,
    })
}

/// A pod as a template says, owned by this object.
fn pod_of(owner: &Value, template: &Value) -> Value {
    let mut pod = json!({
        "metadata": template["metadata"],
        "spec": template["spec"],
    });
    pod["metadata"]["namespace"] = owner["metadata"]["namespace"].clone();
    pod["metadata"]["ownerReferences"] = reference_to(owner);
    if pod["spec"]["serviceAccountName"].is_null() {
        pod["spec"]["serviceAccountName"] = json!("default");
    }
    pod
}

fn is_active(pod: &Value) -> bool {
    !is_deleting(pod)
        && !matches!(
            pod["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed")
        )
}

fn replica_set(cluster: &mut Cluster, kind: &'static Kind, set: &Value) {
    let Some(pods) = resource::by_id("pods") else {
        return;
    };
    if is_deleting(set) {
        return;
    }
    let desired = number(&set["spec"]["replicas"]);
    let mut active = owned(cluster, "pods", set);
    active.retain(|pod| is_active(pod));
    let mut have = i64::try_from(active.len()).unwrap_or_default();
    let mut failure = None;
    while have < desired {
        let mut pod = pod_of(set, &set["spec"]["template"]);
        pod["metadata"]["generateName"] = json!(format!("{}-", name(set)));
        match cluster.create(pods, pod, Write::by(CONTROLLER)) {
            Ok(pod) => {
                have += 1;
                let message = format!("Created pod: {}", name(&pod));
                cluster.event(
                    set,
                    "replicaset-controller",
                    ("Normal", "SuccessfulCreate"),
                    &message,
                );
            }
            Err(refused) => {
                failure = Some(refused.message());
                break;
            }
        }
    }
    if have > desired {
        active.sort_by_key(|pod| {
            (
                is_ready(pod),
                pod["metadata"]["creationTimestamp"].to_string(),
            )
        });
        for pod in active
            .iter()
            .take(usize::try_from(have - desired).unwrap_or_default())
        {
            let message = format!("Deleted pod: {}", name(pod));
            delete(cluster, "pods", pod);
            cluster.event(
                set,
                "replicaset-controller",
                ("Normal", "SuccessfulDelete"),
                &message,
            );
        }
    }
    let mut active = owned(cluster, "pods", set);
    active.retain(|pod| is_active(pod));
    let ready = active.iter().filter(|pod| is_ready(pod)).count();
    let (count, ready) = (
        i64::try_from(active.len()).unwrap_or_default(),
        i64::try_from(ready).unwrap_or_default(),
    );
    let mut status = counts(&[
        ("replicas", count),
        ("fullyLabeledReplicas", count),
        ("readyReplicas", ready),
        ("availableReplicas", ready),
        ("observedGeneration", number(&set["metadata"]["generation"])),
    ]);
    if let Some(message) = failure {
        let old = condition(&set["status"], "ReplicaFailure");
        // The names of pods that were not made differ from one attempt to the next.
        let told = |text: &str| {
            text.split_once("is forbidden")
                .map(|(_, why)| why.to_owned())
        };
        let same = old.filter(|old| {
            old["message"]
                .as_str()
                .is_some_and(|old| told(old) == told(&message))
        });
        let condition = same.cloned().unwrap_or_else(|| {
            json!({
                "type": "ReplicaFailure",
                "status": "True",
                "lastTransitionTime": cluster.time(),
                "reason": "FailedCreate",
                "message": message,
            })
        });
        if same.is_none() {
            let message = format!("Error creating: {message}");
            let about = set.clone();
            cluster.event(
                &about,
                "replicaset-controller",
                ("Warning", "FailedCreate"),
                &message,
            );
        }
        status.insert("conditions".to_owned(), json!([condition]));
    }
    cluster.set_status(kind, set, Value::Object(status));
}

fn stateful_set(cluster: &mut Cluster, kind: &'static Kind, set: &Value) {
    let (Some(pods), Some(claims)) = (
        resource::by_id("pods"),
        resource::by_id("persistentvolumeclaims"),
    ) else {
        return;
    };
    if is_deleting(set) {
        return;
    }
    let spec = &set["spec"];
    let place = namespace(set).to_owned();
    let desired = number(&spec["replicas"]);
    let version = format!(
        "{}-{}",
        name(set),
        letters(hash(&canonical(&spec["template"])), 10)
    );
    let parallel = spec["podManagementPolicy"] == "Parallel";
    // In order, a pod that is not ready holds up everything after it, an update of itself
    // included (kubernetes/kubernetes#67250).
    let mut is_held_up = false;
    for ordinal in 0..desired {
        let called = format!("{}-{ordinal}", name(set));
        if let Some(pod) = cluster.store.get(pods, &place, &called) {
            if !parallel && (!is_ready(pod) || is_deleting(pod)) {
                is_held_up = true;
                break;
            }
            continue;
        }
        let mut pod = pod_of(set, &spec["template"]);
        pod["metadata"]["name"] = json!(called);
        pod["metadata"]["labels"]["controller-revision-hash"] = json!(version);
        pod["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = json!(called);
        pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"] = json!(ordinal.to_string());
        pod["spec"]["hostname"] = json!(called);
        let mut volumes = pod["spec"]["volumes"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let mut refused = None;
        for template in spec["volumeClaimTemplates"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let claim = format!("{}-{called}", name(template));
            volumes.push(json!({
                "name": name(template),
                "persistentVolumeClaim": {"claimName": claim},
            }));
            if cluster.store.get(claims, &place, &claim).is_none() {
                let mut labels = template["metadata"]["labels"].clone();
                if !labels.is_object() {
                    labels = json!({});
                }
                for (key, value) in spec["selector"]["matchLabels"]
                    .as_object()
                    .into_iter()
                    .flatten()
                {
                    labels[key.as_str()] = value.clone();
                }
                let object = json!({
                    "metadata": {
                        "name": claim,
                        "namespace": place,
                        "labels": labels,
                        "annotations": template["metadata"]["annotations"],
                    },
                    "spec": template["spec"],
                });
                if let Err(error) = cluster.create(claims, object, Write::by(CONTROLLER)) {
                    refused = Some(error.message());
                }
            }
        }
        pod["spec"]["volumes"] = json!(volumes);
        let outcome = match refused {
            Some(refused) => Err(refused),
            None => cluster
                .create(pods, pod, Write::by(CONTROLLER))
                .map_err(|refused| refused.message()),
        };
        let (severity, reason, message) = match &outcome {
            Ok(_) => (
                "Normal",
                "SuccessfulCreate",
                format!(
                    "create Pod {called} in StatefulSet {} successful",
                    name(set)
                ),
            ),
            Err(refused) => (
                "Warning",
                "FailedCreate",
                format!(
                    "create Pod {called} in StatefulSet {} failed error: {refused}",
                    name(set)
                ),
            ),
        };
        // A refusal that repeats is told once; otherwise the passes would not end.
        let known = owned_events(cluster, set).any(|event| event["message"] == message.as_str());
        if !known {
            cluster.event(set, "statefulset-controller", (severity, reason), &message);
        }
        if outcome.is_err() || !parallel {
            break;
        }
    }
    let mut all = owned(cluster, "pods", set);
    let ordinal = |pod: &Value| {
        name(pod)
            .rsplit('-')
            .next()
            .and_then(|text| text.parse::<i64>().ok())
            .unwrap_or_default()
    };
    all.sort_by_key(|pod| std::cmp::Reverse(ordinal(pod)));
    let is_updated =
        |pod: &Value| pod["metadata"]["labels"]["controller-revision-hash"] == version.as_str();
    if let Some(surplus) = all.iter().find(|pod| ordinal(pod) >= desired) {
        delete(cluster, "pods", surplus);
    } else if let Some(outdated) = all.iter().find(|pod| !is_updated(pod))
        && !is_held_up
        && spec["updateStrategy"]["type"] == "RollingUpdate"
    {
        delete(cluster, "pods", outdated);
    }
    all.retain(|pod| is_active(pod));
    let count = |pods: &mut dyn Iterator<Item = &Arc<Value>>| {
        i64::try_from(pods.count()).unwrap_or_default()
    };
    let ready = count(&mut all.iter().filter(|pod| is_ready(pod)));
    let updated = count(&mut all.iter().filter(|pod| is_updated(pod)));
    let total = count(&mut all.iter());
    let mut status = counts(&[
        ("observedGeneration", number(&set["metadata"]["generation"])),
        ("readyReplicas", ready),
        ("availableReplicas", ready),
        ("currentReplicas", total),
        ("updatedReplicas", updated),
    ]);
    status.insert("replicas".to_owned(), json!(total));
    status.insert("updateRevision".to_owned(), json!(version));
    let current = if updated == total {
        json!(version)
    } else {
        set["status"]["currentRevision"].clone()
    };
    status.insert("currentRevision".to_owned(), current);
    status.insert("collisionCount".to_owned(), json!(0));
    cluster.set_status(kind, set, Value::Object(status));
}

fn owned_events(cluster: &Cluster, about: &Value) -> impl Iterator<Item = Arc<Value>> {
    let about_uid = about["metadata"]["uid"].clone();
    resource::by_id("events")
        .map(|kind| cluster.store.list(kind, namespace(about)))
        .unwrap_or_default()
        .into_iter()
        .filter(move |event| event["involvedObject"]["uid"] == about_uid)
}

fn claim(cluster: &mut Cluster, kind: &'static Kind, claim: &Value) {
    if is_deleting(claim) {
        let used = resource::by_id("pods").is_some_and(|pods| {
            cluster
                .store
                .list(pods, namespace(claim))
                .iter()
                .any(|pod| {
                    let volumes = pod["spec"]["volumes"].as_array();
                    volumes.into_iter().flatten().any(|volume| {
                        volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
                    })
                })
        });
        if !used {
            drop_finalizer(cluster, kind, claim, "kubernetes.io/pvc-protection");
        }
        return;
    }
    if claim["status"]["phase"] == "Bound" {
        return;
    }
    cluster.change(kind, claim, |claim| {
        claim["spec"]["volumeName"] = json!(format!("pvc-{}", uid(claim)));
    });
    let bound = json!({
        "phase": "Bound",
        "accessModes": claim["spec"]["accessModes"],
        "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
    });
    if let Some(claim) = cluster
        .store
        .get(kind, namespace(claim), name(claim))
        .cloned()
    {
        cluster.set_status(kind, &claim, bound);
    }
}

/// The classes that the cloud's ingress controller looks after.
pub(super) fn is_routed(ingress: &Value) -> bool {
    let class = ingress["metadata"]["annotations"]["kubernetes.io/ingress.class"]
        .as_str()
        .or(ingress["spec"]["ingressClassName"].as_str());
    class == Some("nginx")
}

/// Whether the cloud's edge has taken note of an ingress.
pub(super) fn is_reachable(cluster: &Cluster, ingress: &Value) -> bool {
    let made = millis(&ingress["metadata"]["creationTimestamp"]).unwrap_or_default();
    let delay = i64::try_from(cluster.settings.ingress_delay.as_millis()).unwrap_or(i64::MAX);
    is_routed(ingress) && cluster.now >= made.saturating_add(delay)
}

fn ingress(cluster: &mut Cluster, kind: &'static Kind, ingress: &Value) {
    if is_reachable(cluster, ingress) {
        let balancer = match cluster.settings.edge {
            None => json!({"ip": "203.0.113.80"}),
            Some(edge) => json!({
                "ip": edge.ip().to_string(),
                "ports": [{"port": edge.port(), "protocol": "TCP"}],
            }),
        };
        let status = json!({"loadBalancer": {"ingress": [balancer]}});
        cluster.set_status(kind, ingress, status);
    }
}

/// KubeBlocks: a database with its Secret, Service, StatefulSet and claim.
fn database(cluster: &mut Cluster, kind: &'static Kind, database: &Value) {
    let called = name(database).to_owned();
    let place = namespace(database).to_owned();
    let component = &database["spec"]["componentSpecs"][0];
    let part = component["name"].as_str().unwrap_or("mysql").to_owned();
    let workload = format!("{called}-{part}");
    let labels = json!({
        "app.kubernetes.io/instance": called,
        "app.kubernetes.io/managed-by": "kubeblocks",
        "apps.kubeblocks.io/component-name": part,
    });
    if is_deleting(database) {
        end_database(cluster, kind, database, &labels);
        return;
    }
    let account = cluster.mysql.get(&place).cloned().unwrap_or_default();
    let service = format!("{workload}.{place}.svc");
    let metadata = |name: &str| {
        json!({
            "name": name,
            "namespace": place,
            "labels": labels,
            "ownerReferences": reference_to(database),
        })
    };
    let objects = [
        (
            "secrets",
            json!({
                "metadata": metadata(&format!("{called}-conn-credential")),
                "stringData": {
                    "username": account.username,
                    "password": account.password,
                    "host": service,
                    "port": "3306",
                    "endpoint": format!("{service}:3306"),
                },
            }),
        ),
        (
            "services",
            json!({
                "metadata": metadata(&workload),
                "spec": {
                    "ports": [{"name": "mysql", "port": 3306, "targetPort": "mysql"}],
                    "selector": labels,
                },
            }),
        ),
        (
            "statefulsets.apps",
            json!({
                "metadata": metadata(&workload),
                "spec": {
                    "replicas": component["replicas"].as_i64().unwrap_or(1),
                    "serviceName": format!("{workload}-headless"),
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {"containers": [{
                            "name": part,
                            "image": kubelet::MYSQL_IMAGE,
                            "ports": [{"name": "mysql", "containerPort": 3306}],
                            "resources": component["resources"],
                        }]},
                    },
                    "volumeClaimTemplates": component["volumeClaimTemplates"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(|claim| json!({
                            "metadata": {"name": claim["name"], "labels": labels},
                            "spec": claim["spec"],
                        }))
                        .collect::<Vec<_>>(),
                },
            }),
        ),
    ];
    for (id, object) in objects {
        if let Some(kind) = resource::by_id(id)
            && cluster.store.get(kind, &place, name(&object)).is_none()
        {
            let _ = cluster.create(kind, object, Write::by("kubeblocks"));
        }
    }
    let replicas = component["replicas"].as_i64().unwrap_or(1);
    let ready = resource::by_id("statefulsets.apps")
        .and_then(|kind| cluster.store.get(kind, &place, &workload))
        .map_or(0, |set| number(&set["status"]["readyReplicas"]));
    let made = millis(&database["metadata"]["creationTimestamp"]).unwrap_or_default();
    let delay = i64::try_from(cluster.settings.database_delay.as_millis()).unwrap_or(i64::MAX);
    let was_running = database["status"]["phase"] == "Running";
    let running = ready >= replicas && (was_running || cluster.now >= made.saturating_add(delay));
    let phase = if replicas == 0 {
        "Stopped"
    } else if running {
        "Running"
    } else if was_running {
        "Abnormal"
    } else {
        "Creating"
    };
    let status = json!({
        "phase": phase,
        "observedGeneration": database["metadata"]["generation"],
        "components": {part: {"phase": phase, "podsReady": running}},
    });
    cluster.set_status(kind, database, status);
}

fn end_database(cluster: &mut Cluster, kind: &'static Kind, database: &Value, labels: &Value) {
    if database["spec"]["terminationPolicy"] == "DoNotTerminate" {
        return;
    }
    let mut left = false;
    let ids = [
        "statefulsets.apps",
        "pods",
        "services",
        "secrets",
        "persistentvolumeclaims",
    ];
    for id in ids {
        let Some(of) = resource::by_id(id) else {
            continue;
        };
        // `Halt` keeps the data.
        if id == "persistentvolumeclaims" && database["spec"]["terminationPolicy"] == "Halt" {
            continue;
        }
        let instance = "app.kubernetes.io/instance";
        for object in cluster.store.list(of, namespace(database)) {
            if object["metadata"]["labels"][instance] == labels[instance]
                && object["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "kubeblocks"
            {
                left = true;
                delete(cluster, id, &object);
            }
        }
    }
    if left {
        let mut status = database["status"].clone();
        status["phase"] = json!("Deleting");
        cluster.set_status(kind, database, status);
    } else {
        drop_finalizer(cluster, kind, database, "cluster.kubeblocks.io/finalizer");
    }
}
