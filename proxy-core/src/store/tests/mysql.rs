//! What only a server can meet.

use contract::admin::{DatabaseState, Engine, Sealing, TokenRules};
use testkit::mariadb::MariaDb;
use testkit::wire::Wire;
use vault::MasterKey;

use super::super::database::{query, query_built};
use super::{Batch, KEY, OTHER, TOKEN, World, key, mysql_config, record, secrets};
use crate::store::{StoreError, Tended, TlsMode};

#[tokio::test]
async fn a_missing_database_is_made_where_that_is_allowed() {
    let mut world = World::on_mysql().await;
    let (server, config) = world.mysql.as_mut().unwrap();
    config.database = server.unused_name();
    let store = world.open().await;
    store.add_keys(&[key(KEY, "")]).await.unwrap();
    let Engine::Mysql { version, tls, .. } = store.engine() else {
        panic!("it is a server")
    };
    assert!(version.contains("MariaDB") && !tls, "{version}");

    let (server, config) = world.mysql.as_mut().unwrap();
    let database = server.fresh_database().await;
    let user = server
        .user_of(
            &database,
            "SELECT, INSERT, UPDATE, DELETE, CREATE, INDEX, ALTER",
        )
        .await;
    config.user = user.name.clone();
    config.password = Some(user.password.as_str().into());
    config.database = server.unused_name();
    let refused = world.open().await;
    let DatabaseState::Unreachable { message, .. } = refused.state() else {
        panic!("such a user may not make it")
    };
    assert!(
        message.contains("MYSQL_USER") || message.contains("CREATE DATABASE"),
        "{message}"
    );
    // In a database that is there, such a user is enough.
    world.mysql.as_mut().unwrap().1.database = database;
    world.open().await.add_keys(&[key(KEY, "")]).await.unwrap();
}

#[tokio::test]
async fn a_newer_or_foreign_database_is_refused_before_anything_is_touched() {
    let world = World::on_mysql().await;
    world.open().await.close().await;
    let (server, config) = world.mysql.as_ref().unwrap();
    let database = &config.database;
    server
        .execute(&format!(
            "INSERT INTO `{database}`.gemini_balance_migrations \
             (version, description, success, checksum, execution_time) \
             VALUES (9999, 'from the future', 1, '', 0)"
        ))
        .await;
    let said = world.refusal().await;
    assert!(
        said.contains("newer version") && said.contains(database.as_str()),
        "{said}"
    );

    let world = World::on_mysql().await;
    let (server, config) = world.mysql.as_ref().unwrap();
    let database = &config.database;
    server
        .execute(&format!("CREATE TABLE `{database}`.sessions (id INT)"))
        .await;
    let said = world.refusal().await;
    assert!(
        said.contains("another program") && said.contains("MYSQL_DATABASE"),
        "{said}"
    );
    let tables = server
        .execute(&format!("SHOW TABLES FROM `{database}`"))
        .await;
    assert_eq!(tables.trim(), "sessions");
}

#[tokio::test]
async fn tables_of_other_programs_beside_ours_do_not_matter() {
    let world = World::on_mysql().await;
    let (server, config) = world.mysql.as_ref().unwrap();
    let database = &config.database;
    server
        .execute(&format!("CREATE TABLE `{database}`.t_settings (id INT)"))
        .await;
    world.open().await.add_keys(&[key(KEY, "")]).await.unwrap();
}

