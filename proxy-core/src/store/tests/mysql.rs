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

#[tokio::test]
async fn a_start_waits_for_no_lock_and_no_silent_server_without_end() {
    use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

    let mut world = World::on_mysql().await;
    let (server, config) = world.mysql.as_mut().unwrap();
    let options = config.options().database(&config.database);
    let mut other = options.connect().await.unwrap();
    other
        .execute("DO GET_LOCK(CONCAT('gemini_balance/', MD5(DATABASE())), 0)")
        .await
        .unwrap();
    let wire = Wire::to_port(server.port()).await;
    config.port = wire.port();
    // Another process migrates.
    let store = world.open().await;
    let DatabaseState::Unreachable { message, .. } = store.state() else {
        panic!("there are no connections: {:?}", store.state())
    };
    assert!(message.contains("held by another program"), "{message}");
    assert_eq!(store.load_offline(&secrets(&[KEY]), &[]).keys.len(), 1);
    assert!(matches!(store.keys().await.unwrap().as_slice(), [one] if one.secret == KEY.into()));
    other.close().await.unwrap();
    assert_eq!(store.tend().await, Tended::Changed);
    assert_eq!(store.state(), DatabaseState::Ready);
    store.close().await;

    // It takes connections and then says nothing more.
    wire.cut_on("GET_LOCK", testkit::wire::Cut::Stall);
    let store = world.open().await;
    let DatabaseState::Unreachable { message, .. } = store.state() else {
        panic!("{:?}", store.state())
    };
    assert!(message.contains("no answer within"), "{message}");
    wire.heal().await;
    assert_eq!(store.tend().await, Tended::Changed);
}

#[tokio::test]
async fn what_stands_in_the_way_now_is_what_is_said() {
    let mut world = World::on_mysql().await;
    world.open().await.close().await;
    let (server, config) = world.mysql.as_mut().unwrap();
    let database = config.database.clone();
    let wire = Wire::to_port(server.port()).await;
    config.port = wire.port();
    wire.refuse().await;
    let store = world.open().await;
    let said = |store: &crate::store::Store| match store.state() {
        DatabaseState::Unreachable { message, since } => (message, since),
        other => panic!("{other:?}"),
    };
    let (message, since) = said(&store);
    assert!(message.contains("MYSQL_HOST"), "{message}");

    let (server, _) = world.mysql.as_ref().unwrap();
    server
        .execute(&format!(
            "INSERT INTO `{database}`.gemini_balance_migrations \
             (version, description, success, checksum, execution_time) \
             VALUES (9999, 'from the future', 1, '', 0)"
        ))
        .await;
    wire.heal().await;
    assert_eq!(store.tend().await, Tended::Away);
    let (message, still_since) = said(&store);
    assert!(message.contains("newer version"), "{message}");
    assert_eq!(still_since, since);

    server
        .execute(&format!(
            "DELETE FROM `{database}`.gemini_balance_migrations WHERE version = 9999"
        ))
        .await;
    assert_eq!(store.tend().await, Tended::Changed);
    assert_eq!(store.state(), DatabaseState::Ready);
}

#[tokio::test]
async fn a_server_that_takes_nothing_is_started_on() {
    let server = MariaDb::start().await;
    let mut world = World::on_mysql().await;
    let config = mysql_config(&server, server.fresh_database().await);
    world.mysql.as_mut().unwrap().1 = config;
    let store = world.open().await;
    store.add_keys(&[key(KEY, "mine")]).await.unwrap();
    let environment = (secrets(&[OTHER]), secrets(&[TOKEN]));
    let sync = async |store: &crate::store::Store| {
        let done = store.sync_environment(&environment.0, &environment.1).await;
        done.unwrap();
    };
    sync(&store).await;
    store.close().await;

    server.set_read_only(true).await;
    let store = world.open().await;
    assert!(matches!(store.state(), DatabaseState::ReadOnly { .. }));
    // The environment is as it was, so there is nothing to write.
    sync(&store).await;
    assert_eq!(store.load().await.unwrap().keys.len(), 2);
    assert!(store.knows_environment());
    store.close().await;

    // Another one is served, too, and written as soon as that can be.
    let store = world.open().await;
    let tokens = secrets(&[TOKEN, "sk-a-second-token"]);
    let refused = store.sync_environment(&[], &tokens).await.unwrap_err();
    assert!(refused.is_read_only(), "{refused}");
    let loaded = store.load_unwritable(&[], &tokens).await.unwrap();
    let keys: Vec<_> = loaded.keys.iter().map(|key| &key.label[..]).collect();
    assert_eq!(keys, ["mine"], "the environment decides about its own");
    let known: Vec<_> = loaded.tokens.iter().map(|token| token.id > -10).collect();
    assert_eq!(known, [true, false]);
    server.set_read_only(false).await;
    assert_eq!(store.tend().await, Tended::Changed);
    assert_eq!(store.state(), DatabaseState::Ready);
    store.sync_environment(&[], &tokens).await.unwrap();
    assert_eq!(store.load().await.unwrap().tokens.len(), 2);
}

#[tokio::test]
async fn what_others_keep_in_the_database_costs_no_request() {
    let world = World::on_mysql().await;
    let store = world.open().await;
    let before = store.bytes().await.unwrap();
    assert!(before > 0);
    let (server, config) = world.mysql.as_ref().unwrap();
    let database = &config.database;
    server
        .execute(&format!(
            "CREATE TABLE `{database}`.theirs (x LONGBLOB); \
             INSERT INTO `{database}`.theirs VALUES (REPEAT('x', 8000000)); \
             ANALYZE TABLE `{database}`.theirs"
        ))
        .await;
    assert_eq!(store.bytes().await.unwrap(), before);
    let shown = store.facts().await.unwrap().size_bytes.unwrap();
    assert!(shown < 8_000_000, "{shown}");
}

