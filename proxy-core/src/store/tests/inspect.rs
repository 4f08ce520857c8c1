//! What is said of a server before an instance is sent there.

use contract::deploy::{DatabaseReport, FoundDatabase};
use testkit::mariadb::MariaDb;

use super::{World, mysql_config};
use crate::clock::Clock;
use crate::store::inspect::inspect_within;
use crate::store::{MysqlConfig, TlsMode, inspect};

async fn look(config: &MysqlConfig) -> DatabaseReport {
    inspect(config, &Clock::system()).await
}

/// What is said of one that cannot be used.
async fn refused(config: &MysqlConfig) -> String {
    let report = look(config).await;
    assert!(!report.ok, "{report:?}");
    let said = report.problem.unwrap().message;
    let password = config.password.as_ref().unwrap();
    assert!(!said.contains(password.expose()), "{said}");
    said
}

#[tokio::test]
async fn what_is_in_a_database_is_recognised_and_nothing_is_left_behind() {
    let world = World::on_mysql().await;
    let (server, config) = world.mysql.as_ref().unwrap();
    let database = &config.database;
    let tables = format!("SHOW TABLES FROM `{database}`");

    let report = look(config).await;
    assert_eq!(report.problem, None);
    assert!(report.ok && report.exists && report.may_create);
    assert!(!report.encrypted && !report.verified);
    assert!(report.version.unwrap().contains("MariaDB"));
    assert_eq!(report.found, Some(FoundDatabase::Empty));
    assert_eq!(report.used_bytes, Some(0));
    assert!(report.latency_ms.is_some());
    assert_eq!(server.execute(&tables).await, "");

    server
        .execute(&format!("CREATE TABLE `{database}`.guests (id INT)"))
        .await;
    let report = look(config).await;
    assert_eq!(report.found, Some(FoundDatabase::Others));
    assert!(report.ok && report.used_bytes.unwrap() > 0);
    server
        .execute(&format!("CREATE TABLE `{database}`.t_settings (id INT)"))
        .await;
    let report = look(config).await;
    assert_eq!(
        (report.ok, report.found),
        (true, Some(FoundDatabase::Original))
    );

    world.open().await.close().await;
    let before = server.execute(&tables).await;
    let report = look(config).await;
    assert_eq!((report.ok, report.found), (true, Some(FoundDatabase::Ours)));
    server
        .execute(&format!(
            "INSERT INTO `{database}`.gemini_balance_migrations \
             (version, description, success, checksum, execution_time) \
             VALUES (9999, 'from the future', 1, '', 0)"
        ))
        .await;
    assert_eq!(look(config).await.found, Some(FoundDatabase::Newer));
    assert_eq!(server.execute(&tables).await, before);
}

#[tokio::test]
async fn a_foreign_database_with_our_names_is_refused() {
    let world = World::on_mysql().await;
    let (server, config) = world.mysql.as_ref().unwrap();
    let database = &config.database;
    server
        .execute(&format!("CREATE TABLE `{database}`.sessions (id INT)"))
        .await;
    let said = refused(config).await;
    assert!(said.contains("another program"), "{said}");
}

#[tokio::test]
async fn rights_are_told_without_trying_them() {
    let world = World::on_mysql().await;
    let (server, config) = world.mysql.as_ref().unwrap();
    let as_user = async |privileges: &str, database: &str| {
        let user = server.user_of(&config.database, privileges).await;
        MysqlConfig {
            user: user.name,
            password: Some(user.password.as_str().into()),
            database: database.to_owned(),
            ..config.clone()
        }
    };
    let enough = "SELECT, INSERT, UPDATE, DELETE, CREATE, INDEX, ALTER";
    let report = look(&as_user(enough, &config.database).await).await;
    assert!(report.ok && report.may_create, "{report:?}");

    let report = look(&as_user("SELECT, INSERT, CREATE", &config.database).await).await;
    assert!(report.may_create);
    let said = report.problem.unwrap().message;
    assert!(said.contains("ALTER, INDEX, UPDATE, DELETE"), "{said}");

    let report = look(&as_user("SELECT", &config.database).await).await;
    assert!(!report.ok && !report.may_create, "{report:?}");
    assert_eq!(report.found, Some(FoundDatabase::Empty));

    // Another database, which is there or is not: the server tells such a user neither.
    let other = server.fresh_database().await;
    for database in [other, server.unused_name()] {
        let said = refused(&as_user(enough, &database).await).await;
        assert!(said.contains(&database), "{said}");
    }

    // Who may everything is told that it will be made, and it is not made yet.
    let mut administrator = config.clone();
    administrator.database = server.unused_name();
    let report = look(&administrator).await;
    assert_eq!(report.problem, None);
    assert!(report.ok && !report.exists && report.may_create);
    assert_eq!((report.found, report.used_bytes), (None, None));
    let shown = format!("SHOW DATABASES LIKE '{}'", administrator.database);
    assert_eq!(server.execute(&shown).await, "");
}

