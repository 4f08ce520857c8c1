//! From the making of an app to its end.

use std::sync::Arc;

use contract::deploy::{Cost, DeployProgress, UsageKind};
use deployer::provider::{
    Data, Desired, MARK, Power, Provider as _, ProviderError, ProviderState, Value,
};
use serde_json::json;
use testkit::cloud::{Fault, FaultRule, Launch};
use testkit::launch::{LaunchError, Output};

use super::{Cloud, NOW, PASSWORD, desired, image, named, value};

#[tokio::test]
async fn a_service_lives_as_it_is_told() {
    let cloud = Cloud::new().await;
    let (koyeb, wish) = (&cloud.koyeb, desired("gemini"));
    assert!(koyeb.observe(&named("gemini")).await.unwrap().is_none());

    // made
    let made = koyeb.create(&wish).await.unwrap();
    assert_eq!(made.state, ProviderState::Starting);
    let (id, first) = (made.id.clone(), made.deploy.clone().unwrap());
    let queued = koyeb.progress(&id, &first).await.unwrap();
    assert!(
        matches!(queued, DeployProgress::UnderWay { .. }),
        "{queued:?}"
    );
    cloud.wait();
    let live = koyeb.progress(&id, &first).await.unwrap();
    assert_eq!(live, DeployProgress::Live);
    let there = koyeb.observe(&named("gemini")).await.unwrap().unwrap();
    assert!(there.is_ours);
    assert_eq!(there.state, ProviderState::Running);
    assert_eq!(there.deploy.as_deref(), Some(first.as_str()));
    assert_eq!(there.image.as_deref(), Some(image("1").as_str()));
    assert_eq!(there.region.as_deref(), Some("was"));
    assert_eq!(there.plan.as_deref(), Some("free"));
    assert_eq!(value(&there, "AUTH_TOKEN"), Some(PASSWORD));
    assert_eq!(there.url, made.url);
    let url = there.url.unwrap();
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 200);
    let console = there.console_url.unwrap();
    assert_eq!(console, format!("https://app.koyeb.com/services/{id}"));
    let shown = format!("{made:?} {koyeb:?}");
    assert!(!shown.contains(PASSWORD) && !shown.contains(testkit::koyeb::KEY));

    // changed and deployed, which only the deploy does
    let mut next = Desired {
        image: image("2"),
        ..wish.clone()
    };
    let more = Value::Plain("7".to_owned());
    next.variables.insert("MAX_RETRIES".to_owned(), more);
    next.variables.remove("AUTH_TOKEN");
    koyeb.set_variables(&id, &next).await.unwrap();
    let there = cloud.look(&id).await.unwrap();
    assert_eq!(there.deploy.as_deref(), Some(first.as_str()));
    let second = koyeb.deploy(&id, &next).await.unwrap();
    let there = cloud.look(&id).await.unwrap();
    assert_eq!(there.state, ProviderState::Running, "the old one still is");
    assert_eq!(there.deploy.as_deref(), Some(second.as_str()));
    cloud.wait();
    let there = cloud.look(&id).await.unwrap();
    assert_eq!(there.image.as_deref(), Some(image("2").as_str()));
    assert_eq!(value(&there, "MAX_RETRIES"), Some("7"));
    assert_eq!(value(&there, "AUTH_TOKEN"), None);
    let launches = cloud.fake.launches();
    let last = launches.last().unwrap();
    assert_eq!(last.environment.get("MAX_RETRIES").unwrap(), "7");
    assert!(!last.environment.contains_key("AUTH_TOKEN"));

    // rolled back
    let before = koyeb.deploys(&id).await.unwrap();
    let known: Vec<_> = before
        .iter()
        .map(|one| (&*one.id, one.can_roll_back))
        .collect();
    assert_eq!(known, [(&*second, false), (&*first, true)]);
    assert_eq!(before[1].image.as_deref(), Some(image("1").as_str()));
    assert!(before[1].at.unwrap() >= NOW);
    let third = koyeb.roll_back(&id, &first).await.unwrap();
    cloud.wait();
    let there = cloud.look(&id).await.unwrap();
    assert_eq!(there.deploy.as_deref(), Some(third.as_str()));
    assert_eq!(there.image.as_deref(), Some(image("1").as_str()));
    assert_eq!(value(&there, "AUTH_TOKEN"), Some(PASSWORD));

    // stopped, started, restarted
    koyeb.power(&id, Power::Suspend).await.unwrap();
    koyeb.power(&id, Power::Suspend).await.unwrap();
    let pauses = cloud.fake.calls();
    let pauses = pauses.iter().filter(|seen| seen.call.ends_with("/pause"));
    assert_eq!(pauses.count(), 1);
    let there = cloud.look(&id).await.unwrap();
    assert_eq!(there.state, ProviderState::Suspended);
    koyeb.power(&id, Power::Resume).await.unwrap();
    let there = cloud.look(&id).await.unwrap();
    assert_eq!(there.state, ProviderState::Starting);
    cloud.wait();
    let there = cloud.look(&id).await.unwrap();
    assert_eq!(there.state, ProviderState::Running);
    let launched = cloud.fake.launches().len();
    koyeb.power(&id, Power::Restart).await.unwrap();
    cloud.wait();
    let there = cloud.look(&id).await.unwrap();
    assert_eq!(there.image.as_deref(), Some(image("1").as_str()));
    assert_eq!(cloud.fake.launches().len(), launched + 1);

    // watched
    let events = koyeb.events(&id).await.unwrap();
    assert!(events.is_sorted_by(|a, b| a.at >= b.at));
    for text in ["created", "is healthy", "stopped"] {
        let mut events = events.iter();
        assert!(events.any(|event| event.text.contains(text)), "{text}");
    }
    assert!(events.iter().all(|event| !event.is_problem), "{events:?}");

    // gone, with the app that was made for it
    koyeb.delete(&id).await.unwrap();
    koyeb.delete(&id).await.unwrap();
    assert!(cloud.look(&id).await.is_none());
    assert!(koyeb.observe(&named("gemini")).await.unwrap().is_none());
    let gone = koyeb.deploy(&id, &wish).await.unwrap_err();
    assert!(matches!(gone, ProviderError::NotFound(_)), "{gone:?}");
    koyeb.create(&wish).await.unwrap();
    assert_eq!(cloud.done("POST /v1/apps"), 2, "the first went as well");
}

