//! What the server adds to an object, and what it refuses in one.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::resource::Kind;
use super::selector;
use super::status::{Cause, Failure};

/// Sets a field that is missing.
fn default(object: &mut Value, field: &str, value: Value) {
    if let Value::Object(map) = object
        && map.get(field).is_none_or(Value::is_null)
    {
        map.insert(field.to_owned(), value);
    }
}

fn items<'a>(object: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    object
        .get_mut(field)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

/// Completes an object as the server does before it stores it.
pub(super) fn complete(kind: &Kind, object: &mut Value) {
    drop_nulls(object);
    match kind.plural {
        "secrets" => {
            default(object, "type", json!("Opaque"));
            text_data(object);
        }
        "deployments" | "statefulsets" | "replicasets" => {
            if let Some(spec) = object.get_mut("spec") {
                workload(kind, spec);
            }
        }
        "pods" => {
            if let Some(spec) = object.get_mut("spec") {
                pod(spec);
            }
        }
        "services" => {
            if let Some(spec) = object.get_mut("spec") {
                default(spec, "type", json!("ClusterIP"));
                default(spec, "sessionAffinity", json!("None"));
                default(spec, "ipFamilyPolicy", json!("SingleStack"));
                default(spec, "ipFamilies", json!(["IPv4"]));
                default(spec, "internalTrafficPolicy", json!("Cluster"));
                for port in items(spec, "ports") {
                    default(port, "protocol", json!("TCP"));
                    let number = port["port"].clone();
                    default(port, "targetPort", number);
                }
            }
        }
        "persistentvolumeclaims" => claim(object),
        _ => {}
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn claim(object: &mut Value) {
    if let Some(spec) = object.get_mut("spec") {
        default(spec, "volumeMode", json!("Filesystem"));
        default(spec, "storageClassName", json!("openebs-backup"));
    }
}

/// `stringData` goes into `data` and is never given back.
fn text_data(secret: &mut Value) {
    let Value::Object(map) = secret else { return };
    let Some(Value::Object(texts)) = map.shift_remove("stringData") else {
        return;
    };
    let data = map.entry("data").or_insert_with(|| json!({}));
    if let Value::Object(data) = data {
        for (key, text) in texts {
            let text = text.as_str().unwrap_or_default();
            data.insert(key, json!(BASE64_STANDARD.encode(text)));
        }
    }
}

fn workload(kind: &Kind, spec: &mut Value) {
    default(spec, "replicas", json!(1));
    match kind.plural {
        "deployments" => {
            default(spec, "revisionHistoryLimit", json!(10));
            default(spec, "progressDeadlineSeconds", json!(600));
            default(spec, "strategy", json!({}));
            if let Some(strategy) = spec.get_mut("strategy") {
                default(strategy, "type", json!("RollingUpdate"));
                if strategy["type"] == "RollingUpdate" {
                    default(strategy, "rollingUpdate", json!({}));
                    if let Some(rolling) = strategy.get_mut("rollingUpdate") {
                        default(rolling, "maxUnavailable", json!("25%"));
                        default(rolling, "maxSurge", json!("25%"));
                    }
                }
            }
        }
        "statefulsets" => {
            default(spec, "revisionHistoryLimit", json!(10));
            default(spec, "podManagementPolicy", json!("OrderedReady"));
            default(spec, "updateStrategy", json!({"type": "RollingUpdate"}));
            default(
                spec,
                "persistentVolumeClaimRetentionPolicy",
                json!({"whenDeleted": "Retain", "whenScaled": "Retain"}),
            );
            for template in items(spec, "volumeClaimTemplates") {
                default(template, "apiVersion", json!("v1"));
                default(template, "kind", json!("PersistentVolumeClaim"));
                claim(template);
                default(template, "status", json!({"phase": "Pending"}));
            }
        }
        _ => {}
    }
    if let Some(template) = spec.get_mut("template").and_then(|it| it.get_mut("spec")) {
        pod(template);
    }
}

fn pod(spec: &mut Value) {
    default(spec, "restartPolicy", json!("Always"));
    default(spec, "terminationGracePeriodSeconds", json!(30));
    default(spec, "dnsPolicy", json!("ClusterFirst"));
    default(spec, "securityContext", json!({}));
    default(spec, "schedulerName", json!("default-scheduler"));
    for field in ["initContainers", "containers"] {
        for container in items(spec, field) {
            default(container, "resources", json!({}));
            default(
                container,
                "terminationMessagePath",
                json!("/dev/termination-log"),
            );
            default(container, "terminationMessagePolicy", json!("File"));
            let policy = pull_policy(container["image"].as_str().unwrap_or_default());
            default(container, "imagePullPolicy", json!(policy));
            for port in items(container, "ports") {
                default(port, "protocol", json!("TCP"));
            }
            for variable in items(container, "env") {
                // An empty value is not written, as the real type says `omitempty`.
                if let Value::Object(map) = variable
                    && map.get("value").is_some_and(|value| value == "")
                {
                    map.shift_remove("value");
                }
                if let Some(reference) = variable
                    .get_mut("valueFrom")
                    .and_then(|from| from.get_mut("fieldRef"))
                {
                    default(reference, "apiVersion", json!("v1"));
                }
            }
            for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
                let Some(probe) = container.get_mut(name) else {
                    continue;
                };
                default(probe, "timeoutSeconds", json!(1));
                default(probe, "periodSeconds", json!(10));
                default(probe, "successThreshold", json!(1));
                default(probe, "failureThreshold", json!(3));
                if let Some(get) = probe.get_mut("httpGet") {
                    default(get, "path", json!("/"));
                    default(get, "scheme", json!("HTTP"));
                }
            }
        }
    }
    for volume in items(spec, "volumes") {
        for name in ["secret", "configMap"] {
            if let Some(source) = volume.get_mut(name) {
                default(source, "defaultMode", json!(420));
            }
        }
    }
}

fn pull_policy(image: &str) -> &'static str {
    let last = image.rsplit('/').next().unwrap_or(image);
    let newest =
        !image.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest");
    if newest { "Always" } else { "IfNotPresent" }
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
     characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
     'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or \
     '-', start with an alphabetic character, and end with an alphanumeric character (e.g. \
     'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

const LABEL_1123: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric \
     characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  \
     or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

fn is_label(text: &str, longest: usize) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let edge = |c: Option<&u8>| c.is_some_and(|c| *c != b'-');
    text.len() <= longest
        && text.bytes().all(inner)
        && edge(text.as_bytes().first())
        && edge(text.as_bytes().last())
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|part| is_label(part, 253))
}

