//! The node: pulls images that there are, starts what is in them with the pod's environment,
//! watches it, and ends it.
//!
//! [`sync`] is the part that looks at objects, under the cluster's lock and never waiting;
//! what takes time is ordered from [`super::process`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::Image;
use super::cluster::{Cluster, millis, time};
use super::resource;
use super::store::{hash, is_deleting, name, namespace, uid};
use crate::launch::{Log, Output, Server};

/// The image of databases, which is always there.
pub(super) const MYSQL_IMAGE: &str = "docker.io/apecloud/apecloud-mysql-server:8.0.30-5.beta3";

/// The first pause between two starts of something that crashes; it doubles up to the last.
const FIRST_BACK_OFF: Duration = Duration::from_secs(10);
const LAST_BACK_OFF: Duration = Duration::from_secs(300);

/// Where the image keeps its data unless `DATA_DIR` says otherwise.
const IMAGE_DATA: &str = "/data";

const NODE: &str = "node-1";

/// What the node knows of one pod.
#[derive(Debug)]
pub(super) struct Run {
    stage: Stage,
    /// Counts the starts; what an earlier one reports late is of no interest.
    pub number: u64,
    started: i64,
    /// Whether a process of this machine stands behind it.
    real: bool,
    restarts: i64,
    pub ready: bool,
    /// Where it listens; `None` when nothing really does.
    pub address: Option<SocketAddr>,
    pub log: Log,
    /// The log of the process before.
    pub previous: Option<Log>,
    last: Option<Exit>,
    address_in_cluster: String,
    /// Whether its process was told to end.
    stopping: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Stage {
    /// Not started, for this reason.
    Waiting(&'static str, String),
    /// A process runs, or is about to.
    Running,
    /// The process has ended and is started again at this time.
    BackOff(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Exit {
    code: i32,
    started: i64,
    finished: i64,
}

/// Something for [`super::process`] to do.
#[derive(Debug)]
pub(super) enum Order {
    Start {
        uid: String,
        number: u64,
        launch: Box<Launch>,
    },
    /// SIGTERM, and SIGKILL after the grace.
    Stop { uid: String, grace: Duration },
}

/// What is started, and how it is looked after.
#[derive(Debug)]
pub(super) struct Launch {
    pub server: Server,
    /// The path of the readiness probe; without one it is ready once it listens.
    pub probe: Option<String>,
}

impl Run {
    fn new(address_in_cluster: String, log: Log) -> Self {
        Self {
            stage: Stage::Waiting("ContainerCreating", String::new()),
            number: 0,
            started: 0,
            real: false,
            restarts: 0,
            ready: false,
            address: None,
            log,
            previous: None,
            last: None,
            address_in_cluster,
            stopping: false,
        }
    }

    /// Whether something has been started, so that there is a log.
    pub fn has_started(&self) -> bool {
        self.number > 0
    }

    pub fn is_running(&self) -> bool {
        self.stage == Stage::Running
    }

    /// Why nothing has been started.
    pub fn waits_for(&self) -> &str {
        match &self.stage {
            Stage::Waiting(reason, _) => reason,
            Stage::Running | Stage::BackOff(_) => "",
        }
    }

    /// Notes that the process has ended.
    pub fn ended(&mut self, code: i32, now: i64) {
        if self.stage != Stage::Running {
            return;
        }
        self.last = Some(Exit {
            code,
            started: self.started,
            finished: now,
        });
        self.ready = false;
        self.address = None;
        let doubled = u32::try_from(self.restarts.clamp(0, 6)).unwrap_or_default();
        let pause = if self.restarts == 0 {
            Duration::ZERO
        } else {
            (FIRST_BACK_OFF * 2_u32.pow(doubled - 1)).min(LAST_BACK_OFF)
        };
        let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        self.stage = Stage::BackOff(now.saturating_add(pause));
    }
}

/// Looks after every pod.
pub(super) fn sync(cluster: &mut Cluster) {
    let Some(kind) = resource::by_id("pods") else {
        return;
    };
    let pods = cluster.store.list(kind, "");
    // A pod that was removed at once leaves its process behind.
    let gone: Vec<String> = cluster
        .runs
        .keys()
        .filter(|known| !pods.iter().any(|pod| uid(pod) == known.as_str()))
        .cloned()
        .collect();
    for uid in gone {
        cluster.runs.remove(&uid);
        let grace = Duration::ZERO;
        let _ = cluster.orders.send(Order::Stop { uid, grace });
    }
    for pod in pods {
        if is_deleting(&pod) {
            end(cluster, &pod);
            continue;
        }
        if !cluster.runs.contains_key(uid(&pod)) {
            let address = cluster.address("10.244");
            let log = Log::new(cluster.settings.clock.clone());
            cluster
                .runs
                .insert(uid(&pod).to_owned(), Run::new(address, log));
        }
        if pod["spec"]["nodeName"].is_null() && !schedule(cluster, &pod) {
            continue;
        }
        let current = cluster
            .store
            .get(kind, namespace(&pod), name(&pod))
            .cloned();
        if let Some(pod) = current {
            look_after(cluster, &pod);
        }
    }
}

/// Ends a pod that is being deleted; takes the object away when nothing runs any more.
fn end(cluster: &mut Cluster, pod: &Value) {
    let Some(kind) = resource::by_id("pods") else {
        return;
    };
    let runs = cluster.runs.get_mut(uid(pod));
    let alive = runs.filter(|run| run.stage == Stage::Running && run.real);
    match alive {
        Some(run) => {
            if !std::mem::replace(&mut run.stopping, true) {
                let seconds = pod["metadata"]["deletionGracePeriodSeconds"].as_u64();
                let _ = cluster.orders.send(Order::Stop {
                    uid: uid(pod).to_owned(),
                    grace: Duration::from_secs(seconds.unwrap_or(30)),
                });
                let called = container_name(pod);
                let message = format!("Stopping container {called}");
                cluster.event(pod, "kubelet", ("Normal", "Killing"), &message);
            }
        }
        None => {
            cluster.runs.remove(uid(pod));
            cluster.store.remove(kind, namespace(pod), name(pod));
        }
    }
}

fn container_name(pod: &Value) -> String {
    pod["spec"]["containers"][0]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Gives a pod to the node, once its claims are there.
fn schedule(cluster: &mut Cluster, pod: &Value) -> bool {
    let (Some(kind), Some(claims)) = (
        resource::by_id("pods"),
        resource::by_id("persistentvolumeclaims"),
    ) else {
        return false;
    };
    let volumes = pod["spec"]["volumes"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for volume in volumes {
        let Some(claim) = volume["persistentVolumeClaim"]["claimName"].as_str() else {
            continue;
        };
        let found = cluster.store.get(claims, namespace(pod), claim);
        let message = match found {
            None => format!(
                "0/1 nodes are available: persistentvolumeclaim \"{claim}\" not found. \
                 preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
            ),
            Some(found) if found["status"]["phase"] != "Bound" => {
                "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
                    .to_owned()
            }
            Some(_) => continue,
        };
        let condition = json!([{
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastTransitionTime": pod["metadata"]["creationTimestamp"],
        }]);
        if pod["status"]["conditions"] != condition {
            cluster.event(
                pod,
                "default-scheduler",
                ("Warning", "FailedScheduling"),
                &message,
            );
            let mut status = pod["status"].clone();
            status["conditions"] = condition;
            cluster.set_status(kind, pod, status);
        }
        return false;
    }
    let mut bound = pod.clone();
    bound["spec"]["nodeName"] = json!(NODE);
    cluster.store.put(kind, bound);
    let message = format!(
        "Successfully assigned {}/{} to {NODE}",
        namespace(pod),
        name(pod)
    );
    cluster.event(pod, "default-scheduler", ("Normal", "Scheduled"), &message);
    true
}

/// Starts what is to be started and shows in the pod's status how it is.
fn look_after(cluster: &mut Cluster, pod: &Value) {
    let Some(kind) = resource::by_id("pods") else {
        return;
    };
    let now = cluster.now;
    let reference = pod["spec"]["containers"][0]["image"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let image = if reference == MYSQL_IMAGE {
        Some(Image::Simulated {
            startup: Duration::ZERO,
        })
    } else {
        cluster.image(&reference).cloned()
    };
    let Some(stage) = cluster.runs.get(uid(pod)).map(|run| run.stage.clone()) else {
        return;
    };
    match (&stage, &image) {
        (Stage::Running, Some(Image::Simulated { startup })) => {
            let startup = i64::try_from(startup.as_millis()).unwrap_or(i64::MAX);
            if let Some(run) = cluster.runs.get_mut(uid(pod))
                && !run.real
            {
                run.ready = now >= run.started.saturating_add(startup);
            }
        }
        (Stage::Running, _) => {}
        (Stage::BackOff(until), _) if now < *until => {}
        (_, None | Some(Image::Missing)) => not_pulled(cluster, pod, &reference),
        (_, Some(image)) => start(cluster, pod, &reference, image),
    }
    let Some(run) = cluster.runs.get(uid(pod)) else {
        return;
    };
    let status = status(pod, run, &reference, now);
    cluster.set_status(kind, pod, status);
}

fn not_pulled(cluster: &mut Cluster, pod: &Value, reference: &str) {
    let since = millis(&pod["metadata"]["creationTimestamp"]).unwrap_or_default();
    let later = cluster.now >= since.saturating_add(10_000);
    let Some(run) = cluster.runs.get_mut(uid(pod)) else {
        return;
    };
    let (reason, message) = if later {
        (
            "ImagePullBackOff",
            format!("Back-off pulling image \"{reference}\""),
        )
    } else {
        (
            "ErrImagePull",
            format!(
                "failed to pull and unpack image \"{reference}\": failed to resolve reference \
                 \"{reference}\": {reference}: not found"
            ),
        )
    };
    let stage = Stage::Waiting(reason, message.clone());
    if run.stage == stage {
        return;
    }
    run.stage = stage;
    let (reason, message) = if later {
        ("BackOff", message)
    } else {
        let failed = format!("Failed to pull image \"{reference}\": {message}");
        cluster.event(pod, "kubelet", ("Warning", "Failed"), &failed);
        ("Failed", "Error: ErrImagePull".to_owned())
    };
    let severity = if later { "Normal" } else { "Warning" };
    cluster.event(pod, "kubelet", (severity, reason), &message);
}

fn start(cluster: &mut Cluster, pod: &Value, reference: &str, image: &Image) {
    let environment = match environment(cluster, pod) {
        Ok(environment) => environment,
        Err(message) => {
            let stage = Stage::Waiting("CreateContainerConfigError", message.clone());
            let Some(run) = cluster.runs.get_mut(uid(pod)) else {
                return;
            };
            if run.stage != stage {
                run.stage = stage;
                let message = format!("Error: {message}");
                cluster.event(pod, "kubelet", ("Warning", "Failed"), &message);
            }
            return;
        }
    };
    let now = cluster.now;
    let Some(run) = cluster.runs.get_mut(uid(pod)) else {
        return;
    };
    if run.has_started() {
        run.restarts += 1;
        let log = Log::new(cluster.settings.clock.clone());
        run.previous = Some(std::mem::replace(&mut run.log, log));
    }
    let first = run.restarts == 0;
    run.number += 1;
    run.started = now;
    run.stage = Stage::Running;
    run.ready = false;
    run.real = matches!(image, Image::Server(_));
    let number = run.number;
    match image {
        Image::Missing => {}
        Image::Simulated { startup } => run.ready = startup.is_zero(),
        Image::Crashes { code, log } => {
            for line in log.lines() {
                run.log.push(Output::Stdout, line);
            }
            run.ended(*code, now);
        }
        Image::Server(binary) => {
            let mut server = Server::new(binary).log(&run.log);
            let container = &pod["spec"]["containers"][0];
            let probe = container["readinessProbe"]["httpGet"]["path"].as_str();
            let volumes = volumes(cluster, pod);
            let mut environment = environment;
            if let Some(data) = place(cluster, pod, &volumes, &mut environment) {
                server = server.data(data);
            }
            let _ = cluster.orders.send(Order::Start {
                uid: uid(pod).to_owned(),
                number,
                launch: Box::new(Launch {
                    server: server.variables(environment),
                    probe: probe.map(str::to_owned),
                }),
            });
        }
    }
    let called = container_name(pod);
    if first {
        let message = format!("Pulling image \"{reference}\"");
        cluster.event(pod, "kubelet", ("Normal", "Pulling"), &message);
        let message = format!("Successfully pulled image \"{reference}\" in 1.2s");
        cluster.event(pod, "kubelet", ("Normal", "Pulled"), &message);
    }
    for (reason, what) in [("Created", "Created"), ("Started", "Started")] {
        let message = format!("{what} container {called}");
        cluster.event(pod, "kubelet", ("Normal", reason), &message);
    }
    if !first {
        let message = format!("Back-off restarting failed container {called}");
        cluster.event(pod, "kubelet", ("Warning", "BackOff"), &message);
    }
}

/// The pod's environment: `envFrom`, the services of its namespace, and `env`, with what
/// they refer to.
fn environment(cluster: &Cluster, pod: &Value) -> Result<Vec<(String, String)>, String> {
    let container = &pod["spec"]["containers"][0];
    let mut all: Vec<(String, String)> = Vec::new();
    let mut put = |name: &str, value: String| match all.iter_mut().find(|(known, _)| known == name)
    {
        Some((_, old)) => *old = value,
        None => all.push((name.to_owned(), value)),
    };
    for (name, value) in &cluster.settings.variables {
        put(name, value.clone());
    }
    put("HOSTNAME", name(pod).to_owned());
    put("KUBERNETES_SERVICE_HOST", "10.96.0.1".to_owned());
    put("KUBERNETES_SERVICE_PORT", "443".to_owned());
    put("KUBERNETES_PORT", "tcp://10.96.0.1:443".to_owned());
    if pod["spec"]["enableServiceLinks"] != false
        && let Some(services) = resource::by_id("services")
    {
        for service in cluster.store.list(services, namespace(pod)) {
            let prefix = name(&service).to_uppercase().replace('-', "_");
            let host = service["spec"]["clusterIP"].as_str().unwrap_or_default();
            let port = &service["spec"]["ports"][0]["port"];
            if host != "None" {
                put(&format!("{prefix}_SERVICE_HOST"), host.to_owned());
                put(&format!("{prefix}_SERVICE_PORT"), port.to_string());
                put(&format!("{prefix}_PORT"), format!("tcp://{host}:{port}"));
            }
        }
    }
    for source in container["envFrom"].as_array().into_iter().flatten() {
        let prefix = source["prefix"].as_str().unwrap_or_default();
        for (field, id) in [("secretRef", "secrets"), ("configMapRef", "configmaps")] {
            let reference = &source[field];
            if reference.is_null() {
                continue;
            }
            for (key, value) in data(cluster, pod, id, reference)?.unwrap_or_default() {
                put(&format!("{prefix}{key}"), value);
            }
        }
    }
    let mut named: Vec<(String, String)> = Vec::new();
    for variable in container["env"].as_array().into_iter().flatten() {
        let called = variable["name"].as_str().unwrap_or_default();
        let from = &variable["valueFrom"];
        let mut value = None;
        for (field, id, kind) in [
            ("secretKeyRef", "secrets", "Secret"),
            ("configMapKeyRef", "configmaps", "ConfigMap"),
        ] {
            let reference = &from[field];
            if reference.is_null() {
                continue;
            }
            let Some(mut data) = data(cluster, pod, id, reference)? else {
                continue;
            };
            let key = reference["key"].as_str().unwrap_or_default();
            value = data.remove(key);
            if value.is_none() && reference["optional"] != true {
                let place = namespace(pod);
                let of = reference["name"].as_str().unwrap_or_default();
                return Err(format!("couldn't find key {key} in {kind} {place}/{of}"));
            }
        }
        if let Some(path) = from["fieldRef"]["fieldPath"].as_str() {
            let mut at = pod;
            for part in path.split('.') {
                at = &at[part];
            }
            value = at.as_str().map(str::to_owned);
        }
        if from.is_null() {
            let text = variable["value"].as_str().unwrap_or_default();
            value = Some(expand(text, &named));
        }
        if let Some(value) = value {
            named.push((called.to_owned(), value));
        }
    }
    for (called, value) in named {
        put(&called, value);
    }
    Ok(all)
}

/// `$(NAME)` of variables that came before; `$$` is a dollar.
fn expand(text: &str, known: &[(String, String)]) -> String {
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        made.push_str(before);
        let name = after
            .strip_prefix('(')
            .and_then(|after| after.split_once(')'));
        let value = name.and_then(|(name, rest)| {
            let (_, value) = known.iter().find(|(known, _)| known == name)?;
            Some((value, rest))
        });
        rest = match (value, after.strip_prefix('$')) {
            (Some((value, rest)), _) => {
                made.push_str(value);
                rest
            }
            (None, Some(rest)) => {
                made.push('$');
                rest
            }
            (None, None) => {
                made.push('$');
                after
            }
        };
    }
    made.push_str(rest);
    made
}

/// What a Secret or ConfigMap holds; `None` when it is missing and may be.
fn data(
    cluster: &Cluster,
    pod: &Value,
    id: &str,
    reference: &Value,
) -> Result<Option<BTreeMap<String, String>>, String> {
    let called = reference["name"].as_str().unwrap_or_default();
    let found = resource::by_id(id)
        .and_then(|kind| cluster.store.get(kind, namespace(pod), called))
        .cloned();
    let Some(object) = found else {
        if reference["optional"] == true {
            return Ok(None);
        }
        return Err(format!(
            "{} \"{called}\" not found",
            id.trim_end_matches('s')
        ));
    };
    let mut all = BTreeMap::new();
    for (key, value) in object["data"].as_object().into_iter().flatten() {
        let text = value.as_str().unwrap_or_default();
        let text = if id == "secrets" {
            let bytes = BASE64_STANDARD.decode(text).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        } else {
            text.to_owned()
        };
        all.insert(key.clone(), text);
    }
    Ok(Some(all))
}

/// Replaces what is only within the cluster by what stands for it on this machine: the
/// paths of volumes by folders, and the database's name and port by the real ones. Gives
/// the folder for the server's data when that is on a volume.
fn place(
    cluster: &Cluster,
    pod: &Value,
    volumes: &[(String, PathBuf)],
    environment: &mut [(String, String)],
) -> Option<PathBuf> {
    let moved = |value: &str| {
        volumes.iter().find_map(|(mount, folder)| {
            value
                .strip_prefix(mount.as_str())
                .filter(|rest| rest.is_empty() || rest.starts_with('/'))
                .map(|rest| format!("{}{rest}", folder.display()))
        })
    };
    let data = environment
        .iter()
        .find(|(name, _)| name == "DATA_DIR")
        .map_or(IMAGE_DATA, |(_, value)| value);
    let data = moved(data).map(PathBuf::from);
    for (_, value) in environment.iter_mut() {
        if let Some(moved) = moved(value) {
            *value = moved;
        }
    }
    let place = namespace(pod);
    let Some(address) = cluster.mysql.get(place).and_then(|mysql| mysql.address) else {
        return data;
    };
    let is_host = |value: &str| {
        let host = value.trim_end_matches(".cluster.local");
        host.ends_with(&format!("-mysql.{place}.svc"))
    };
    if environment.iter().any(|(_, value)| is_host(value)) {
        for (_, value) in environment.iter_mut() {
            if is_host(value) {
                *value = address.ip().to_string();
            } else if value == "3306" {
                *value = address.port().to_string();
            }
        }
    }
    data
}

/// Where the first container mounts what, and the folder that is it.
fn volumes(cluster: &Cluster, pod: &Value) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mounts = pod["spec"]["containers"][0]["volumeMounts"].as_array();
    for mount in mounts.into_iter().flatten() {
        let volume = pod["spec"]["volumes"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|volume| volume["name"] == mount["name"]);
        let (Some(volume), Some(path)) = (volume, mount["mountPath"].as_str()) else {
            continue;
        };
        let claim = volume["persistentVolumeClaim"]["claimName"].as_str();
        let owner = match claim {
            Some(claim) => resource::by_id("persistentvolumeclaims")
                .and_then(|kind| cluster.store.get(kind, namespace(pod), claim))
                .map(|claim| uid(claim).to_owned()),
            None => Some(format!("{}-{}", uid(pod), name_of(volume))),
        };
        let Some(owner) = owner else { continue };
        let folder = cluster.settings.volumes.join(owner);
        if std::fs::create_dir_all(&folder).is_err() {
            continue;
        }
        for (field, id, called) in [
            ("secret", "secrets", "secretName"),
            ("configMap", "configmaps", "name"),
        ] {
            let source = &volume[field];
            let reference = json!({"name": source[called], "optional": true});
            if !source.is_null()
                && let Ok(Some(files)) = data(cluster, pod, id, &reference)
            {
                for (file, text) in files {
                    let _ = std::fs::write(folder.join(file), text);
                }
            }
        }
        found.push((path.trim_end_matches('/').to_owned(), folder));
    }
    found
}

fn name_of(volume: &Value) -> &str {
    volume["name"].as_str().unwrap_or_default()
}

/// The status as a kubelet writes it.
fn status(pod: &Value, run: &Run, reference: &str, now: i64) -> Value {
    let created = &pod["metadata"]["creationTimestamp"];
    let terminated = |exit: &Exit| {
        json!({"terminated": {
            "exitCode": exit.code,
            "reason": if exit.code == 0 { "Completed" } else { "Error" },
            "startedAt": time(exit.started),
            "finishedAt": time(exit.finished),
        }})
    };
    let (state, phase) = match &run.stage {
        Stage::Waiting(reason, message) => {
            let mut waiting = json!({"reason": reason});
            if !message.is_empty() {
                waiting["message"] = json!(message);
            }
            (json!({"waiting": waiting}), "Pending")
        }
        Stage::Running => (
            json!({"running": {"startedAt": time(run.started)}}),
            "Running",
        ),
        Stage::BackOff(_) => (
            json!({"waiting": {
                "reason": "CrashLoopBackOff",
                "message": format!(
                    "back-off 10s restarting failed container={} pod={}_{}({})",
                    container_name(pod), name(pod), namespace(pod), uid(pod)
                ),
            }}),
            "Running",
        ),
    };
    let running = run.stage == Stage::Running;
    let digest = match reference.split_once('@') {
        Some((_, digest)) => digest.to_owned(),
        None => {
            let part = |salt: u32| hash(&format!("{salt} {reference}"));
            let digits: String = (0..4).map(|salt| format!("{:016x}", part(salt))).collect();
            format!("sha256:{digits}")
        }
    };
    let bare = reference.split('@').next().unwrap_or(reference);
    let mut container = json!({
        "name": container_name(pod),
        "image": reference,
        "imageID": if run.has_started() { format!("{bare}@{digest}") } else { String::new() },
        "lastState": run.last.as_ref().map_or_else(|| json!({}), terminated),
        "ready": run.ready,
        "restartCount": run.restarts,
        "started": running,
        "state": state,
    });
    if run.has_started() {
        container["containerID"] = json!(format!("containerd://{}-{}", uid(pod), run.number));
    }
    let conditions: Vec<Value> = [
        ("PodReadyToStartContainers", run.has_started(), ""),
        ("Initialized", true, ""),
        ("Ready", run.ready, "ContainersNotReady"),
        ("ContainersReady", run.ready, "ContainersNotReady"),
        ("PodScheduled", true, ""),
    ]
    .into_iter()
    .map(|(which, holds, reason)| {
        let status = if holds { "True" } else { "False" };
        let before = pod["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == which && condition["status"] == status);
        let since = before.map_or_else(
            || json!(time(now)),
            |before| before["lastTransitionTime"].clone(),
        );
        let mut condition = json!({
            "type": which,
            "status": status,
            "lastProbeTime": null,
            "lastTransitionTime": since,
        });
        if !holds && !reason.is_empty() {
            condition["reason"] = json!(reason);
            condition["message"] = json!(format!(
                "containers with unready status: [{}]",
                container_name(pod)
            ));
        }
        condition
    })
    .collect();
    let mut status = Map::new();
    status.insert("phase".to_owned(), json!(phase));
    status.insert("qosClass".to_owned(), json!("Burstable"));
    status.insert("conditions".to_owned(), json!(conditions));
    status.insert("hostIP".to_owned(), json!("192.0.2.10"));
    status.insert("podIP".to_owned(), json!(run.address_in_cluster));
    status.insert("podIPs".to_owned(), json!([{"ip": run.address_in_cluster}]));
    status.insert("startTime".to_owned(), created.clone());
    status.insert("containerStatuses".to_owned(), json!([container]));
    Value::Object(status)
}

/// The pods that a Service sends to, those that are ready only.
pub(super) fn ready_pods(cluster: &Cluster, service: &Value) -> Vec<Arc<Value>> {
    let Some(kind) = resource::by_id("pods") else {
        return Vec::new();
    };
    let mut pods = cluster.store.list(kind, namespace(service));
    pods.retain(|pod| {
        super::selector::selects(&service["spec"]["selector"], &pod["metadata"]["labels"])
            && !is_deleting(pod)
            && cluster.runs.get(uid(pod)).is_some_and(|run| run.ready)
    });
    pods
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_refer_to_earlier_ones_and_dollars_are_doubled() {
        let known = [("A".to_owned(), "1".to_owned())];
        for (text, expected) in [
            ("$(A)-$(B)", "1-$(B)"),
            ("$$(A)", "$(A)"),
            ("$5 and $$5", "$5 and $5"),
            ("$", "$"),
        ] {
            assert_eq!(expand(text, &known), expected, "{text}");
        }
    }
}
