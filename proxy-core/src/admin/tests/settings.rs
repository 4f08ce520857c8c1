//! Settings, their file, and the audit log, over HTTP.

use contract::admin::{
    Actor, AuditAction, AuditPage, EnvFile, ExportFile, KeyView, Provenance, SettingConflict,
    SettingView, SettingsReport, SettingsView, TokenCreated, TokenView, TransferFormat,
    TransferReport,
};
use serde_json::json;

use super::*;

/// Secrets that must be in no answer.
const SECRETS: [&str; 4] = [
    "hunter2-of-the-metrics",
    "hunter2-in-a-header",
    "hunter2-of-the-panel",
    "hunter2-passphrase",
];

impl World {
    async fn settings(&self) -> SettingsView {
        self.get("/api/settings").await
    }

    async fn setting(&self, name: &str) -> SettingView {
        let view = self.settings().await;
        let found = view.settings.into_iter().find(|one| one.name == name);
        found.unwrap()
    }

    async fn patch(&self, values: Value, dry_run: bool) -> SettingsReport {
        let revision = self.settings().await.revision;
        let body = json!({"values": values, "revision": revision, "dry_run": dry_run});
        let (status, body) = self.call(Method::PATCH, "/api/settings", Some(body)).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_value(body).unwrap()
    }

    async fn set_settings(&self, values: Value) -> SettingsReport {
        let report = self.patch(values, false).await;
        assert_eq!(report.problems, []);
        report
    }

    async fn audit(&self) -> AuditPage {
        self.get("/api/audit").await
    }

    async fn undo(&self, id: i64) -> (u16, Value) {
        let path = format!("/api/audit/{id}/undo");
        self.call(Method::POST, &path, None).await
    }
}

#[tokio::test]
async fn a_saved_setting_holds_at_once_and_after_a_restart() {
    let mut world = World::signed_in(&[]).await;
    assert_eq!(
        world.setting("MAX_RETRIES").await.provenance,
        Provenance::Default
    );

    let preview = world.patch(json!({"MAX_RETRIES": "5"}), true).await;
    assert_eq!(preview.audit_id, None);
    assert_eq!(world.running.core().settings().max_attempts, 3);

    let report = world.set_settings(json!({"MAX_RETRIES": " 5 "})).await;
    assert_eq!(preview.changes, report.changes);
    let change = &report.changes[0];
    assert_eq!(
        (change.before.as_deref(), change.after.as_deref()),
        (Some("3"), Some("5"))
    );
    assert_eq!(world.running.core().settings().max_attempts, 5);
    assert_eq!(world.settings().await.revision, report.revision);
    let audit = world.audit().await;
    let entry = &audit.entries[0];
    assert_eq!(
        (Some(entry.id), entry.actor, entry.action),
        (report.audit_id, Actor::Panel, AuditAction::SettingsChanged)
    );
    assert_eq!(entry.address.as_deref(), Some("203.0.113.9"));
    assert_eq!(entry.changes, report.changes);

    world.restart(&[("AUTH_TOKEN", PASSWORD)]).await;
    assert_eq!(world.running.core().settings().max_attempts, 5);
    let at = world.clock.now();
    let view = world.setting("MAX_RETRIES").await;
    assert_eq!(view.provenance, Provenance::Panel { at });
    assert_eq!(view.value.as_deref(), Some("5"));
    world.set_settings(json!({"MAX_RETRIES": null})).await;
    assert_eq!(world.running.core().settings().max_attempts, 3);
}

#[tokio::test]
async fn nothing_is_saved_unless_all_is_acceptable_and_nobody_else_was_faster() {
    let world = World::signed_in(&[]).await;
    let before = world.settings().await;
    let report = world
        .patch(
            json!({
                "MAX_RETRIES": "5", "TIME_OUT": "soon", "PORT": "1", "NO_SUCH": "x",
                "BASE_URL": "ftp://example.com", "CUSTOM_HEADERS": "{\"Host\":\"hunter2\"}",
            }),
            false,
        )
        .await;
    let reasons: Vec<_> = report
        .problems
        .iter()
        .map(|problem| (problem.name.as_str(), problem.reason.en.as_str()))
        .collect();
    let reason = |name: &str| reasons.iter().find(|(of, _)| *of == name).unwrap().1;
    assert!(reason("TIME_OUT").contains("from 1 to 3600"), "{reasons:?}");
    assert!(reason("PORT").contains("environment"));
    assert!(reason("NO_SUCH").contains("no such setting"));
    assert!(reason("BASE_URL").contains("https://"));
    assert!(!reason("CUSTOM_HEADERS").contains("hunter2"));
    assert_eq!(report.audit_id, None);
    assert_eq!(world.settings().await, before);

    world.set_settings(json!({"MAX_RETRIES": "5"})).await;
    let late = json!({"values": {"MAX_RETRIES": "6"}, "revision": before.revision});
    let (status, body) = world.call(Method::PATCH, "/api/settings", Some(late)).await;
    assert_eq!((status, &body["code"]), (409, &json!("changed")));
    assert_eq!(world.running.core().settings().max_attempts, 5);

    // The last way in cannot be taken away.
    let report = world.patch(json!({"AUTH_TOKEN": ""}), false).await;
    assert!(
        report.problems[0].reason.en.contains("password"),
        "{report:?}"
    );
}