#[tokio::test]
async fn a_servers_words_for_being_away_are_understood() {
    let world = World::on_mysql().await;
    let store = world.open().await;
    let db = store.db().unwrap();
    let said = async |number: u32| {
        // What a server says, by a real one.
        let raised = query_built(format!(
            "BEGIN NOT ATOMIC SIGNAL SQLSTATE 'HY000' \
             SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = 'as it says'; END"
        ));
        raised.execute(db.write()).await.err().unwrap()
    };
    for number in [
        1047, 1129, 1130, 1158, 1159, 1160, 1161, 9001, 9005, 9006, 8027,
    ] {
        let error = said(number).await;
        assert!(
            matches!(error, StoreError::Unreachable { .. }),
            "{number}: {error}"
        );
    }
    assert!(said(1129).await.to_string().contains("flush-hosts"));
    assert!(said(1130).await.to_string().contains("'%'"));
    // Tried again, this one goes well.
    let error = said(9007).await;
    assert!(matches!(error, StoreError::Busy(_)), "{error}");
    assert!(matches!(said(1365).await, StoreError::Failed { .. }));
}

#[tokio::test]
async fn servers_with_different_environments_leave_each_other_theirs() {
    let world = World::on_mysql().await;
    let (one, two) = (world.open().await, world.open().await);
    let of_one = (secrets(&[KEY]), secrets(&[TOKEN]));
    let of_two = (secrets(&[OTHER]), secrets(&["sk-of-the-second-server"]));
    one.sync_environment(&of_one.0, &of_one.1).await.unwrap();
    one.load().await.unwrap();
    two.sync_environment(&of_two.0, &of_two.1).await.unwrap();
    two.load().await.unwrap();
    assert_eq!(one.tend().await, Tended::Changed);
    let loaded = one.load().await.unwrap();
    assert_eq!(loaded.keys.len(), 1, "the other's key is the other's");
    assert_eq!(loaded.keys[0].secret, KEY.into());
    let id = loaded.keys[0].id;
    let hashes: Vec<_> = loaded.tokens.iter().map(|token| token.hash).collect();
    assert_eq!(hashes, [crate::store::tokens::sha256(&TOKEN.into())]);
    let token = loaded.tokens[0].id;
    // They can be changed, and are not added once more.
    assert!(one.change_key(id, Some("named"), None, None).await.unwrap());
    assert_eq!(one.key(id).await.unwrap().unwrap().label, "named");
    let rules = TokenRules {
        rpm: Some(3),
        ..TokenRules::default()
    };
    assert!(one.change_token(token, None, Some(&rules)).await.unwrap());
    assert!(one.add_keys(&[key(KEY, "")]).await.unwrap()[0].is_none());
    assert!(matches!(
        one.delete_key(id).await,
        Err(StoreError::FromEnvironment(_))
    ));
    assert!(matches!(
        one.delete_token(token).await,
        Err(StoreError::FromEnvironment(_))
    ));
    // The other one knows nothing of it.
    assert!(two.key(id).await.unwrap().is_none());
    let keys = two.keys().await.unwrap();
    assert!(keys.iter().all(|key| key.secret == OTHER.into()));
    // Each start is the last one's turn; the others go on.
    let again = world.open().await;
    again.sync_environment(&of_one.0, &of_one.1).await.unwrap();
    assert_eq!(again.load().await.unwrap().keys[0].id, id);
    assert_eq!(two.tend().await, Tended::Changed);
    let loaded = two.load().await.unwrap();
    assert_eq!((loaded.keys.len(), loaded.tokens.len()), (1, 1));
    assert_eq!(loaded.keys[0].secret, OTHER.into());
}

#[tokio::test]
async fn agreeing_to_clear_storage_holds_on_every_server() {
    let mut world = World::on_mysql().await;
    world.sealing = Sealing::NotStored;
    let one = world.open().await;
    world.master = MasterKey::random().unwrap();
    let two = world.open().await;
    for store in [&one, &two] {
        store.load().await.unwrap();
    }
    one.agree_to_clear().await.unwrap();
    one.add_keys(&[key(KEY, "")]).await.unwrap();
    assert_eq!(two.tend().await, Tended::Changed);
    assert_eq!(two.load().await.unwrap().keys[0].secret, KEY.into());
    assert_eq!(two.sealing(), Sealing::Clear);
    two.add_keys(&[key(OTHER, "")]).await.unwrap();
    assert_eq!(one.keys().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_key_that_was_deleted_can_come_back_after_a_reconnect() {
    let world = World::on_mysql().await;
    let store = world.open().await;
    let added = store.add_keys(&[key(KEY, "")]).await.unwrap();
    let id = added[0].as_ref().unwrap().id;
    world.now.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    assert!(store.delete_key(id).await.unwrap());
    store.connect().await.unwrap();
    assert!(store.restore_key(id).await.unwrap().is_some());
    // One that connects for the first time an hour after its start leaves it as well.
    let late = world.unopened();
    world
        .now
        .fetch_add(3_600_000, std::sync::atomic::Ordering::Relaxed);
    assert!(store.delete_key(id).await.unwrap());
    late.connect().await.unwrap();
    assert!(store.restore_key(id).await.unwrap().is_some());
}