#[tokio::test]
async fn who_cannot_get_in_is_told_why() {
    let world = World::on_mysql().await;
    let (_, right) = world.mysql.as_ref().unwrap();

    let mut config = right.clone();
    config.password = Some("not the password".into());
    let said = refused(&config).await;
    assert!(said.contains("user and password"), "{said}");

    let mut config = right.clone();
    config.tls = TlsMode::Required;
    let said = refused(&config).await;
    assert!(said.contains("offers no TLS"), "{said}");

    // No resolver asks anybody for such a name.
    let mut config = right.clone();
    config.host = "https://db.example".to_owned();
    let said = refused(&config).await;
    assert!(said.contains("is not known"), "{said}");

    let wire = testkit::wire::Wire::to_port(right.port).await;
    let mut config = right.clone();
    config.port = wire.port();
    wire.refuse().await;
    let said = refused(&config).await;
    assert!(said.contains("Nothing listens"), "{said}");
}

#[tokio::test]
async fn a_server_that_is_silent_is_not_waited_for_for_ever() {
    // The system takes connections, and nobody says anything on them.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = MysqlConfig {
        host: "127.0.0.1".to_owned(),
        port: silent.local_addr().unwrap().port(),
        socket: None,
        user: "root".to_owned(),
        password: Some("secret".into()),
        database: "gb".to_owned(),
        tls: TlsMode::Preferred,
        tls_ca: None,
    };
    let patience = std::time::Duration::from_millis(20);
    let report = inspect_within(patience, &config, &Clock::system()).await;
    let said = report.problem.unwrap().message;
    assert!(said.contains("does not answer"), "{said}");
}

#[tokio::test]
async fn encryption_is_told_apart_from_knowing_who_it_is() {
    let server = MariaDb::builder().tls().start().await;
    let mut config = mysql_config(&server, server.fresh_database().await);
    config.tls = TlsMode::Required;
    let report = look(&config).await;
    assert!(
        report.ok && report.encrypted && !report.verified,
        "{report:?}"
    );

    config.tls = TlsMode::VerifyIdentity;
    let said = refused(&config).await;
    assert!(said.contains("certificate authority"), "{said}");
    config.tls_ca = Some("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n".to_owned());
    let said = refused(&config).await;
    assert!(said.contains("certificate authority"), "{said}");
    config.tls_ca = Some(server.ca_pem().to_owned());
    let report = look(&config).await;
    assert!(
        report.ok && report.encrypted && report.verified,
        "{report:?}"
    );

    server
        .execute("SET GLOBAL require_secure_transport = ON")
        .await;
    config.tls = TlsMode::Disabled;
    let said = refused(&config).await;
    // MariaDB says no more than that it lets nobody in.
    assert!(said.contains("whether it must use TLS"), "{said}");
}

#[tokio::test]
async fn a_server_that_takes_no_changes_is_noticed() {
    let server = MariaDb::start().await;
    let config = mysql_config(&server, server.fresh_database().await);
    assert!(look(&config).await.ok);
    server.set_read_only(true).await;
    let said = refused(&config).await;
    assert!(said.contains("read-only"), "{said}");
}