#[tokio::test]
async fn a_migration_that_broke_off_is_run_again() {
    let world = World::on_mysql().await;
    world.open().await.close().await;
    let (server, config) = world.mysql.as_ref().unwrap();
    let database = &config.database;
    // As after a crash in the middle: some tables are there, the migration is not done.
    server
        .execute(&format!(
            "DROP TABLE `{database}`.sums; DROP TABLE `{database}`.requests; \
             UPDATE `{database}`.gemini_balance_migrations SET success = FALSE"
        ))
        .await;
    let store = world.open().await;
    let requests = vec![record(5)];
    store
        .write(&Batch {
            requests,
            ..Batch::default()
        })
        .await
        .unwrap();
    assert_eq!(store.hours_since(0).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_connection_is_encrypted_and_the_server_verified_as_asked() {
    let server = MariaDb::builder().tls().start().await;
    let mut world = World::on_mysql().await;
    let database = server.fresh_database().await;
    let mut config = mysql_config(&server, database);
    let shared = world.mysql.take().unwrap().0;
    config.tls = TlsMode::VerifyIdentity;
    config.tls_ca = Some(server.ca_pem().replace('\n', "\\n"));
    world.mysql = Some((shared, config));
    let store = world.open().await;
    assert_eq!(store.state(), DatabaseState::Ready);
    let Engine::Mysql { tls, .. } = store.engine() else {
        panic!("it is a server")
    };
    assert!(tls);
    store.close().await;

    // By the path of the file, too.
    world.mysql.as_mut().unwrap().1.tls_ca = Some(server.ca_file().display().to_string());
    assert_eq!(world.open().await.state(), DatabaseState::Ready);

    // The system's authorities do not know this server.
    world.mysql.as_mut().unwrap().1.tls_ca = None;
    let store = world.open().await;
    let DatabaseState::Unreachable { message, .. } = store.state() else {
        panic!("an unknown authority was believed")
    };
    assert!(message.contains("MYSQL_SSL_MODE"), "{message}");
    // Whoever does not verify gets in.
    world.mysql.as_mut().unwrap().1.tls = TlsMode::Required;
    assert_eq!(world.open().await.state(), DatabaseState::Ready);
}

#[tokio::test]
async fn a_unix_socket_is_as_good_as_a_port() {
    let mut world = World::on_mysql().await;
    let (server, config) = world.mysql.as_mut().unwrap();
    config.socket = Some(server.socket().to_path_buf());
    config.port = 1;
    world.open().await.add_keys(&[key(KEY, "")]).await.unwrap();
}

#[tokio::test]
async fn without_the_server_the_environment_and_the_snapshot_serve() {
    let mut world = World::on_mysql().await;
    let store = world.open().await;
    store.add_keys(&[key(KEY, "mine")]).await.unwrap();
    let token = store
        .add_token(
            "laptop",
            &"sk-a-token-of-the-panel".into(),
            &TokenRules::default(),
        )
        .await
        .unwrap();
    store
        .sync_environment(&secrets(&[OTHER]), &secrets(&[TOKEN]))
        .await
        .unwrap();
    let before = store.load().await.unwrap();
    store.write_snapshot(|_| None).await;
    store.close().await;
    let file = std::fs::read(world.folder.path().join("snapshot.sealed")).unwrap();
    assert!(!super::contains(&file, &KEY[6..20]), "it is sealed");

    let (server, config) = world.mysql.as_mut().unwrap();
    let wire = Wire::to_port(server.port()).await;
    config.port = wire.port();
    wire.refuse().await;
    let store = world.open().await;
    assert!(matches!(store.state(), DatabaseState::Unreachable { .. }));
    assert!(matches!(
        store.add_keys(&[key(KEY, "")]).await,
        Err(StoreError::Away(_))
    ));
    // The environment has lost its key and got another token since.
    let loaded = store.load_offline(&[], &secrets(&[TOKEN, "sk-another-one"]));
    let keys: Vec<i64> = loaded.keys.iter().map(|key| key.id).collect();
    assert_eq!(keys, [before.keys[0].id]);
    assert_eq!(loaded.keys[0].secret, KEY.into());
    let tokens: Vec<i64> = loaded.tokens.iter().map(|token| token.id).collect();
    assert_eq!(tokens[..2], [-1, token.id]);
    assert_eq!(store.tokens().await.unwrap().len(), 3, "they can be shown");
    assert_eq!(store.tend().await, Tended::Away);

    wire.heal().await;
    assert_eq!(store.tend().await, Tended::Changed);
    assert_eq!(store.state(), DatabaseState::Ready);
    // A record made meanwhile belongs to the token's lasting number, and waits for that.
    let mut made_meanwhile = record(7);
    made_meanwhile.token_id = Some(tokens[2]);
    let batch = Batch {
        requests: vec![made_meanwhile],
        ..Batch::default()
    };
    let mut state = store.watch_state();
    assert!(matches!(
        store.write(&batch).await,
        Err(StoreError::Away(_))
    ));
    store
        .sync_environment(&[], &secrets(&[TOKEN, "sk-another-one"]))
        .await
        .unwrap();
    state.changed().await.unwrap();
    store.write(&batch).await.unwrap();
    let loaded = store.load().await.unwrap();
    let another = loaded.tokens.iter().find(|token| token.id == -2).unwrap();
    assert_eq!(another.last_used_at, Some(7));
}

#[tokio::test]
async fn a_change_sees_what_was_committed_before_it_had_the_lock() {
    let world = World::on_mysql().await;
    let store = world.open().await;
    let mut change = store.db().unwrap().begin_exclusive().await.unwrap();
    let seen = async |tx: &mut crate::store::database::Tx| {
        let row = query("SELECT COUNT(*) AS found FROM sessions")
            .fetch_optional(tx)
            .await;
        row.unwrap().unwrap().get::<i64>("found").unwrap()
    };
    // MariaDB's snapshot begins here, TiDB's at the beginning.
    assert_eq!(seen(&mut change).await, 0);
    let (server, config) = world.mysql.as_ref().unwrap();
    server
        .execute(&format!(
            "INSERT INTO `{}`.sessions (hash, created_at, expires_at) VALUES ('x', 1, 2)",
            config.database
        ))
        .await;
    assert_eq!(seen(&mut change).await, 1);
    drop(change);
    // It holds for that transaction only.
    let mut records = store.db().unwrap().begin_records().await.unwrap();
    assert_eq!(seen(&mut records).await, 1);
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_is_not_written_twice() {
    let world = World::on_mysql().await;
    let store = world.open().await;
    let batch = |number| Batch {
        number: Some(("writer".to_owned(), number)),
        requests: vec![record(5)],
        ..Batch::default()
    };
    for number in [1, 1, 2, 1, 2] {
        store.write(&batch(number)).await.unwrap();
    }
    assert_eq!(store.hours_since(0).await.unwrap()[0].1.requests, 2);
}

#[tokio::test]
async fn a_batch_is_not_written_beside_its_own_first_try() {
    let world = World::on_mysql().await;
    let store = world.open().await;
    let (server, config) = world.mysql.as_ref().unwrap();
    let waiting = format!(
        "SELECT COUNT(*) FROM information_schema.processlist \
         WHERE db = '{}' AND info LIKE 'UPDATE record_writers%'",
        config.database
    );
    // The writer's very first batch makes its row, later ones change it.
    for number in [1, 2] {
        let mut first_try = store.db().unwrap().begin_records().await.unwrap();
        let fresh = store.claim(&mut first_try, "writer", number).await;
        assert!(fresh.unwrap());
        let batch = Batch {
            number: Some(("writer".to_owned(), number)),
            requests: vec![record(5)],
            ..Batch::default()
        };
        let commit = async {
            while server.execute(&waiting).await.trim() != "1" {}
            first_try.commit().await
        };
        let (second_try, first_try) = tokio::join!(store.write(&batch), commit);
        second_try.unwrap();
        first_try.unwrap();
    }
    assert!(store.hours_since(0).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_server_that_cannot_be_written_is_told_from_one_that_is_away() {
    let server = MariaDb::start().await;
    let mut world = World::on_mysql().await;
    let mut config = mysql_config(&server, server.fresh_database().await);
    // Read-only does not hold for root.
    let user = server.user_of(&config.database, "ALL").await;
    config.user = user.name.clone();
    config.password = Some(user.password.as_str().into());
    world.mysql.as_mut().unwrap().1 = config;
    let store = world.open().await;
    let batch = || Batch {
        requests: vec![record(5)],
        ..Batch::default()
    };
    server.set_read_only(true).await;
    store.write(&batch()).await.unwrap_err();
    let DatabaseState::ReadOnly { message, .. } = store.state() else {
        panic!("{:?}", store.state())
    };
    assert!(message.contains("read-only"), "{message}");
    store.keys().await.unwrap();
    store.tend().await;
    assert!(matches!(store.state(), DatabaseState::ReadOnly { .. }));
    server.set_read_only(false).await;
    store.tend().await;
    assert_eq!(store.state(), DatabaseState::Ready);
    store.write(&batch()).await.unwrap();
}

#[tokio::test]
async fn two_servers_see_each_others_changes() {
    let world = World::on_mysql().await;
    let (one, two) = (world.open().await, world.open().await);
    for store in [&one, &two] {
        store
            .sync_environment(&[], &secrets(&[TOKEN]))
            .await
            .unwrap();
        store.load().await.unwrap();
    }
    one.tend().await;
    one.load().await.unwrap();
    assert_eq!(
        (one.tend().await, two.tend().await),
        (Tended::Unchanged, Tended::Unchanged)
    );
    one.add_keys(&[key(KEY, "")]).await.unwrap();
    one.changed().await;
    for store in [&one, &two] {
        assert_eq!(store.tend().await, Tended::Changed);
        assert_eq!(store.load().await.unwrap().keys.len(), 1);
        assert_eq!(store.tend().await, Tended::Unchanged);
    }
    two.delete_key(1).await.unwrap();
    assert_eq!(one.tend().await, Tended::Changed);
    assert!(one.load().await.unwrap().keys.is_empty());
}

#[tokio::test]
async fn without_a_key_nothing_secret_is_stored_until_the_user_agrees() {
    let mut world = World::on_mysql().await;
    world.sealing = Sealing::NotStored;
    let dump = async |world: &World| {
        let (server, config) = world.mysql.as_ref().unwrap();
        let database = &config.database;
        let keys = server
            .execute(&format!(
                "SELECT HEX(sealed), HEX(fingerprint), label FROM `{database}`.gemini_keys"
            ))
            .await;
        let tokens = server
            .execute(&format!(
                "SELECT HEX(hash), masked FROM `{database}`.client_tokens"
            ))
            .await;
        keys + &tokens
    };
    let store = world.open().await;
    assert_eq!(store.sealing(), Sealing::NotStored);
    store
        .sync_environment(&secrets(&[OTHER]), &secrets(&[TOKEN]))
        .await
        .unwrap();
    assert_eq!(
        store.keys().await.unwrap()[0].secret,
        OTHER.into(),
        "it serves from memory"
    );
    let refused = store.add_keys(&[key(KEY, "mine")]).await.unwrap_err();
    assert!(refused.to_string().contains("SECRET_KEY"), "{refused}");
    assert!(
        dump(&world).await.starts_with("NULL"),
        "nothing sealed, nothing in clear"
    );
    let before = store.keys().await.unwrap()[0].id;
    store.close().await;
    // The next process forgets the key, and knows the environment's again.
    world.master = MasterKey::random().unwrap();
    let store = world.open().await;
    store
        .sync_environment(&secrets(&[OTHER]), &secrets(&[TOKEN]))
        .await
        .unwrap();
    assert_eq!(store.keys().await.unwrap()[0].id, before);
    assert_eq!(store.tokens().await.unwrap()[0].id, -1);

    store.agree_to_clear().await.unwrap();
    store.add_keys(&[key(KEY, "mine")]).await.unwrap();
    store.close().await;
    world.master = MasterKey::random().unwrap();
    let store = world.open().await;
    assert_eq!(store.sealing(), Sealing::Clear);
    assert_eq!(store.keys().await.unwrap()[0].secret, KEY.into());
    store.close().await;

    // A real key comes: everything is sealed with it, and the other is of no use.
    world.sealing = Sealing::SecretKey;
    let store = world.open().await;
    assert_eq!(store.keys().await.unwrap()[0].secret, KEY.into());
    store.close().await;
    world.sealing = Sealing::NotStored;
    world.master = MasterKey::random().unwrap();
    let store = world.try_open().await;
    assert!(matches!(store, Err(StoreError::OtherMasterKey(_))));
}
