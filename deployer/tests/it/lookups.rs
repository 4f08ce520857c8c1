use contract::ErrorCode;
use contract::deploy::{DatabaseReport, FoundDatabase};
use reqwest::Method;
use serde_json::json;

use crate::cloud::Cloud;
use crate::world::Ground;

const DATABASE: &str = "/api/deploy/database";

#[tokio::test]
async fn a_database_is_looked_at_from_here() {
    let server = testkit::mariadb::shared().await;
    let database = server.fresh_database().await;
    let world = Ground::new(Cloud::new().providers()).start().await;
    let wish = json!({
        "kind": "mysql", "host": server.host(), "port": server.port(), "user": server.user(),
        "password": server.password(), "database": database, "ssl_mode": "PREFERRED",
    });
    let report: DatabaseReport = world.post(DATABASE, wish.clone()).await;
    assert!(report.ok, "{report:?}");
    assert_eq!(report.found, Some(FoundDatabase::Empty));

    let mut wrong = wish;
    wrong["password"] = json!("not the password");
    let report: DatabaseReport = world.post(DATABASE, wrong).await;
    let problem = report.problem.unwrap();
    assert_eq!(problem.code, ErrorCode::Database);
    assert!(!problem.message.contains("not the password"), "{problem}");
}

#[tokio::test]
async fn what_cannot_be_a_database_is_said_at_once() {
    let world = Ground::new(Cloud::new().providers()).start().await;
    let good = json!({
        "kind": "mysql", "host": "127.0.0.1", "port": 1, "user": "u", "password": "p",
        "database": "d", "ssl_mode": "PREFERRED",
    });
    for (field, value, expected) in [
        ("host", "mysql://127.0.0.1", "without mysql://"),
        ("user", " ", "User"),
        ("ssl_mode", "MAYBE", "VERIFY_IDENTITY"),
        ("ssl_ca", "/etc/passwd", "PEM"),
    ] {
        let mut wish = good.clone();
        wish[field] = json!(value);
        let (status, said) = world.refused(Method::POST, DATABASE, Some(wish)).await;
        assert_eq!(
            (status, said.code),
            (400, ErrorCode::InvalidInput),
            "{field}"
        );
        assert!(said.message.contains(expected), "{said}");
    }
    let (status, _) = world
        .refused(Method::POST, DATABASE, Some(json!({"kind": "none"})))
        .await;
    assert_eq!(status, 400);
}
