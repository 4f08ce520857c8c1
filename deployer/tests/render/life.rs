//! From the making of a service to its end.

use std::sync::Arc;

use contract::deploy::{Cost, DeployProgress, UsageKind};
use deployer::provider::{
    Data, Desired, MARK, Power, Provider as _, ProviderError, ProviderState, Target, Value,
};
use testkit::cloud::{Fault, FaultRule, Launch};
use testkit::launch::LaunchError;
use testkit::render::OWNER;

use super::{Cloud, NOW, PASSWORD, desired, image, value};

#[tokio::test]
async fn a_service_lives_as_it_is_told() {
    let cloud = Cloud::new().await;
    let (render, wish) = (&cloud.render, desired("gb"));
    let target = Target {
        name: "gb".to_owned(),
        workspace: Some(OWNER.to_owned()),
        id: None,
    };
    assert!(render.observe(&target).await.unwrap().is_none());

    // made
    let made = render.create(&wish).await.unwrap();
    assert_eq!(made.state, ProviderState::Starting);
    let (id, first) = (made.id.clone(), made.deploy.clone().unwrap());
    let way = render.progress(&id, &first).await.unwrap();
    assert!(matches!(way, DeployProgress::UnderWay { .. }), "{way:?}");
    cloud.wait();
    let live = render.progress(&id, &first).await.unwrap();
    assert_eq!(live, DeployProgress::Live);
    let there = render.observe(&target).await.unwrap().unwrap();
    assert!(there.is_ours);
    assert_eq!(there.state, ProviderState::Running);
    assert_eq!(there.deploy.as_deref(), Some(first.as_str()));
    assert_eq!(there.image.as_deref(), Some(image("1").as_str()));
    assert_eq!(there.region.as_deref(), Some("singapore"));
    assert_eq!(there.plan.as_deref(), Some("free"));
    assert_eq!(there.data, Data::Elsewhere);
    assert_eq!(value(&there, "AUTH_TOKEN"), Some(PASSWORD));
    assert!(there.url.unwrap().starts_with("http"));
    let console = there.console_url.unwrap();
    assert!(console.starts_with("https://dashboard.render.com/"));
    let shown = format!("{made:?} {render:?}");
    assert!(!shown.contains(PASSWORD) && !shown.contains(testkit::render::KEY));

    // changed and deployed
    let mut next = Desired {
        image: image("2"),
        ..wish.clone()
    };
    let more = Value::Plain("7".to_owned());
    next.variables.insert("MAX_RETRIES".to_owned(), more);
    next.variables.remove("AUTH_TOKEN");
    render.set_variables(&id, &next).await.unwrap();
    let second = render.deploy(&id, &next).await.unwrap();
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
    let before = render.deploys(&id).await.unwrap();
    let known: Vec<_> = before
        .iter()
        .map(|one| (&*one.id, one.can_roll_back))
        .collect();
    assert_eq!(known, [(&*second, false), (&*first, true)]);
    assert_eq!(before[1].state, DeployProgress::Replaced);
    assert!(before[1].at.unwrap() >= NOW);
    let third = render.roll_back(&id, &first).await.unwrap();
    cloud.wait();
    let there = cloud.look(&id).await.unwrap();
    assert_eq!(there.deploy.as_deref(), Some(third.as_str()));
    assert_eq!(there.image.as_deref(), Some(image("1").as_str()));

    // stopped, started, restarted; the image is the one that was deployed last
    render.power(&id, Power::Suspend).await.unwrap();
    render.power(&id, Power::Suspend).await.unwrap();
    // deploy, roll back, and suspend once
    assert_eq!(cloud.done("POST /v1/services/"), 3);
    let there = cloud.look(&id).await.unwrap();
    assert_eq!(there.state, ProviderState::Suspended);
    render.power(&id, Power::Resume).await.unwrap();
    let there = cloud.look(&id).await.unwrap();
    assert_eq!(there.state, ProviderState::Starting);
    cloud.wait();
    let there = cloud.look(&id).await.unwrap();
    assert_eq!(there.state, ProviderState::Running);
    assert_eq!(there.image.as_deref(), Some(image("1").as_str()));
    render.power(&id, Power::Restart).await.unwrap();

    // watched
    let events = render.events(&id).await.unwrap();
    assert!(events.is_sorted_by(|a, b| a.at >= b.at));
    for text in ["is live", "Suspended by user", "was restarted", "began"] {
        assert!(
            events.iter().any(|event| event.text.contains(text)),
            "{text}"
        );
    }
    assert!(events.iter().all(|event| !event.is_problem), "{events:?}");

    // gone
    render.delete(&id).await.unwrap();
    render.delete(&id).await.unwrap();
    assert!(cloud.look(&id).await.is_none());
    assert!(render.observe(&target).await.unwrap().is_none());
    let gone = render.deploy(&id, &wish).await.unwrap_err();
    assert!(matches!(gone, ProviderError::NotFound(_)), "{gone:?}");
}

