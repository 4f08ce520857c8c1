//! Watches.

use std::pin::pin;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::runtime::watcher::{self, watcher};
use serde_json::json;

use crate::{IMAGE, PLACE, deploy, deployments, started};

fn maps(client: &kube::Client) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), PLACE)
}

async fn make(api: &Api<ConfigMap>, name: &str, app: &str) {
    let map = serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"app": app}},
    }));
    api.create(&PostParams::default(), &map.unwrap())
        .await
        .unwrap();
}

async fn relabel(api: &Api<ConfigMap>, name: &str, app: &str) {
    let patch = Patch::Merge(json!({"metadata": {"labels": {"app": app}}}));
    api.patch(name, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

fn told(event: &WatchEvent<ConfigMap>) -> String {
    match event {
        WatchEvent::Added(object) => format!("ADDED {}", object.name_any()),
        WatchEvent::Modified(object) => format!("MODIFIED {}", object.name_any()),
        WatchEvent::Deleted(object) => format!("DELETED {}", object.name_any()),
        WatchEvent::Bookmark(_) => "BOOKMARK".to_owned(),
        WatchEvent::Error(status) => format!("ERROR {} {}", status.code, status.message),
    }
}

#[tokio::test]
async fn a_watch_tells_what_comes_into_a_selection_and_goes_out() {
    let (cloud, _clock, client) = started().await;
    let api = maps(&client);
    make(&api, "a", "x").await;
    let from = api
        .list(&ListParams::default())
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    let params = WatchParams::default().labels("app=x");
    let mut events = pin!(api.watch(&params, &from).await.unwrap());
    let mut next = async || told(&events.try_next().await.unwrap().unwrap());
    make(&api, "b", "x").await;
    make(&api, "c", "y").await;
    relabel(&api, "c", "x").await;
    relabel(&api, "b", "y").await;
    api.delete("a", &DeleteParams::default()).await.unwrap();
    assert_eq!(next().await, "ADDED b");
    assert_eq!(next().await, "ADDED c");
    assert_eq!(next().await, "DELETED b");
    assert_eq!(next().await, "DELETED a");
    cloud.bookmark();
    assert_eq!(next().await, "BOOKMARK");
    relabel(&api, "b", "x").await;
    assert_eq!(next().await, "ADDED b");
}

#[tokio::test]
async fn a_watch_from_nothing_begins_with_what_there_is_and_ends_in_time() {
    let (_cloud, clock, client) = started().await;
    let api = maps(&client);
    make(&api, "a", "x").await;
    let params = WatchParams::default().labels("app=x").timeout(30);
    let mut events = pin!(api.watch(&params, "0").await.unwrap());
    assert_eq!(told(&events.try_next().await.unwrap().unwrap()), "ADDED a");
    clock.advance(Duration::from_secs(30));
    assert_eq!(told(&events.try_next().await.unwrap().unwrap()), "BOOKMARK");
    assert!(events.try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn what_was_forgotten_is_gone() {
    let (cloud, _clock, client) = started().await;
    let api = maps(&client);
    make(&api, "a", "x").await;
    let from = api
        .list(&ListParams::default())
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    make(&api, "b", "x").await;
    cloud.compact();
    let mut events = pin!(api.watch(&WatchParams::default(), &from).await.unwrap());
    let event = told(&events.try_next().await.unwrap().unwrap());
    assert!(
        event.starts_with(&format!("ERROR 410 too old resource version: {from} (")),
        "{event}"
    );
}

#[tokio::test]
async fn kubes_own_watcher_survives_ends_and_forgetting() {
    for config in [
        watcher::Config::default(),
        watcher::Config::default().streaming_lists(),
    ] {
        let (cloud, _clock, client) = started().await;
        let api = maps(&client);
        make(&api, "a", "x").await;
        let mut events = pin!(watcher(api.clone(), config.labels("app=x")));
        let mut seen = Vec::new();
        while seen.last() != Some(&"ready".to_owned()) {
            match events.next().await.unwrap().unwrap() {
                watcher::Event::Init => seen.push("init".to_owned()),
                watcher::Event::InitApply(object) => seen.push(object.name_any()),
                watcher::Event::InitDone => seen.push("ready".to_owned()),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(seen, ["init", "a", "ready"]);
        cloud.end_watches();
        make(&api, "b", "x").await;
        let event = events.next().await.unwrap().unwrap();
        assert!(matches!(event, watcher::Event::Apply(object) if object.name_any() == "b"));
        api.delete("a", &DeleteParams::default()).await.unwrap();
        let event = events.next().await.unwrap().unwrap();
        assert!(matches!(event, watcher::Event::Delete(object) if object.name_any() == "a"));
    }
}

#[tokio::test]
async fn a_deployment_can_be_waited_for() {
    let (_cloud, _clock, client) = started().await;
    deploy(&client, IMAGE).await;
    let done = kube::runtime::wait::await_condition(
        deployments(&client),
        "gbx",
        |deployment: Option<&k8s_openapi::api::apps::v1::Deployment>| {
            deployment
                .and_then(|deployment| deployment.status.as_ref())
                .is_some_and(|status| status.available_replicas == Some(1))
        },
    );
    assert!(done.await.unwrap().is_some());
}