#[tokio::test]
async fn the_environment_wins_when_it_says_something_new() {
    let env = |value| [("AUTH_TOKEN", PASSWORD), ("MAX_RETRIES", value)];
    let mut world = World::new(&env("4")).await;
    world.sign_in().await;
    world.set_settings(json!({"MAX_RETRIES": "5"})).await;

    world.restart(&env("4")).await;
    let view = world.setting("MAX_RETRIES").await;
    assert_eq!(view.value.as_deref(), Some("5"));
    let environment = Some("4".to_owned());
    assert_eq!(
        view.conflict,
        Some(SettingConflict::EnvironmentIgnored { environment })
    );

    world.advance(Duration::from_secs(60));
    world.restart(&env("6")).await;
    let replaced = world.clock.now();
    world.advance(Duration::from_secs(60));
    // Still told after another start.
    world.restart(&env("6")).await;
    let view = world.setting("MAX_RETRIES").await;
    assert_eq!(view.value.as_deref(), Some("6"));
    assert_eq!(view.provenance, Provenance::Environment);
    let panel = Some("5".to_owned());
    assert_eq!(
        view.conflict,
        Some(SettingConflict::PanelReplaced {
            at: replaced,
            panel
        })
    );
    let audit = world.audit().await;
    let entry = audit
        .entries
        .iter()
        .find(|entry| entry.actor == Actor::Environment)
        .unwrap();
    assert!(entry.undoable && entry.subject == "MAX_RETRIES");

    assert_eq!(world.undo(entry.id).await.0, 204);
    assert_eq!(world.running.core().settings().max_attempts, 5);
    world.restart(&env("6")).await;
    assert_eq!(world.running.core().settings().max_attempts, 5);
}

