//! The processes of pods: started, probed, and ended.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::World;
use super::edge;
use super::kubelet::{Launch, Order, Run};

/// How often a process is asked whether it is ready, on the machine's clock: while it is
/// not, and once it is.
const PROBE_UNTIL_READY: Duration = Duration::from_millis(50);
const PROBE_ONCE_READY: Duration = Duration::from_millis(500);
/// So many probes may fail before a pod that was ready is not.
const PROBES_MAY_FAIL: u32 = 3;
/// The exit code of a process that could not be started, or was killed.
const KILLED: i32 = 137;

/// Carries out the kubelet's orders until it is dropped, and ends all processes then.
pub(super) async fn work(mut orders: mpsc::UnboundedReceiver<Order>, world: Arc<World>) {
    let mut processes = JoinSet::new();
    let mut stops: HashMap<String, oneshot::Sender<Duration>> = HashMap::new();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Start { uid, number, launch }) => {
                    let (stop, stopped) = oneshot::channel();
                    stops.insert(uid.clone(), stop);
                    let pod = Pod { world: Arc::clone(&world), uid, number };
                    processes.spawn(process(pod, *launch, stopped));
                }
                Some(Order::Stop { uid, grace }) => {
                    if let Some(stop) = stops.remove(&uid) {
                        let _ = stop.send(grace);
                    }
                }
                None => return,
            },
            Some(_) = processes.join_next() => {}
        }
    }
}

/// A pod whose process this is.
struct Pod {
    world: Arc<World>,
    uid: String,
    number: u64,
}

impl Pod {
    /// Notes something about the pod, if it still has this process.
    fn note(&self, change: impl FnOnce(&mut Run, i64)) {
        let now = self.world.clock.now();
        {
            let mut inner = self.world.inner.lock();
            if let Some(run) = inner.cluster.runs.get_mut(&self.uid)
                && run.number == self.number
            {
                change(run, now);
            }
        }
        self.world.settle();
    }
}

async fn process(pod: Pod, launch: Launch, mut stop: oneshot::Receiver<Duration>) {
    let started = tokio::select! {
        started = launch.server.start() => started,
        // It is killed when its start is given up.
        _ = &mut stop => return pod.note(|run, now| run.ended(KILLED, now)),
    };
    let running = match started {
        Ok(running) => running,
        Err(error) => {
            let code = error.exit_code().unwrap_or(KILLED);
            return pod.note(|run, now| run.ended(code, now));
        }
    };
    let address = running.address();
    pod.note(|run, _| run.address = Some(address));
    let looking = look_after(&pod, address, launch.probe.as_deref());
    let status = tokio::select! {
        status = running.ended() => status,
        () = looking => None,
        grace = &mut stop => running.terminate(grace.unwrap_or_default()).await,
    };
    let code = status.and_then(|status| status.code()).unwrap_or(KILLED);
    pod.note(|run, now| run.ended(code, now));
}

/// Notes whether it is ready, for ever.
async fn look_after(pod: &Pod, address: SocketAddr, probe: Option<&str>) {
    let mut ready = false;
    let mut failed = 0;
    loop {
        let answers = match probe {
            Some(path) => is_ready(address, path).await,
            None => true,
        };
        failed = if answers { 0 } else { failed + 1 };
        let now = answers || (ready && failed < PROBES_MAY_FAIL);
        if now != ready {
            ready = now;
            pod.note(|run, _| run.ready = ready && run.is_running());
        }
        let pause = if ready {
            PROBE_ONCE_READY
        } else {
            PROBE_UNTIL_READY
        };
        tokio::time::sleep(pause).await;
    }
}

async fn is_ready(address: SocketAddr, path: &str) -> bool {
    let request = Request::get(path)
        .header(http::header::HOST, address.to_string())
        .header(http::header::USER_AGENT, "kube-probe/1.33")
        .body(Full::new(Bytes::new()));
    let Ok(request) = request else { return false };
    let asked = edge::ask(address, request);
    match tokio::time::timeout(Duration::from_secs(1), asked).await {
        Ok(Ok(answer)) => answer.status().as_u16() < 400 && answer.status().as_u16() >= 200,
        Ok(Err(_)) | Err(_) => false,
    }
}
