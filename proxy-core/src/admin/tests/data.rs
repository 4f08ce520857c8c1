use contract::admin::{
    ConnectInfo, CooldownReason, ImportReport, KeyCheck, KeyState, KeyView, Origin, Overview,
    RejectReason, Surface, TestAnswer, Today, TokenCreated, TokenView, Warning,
};
use serde_json::json;

use super::*;
use crate::pool::{Limits, Outcome, Want};
use crate::record::RequestRecord;

fn record(world: &World, key_id: Option<i64>, error: Option<&str>) -> RequestRecord {
    RequestRecord {
        at: world.clock.now(),
        model: "gemini-2.5-flash".into(),
        key_id,
        status: if error.is_some() { 503 } else { 200 },
        attempts: 1,
        latency_ms: 10,
        ttft_ms: Some(5),
        prompt_tokens: 7,
        output_tokens: 11,
        thought_tokens: 13,
        error: error.map(Into::into),
        ..RequestRecord::blank(Surface::Openai)
    }
}

async fn import(world: &World, text: &str) -> ImportReport {
    world
        .post("/api/keys/import", json!({ "text": text }))
        .await
}

#[tokio::test]
async fn keys_are_imported_shown_masked_and_ready_for_use() {
    let world = World::signed_in(&[("API_KEYS", NEW_KEY)]).await;
    let text = format!("work: {KEY}\n{KEY}\n{NEW_KEY}\nAIzaShort\n");
    let dry = json!({ "text": &text, "dry_run": true });
    let dry: ImportReport = world.post("/api/keys/import", dry).await;
    assert_eq!(
        world.get::<Vec<KeyView>>("/api/keys").await.len(),
        1,
        "nothing was added"
    );
    let report = import(&world, &text).await;
    assert_eq!(report, dry);
    assert_eq!(report.added, ["AIza…stuv"]);
    assert_eq!(report.duplicates, ["AQ.A…_xyz", "AIza…stuv"]);
    assert_eq!((report.rejected.len(), report.rejected[0].line), (1, 4));

    let (_, shown) = world.call(Method::GET, "/api/keys", None).await;
    assert!(!shown.to_string().contains(&KEY[8..30]), "{shown}");
    let keys: Vec<KeyView> = serde_json::from_value(shown).unwrap();
    assert_eq!(
        (keys[0].origin, keys[1].origin),
        (Origin::Environment, Origin::Panel)
    );
    assert_eq!(keys[1].label, "work");
    let keys = world.checked_keys().await;
    let states = [keys[0].state, keys[1].state];
    assert_eq!(states, [KeyState::Unchecked, KeyState::Ready]);
    let asked = world.google.requests();
    let asked: Vec<(&str, &str)> = (asked.iter())
        .map(|request| (request.path.as_str(), request.key.as_deref().unwrap()))
        .collect();
    assert_eq!(asked, [("/v1beta/models", KEY)], "only the new one, once");
    assert_eq!(world.running.core().pool.summary().total, 2);
}

#[tokio::test]
async fn a_key_is_renamed_switched_off_deleted_and_brought_back() {
    let world = World::signed_in(&[("API_KEYS", NEW_KEY)]).await;
    import(&world, KEY).await;
    let id = world.checked_keys().await[1].id;
    let path = format!("/api/keys/{id}");
    let patch = async |body: Value| world.call(Method::PATCH, &path, Some(body)).await;
    let (status, key) = patch(json!({"label": "  小号 ", "enabled": false})).await;
    assert_eq!((status, &key["label"]), (200, &json!("小号")));
    assert_eq!(key["state"]["state"], "disabled");
    assert_eq!(world.running.core().pool.summary().disabled, 1);
    assert_eq!(
        patch(json!({"enabled": true})).await.1["state"]["state"],
        "unchecked"
    );
    assert_eq!(patch(json!({"label": "x".repeat(101)})).await.0, 400);
    assert_eq!(patch(json!({"label": "a\nb"})).await.0, 400);
    assert_eq!(patch(json!({"colour": "red"})).await.0, 400);

    assert_eq!(world.call(Method::DELETE, &path, None).await.0, 204);
    assert_eq!(
        world.running.core().pool.summary().total,
        1,
        "it is used no more"
    );
    for (method, path) in [
        (Method::DELETE, path.clone()),
        (Method::POST, format!("{path}/check")),
        (Method::POST, "/api/keys/999/restore".to_owned()),
    ] {
        assert_eq!(world.call(method, &path, None).await.0, 404, "{path}");
    }
    let (status, key) = world
        .call(Method::POST, &format!("{path}/restore"), None)
        .await;
    assert_eq!((status, &key["label"]), (200, &json!("小号")));
    assert_eq!(world.running.core().pool.summary().total, 2);

    let of_environment = world.get::<Vec<KeyView>>("/api/keys").await[0].id;
    let (status, said) = world
        .call(Method::DELETE, &format!("/api/keys/{of_environment}"), None)
        .await;
    assert_eq!(status, 400);
    assert!(
        said["message"].as_str().unwrap().contains("API_KEYS"),
        "{said}"
    );
}