#[tokio::test]
async fn a_new_panel_token_ends_the_sessions_and_is_in_no_answer() {
    let mut world = World::signed_in(&[]).await;
    let report = world
        .set_settings(json!({
            "METRICS_TOKEN": SECRETS[0],
            "CUSTOM_HEADERS": format!("{{\"x-gateway\":\"{}\"}}", SECRETS[1]),
            "TEST_MODEL": "gemini-2.5-flash",
        }))
        .await;
    assert_eq!(report.changes.len(), 3);
    let mut said = serde_json::to_string(&report).unwrap();
    let report = world.set_settings(json!({"AUTH_TOKEN": SECRETS[2]})).await;
    said += &serde_json::to_string(&report).unwrap();
    assert_eq!(world.call(Method::GET, "/api/settings", None).await.0, 401);

    let body = json!({"password": SECRETS[2]});
    let response = world
        .send(world.request(Method::POST, "/api/login", Some(body)))
        .await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    world.cookie = cookie_of(&response);
    for path in [
        "/api/settings",
        "/api/settings/env",
        "/api/audit",
        "/api/account",
    ] {
        let (status, body) = world.call(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}");
        said += &body.to_string();
    }
    let plain: ExportFile = world.post("/api/transfer/export", json!({})).await;
    assert!(plain.text.contains("gemini-2.5-flash"), "{}", plain.text);
    let sealed: ExportFile = world
        .post("/api/transfer/export", json!({"passphrase": SECRETS[3]}))
        .await;
    said += &plain.text;
    said += &sealed.text;
    for id in world.audit().await.entries.iter().map(|entry| entry.id) {
        said += &world.undo(id).await.1.to_string();
    }
    for secret in SECRETS {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
    let file = std::fs::read(world.folder.path().join("gemini-balance.db")).unwrap();
    let log = std::fs::read(world.folder.path().join("gemini-balance.db-wal")).unwrap_or_default();
    for bytes in [file, log] {
        let found = bytes.windows(7).any(|piece| piece == b"hunter2");
        assert!(!found, "a secret is in the database in clear");
    }
}

#[tokio::test]
async fn a_configuration_moves_to_another_instance_under_its_passphrase_only() {
    let from = World::signed_in(&[("API_KEYS", KEY), ("TIME_OUT", "77")]).await;
    from.post::<Value>("/api/keys/import", json!({"text": NEW_KEY}))
        .await;
    let keys: Vec<KeyView> = from.get("/api/keys").await;
    let path = format!("/api/keys/{}", keys[1].id);
    let patch = json!({"label": "second", "enabled": false});
    assert_eq!(from.call(Method::PATCH, &path, Some(patch)).await.0, 200);
    let token: TokenCreated = from
        .post(
            "/api/tokens",
            json!({"name": "laptop", "rules": {"rpm": 7}}),
        )
        .await;
    from.set_settings(json!({"METRICS_TOKEN": SECRETS[0], "FILTERED_MODELS": "a,b"}))
        .await;
    let file: ExportFile = from
        .post("/api/transfer/export", json!({"passphrase": SECRETS[3]}))
        .await;
    assert_eq!(file.file_name, "gemini-balance-2026-11-22.age");
    assert!(file.text.starts_with("-----BEGIN AGE"));

    let to = World::signed_in(&[]).await;
    for (passphrase, code) in [
        (json!(null), "passphrase_needed"),
        (json!("something else"), "wrong_passphrase"),
    ] {
        let body = json!({"text": file.text, "passphrase": passphrase});
        let (status, body) = to
            .call(Method::POST, "/api/transfer/import", Some(body))
            .await;
        assert_eq!((status, &body["code"]), (400, &json!(code)));
    }
    let body = |dry_run| json!({"text": file.text, "passphrase": SECRETS[3], "dry_run": dry_run});
    let preview: TransferReport = to.post("/api/transfer/import", body(true)).await;
    assert!(to.get::<Vec<KeyView>>("/api/keys").await.is_empty());
    let report: TransferReport = to.post("/api/transfer/import", body(false)).await;
    assert_eq!(report.format, TransferFormat::Encrypted);
    assert_eq!(
        (&preview.settings, &preview.keys_added),
        (&report.settings, &report.keys_added)
    );
    assert_eq!(report.keys_added.len(), 2);
    assert_eq!(report.tokens_added, ["laptop"]);
    assert!(!serde_json::to_string(&report).unwrap().contains("hunter2"));

    let keys: Vec<KeyView> = to.get("/api/keys").await;
    assert_eq!(keys[1].label, "second");
    assert_eq!(keys[1].state, KeyState::Disabled);
    let tokens: Vec<TokenView> = to.get("/api/tokens").await;
    assert_eq!(tokens[0].rules.rpm, Some(7));
    let core = core(&to);
    assert_eq!(core.settings().timeout, Duration::from_secs(77));
    assert_eq!(core.settings().metrics_token, Some(SECRETS[0].into()));
    let is_let_in = |core: &crate::Core| core.tokens.admit(&token.secret, &core.clock).is_ok();
    assert!(is_let_in(&core));

    let again: TransferReport = to.post("/api/transfer/import", body(false)).await;
    assert_eq!((again.keys_known.len(), again.audit_id), (2, None));

    // All of it at once, and back at once.
    assert_eq!(to.undo(report.audit_id.unwrap()).await.0, 204);
    assert!(to.get::<Vec<KeyView>>("/api/keys").await.is_empty());
    assert!(!is_let_in(&core));
    assert_eq!(core.settings().timeout, Duration::from_secs(300));
}

#[tokio::test]
async fn the_env_file_of_the_original_is_taken_in_as_far_as_it_means_something() {
    let world = World::signed_in(&[]).await;
    let text = format!(
        "# from the original\r\nexport MAX_RETRIES=0\nAPI_KEYS=[\"{KEY}\", \"your_api_key_2\"]\n\
         ALLOWED_TOKENS=[\"sk-a-long-enough-token\",\"sk-short\"]\nTIME_OUT=120 # seconds\n\
         CUSTOM_HEADERS={{\"x-a\": \"b#c\"}}\nADMIN_SESSION_EXPIRE='7200'\n\
         LOG_LEVEL=\"WARNING\"\nMAX_FAILURES=10\nMYSQL_HOST=db\nWHATEVER=1\n\
         TEST_MODEL=gemini-2.5-flash\nFILTERED_MODELS=[]\nBASE_URL='https://${{HOME}}.example'\n"
    );
    let report: TransferReport = world
        .post(
            "/api/transfer/import",
            json!({"text": text, "dry_run": true}),
        )
        .await;
    // A name that is nothing here would be a typing mistake in an export as well.
    let ignored: Vec<&str> = report.ignored.iter().map(|one| one.name.as_str()).collect();
    for name in [
        "MAX_FAILURES",
        "MYSQL_HOST",
        "WHATEVER",
        "API_KEYS",
        "ALLOWED_TOKENS 2",
    ] {
        assert!(ignored.contains(&name), "{name}: {ignored:?}");
    }
    assert_eq!(report.format, TransferFormat::Env);
    assert_eq!(report.problems, []);
    let address = report.settings.iter().find(|diff| diff.name == "BASE_URL");
    // The server's own environment is nothing that a file may quote.
    let after = address.unwrap().after.as_deref();
    assert_eq!(after, Some("https://${HOME}.example"));

    let wrong = format!("{text}MAX_RETRIES=99\n");
    let report: TransferReport = world
        .post("/api/transfer/import", json!({ "text": wrong }))
        .await;
    assert_eq!(report.problems[0].name, "MAX_RETRIES");
    assert!(world.get::<Vec<KeyView>>("/api/keys").await.is_empty());
    assert_eq!(core(&world).settings().timeout, Duration::from_secs(300));

    let text = text.replace("BASE_URL=", "# BASE_URL=");
    let report: TransferReport = world
        .post("/api/transfer/import", json!({"text": text}))
        .await;
    assert_eq!(report.problems, []);
    assert_eq!((report.keys_added.len(), report.tokens_added.len()), (1, 1));
    let settings = core(&world).settings().clone();
    assert_eq!(settings.max_attempts, 1);
    assert_eq!(settings.timeout, Duration::from_secs(120));
    assert_eq!(settings.session_hours, 2);
    assert_eq!(settings.log_level, "warn");
    assert_eq!(settings.custom_headers.headers()["x-a"], "b#c");

    // What is exported as a .env is read back as it was.
    let file: EnvFile = world.get("/api/settings/env").await;
    assert!(file.text.contains("TIME_OUT=120\n"), "{}", file.text);
    assert!(file.text.contains("# CUSTOM_HEADERS=\n"));
    let again: TransferReport = world
        .post("/api/transfer/import", json!({"text": file.text}))
        .await;
    assert_eq!((again.settings.len(), again.audit_id), (0, None));

    for (text, said) in [
        ("no configuration", "Line 1"),
        ("A='x\n", "Line 1"),
        ("{}", "damaged"),
    ] {
        let body = Some(json!({"text": text}));
        let (status, body) = world.call(Method::POST, "/api/transfer/import", body).await;
        assert_eq!(status, 400);
        assert!(body["message"].as_str().unwrap().contains(said), "{body}");
    }
}

#[tokio::test]
async fn what_was_done_is_noted_and_can_be_taken_back() {
    let world = World::signed_in(&[]).await;
    world
        .post::<Value>("/api/keys/import", json!({"text": KEY}))
        .await;
    let key = world.checked_keys().await.remove(0);
    let path = format!("/api/keys/{}", key.id);
    let patch = Some(json!({"label": "mine", "enabled": false}));
    assert_eq!(world.call(Method::PATCH, &path, patch).await.0, 200);
    assert_eq!(world.call(Method::DELETE, &path, None).await.0, 204);
    let token: TokenCreated = world.post("/api/tokens", json!({"name": "laptop"})).await;
    let path = format!("/api/tokens/{}", token.token.id);
    let patch = Some(json!({"name": "desk", "rules": {"rpd": 9}}));
    assert_eq!(world.call(Method::PATCH, &path, patch).await.0, 200);

    let entries = world.audit().await.entries;
    let actions: Vec<AuditAction> = entries.iter().map(|entry| entry.action).collect();
    assert_eq!(
        actions,
        [
            AuditAction::TokenChanged,
            AuditAction::TokenCreated,
            AuditAction::KeyDeleted,
            AuditAction::KeyChanged,
            AuditAction::KeysAdded,
            AuditAction::SignedIn,
        ]
    );
    assert_eq!(entries[4].subject, key.masked);
    assert!(!serde_json::to_string(&entries).unwrap().contains(KEY));
    let page: AuditPage = world.get("/api/audit?limit=2").await;
    assert_eq!((page.entries.len(), page.next), (2, Some(entries[1].id)));
    let page: AuditPage = world
        .get(&format!("/api/audit?limit=10&before={}", entries[1].id))
        .await;
    assert_eq!((&page.entries[..], page.next), (&entries[2..], None));

    for entry in &entries[..5] {
        assert_eq!(world.undo(entry.id).await.0, 204, "{entry:?}");
        match entry.action {
            AuditAction::TokenChanged => {
                let token = world.get::<Vec<TokenView>>("/api/tokens").await.remove(0);
                assert_eq!((token.name.as_str(), token.rules.rpd), ("laptop", None));
            }
            AuditAction::TokenCreated => {
                assert!(world.get::<Vec<TokenView>>("/api/tokens").await.is_empty());
            }
            AuditAction::KeyDeleted => {
                let key = world.get::<Vec<KeyView>>("/api/keys").await.remove(0);
                assert_eq!(key.state, contract::admin::KeyState::Disabled);
            }
            AuditAction::KeyChanged => {
                let now = world.get::<Vec<KeyView>>("/api/keys").await.remove(0);
                assert_eq!(now.label, "");
                assert_ne!(now.state, KeyState::Disabled);
            }
            _ => assert!(world.get::<Vec<KeyView>>("/api/keys").await.is_empty()),
        }
        assert_eq!(world.undo(entry.id).await.0, 400, "once");
    }
    // What undid a deletion can itself be undone.
    let undone = world.audit().await.entries.remove(0);
    assert_eq!(
        (undone.action, undone.undoable),
        (AuditAction::Undone, true)
    );
    assert_eq!(world.undo(undone.id).await.0, 204);
    assert_eq!(world.get::<Vec<KeyView>>("/api/keys").await.len(), 1);
    assert_eq!(world.undo(99_999).await.0, 404);

    // A later change of the same setting is not lost on the way.
    let first = world.set_settings(json!({"MAX_RETRIES": "5"})).await;
    let second = world.set_settings(json!({"MAX_RETRIES": "6"})).await;
    let (status, said) = world.undo(first.audit_id.unwrap()).await;
    assert_eq!((status, &said["code"]), (409, &json!("changed")));
    assert_eq!(world.undo(second.audit_id.unwrap()).await.0, 204);
    assert_eq!(world.undo(first.audit_id.unwrap()).await.0, 204);
    assert_eq!(world.running.core().settings().max_attempts, 3);
}

#[tokio::test]
async fn two_servers_on_one_database_see_each_others_changes() {
    let server = testkit::mariadb::shared().await;
    let (port, database) = (server.port().to_string(), server.fresh_database().await);
    let set = [
        ("MYSQL_HOST", server.host()),
        ("MYSQL_PORT", &port),
        ("MYSQL_USER", server.user()),
        ("MYSQL_PASSWORD", server.password()),
        ("MYSQL_DATABASE", &database),
    ];
    let one = World::signed_in(&set).await;
    let two = World::signed_in(&set).await;
    let saved = one
        .set_settings(json!({"MAX_RETRIES": "5", "METRICS_TOKEN": SECRETS[0]}))
        .await;
    let seen = async |attempts| {
        let core = core(&two);
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while core.settings().max_attempts != attempts {
            tick.tick().await;
        }
    };
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, seen(5)).await.unwrap();
    assert_eq!(core(&two).settings().metrics_token, Some(SECRETS[0].into()));
    // Either can take it back.
    assert_eq!(two.undo(saved.audit_id.unwrap()).await.0, 204);
    assert_eq!(core(&two).settings().max_attempts, 3);
    assert_eq!(one.settings().await.revision, two.settings().await.revision);
    let stale = json!({"values": {"MAX_RETRIES": "6"}, "revision": saved.revision});
    let (status, _) = one.call(Method::PATCH, "/api/settings", Some(stale)).await;
    assert_eq!(status, 409);
}