#[tokio::test]
async fn the_service_is_made_as_render_wants_it() {
    let cloud = Cloud::new().await;
    cloud.render.create(&desired("gb")).await.unwrap();
    let calls = cloud.fake.calls();
    let made = calls.iter().find(|seen| seen.call == "POST /v1/services");
    let body = &made.unwrap().body;
    let details = &body["serviceDetails"];
    assert_eq!(body["autoDeploy"], "no");
    assert_eq!(body["image"]["imagePath"], *image("1"));
    assert_eq!(details["runtime"], "image");
    assert_eq!(details["plan"], "free");
    assert_eq!(details["region"], "singapore");
    assert_eq!(details["healthCheckPath"], "/health");
    assert_eq!(details["numInstances"], 1);
    assert!(details.get("disk").is_none());
    assert_eq!(body["envVars"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn nothing_is_made_twice_when_the_answer_is_lost() {
    let cloud = Cloud::new().await;
    let cut = FaultRule::new(Fault::CutAfter).on("POST /v1/services");
    cloud.fake.fault(cut.times(1));
    let lost = cloud.render.create(&desired("gb")).await.unwrap_err();
    assert!(lost.may_pass(), "{lost:?}");
    let made = cloud.render.create(&desired("gb")).await.unwrap();
    assert!(made.is_ours && made.deploy.is_some());
    assert_eq!(made.state, ProviderState::Starting);
    assert_eq!(cloud.done("POST /v1/services"), 1);
}

#[tokio::test]
async fn a_name_is_looked_up_exactly_and_not_taken_from_others() {
    let cloud = Cloud::with(|builder| builder.owner(OWNER, "One").owner("tea-2", "Two")).await;
    let render = &cloud.render;
    let mut foreign = desired("gb");
    foreign.variables.remove(MARK);
    let there = render.create(&foreign).await.unwrap();
    assert!(!there.is_ours);
    let taken = render.create(&desired("gb")).await.unwrap_err();
    assert!(matches!(&taken, ProviderError::Conflict(why) if why.contains("gb")));

    // the same name elsewhere is another service
    let mut elsewhere = desired("gb");
    elsewhere.workspace = Some("tea-2".to_owned());
    let second = render.create(&elsewhere).await.unwrap();
    assert_ne!(second.id, there.id);
    let target = |workspace: Option<&str>, name: &str| Target {
        name: name.to_owned(),
        workspace: workspace.map(str::to_owned),
        id: None,
    };
    let found = render.observe(&target(Some("tea-2"), "gb")).await.unwrap();
    assert_eq!(found.unwrap().id, second.id);
    let unclear = render.observe(&target(None, "gb")).await.unwrap_err();
    assert!(unclear.to_string().contains("Choose the workspace"));
    let other = render.observe(&target(Some(OWNER), "g")).await.unwrap();
    assert!(other.is_none());
    elsewhere.workspace = None;
    let unclear = render.create(&elsewhere).await.unwrap_err();
    assert!(unclear.to_string().contains("several workspaces"));

    // an id that is gone is looked up by its name
    let gone = Target {
        id: Some("srv-gone".to_owned()),
        ..target(Some(OWNER), "gb")
    };
    let found = render.observe(&gone).await.unwrap();
    assert_eq!(found.unwrap().id, there.id);
}

#[tokio::test]
async fn all_pages_of_variables_are_read() {
    let cloud = Cloud::new().await;
    let mut many = desired("gb");
    for i in 0..130 {
        let one = Value::Plain(i.to_string());
        many.variables.insert(format!("VARIABLE_{i}"), one);
    }
    let id = cloud.render.create(&many).await.unwrap().id;
    let there = cloud.look(&id).await.unwrap();
    assert_eq!(there.variables.len(), many.variables.len());
    assert_eq!(value(&there, "VARIABLE_129"), Some("129"));
}

#[tokio::test]
async fn a_deploy_behind_another_one_is_found() {
    let cloud = Cloud::new().await;
    let wish = desired("gb");
    let made = cloud.render.create(&wish).await.unwrap();
    let queued = cloud.render.deploy(&made.id, &wish).await.unwrap();
    assert_ne!(Some(&queued), made.deploy.as_ref());
    let calls = cloud.fake.calls();
    let accepted = calls
        .iter()
        .find(|seen| seen.call.ends_with("/deploys") && seen.status == 202);
    assert!(accepted.is_some());
    let stands = cloud.render.progress(&made.id, &queued).await.unwrap();
    assert_eq!(stands, DeployProgress::Queued);
    cloud.wait();
    cloud.wait();
    let there = cloud.look(&made.id).await.unwrap();
    assert_eq!(there.deploy, Some(queued));
    assert_eq!(there.state, ProviderState::Running);
}

#[tokio::test]
async fn images_are_compared_by_their_full_names() {
    let cloud = Cloud::new().await;
    let mut wish = desired("gb");
    wish.image = format!("nginx@sha256:{}", "3".repeat(64));
    let id = cloud.render.create(&wish).await.unwrap().id;
    cloud.wait();
    cloud.render.deploy(&id, &wish).await.unwrap();
    assert_eq!(cloud.done("PATCH "), 0, "the image is the same");
    cloud.wait();
    let there = cloud.look(&id).await.unwrap();
    let full = format!("docker.io/library/{}", wish.image);
    assert_eq!(there.image, Some(full));

    // another repository, which POST deploys alone would refuse
    wish.image = image("4");
    cloud.render.deploy(&id, &wish).await.unwrap();
    cloud.wait();
    let there = cloud.look(&id).await.unwrap();
    assert_eq!(there.image, Some(image("4")));
}

#[tokio::test]
async fn a_container_that_ends_is_told_with_its_reason() {
    let refuses = |_: Launch| async { Err(LaunchError::Ended(None, "MYSQL_HOST?".into())) };
    let cloud =
        Cloud::with(|builder| builder.on_live(Arc::new(move |launch| Box::pin(refuses(launch)))))
            .await;
    let made = cloud.render.create(&desired("gb")).await.unwrap();
    cloud.wait();
    let deploy = made.deploy.unwrap();
    let failed = cloud.render.progress(&made.id, &deploy).await.unwrap();
    let DeployProgress::Failed { detail } = failed else {
        panic!("{failed:?}");
    };
    assert_eq!(detail, "the program ended with exit code 1 (update_failed)");
    let there = cloud.look(&made.id).await.unwrap();
    assert_eq!(there.state, ProviderState::Failing(detail));
    assert_eq!(there.deploy, None);
    let events = cloud.render.events(&made.id).await.unwrap();
    let bad = events.iter().find(|event| event.is_problem).unwrap();
    assert!(bad.text.contains("exit code 1"), "{bad:?}");
}

#[tokio::test]
async fn an_image_that_is_not_there_is_told() {
    let cloud =
        Cloud::with(|builder| builder.images(testkit::cloud::images(["ghcr.io/o/n:1"]))).await;
    let made = cloud.render.create(&desired("gb")).await.unwrap();
    cloud.wait();
    let deploy = made.deploy.unwrap();
    let failed = cloud.render.progress(&made.id, &deploy).await.unwrap();
    let DeployProgress::Failed { detail } = failed else {
        panic!("{failed:?}");
    };
    assert!(detail.contains("manifest unknown"), "{detail}");
}

#[tokio::test]
async fn used_up_hours_are_told_from_a_suspension_by_the_user() {
    let cloud = Cloud::with(|builder| builder.free_hours(0)).await;
    let id = cloud.render.create(&desired("gb")).await.unwrap().id;
    let there = cloud.look(&id).await.unwrap();
    let ProviderState::Stopped(why) = there.state else {
        panic!("{:?}", there.state);
    };
    assert!(why.contains("free hours"), "{why}");
    let refused = cloud.render.power(&id, Power::Resume).await.unwrap_err();
    assert!(matches!(refused, ProviderError::CardNeeded(_)));
}

#[tokio::test]
async fn a_log_goes_on_where_it_was_left() {
    let cloud = Cloud::new().await;
    let wish = desired("gb");
    let id = cloud.render.create(&wish).await.unwrap().id;
    let none = cloud.render.logs(&id, None).await.unwrap();
    assert_eq!((none.lines.len(), none.cursor), (0, None));
    cloud.wait();
    let page = cloud.render.logs(&id, None).await.unwrap();
    let texts: Vec<&str> = page.lines.iter().map(|line| line.text.as_str()).collect();
    assert!(
        texts.first().unwrap().contains("Pulling image"),
        "{texts:?}"
    );
    assert!(texts.last().unwrap().contains("is live"), "{texts:?}");
    let cursor = page.cursor.unwrap();
    let later = cloud.render.logs(&id, Some(&cursor)).await.unwrap();
    assert_eq!((later.lines.len(), later.cursor), (0, Some(cursor.clone())));

    // more than a page later
    let mut deploys = 0;
    while deploys < 40 {
        cloud.render.deploy(&id, &wish).await.unwrap();
        cloud.wait();
        deploys += 1;
    }
    let later = cloud.render.logs(&id, Some(&cursor)).await.unwrap();
    assert_eq!(later.lines.len(), deploys * texts.len());
    assert!(later.lines.is_sorted_by(|a, b| a.at <= b.at));
    let cursor = later.cursor.unwrap();
    let end = cloud.render.logs(&id, Some(&cursor)).await.unwrap();
    assert!(end.lines.is_empty());
}

#[tokio::test]
async fn what_a_service_uses_is_told_in_common_units() {
    let cloud = Cloud::new().await;
    let id = cloud.render.create(&desired("gb")).await.unwrap().id;
    cloud.wait();
    cloud.look(&id).await.unwrap();
    cloud.wait();
    let usage = cloud.render.usage(&id).await.unwrap();
    let last = |kind: UsageKind| {
        let series = usage.series.iter().find(|series| series.kind == kind);
        series
            .and_then(|series| series.points.last())
            .map(|(_, value)| *value)
    };
    assert_eq!(last(UsageKind::Memory), Some(42_000));
    assert_eq!(last(UsageKind::Cpu), Some(10));
    assert_eq!(last(UsageKind::Requests), Some(0));
    let memory = usage.quotas.first().unwrap();
    assert_eq!((&*memory.used, &*memory.limit), ("42 MiB", "512 MiB"));
}

#[tokio::test]
async fn plans_change_and_regions_do_not() {
    let cloud = Cloud::new().await;
    let mut wish = desired("gb");
    let id = cloud.render.create(&wish).await.unwrap().id;
    cloud.wait();
    wish.plan = Some("starter".to_owned());
    let refused = cloud.render.change(&id, &wish).await.unwrap_err();
    assert!(matches!(refused, ProviderError::CardNeeded(_)));
    cloud.fake.add_card(OWNER).await;
    cloud.render.change(&id, &wish).await.unwrap();
    let there = cloud.look(&id).await.unwrap();
    assert_eq!(there.plan.as_deref(), Some("starter"));
    wish.region = Some("oregon".to_owned());
    let refused = cloud.render.change(&id, &wish).await.unwrap_err();
    assert!(refused.to_string().contains("from singapore to oregon"));
    wish.region = None;
    wish.data = Data::Volume { gib: 1 };
    let refused = cloud.render.change(&id, &wish).await.unwrap_err();
    assert!(refused.to_string().contains("dashboard"));
}

#[tokio::test]
async fn data_lie_on_a_disk_of_a_paid_plan_only() {
    let cloud = Cloud::new().await;
    cloud.fake.add_card(OWNER).await;
    let mut wish = desired("gb");
    wish.data = Data::InCluster { gib: 1 };
    for refused in [
        cloud.render.create_database(&wish).await.map(drop),
        cloud.render.create(&wish).await.map(drop),
    ] {
        assert!(refused.unwrap_err().to_string().contains("no MySQL"));
    }
    wish.data = Data::Volume { gib: 2 };
    let refused = cloud.render.create(&wish).await.unwrap_err();
    assert!(refused.to_string().contains("free plan"));
    wish.plan = Some("starter".to_owned());
    let id = cloud.render.create(&wish).await.unwrap().id;
    let there = cloud.look(&id).await.unwrap();
    assert_eq!(there.data, wish.data);
    assert_eq!(cloud.render.cost(&wish), Cost::Unknown);
    wish.data = Data::Elsewhere;
    assert_eq!(cloud.render.cost(&wish), Cost::About { cents: 700 });
    wish.plan = None;
    assert_eq!(cloud.render.cost(&wish), Cost::Free);
    wish.plan = Some("custom".to_owned());
    assert_eq!(cloud.render.cost(&wish), Cost::Unknown);
}