#[tokio::test]
async fn another_key_takes_a_keys_place_and_keeps_what_is_its() {
    let mut world = World::signed_in(&[]).await;
    import(&world, &format!("work: {KEY}\nother: {UNKNOWN_KEY}")).await;
    let before = world.checked_keys().await.swap_remove(0);
    let path = format!("/api/keys/{}", before.id);
    let rules = json!({"rules": {"weight": 3}});
    assert_eq!(world.call(Method::PATCH, &path, Some(rules)).await.0, 200);
    let recorder = core(&world).recorder.clone();
    recorder.record(record(&world, Some(before.id), None));
    let replace = async |text: &str| {
        let body = json!({ "key": text });
        let path = format!("{path}/replace");
        world.call(Method::POST, &path, Some(body)).await
    };
    for (text, says) in [
        ("nothing", "no Gemini key"),
        (&*format!("{KEY} {NEW_KEY}"), "more than one"),
        (UNKNOWN_KEY, "in the pool already"),
    ] {
        let (status, said) = replace(text).await;
        assert_eq!(status, 400, "{said}");
        assert!(said["message"].as_str().unwrap().contains(says), "{said}");
        assert!(!said.to_string().contains(UNKNOWN_KEY), "{said}");
    }
    // Google has ended the old one, which rests for the day besides.
    let pool = core(&world).pool.clone();
    let pick = || pool.pick(&Want::any("gemini-2.5-flash", 0)).unwrap();
    let (rested, refused, late) = (pick(), pick(), pick());
    let over_day = Outcome::Quota {
        reason: CooldownReason::PerDay,
        limits: Limits::default(),
        retry_after: None,
    };
    let ended = Outcome::KeyRefused(RejectReason::Invalid);
    pool.settle(&rested, over_day, Some("enough"), None);
    pool.settle(&refused, ended, Some("it has ended"), Some("77"));
    let keys: Vec<KeyView> = world.get("/api/keys").await;
    assert!(matches!(keys[0].state, KeyState::Rejected { .. }));
    assert_eq!(keys[0].cooldowns.len(), 1);
    let (status, _) = replace(&format!("  {NEW_KEY}\n")).await;
    assert_eq!(status, 200);
    let keys = world.checked_keys().await;
    let after = &keys[0];
    assert_eq!(after.masked, "AQ.A…_xyz");
    assert_eq!(
        (after.id, &*after.label, after.rules.weight),
        (before.id, "work", 3)
    );
    assert_eq!((after.state, after.requests_today), (KeyState::Ready, 1));
    let last = world.google.requests().pop().unwrap();
    assert_eq!(last.key.as_deref(), Some(NEW_KEY));
    assert_eq!(core(&world).pool.summary().total, 2);
    // What the old one's last call comes to is not about the new one.
    pool.settle(&late, over_day, Some("enough"), Some("77"));
    pool.settle(&late, ended, Some("it has ended"), Some("77"));
    drop((rested, refused, late, pool));
    for restarts in [true, false] {
        let keys: Vec<KeyView> = world.get("/api/keys").await;
        let key = &keys[0];
        assert_eq!((key.state, &*key.cooldowns), (KeyState::Ready, &[][..]));
        assert_eq!((&key.last_error, &key.project), (&None, &None));
        if restarts {
            world.restart(&[("AUTH_TOKEN", PASSWORD)]).await;
        }
    }
    let audit: contract::admin::AuditPage = world.get("/api/audit").await;
    assert_eq!(
        audit.entries[0].action,
        contract::admin::AuditAction::KeyReplaced
    );
    assert!(!format!("{audit:?}").contains(&NEW_KEY[8..30]));
    // The old one is gone, and could be added as one of its own.
    assert_eq!(import(&world, KEY).await.added.len(), 1);
    let missing = json!({ "key": KEY });
    let path = "/api/keys/999/replace";
    assert_eq!(world.call(Method::POST, path, Some(missing)).await.0, 404);
}