#[tokio::test]
async fn a_key_that_was_wiped_is_not_said_to_be_back() {
    let mut world = World::signed_in(&[]).await;
    world
        .post::<Value>("/api/keys/import", json!({"text": KEY}))
        .await;
    let key = world.get::<Vec<KeyView>>("/api/keys").await.remove(0);
    let path = format!("/api/keys/{}", key.id);
    assert_eq!(world.call(Method::DELETE, &path, None).await.0, 204);
    let deleted = world.audit().await.entries.remove(0);
    world.advance(Duration::from_secs(1));
    world.restart(&[("AUTH_TOKEN", PASSWORD)]).await;
    let (status, said) = world.undo(deleted.id).await;
    assert_eq!((status, &said["code"]), (400, &json!("invalid_input")));
    assert!(
        said["message"].as_str().unwrap().contains("wiped"),
        "{said}"
    );
    assert!(world.get::<Vec<KeyView>>("/api/keys").await.is_empty());
    assert!(
        world
            .audit()
            .await
            .entries
            .iter()
            .any(|entry| entry.id == deleted.id)
    );
}

#[tokio::test]
async fn a_later_change_of_a_key_or_a_token_is_not_lost_on_the_way_back() {
    let world = World::signed_in(&[]).await;
    world
        .post::<Value>("/api/keys/import", json!({"text": KEY}))
        .await;
    let key = world.checked_keys().await.remove(0);
    let token: TokenCreated = world.post("/api/tokens", json!({"name": "laptop"})).await;
    let paths = [
        format!("/api/keys/{}", key.id),
        format!("/api/tokens/{}", token.token.id),
    ];
    for (path, first, second) in [
        (&paths[0], json!({"label": "a"}), json!({"label": "b"})),
        (&paths[0], json!({"enabled": false}), json!({"label": "c"})),
        (
            &paths[1],
            json!({"name": "a"}),
            json!({"rules": {"rpm": 3}}),
        ),
    ] {
        let mut made = Vec::new();
        for patch in [first, second] {
            let (status, said) = world.call(Method::PATCH, path, Some(patch)).await;
            assert_eq!(status, 200, "{said}");
            made.push(world.audit().await.entries.remove(0).id);
        }
        let shown = async || {
            let keys: Vec<KeyView> = world.get("/api/keys").await;
            let tokens: Vec<TokenView> = world.get("/api/tokens").await;
            (keys, tokens)
        };
        let before = shown().await;
        let (status, said) = world.undo(made[0]).await;
        assert_eq!((status, &said["code"]), (409, &json!("changed")), "{path}");
        assert_eq!(shown().await, before);
        assert_eq!(world.undo(made[1]).await.0, 204, "{path}");
        assert_eq!(world.undo(made[0]).await.0, 204, "{path}");
    }
    let keys: Vec<KeyView> = world.get("/api/keys").await;
    assert_eq!(keys[0].label, key.label);
    assert_ne!(keys[0].state, KeyState::Disabled);
    let tokens: Vec<TokenView> = world.get("/api/tokens").await;
    assert_eq!((&*tokens[0].name, tokens[0].rules.rpm), ("laptop", None));
}

