use contract::admin::{
    BackupReason, BackupView, DataView, DatabaseState, Engine, KeyView, Sealing,
};
use serde_json::json;

use super::*;

async fn back_up(world: &World) -> BackupView {
    world.post("/api/data/backups", json!({})).await
}

#[tokio::test]
async fn the_database_and_its_backups_are_shown_made_gone_back_to_and_deleted() {
    let world = World::signed_in(&[]).await;
    let data: DataView = world.get("/api/data").await;
    let file = world.folder.path().join("gemini-balance.db");
    let path = file.display().to_string();
    assert_eq!(data.engine, Engine::Sqlite { path });
    assert_eq!(data.state, DatabaseState::Ready);
    assert_eq!(data.sealing, Sealing::SecretKey);
    assert!(data.schema >= 2 && data.size_bytes.unwrap() > 4096);
    assert!(data.backups_supported && data.backups.is_empty());
    assert_eq!((data.request_rows, data.oldest_request), (0, None));

    let import = |key| json!({ "text": key });
    let _: Value = world.post("/api/keys/import", import(KEY)).await;
    let backup = back_up(&world).await;
    assert_eq!(
        (backup.at, backup.reason),
        (world.clock.now(), BackupReason::Manual)
    );
    let _: Value = world.post("/api/keys/import", import(NEW_KEY)).await;
    assert_eq!(core(&world).pool.summary().total, 2);
    world.advance(Duration::from_secs(1));

    let path = format!("/api/data/backups/{}", backup.name);
    let restore = format!("{path}/restore");
    let (status, said) = world.call(Method::POST, &restore, Some(json!({}))).await;
    assert_eq!(status, 204, "{said}");
    // The same session, and what is in memory is what is in the database.
    assert_eq!(world.get::<Vec<KeyView>>("/api/keys").await.len(), 1);
    assert_eq!(core(&world).pool.summary().total, 1);
    let data: DataView = world.get("/api/data").await;
    assert_eq!(data.backups.len(), 2);
    assert_eq!(data.backups[0].reason, BackupReason::BeforeRestore);
    assert_eq!(data.backups[1], backup);

    let (status, _) = world.call(Method::DELETE, &path, None).await;
    assert_eq!(status, 204);
    for (method, path) in [(Method::DELETE, &path), (Method::POST, &restore)] {
        let (status, said) = world.call(method, path, None).await;
        assert_eq!(
            (status, &said["code"]),
            (404, &json!("not_found")),
            "{path}"
        );
    }
    assert_eq!(world.get::<DataView>("/api/data").await.backups.len(), 1);
}

#[tokio::test]
async fn a_session_that_began_after_the_backup_goes_on_and_the_environment_is_kept() {
    let mut world = World::signed_in(&[("API_KEYS", KEY)]).await;
    let backup = back_up(&world).await;
    world
        .restart(&[("API_KEYS", NEW_KEY), ("AUTH_TOKEN", PASSWORD)])
        .await;
    world.sign_in().await;
    let restore = format!("/api/data/backups/{}/restore", backup.name);
    let (status, said) = world.call(Method::POST, &restore, None).await;
    assert_eq!(status, 204, "{said}");
    let keys: Vec<KeyView> = world.get("/api/keys").await;
    assert_eq!(keys.len(), 1, "the environment decides about its own keys");
    assert_eq!(keys[0].masked, "AQ.A…_xyz");
    let account: contract::admin::Account = world.get("/api/account").await;
    assert!(account.sessions.iter().any(|session| session.current));
}

#[tokio::test]
async fn no_name_of_a_backup_leads_out_of_its_folder() {
    let world = World::signed_in(&[]).await;
    let backup = back_up(&world).await;
    let file = world.folder.path().join("gemini-balance.db");
    for name in [
        "..%2Fgemini-balance.db",
        "%2e%2e%2fgemini-balance.db",
        "..%5Cgemini-balance.db",
        "%2Fetc%2Fpasswd",
        "gemini-balance.db",
        "%2e%2e",
        "%00",
        "%FF",
        &format!("..%2Fbackups%2F{}", backup.name),
        &format!("{}%00", backup.name),
        &format!("{}-wal", backup.name),
    ] {
        let path = format!("/api/data/backups/{name}");
        for (method, path) in [
            (Method::DELETE, path.clone()),
            (Method::POST, format!("{path}/restore")),
        ] {
            let (status, said) = world.call(method, &path, None).await;
            assert_eq!(
                (status, &said["code"]),
                (404, &json!("not_found")),
                "{path}"
            );
        }
    }
    assert!(file.exists());
    assert_eq!(world.get::<DataView>("/api/data").await.backups, [backup]);
}

#[tokio::test]
async fn a_backup_that_cannot_be_used_is_refused_in_words() {
    let world = World::signed_in(&[]).await;
    let backup = back_up(&world).await;
    let file = world.folder.path().join("backups").join(&backup.name);
    std::fs::write(file, "no longer a database, and rather short at that").unwrap();
    let restore = format!("/api/data/backups/{}/restore", backup.name);
    let (status, said) = world.call(Method::POST, &restore, None).await;
    assert_eq!((status, &said["code"]), (400, &json!("invalid_input")));
    let said = said["message"].as_str().unwrap();
    assert!(
        said.contains("damaged") && said.contains("Nothing was changed"),
        "{said}"
    );
    assert_eq!(world.get::<DataView>("/api/data").await.backups.len(), 1);
}

#[tokio::test]
async fn what_is_known_is_shown_while_a_servers_database_is_away() {
    // Nobody listens there.
    let away = [("MYSQL_HOST", "127.0.0.1"), ("MYSQL_PORT", "1")];
    let who = [("MYSQL_USER", "somebody"), ("MYSQL_DATABASE", "balance")];
    let world = World::signed_in(&[away, who].concat()).await;
    let data: DataView = world.get("/api/data").await;
    assert!(matches!(data.engine, Engine::Mysql { .. }));
    assert!(matches!(data.state, DatabaseState::Unreachable { .. }));
    assert!(!data.backups_supported && data.backups.is_empty());
    assert_eq!(data.size_bytes, None);
    let (status, said) = world.call(Method::POST, "/api/data/backups", None).await;
    assert_eq!(status, 400);
    assert!(said["message"].as_str().unwrap().contains("host"), "{said}");
}