#[tokio::test]
async fn a_key_that_another_server_exchanged_is_a_new_one_here() {
    let world = World::signed_in(&[]).await;
    import(&world, KEY).await;
    let id = world.checked_keys().await[0].id;
    let core = core(&world);
    let old = core.pool.pick_by_id(id).unwrap();
    core.found_express(&old);
    core.store.keep_express_key(id, old.secret()).await.unwrap();
    assert_eq!(core.store.express_keys().await.unwrap(), [id]);
    let ended = Outcome::KeyRefused(RejectReason::Invalid);
    core.pool.settle(&old, ended, Some("it has ended"), None);
    core.recorder.flush().await;
    // As the other does it. This one still asks with the old one, and keeps what comes of that.
    let new = vault::Secret::from(NEW_KEY);
    core.store.replace_key(id, &new).await.unwrap().unwrap();
    core.pool.settle(&old, ended, Some("it has ended"), None);
    core.recorder.flush().await;
    core.show_changed().await.unwrap();
    for _ in 0..2 {
        let keys: Vec<KeyView> = world.get("/api/keys").await;
        assert_eq!(keys[0].state, KeyState::Unchecked);
        assert!(!keys[0].express);
        // A call with the old one ends only now.
        core.found_express(&old);
        core.store.keep_express_key(id, old.secret()).await.unwrap();
        assert!(core.store.express_keys().await.unwrap().is_empty());
    }
    // What another server found out is known here, too.
    core.store.keep_express_key(id, &new).await.unwrap();
    core.show_changed().await.unwrap();
    assert!(world.get::<Vec<KeyView>>("/api/keys").await[0].express);
}

#[tokio::test]
async fn a_check_says_what_google_thinks_of_a_key() {
    let world = World::signed_in(&[]).await;
    import(&world, &format!("{KEY} {UNKNOWN_KEY}")).await;
    let keys: Vec<KeyView> = world.get("/api/keys").await;
    let check = async |id: i64| -> KeyCheck {
        let (status, body) = world
            .call(Method::POST, &format!("/api/keys/{id}/check"), None)
            .await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_value(body).unwrap()
    };
    let good = check(keys[0].id).await;
    assert!(good.ok && good.message.is_empty());
    assert_eq!(good.key.state, KeyState::Ready);
    let bad = check(keys[1].id).await;
    assert!(!bad.ok && !bad.message.is_empty());
    assert!(!bad.message.contains(UNKNOWN_KEY));
    let reason = RejectReason::Invalid;
    assert_eq!(bad.key.state, KeyState::Rejected { reason });
}

#[tokio::test]
async fn a_token_is_shown_once_and_lets_a_client_in_until_it_is_deleted() {
    let world = World::signed_in(&[("ALLOWED_TOKENS", "sk-of-the-environment")]).await;
    let created: TokenCreated = world.post("/api/tokens", json!({"name": " laptop "})).await;
    assert_eq!(created.token.name, "laptop");
    assert!(created.secret.starts_with("sk-") && created.secret.len() > 40);
    let accepted = |token: &str| {
        let core = core(&world);
        let admitted = core.tokens.admit(token, &core.clock).ok()?;
        Some(admitted.id())
    };
    assert_eq!(accepted(&created.secret), Some(created.token.id));
    assert_eq!(accepted("sk-of-the-environment"), Some(-1));

    let (_, shown) = world.call(Method::GET, "/api/tokens", None).await;
    assert!(!shown.to_string().contains(&created.secret));
    let tokens: Vec<TokenView> = serde_json::from_value(shown).unwrap();
    assert_eq!((tokens[0].id, tokens[0].origin), (-1, Origin::Environment));
    assert_eq!(tokens[1].last_used_at, Some(NOON));

    let path = format!("/api/tokens/{}", created.token.id);
    assert_eq!(world.call(Method::DELETE, &path, None).await.0, 204);
    assert_eq!(accepted(&created.secret), None, "at once");
    assert_eq!(world.call(Method::DELETE, &path, None).await.0, 404);
    assert_eq!(
        world.call(Method::DELETE, "/api/tokens/-1", None).await.0,
        400
    );
    for name in ["", "   ", "a\nb"] {
        let body = Some(json!({ "name": name }));
        assert_eq!(
            world.call(Method::POST, "/api/tokens", body).await.0,
            400,
            "{name:?}"
        );
    }
}