#[tokio::test]
async fn an_import_neither_doubles_nor_revives_a_token() {
    let text = "ALLOWED_TOKENS=sk-of-the-environment,sk-that-was-revoked\n";
    let set = [("ALLOWED_TOKENS", "sk-of-the-environment")];
    let world = World::signed_in(&set).await;
    let import = async |text: &str| -> TransferReport {
        world
            .post("/api/transfer/import", json!({"text": text}))
            .await
    };
    let report = import(text).await;
    assert_eq!(report.tokens_known, ["ALLOWED_TOKENS 1"]);
    assert_eq!(report.tokens_added, ["ALLOWED_TOKENS 2"]);
    let tokens: Vec<TokenView> = world.get("/api/tokens").await;
    assert_eq!(tokens.len(), 2, "{tokens:?}");

    // Taken back before anybody used it, it can be imported once more.
    assert_eq!(world.undo(report.audit_id.unwrap()).await.0, 204);
    assert_eq!(import(text).await.tokens_added, ["ALLOWED_TOKENS 2"]);
    let tokens: Vec<TokenView> = world.get("/api/tokens").await;
    let path = format!("/api/tokens/{}", tokens[1].id);
    assert_eq!(world.call(Method::DELETE, &path, None).await.0, 204);
    let report = import(text).await;
    assert!(report.tokens_added.is_empty());
    assert_eq!(report.ignored[0].name, "ALLOWED_TOKENS 2");
    assert!(
        report.ignored[0].reason.en.contains("revoked"),
        "{report:?}"
    );
    assert_eq!(world.get::<Vec<TokenView>>("/api/tokens").await.len(), 1);
    let core = core(&world);
    assert!(
        core.tokens
            .admit("sk-that-was-revoked", &core.clock)
            .is_err()
    );
}