#[tokio::test]
async fn the_service_is_made_as_koyeb_wants_it() {
    let cloud = Cloud::new().await;
    cloud.koyeb.create(&desired("gemini")).await.unwrap();
    let calls = cloud.fake.calls();
    let made = calls.iter().find(|seen| seen.call == "POST /v1/services");
    let mut definition = made.unwrap().body["definition"].clone();
    let variables = definition.as_object_mut().unwrap().remove("env").unwrap();
    assert_eq!(
        definition,
        json!({
            "name": "gemini",
            "type": "WEB",
            "regions": ["was"],
            "instance_types": [{ "type": "free" }],
            "scalings": [{ "min": 0, "max": 1 }],
            "ports": [{ "port": 8000, "protocol": "http" }],
            "routes": [{ "path": "/", "port": 8000 }],
            "health_checks": [{ "http": { "port": 8000, "path": "/health" } }],
            "docker": { "image": image("1") },
        })
    );
    assert_eq!(variables.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn nothing_is_made_twice_and_nothing_left_behind() {
    for lost in ["POST /v1/apps", "POST /v1/services"] {
        let cloud = Cloud::new().await;
        let cut = FaultRule::new(Fault::CutAfter).on(lost);
        cloud.fake.fault(cut.times(1));
        let error = cloud.koyeb.create(&desired("gemini")).await.unwrap_err();
        assert!(error.may_pass(), "{lost}: {error:?}");
        let made = cloud.koyeb.create(&desired("gemini")).await.unwrap();
        assert!(made.is_ours && made.deploy.is_some());
        for call in ["POST /v1/apps", "POST /v1/services"] {
            assert_eq!(cloud.done(call), 1, "{lost}: {call}");
        }
    }
    // the one free instance is in use, so nothing can be made of the app
    let cloud = Cloud::new().await;
    cloud.koyeb.create(&desired("gemini")).await.unwrap();
    let refused = cloud.koyeb.create(&desired("second")).await.unwrap_err();
    assert!(
        matches!(&refused, ProviderError::QuotaExceeded(why) if why.contains("free instance")),
        "{refused:?}"
    );
    let calls = cloud.fake.calls();
    let last = calls.last().unwrap();
    assert!(last.call.starts_with("DELETE /v1/apps/") && last.status == 200);
}

#[tokio::test]
async fn a_name_is_looked_up_exactly_and_not_taken_from_others() {
    let cloud = Cloud::new().await;
    let koyeb = &cloud.koyeb;
    let mut foreign = desired("gemini");
    foreign.variables.remove(MARK);
    let there = koyeb.create(&foreign).await.unwrap();
    assert!(!there.is_ours);
    let taken = koyeb.create(&desired("gemini")).await.unwrap_err();
    assert!(matches!(&taken, ProviderError::Conflict(why) if why.contains("gemini")));
    assert!(koyeb.observe(&named("gemin")).await.unwrap().is_none());
    // an id that is gone is looked up by its name
    let mut gone = named("gemini");
    gone.id = Some("gone".to_owned());
    let found = koyeb.observe(&gone).await.unwrap();
    assert_eq!(found.unwrap().id, there.id);
    for name in ["gb", "a-name-of-24-characters-"] {
        let refused = koyeb.create(&desired(name)).await.unwrap_err();
        assert!(refused.to_string().contains("3 to 23"), "{refused}");
    }
}

#[tokio::test]
async fn what_the_user_set_in_the_console_stays() {
    let cloud = Cloud::new().await;
    let wish = desired("gemini");
    let id = cloud.koyeb.create(&wish).await.unwrap().id;
    cloud.wait();
    let by_hand = json!({
        "definition": {
            "name": "web", "type": "WEB", "regions": ["was"],
            "instance_types": [{ "type": "free" }], "scalings": [{ "min": 0, "max": 1 }],
            "ports": [{ "port": 8000, "protocol": "http" }],
            "routes": [{ "path": "/balance", "port": 8000 }],
            "env": [{ "key": "LATER", "value": "x" }, { "key": "HIDDEN", "secret": "mine" }],
            "docker": { "image": "nginx", "command": "run" },
        }
    });
    let url = format!("{}/v1/services/{id}", cloud.fake.base_url());
    let sent = reqwest::Client::new().put(url).body(by_hand.to_string());
    let sent = sent.bearer_auth(testkit::koyeb::KEY).send().await.unwrap();
    assert_eq!(sent.status(), 200);
    cloud.wait();
    let there = cloud.look(&id).await.unwrap();
    assert!(!there.is_ours);
    assert_eq!(there.variables.get("HIDDEN"), Some(&None));
    let image = there.image.unwrap();
    assert_eq!(image, "docker.io/library/nginx:latest");

    cloud.koyeb.deploy(&id, &wish).await.unwrap();
    let calls = cloud.fake.calls();
    let sent = calls.iter().rfind(|seen| seen.call.starts_with("PUT "));
    let definition = &sent.unwrap().body["definition"];
    assert_eq!(definition["name"], "web");
    assert_eq!(definition["routes"][0]["path"], "/balance");
    assert_eq!(definition["docker"]["command"], "run");
    assert_eq!(definition["docker"]["image"], *super::image("1"));
    let there = cloud.look(&id).await.unwrap();
    assert_eq!(value(&there, "LATER"), None);
    assert!(there.is_ours);
}

#[tokio::test]
async fn plans_and_regions_change_with_a_deploy() {
    let cloud = Cloud::new().await;
    let mut wish = desired("gemini");
    let id = cloud.koyeb.create(&wish).await.unwrap().id;
    cloud.wait();
    wish.plan = Some("micro".to_owned());
    wish.region = Some("sin".to_owned());
    cloud.koyeb.change(&id, &wish).await.unwrap();
    let there = cloud.look(&id).await.unwrap();
    assert_eq!(there.plan.as_deref(), Some("free"), "it was only checked");
    cloud.koyeb.deploy(&id, &wish).await.unwrap();
    cloud.wait();
    let there = cloud.look(&id).await.unwrap();
    assert_eq!(there.plan.as_deref(), Some("micro"));
    assert_eq!(there.region.as_deref(), Some("sin"));
    let calls = cloud.fake.calls();
    let sent = calls.iter().rfind(|seen| seen.call.starts_with("PUT "));
    let scalings = &sent.unwrap().body["definition"]["scalings"];
    assert_eq!(scalings, &json!([{ "min": 1, "max": 1 }]), "it is awake");
    assert_eq!(cloud.koyeb.cost(&wish), Cost::About { cents: 536 });
    wish.plan = None;
    assert_eq!(cloud.koyeb.cost(&wish), Cost::Free);
    wish.plan = Some("5xlarge".to_owned());
    assert_eq!(cloud.koyeb.cost(&wish), Cost::Unknown);
    wish.data = Data::Volume { gib: 1 };
    let refused = cloud.koyeb.change(&id, &wish).await.unwrap_err();
    assert!(refused.to_string().contains("MySQL"), "{refused}");
    wish.data = Data::InCluster { gib: 1 };
    for refused in [
        cloud.koyeb.create_database(&wish).await.map(drop),
        cloud.koyeb.create(&wish).await.map(drop),
    ] {
        assert!(refused.unwrap_err().to_string().contains("no MySQL"));
    }
}

#[tokio::test]
async fn a_container_that_ends_is_told_with_its_reason() {
    let refuses = |_: Launch| async { Err(LaunchError::Ended(None, "MYSQL_HOST?".into())) };
    let cloud =
        Cloud::with(|builder| builder.on_live(Arc::new(move |launch| Box::pin(refuses(launch)))))
            .await;
    let made = cloud.koyeb.create(&desired("gemini")).await.unwrap();
    cloud.wait();
    let deploy = made.deploy.unwrap();
    let failed = cloud.koyeb.progress(&made.id, &deploy).await.unwrap();
    let DeployProgress::Failed { detail } = failed else {
        panic!("{failed:?}");
    };
    assert!(detail.contains("MYSQL_HOST?"), "{detail}");
    let there = cloud.look(&made.id).await.unwrap();
    assert_eq!(there.state, ProviderState::Failing(detail));
    assert_eq!(there.deploy, None);
    let refused = cloud.koyeb.power(&made.id, Power::Restart).await;
    assert!(matches!(refused, Err(ProviderError::Refused(_))));
}

#[tokio::test]
async fn a_deploy_that_fails_leaves_the_one_before_in_use() {
    let first = "ghcr.io/owner/gemini-balance:latest";
    let known = testkit::cloud::images([first]);
    let cloud = Cloud::with(|builder| builder.images(known)).await;
    let mut wish = desired("gemini");
    wish.image = first.to_owned();
    let made = cloud.koyeb.create(&wish).await.unwrap();
    cloud.wait();
    wish.image = image("2");
    let second = cloud.koyeb.deploy(&made.id, &wish).await.unwrap();
    cloud.wait();
    let failed = cloud.koyeb.progress(&made.id, &second).await.unwrap();
    assert!(
        matches!(&failed, DeployProgress::Failed { detail } if detail.contains("manifest unknown")),
        "{failed:?}"
    );
    let there = cloud.look(&made.id).await.unwrap();
    assert_eq!(there.state, ProviderState::Running);
    assert_eq!(there.deploy, made.deploy);
    assert_eq!(there.image.as_deref(), Some(first));
    let events = cloud.koyeb.events(&made.id).await.unwrap();
    assert!(events.iter().any(|event| event.is_problem), "{events:?}");
}

#[tokio::test]
async fn a_log_goes_on_where_it_was_left() {
    const LINES: usize = 50;
    let says_and_ends = |launch: Launch| async move {
        for i in 0..LINES {
            launch.log.push(Output::Stderr, format!("line {i}"));
        }
        Err(LaunchError::Ended(None, String::new()))
    };
    let cloud = Cloud::with(|builder| {
        builder.on_live(Arc::new(move |launch| Box::pin(says_and_ends(launch))))
    })
    .await;
    let wish = desired("gemini");
    let id = cloud.koyeb.create(&wish).await.unwrap().id;
    let none = cloud.koyeb.logs(&id, None).await.unwrap();
    assert_eq!((none.lines.len(), none.cursor), (0, None));
    cloud.wait();
    let page = cloud.koyeb.logs(&id, None).await.unwrap();
    let texts: Vec<&str> = page.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(
        (texts.len(), texts[0], texts[49]),
        (LINES, "line 0", "line 49")
    );
    let cursor = page.cursor.unwrap();
    let later = cloud.koyeb.logs(&id, Some(&cursor)).await.unwrap();
    assert_eq!((later.lines.len(), later.cursor), (0, Some(cursor.clone())));

    // more than a page later
    let mut deploys = 0;
    while deploys < 24 {
        cloud.koyeb.deploy(&id, &wish).await.unwrap();
        cloud.wait();
        cloud.look(&id).await.unwrap();
        deploys += 1;
    }
    let later = cloud.koyeb.logs(&id, Some(&cursor)).await.unwrap();
    assert_eq!(later.lines.len(), deploys * LINES);
    assert!(later.lines.is_sorted_by(|a, b| a.at <= b.at));
    let cursor = later.cursor.unwrap();
    let end = cloud.koyeb.logs(&id, Some(&cursor)).await.unwrap();
    assert!(end.lines.is_empty());
}

#[tokio::test]
async fn what_a_service_uses_is_told_in_common_units() {
    let cloud = Cloud::new().await;
    let id = cloud.koyeb.create(&desired("gemini")).await.unwrap().id;
    cloud.wait();
    cloud.look(&id).await.unwrap();
    let usage = cloud.koyeb.usage(&id).await.unwrap();
    let last = |kind: UsageKind| {
        let series = usage.series.iter().find(|series| series.kind == kind);
        series
            .and_then(|series| series.points.last())
            .map(|(_, value)| *value)
    };
    assert_eq!(last(UsageKind::Memory), Some(42_000));
    assert_eq!(last(UsageKind::Cpu), Some(10));
}