#[tokio::test]
async fn today_begins_at_midnight_in_the_servers_time_zone() {
    const HOUR: Duration = Duration::from_secs(3600);
    let world = World::signed_in(&[]).await;
    let recorder = core(&world).recorder.clone();
    world.clock.set(NOON - 12 * 3_600_000 - 1);
    recorder.record(record(&world, None, None));
    world.clock.set(NOON - 12 * 3_600_000);
    recorder.record(record(&world, None, None));
    world.clock.set(NOON);
    recorder.record(record(&world, None, Some("overloaded")));
    let today: Today = world.get("/api/stats/today").await;
    assert_eq!(
        (today.since, today.time_zone.as_str()),
        (NOON - 12 * 3_600_000, "Asia/Shanghai")
    );
    assert_eq!(
        (today.requests, today.errors),
        (2, 1),
        "yesterday's last is not of today"
    );
    assert_eq!(
        (today.prompt_tokens, today.output_tokens),
        (14, 48),
        "thoughts are output"
    );
    assert_eq!(
        (today.requests_by_hour[0], today.requests_by_hour[12]),
        (1, 1)
    );
    assert_eq!((today.errors_by_hour[0], today.errors_by_hour[12]), (0, 1));
    assert_eq!(
        (today.requests_by_hour.len(), today.dropped_records),
        (24, 0)
    );
    world.advance(HOUR * 12);
    assert_eq!(
        world.get::<Today>("/api/stats/today").await.requests,
        0,
        "the next day"
    );
}

#[tokio::test]
async fn the_overview_shows_errors_warnings_and_the_address_that_was_used() {
    let world = World::signed_in(&[]).await;
    let empty: Overview = world.get("/api/overview").await;
    assert_eq!(empty.warnings, [Warning::NoKeys, Warning::NoTokens]);
    assert_eq!(empty.address, "http://127.0.0.1:8000");

    import(&world, KEY).await;
    let _: TokenCreated = world.post("/api/tokens", json!({"name": "t"})).await;
    let id = world.get::<Vec<KeyView>>("/api/keys").await[0].id;
    let mut failed = record(&world, Some(id), Some("first"));
    failed.failed_keys = vec![id];
    core(&world).recorder.record(failed);
    for n in 0..12 {
        core(&world)
            .recorder
            .record(record(&world, Some(id), Some(&format!("later {n}"))));
    }
    let overview: Overview = world.get("/api/overview").await;
    assert_eq!(overview.warnings, [Warning::LegacyKeys]);
    assert_eq!(overview.pool.ready, 1);
    assert_eq!(overview.last_errors.len(), 10);
    assert_eq!(overview.last_errors[0].message, "later 11");
    assert_eq!(overview.last_errors[0].key.as_deref(), Some("AIza…stuv"));
    let key = &world.get::<Vec<KeyView>>("/api/keys").await[0];
    assert_eq!((key.requests_today, key.errors_today), (14, 14));

    core(&world).pool.set_enabled(id, false);
    let overview: Overview = world.get("/api/overview").await;
    assert_eq!(overview.warnings[0], Warning::NoKeyReady);
}

#[tokio::test]
async fn clients_are_told_where_to_connect_and_a_test_request_is_answered() {
    let world = World::signed_in(&[]).await;
    let info: ConnectInfo = world.get("/api/connect").await;
    assert_eq!(
        info.example_model, "gemini-flash-latest",
        "without a key there is no list"
    );
    import(&world, KEY).await;
    let info: ConnectInfo = world.get("/api/connect").await;
    let urls: Vec<(Surface, &str)> = info
        .endpoints
        .iter()
        .map(|endpoint| (endpoint.surface, endpoint.base_url.as_str()))
        .collect();
    assert_eq!(
        urls,
        [
            (Surface::Openai, "http://127.0.0.1:8000/v1"),
            (Surface::Gemini, "http://127.0.0.1:8000"),
            (Surface::Anthropic, "http://127.0.0.1:8000"),
        ]
    );
    let models: Vec<contract::admin::ModelView> = world.get("/api/models").await;
    assert!(
        models
            .iter()
            .any(|model| model.id == info.example_model && model.generates)
    );

    for endpoint in &info.endpoints {
        let surface = endpoint.surface;
        let ask = json!({"surface": surface, "model": info.example_model, "prompt": "hi"});
        let answer: TestAnswer = world.post("/api/test", ask).await;
        assert_eq!(answer.status, 200, "{surface:?}: {}", answer.text);
        assert!(!answer.text.is_empty(), "{surface:?}");
    }
    let empty = json!({"surface": "openai", "model": " "});
    assert_eq!(
        world.call(Method::POST, "/api/test", Some(empty)).await.0,
        400
    );
    assert!(!world.google.requests().is_empty());
}