/// Refuses what the server refuses, in an object that is complete.
///
/// # Errors
/// Everything that is wrong, in one answer.
pub(super) fn check(kind: &Kind, object: &Value, old: Option<&Value>) -> Result<(), Failure> {
    let mut causes = Vec::new();
    let name = &object["metadata"]["name"];
    let text = name.as_str().unwrap_or_default();
    if text.is_empty() {
        causes.push(Cause::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else if kind.plural == "services" {
        if !is_label(text, 63) || text.as_bytes().first().is_some_and(u8::is_ascii_digit) {
            causes.push(Cause::invalid("metadata.name", name, LABEL_1035));
        }
    } else if !kind.group.contains("rbac") && !is_subdomain(text) {
        causes.push(Cause::invalid("metadata.name", name, SUBDOMAIN));
    }
    labels(
        &object["metadata"]["labels"],
        "metadata.labels",
        &mut causes,
    );
    let spec = &object["spec"];
    match kind.plural {
        "deployments" | "statefulsets" | "replicasets" => {
            workload_is_right(kind, spec, old, &mut causes);
        }
        "pods" => {
            pod_is_right(spec, &Value::Null, "spec", &mut causes);
            if let Some(old) = old
                && !only_images_differ(&old["spec"], spec)
            {
                causes.push(Cause::forbidden(
                    "spec",
                    "pod updates may not change fields other than \
                     `spec.containers[*].image`,`spec.initContainers[*].image`,\
                     `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
                     tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 \
                     if it was previously negative)",
                ));
            }
        }
        "services" => service_is_right(spec, &mut causes),
        "secrets" | "configmaps" => {
            if let Some(old) = old
                && old["immutable"] == true
                && (old["data"] != object["data"] || object["immutable"] != true)
            {
                causes.push(Cause::forbidden(
                    "data",
                    "field is immutable when `immutable` is set",
                ));
            }
            if let Some(old) = old
                && kind.plural == "secrets"
                && old["type"] != object["type"]
            {
                causes.push(Cause::invalid(
                    "type",
                    &object["type"],
                    "field is immutable",
                ));
            }
            for key in object["data"].as_object().into_iter().flat_map(Map::keys) {
                let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
                if key.is_empty() || !key.chars().all(fits) {
                    causes.push(Cause::invalid(
                        format!("data[{key}]"),
                        &json!(key),
                        "a valid config key must consist of alphanumeric characters, '-', '_' or \
                         '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for \
                         validation is '[-._a-zA-Z0-9]+')",
                    ));
                }
            }
        }
        "persistentvolumeclaims" => {
            if spec["accessModes"].as_array().is_none_or(Vec::is_empty) {
                causes.push(Cause::required(
                    "spec.accessModes",
                    "at least 1 access mode is required",
                ));
            }
            if spec["resources"]["requests"]["storage"].is_null() {
                causes.push(Cause::required("spec.resources[storage]", ""));
            }
        }
        "ingresses" => ingress_is_right(spec, &mut causes),
        _ => {}
    }
    if causes.is_empty() {
        Ok(())
    } else {
        Err(Failure::invalid(kind, text, &causes))
    }
}

fn labels(labels: &Value, field: &str, causes: &mut Vec<Cause>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
        let fits = |text: &str| {
            text.len() <= 63
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
                && edge(text.chars().next())
                && edge(text.chars().last())
        };
        if !fits(value) {
            causes.push(Cause::invalid(
                field,
                &json!(value),
                "a valid label must be an empty string or consist of alphanumeric characters, \
                 '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
                 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
                 '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ));
        }
        let name = key.rsplit('/').next().unwrap_or(key);
        if name.is_empty() || !fits(name) {
            causes.push(Cause::invalid(
                field,
                &json!(key),
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must \
                 start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or \
                 '123-abc', regex used for validation is \
                 '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ));
        }
    }
}

fn workload_is_right(kind: &Kind, spec: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let template = &spec["template"];
    let its_labels = &template["metadata"]["labels"];
    if spec["selector"].is_null() {
        causes.push(Cause::required("spec.selector", ""));
    } else if !selector::selects(&spec["selector"], its_labels) {
        causes.push(Cause::invalid(
            "spec.template.metadata.labels",
            its_labels,
            "`selector` does not match template `labels`",
        ));
    }
    labels(its_labels, "spec.template.metadata.labels", causes);
    if spec["replicas"].as_i64().is_some_and(|count| count < 0) {
        causes.push(Cause::invalid(
            "spec.replicas",
            &spec["replicas"],
            "must be greater than or equal to 0",
        ));
    }
    pod_is_right(
        &template["spec"],
        &spec["volumeClaimTemplates"],
        "spec.template.spec",
        causes,
    );
    let Some(old) = old.map(|old| &old["spec"]) else {
        return;
    };
    if kind.plural != "statefulsets" && old["selector"] != spec["selector"] {
        causes.push(Cause::invalid(
            "spec.selector",
            &spec["selector"],
            "field is immutable",
        ));
    }
    if kind.plural == "statefulsets" {
        let fixed = [
            "selector",
            "serviceName",
            "podManagementPolicy",
            "volumeClaimTemplates",
        ];
        if fixed.iter().any(|field| old[*field] != spec[*field]) {
            causes.push(Cause::forbidden(
                "spec",
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', \
                 'template', 'updateStrategy', 'revisionHistoryLimit', \
                 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
            ));
        }
    }
}

fn only_images_differ(old: &Value, new: &Value) -> bool {
    let blank = |spec: &Value| {
        let mut spec = spec.clone();
        for field in ["containers", "initContainers"] {
            for container in items(&mut spec, field) {
                if let Value::Object(map) = container {
                    map.shift_remove("image");
                }
            }
        }
        spec
    };
    blank(old) == blank(new)
}

fn pod_is_right(spec: &Value, claims: &Value, at: &str, causes: &mut Vec<Cause>) {
    let containers = spec["containers"].as_array();
    if containers.is_none_or(Vec::is_empty) {
        causes.push(Cause::required(format!("{at}.containers"), ""));
    }
    for (i, volume) in spec["volumes"].as_array().into_iter().flatten().enumerate() {
        let (at, name) = (format!("{at}.volumes[{i}].name"), &volume["name"]);
        match name.as_str() {
            None | Some("") => causes.push(Cause::required(at, "")),
            Some(text) if !is_label(text, 63) => {
                causes.push(Cause::invalid(at, name, LABEL_1123));
            }
            Some(_) => {}
        }
    }
    let volumes: Vec<&Value> = spec["volumes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|volume| &volume["name"])
        .chain(
            claims
                .as_array()
                .into_iter()
                .flatten()
                .map(|claim| &claim["metadata"]["name"]),
        )
        .collect();
    let mut names: Vec<&Value> = Vec::new();
    for (i, container) in containers.into_iter().flatten().enumerate() {
        let at = format!("{at}.containers[{i}]");
        let name = &container["name"];
        match name.as_str() {
            None | Some("") => causes.push(Cause::required(format!("{at}.name"), "")),
            Some(text) if !is_label(text, 63) => {
                causes.push(Cause::invalid(format!("{at}.name"), name, LABEL_1123));
            }
            Some(_) if names.contains(&name) => {
                causes.push(Cause::duplicate(format!("{at}.name"), name));
            }
            Some(_) => names.push(name),
        }
        if container["image"].as_str().is_none_or(str::is_empty) {
            causes.push(Cause::required(format!("{at}.image"), ""));
        }
        for (j, variable) in container["env"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            let at = format!("{at}.env[{j}]");
            if variable["name"].as_str().is_none_or(str::is_empty) {
                causes.push(Cause::required(format!("{at}.name"), ""));
            }
            if variable["value"].is_string() && variable["valueFrom"].is_object() {
                causes.push(Cause::invalid(
                    format!("{at}.valueFrom"),
                    &json!(""),
                    "may not be specified when `value` is not empty",
                ));
            }
        }
        for (j, port) in container["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            let number = &port["containerPort"];
            if !number
                .as_i64()
                .is_some_and(|number| (1..=65_535).contains(&number))
            {
                causes.push(Cause::invalid(
                    format!("{at}.ports[{j}].containerPort"),
                    number,
                    "must be between 1 and 65535, inclusive",
                ));
            }
            if port["name"].as_str().is_some_and(|name| name.len() > 15) {
                causes.push(Cause::invalid(
                    format!("{at}.ports[{j}].name"),
                    &port["name"],
                    "must be no more than 15 characters",
                ));
            }
        }
        for (j, mount) in container["volumeMounts"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            if !volumes.contains(&&mount["name"]) {
                causes.push(Cause::invalid(
                    format!("{at}.volumeMounts[{j}].name"),
                    &mount["name"],
                    "not found",
                ));
            }
        }
    }
}

fn service_is_right(spec: &Value, causes: &mut Vec<Cause>) {
    let ports = spec["ports"].as_array();
    if ports.is_none_or(Vec::is_empty) && spec["clusterIP"] != "None" {
        causes.push(Cause::required("spec.ports", ""));
    }
    for (i, port) in ports.into_iter().flatten().enumerate() {
        if ports.is_some_and(|ports| ports.len() > 1) && port["name"].is_null() {
            causes.push(Cause::required(format!("spec.ports[{i}].name"), ""));
        }
        let number = &port["port"];
        if !number
            .as_i64()
            .is_some_and(|number| (1..=65_535).contains(&number))
        {
            causes.push(Cause::invalid(
                format!("spec.ports[{i}].port"),
                number,
                "must be between 1 and 65535, inclusive",
            ));
        }
    }
}

fn ingress_is_right(spec: &Value, causes: &mut Vec<Cause>) {
    let rules = spec["rules"].as_array();
    if rules.is_none_or(Vec::is_empty) && spec["defaultBackend"].is_null() {
        causes.push(Cause::invalid(
            "spec",
            &json!([]),
            "either `defaultBackend` or `rules` must be specified",
        ));
    }
    for (i, rule) in rules.into_iter().flatten().enumerate() {
        let paths = rule["http"]["paths"].as_array();
        for (j, path) in paths.into_iter().flatten().enumerate() {
            let at = format!("spec.rules[{i}].http.paths[{j}]");
            if path["pathType"].is_null() {
                causes.push(Cause::required(
                    format!("{at}.pathType"),
                    "pathType must be specified",
                ));
            }
            if path["backend"]["service"]["name"]
                .as_str()
                .is_none_or(str::is_empty)
            {
                causes.push(Cause::required(format!("{at}.backend.service.name"), ""));
            }
        }
    }
}
