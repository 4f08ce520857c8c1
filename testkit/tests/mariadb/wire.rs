use std::io::ErrorKind;
use std::net::TcpStream;

use testkit::mariadb;
use testkit::wire::{Cut, Wire};

use crate::{by_tcp, by_tcp_aside};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_wire_is_cut_in_the_middle_of_a_statement_and_takes_the_next_one() {
    let server = mariadb::shared().await;
    let wire = Wire::to_port(server.port()).await;
    let sleep = by_tcp_aside(&server, wire.port(), "SELECT SLEEP(600)");
    let cut = async {
        let running = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(600)%'";
        while server.execute(running).await.trim() == "0" {}
        wire.cut();
    };
    let (broken, ()) = tokio::join!(sleep, cut);
    let broken = broken.unwrap_err();
    assert!(broken.contains("ERROR 2013"), "{broken}");
    wire.wait_for(|counts| counts.open == 0).await;
    assert_eq!(by_tcp(&server, wire.port(), &[], "SELECT 1").unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_statement_is_lost_before_the_server_or_its_answer_after() {
    let server = mariadb::shared().await;
    let wire = Wire::to_port(server.port()).await;
    let database = server.fresh_database().await;
    server
        .execute(&format!("CREATE TABLE {database}.t (i INT)"))
        .await;
    for (when, rows) in [(Cut::BeforeServer, "0"), (Cut::AfterAnswer, "1")] {
        wire.cut_on("INSERT INTO", when);
        let insert = format!("INSERT INTO {database}.t VALUES (1)");
        let broken = by_tcp(&server, wire.port(), &[], &insert).unwrap_err();
        assert!(broken.contains("ERROR 2013"), "{broken}");
        let count = server
            .execute(&format!("SELECT COUNT(*) FROM {database}.t"))
            .await;
        assert_eq!(count.trim(), rows, "{when:?}");
    }
    assert_eq!(wire.counts().struck, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_wire_refuses_stalls_and_heals_at_the_same_address() {
    let server = mariadb::shared().await;
    let wire = Wire::to_port(server.port()).await;
    assert_eq!(by_tcp(&server, wire.port(), &[], "SELECT 1").unwrap(), "1");
    wire.refuse().await;
    let error = TcpStream::connect(wire.address()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    wire.heal().await;
    assert_eq!(by_tcp(&server, wire.port(), &[], "SELECT 1").unwrap(), "1");

    wire.stall();
    let before = wire.counts().accepted;
    let query = by_tcp_aside(&server, wire.port(), "SELECT 2");
    let healed = async {
        wire.wait_for(|counts| counts.accepted > before).await;
        wire.heal().await;
    };
    let (answer, ()) = tokio::join!(query, healed);
    assert_eq!(answer.unwrap(), "2");
}
