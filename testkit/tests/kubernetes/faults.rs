//! What goes wrong when it is told to.

use std::time::Duration;

use futures_util::FutureExt as _;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use testkit::kubernetes::{Fault, Rule};

use crate::{PLACE, deployments, refusal, secret, secrets, started};

/// A client for plain HTTP.
pub fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[tokio::test]
async fn the_server_can_have_enough() {
    let (cloud, _clock, client) = started().await;
    cloud.fault_next(Fault::TooManyRequests { retry_after: 7 });
    let path = format!("/api/v1/namespaces/{PLACE}/secrets");
    let request = http::Request::get(path)
        .body(kube::client::Body::empty())
        .unwrap();
    let answer = client.send(request).await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "7");
    secrets(&client).list(&ListParams::default()).await.unwrap();
}

#[tokio::test]
async fn faults_meet_the_requests_that_are_meant() {
    let (cloud, _clock, client) = started().await;
    cloud.fault(
        Rule::new(Fault::Status(500))
            .verb("patch")
            .resource("secrets")
            .times(1),
    );
    cloud.fault(Rule::new(Fault::Status(503)).name("other"));
    cloud.fault(Rule::new(Fault::Conflict).verb("patch").times(1));
    let api = secrets(&client);
    let params = PatchParams::apply("ourapp");
    let patch = Patch::Apply(secret("t"));
    let refused = refusal(api.patch("gbx-env", &params, &patch).await.unwrap_err());
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (500, "InternalError")
    );
    let refused = refusal(api.patch("gbx-env", &params, &patch).await.unwrap_err());
    assert_eq!(refused.code, 409);
    assert!(
        refused.message.contains("the object has been modified"),
        "{}",
        refused.message
    );
    api.patch("gbx-env", &params, &patch).await.unwrap();
    for _ in 0..2 {
        let refused = refusal(api.get("other").await.unwrap_err());
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (503, "ServiceUnavailable")
        );
    }
    cloud.clear_faults();
    assert_eq!(refusal(api.get("other").await.unwrap_err()).code, 404);
}

#[tokio::test]
async fn an_answer_can_be_lost_before_and_after_the_deed() {
    let (cloud, _clock, client) = started().await;
    let api = secrets(&client);
    let made = serde_json::from_value(secret("t")).unwrap();
    let create = Rule::new(Fault::Close).verb("create");
    cloud.fault(create.times(1));
    assert!(api.create(&PostParams::default(), &made).await.is_err());
    assert!(api.get_opt("gbx-env").await.unwrap().is_none());
    cloud.fault(Rule::new(Fault::LoseAnswer).verb("create").times(1));
    assert!(api.create(&PostParams::default(), &made).await.is_err());
    assert!(api.get_opt("gbx-env").await.unwrap().is_some());
    let lost: Vec<_> = cloud
        .requests()
        .into_iter()
        .filter(|one| one.status.is_none())
        .collect();
    assert_eq!(lost.len(), 2);
}

#[tokio::test]
async fn the_server_can_be_slow_by_its_own_clock() {
    let (cloud, clock, client) = started().await;
    let seen = cloud.requests().len();
    cloud.fault_next(Fault::Slow(Duration::from_secs(30)));
    let api = deployments(&client);
    let params = ListParams::default();
    let mut slow = Box::pin(api.list(&params));
    assert!((&mut slow).now_or_never().is_none());
    let arrived = cloud.wait_for_requests(seen + 1);
    tokio::select! {
        _ = &mut slow => panic!("nobody moved the clock"),
        arrived = arrived => assert!(arrived),
    }
    // The request may have arrived and not yet lain down: the clock goes on until it wakes.
    let done = async {
        while (&mut slow).now_or_never().is_none() {
            clock.advance(Duration::from_secs(30));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(testkit::kubernetes::PATIENCE, done)
        .await
        .unwrap();
}
