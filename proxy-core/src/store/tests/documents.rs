//! Documents, and what happens to them when everything else changes.

use contract::admin::{BackupReason, Sealing};
use testkit::wire::Wire;
use vault::MasterKey;

use super::{World, all_bytes, contains, run_from_outside};
use crate::store::{Store, StoreError};

const NAME: &str = "remote/3";
const TEXT: &str = r#"{"auth_token":"a-secret-of-a-remote"}"#;

on_both! {
    a_document_is_kept_replaced_and_forgotten
    a_prefix_is_taken_as_it_is_written
    another_sealing_key_opens_documents_and_the_old_one_nothing
    without_a_sealing_key_no_document_is_kept
    a_damaged_document_does_not_keep_the_others_away
    a_document_is_changed_by_one_after_the_other
    a_turn_is_one_servers_until_it_ends
}

async fn texts(store: &Store, prefix: &str) -> Vec<(String, String)> {
    let documents = store.documents(prefix).await.unwrap();
    documents
        .into_iter()
        .map(|document| (document.name, document.text.expose().to_owned()))
        .collect()
}

fn pair(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

async fn a_document_is_kept_replaced_and_forgotten(world: World) {
    let store = world.open().await;
    // Longer than a row of most tables: a kubeconfig or a whole run.
    let long = "x".repeat(300_000);
    store.save_document(NAME, &"first".into()).await.unwrap();
    store.save_document(NAME, &TEXT.into()).await.unwrap();
    store
        .save_document("account/1", &long.as_str().into())
        .await
        .unwrap();
    store.close().await;
    let store = world.open().await;
    assert_eq!(texts(&store, "remote/").await, [pair(NAME, TEXT)]);
    assert_eq!(texts(&store, "account/").await, [pair("account/1", &long)]);
    store.remove_document(NAME).await.unwrap();
    store.remove_document(NAME).await.unwrap();
    assert!(texts(&store, "remote/").await.is_empty());
    store.save_document(NAME, &TEXT.into()).await.unwrap();
    store.close().await;
    if world.mysql.is_none() {
        let bytes = all_bytes(world.path().parent().unwrap());
        assert!(contains(&bytes, NAME) && !contains(&bytes, "a-secret-of-a-remote"));
    }
}

async fn a_prefix_is_taken_as_it_is_written(world: World) {
    let store = world.open().await;
    for name in ["run/2", "run/10", "ru%/1", "RUN/1", "run"] {
        store.save_document(name, &name.into()).await.unwrap();
    }
    assert_eq!(
        texts(&store, "run/").await,
        [pair("run/10", "run/10"), pair("run/2", "run/2")]
    );
    assert_eq!(texts(&store, "ru%").await, [pair("ru%/1", "ru%/1")]);
    assert_eq!(texts(&store, "").await.len(), 5);
    let names = store.document_names("run/").await.unwrap();
    assert_eq!(names, ["run/10", "run/2"]);
}

async fn another_sealing_key_opens_documents_and_the_old_one_nothing(mut world: World) {
    let (server, command) = (world.open().await, world.open().await);
    server.save_document(NAME, &TEXT.into()).await.unwrap();
    let new = MasterKey::from_bytes([9; 32]);
    command.rotate_secret_key(new.clone()).await.unwrap();
    assert_eq!(texts(&command, "remote/").await, [pair(NAME, TEXT)]);
    // A server that has the old key neither takes what it cannot open for missing, nor
    // writes what nobody could open later.
    for refused in [
        server.documents("remote/").await.map(drop),
        server.save_document("remote/4", &TEXT.into()).await,
    ] {
        assert!(matches!(refused, Err(StoreError::OtherMasterKey(_))));
    }
    command.close().await;
    world.master = new;
    let store = world.open().await;
    assert_eq!(texts(&store, "").await, [pair(NAME, TEXT)]);
}

async fn without_a_sealing_key_no_document_is_kept(mut world: World) {
    world.sealing = Sealing::NotStored;
    let store = world.open().await;
    let refused = store.save_document(NAME, &TEXT.into()).await.unwrap_err();
    assert!(refused.to_string().contains("SECRET_KEY"), "{refused}");
    assert!(texts(&store, "").await.is_empty());
    store.agree_to_clear().await.unwrap();
    store.save_document(NAME, &TEXT.into()).await.unwrap();
    store.close().await;
    let again = world.open().await;
    assert_eq!(again.sealing(), Sealing::Clear);
    assert_eq!(texts(&again, "").await, [pair(NAME, TEXT)]);
    again.close().await;

    // A key that comes seals it.
    world.sealing = Sealing::SecretKey;
    let sealed = world.open().await;
    assert_eq!(texts(&sealed, "").await, [pair(NAME, TEXT)]);
    sealed.close().await;
    world.master = MasterKey::from_bytes([9; 32]);
    assert!(world.try_open().await.is_err());
}

async fn a_damaged_document_does_not_keep_the_others_away(world: World) {
    let store = world.open().await;
    for name in [NAME, "remote/4"] {
        store.save_document(name, &TEXT.into()).await.unwrap();
    }
    // One that is put in another's place does not open there either.
    match &world.mysql {
        None => {
            run_from_outside(
                &world.path(),
                "UPDATE documents SET name = 'remote/5' WHERE name = 'remote/4'",
            )
            .await;
        }
        Some((server, config)) => {
            let update = format!(
                "UPDATE `{}`.documents SET name = 'remote/5' WHERE name = 'remote/4'",
                config.database
            );
            server.execute(&update).await;
        }
    }
    assert_eq!(texts(&store, "remote/").await, [pair(NAME, TEXT)]);
    // Its place is taken all the same.
    let names = store.document_names("remote/").await.unwrap();
    assert_eq!(names, [NAME, "remote/5"]);
}

#[tokio::test]
async fn going_back_to_a_backup_brings_documents_back() {
    let world = World::new();
    let store = world.open().await;
    store.save_document(NAME, &TEXT.into()).await.unwrap();
    let then = store.back_up(BackupReason::Manual).await.unwrap();
    store.save_document(NAME, &"later".into()).await.unwrap();
    store.save_document("remote/4", &TEXT.into()).await.unwrap();
    store.restore(&then.name).await.unwrap();
    assert_eq!(texts(&store, "remote/").await, [pair(NAME, TEXT)]);
}

#[tokio::test]
async fn while_the_server_is_away_documents_fail_at_once_and_then_go_on() {
    let mut world = World::on_mysql().await;
    let (server, config) = world.mysql.as_mut().unwrap();
    let wire = Wire::to_port(server.port()).await;
    config.port = wire.port();
    let store = world.open().await;
    store.save_document(NAME, &TEXT.into()).await.unwrap();
    wire.refuse().await;
    wire.cut();
    let _ = store.tend().await;
    for refused in [
        store.documents("").await.map(drop),
        store.save_document(NAME, &"lost".into()).await,
        store.remove_document(NAME).await,
    ] {
        assert!(matches!(refused, Err(StoreError::Away(_))), "{refused:?}");
    }
    wire.heal().await;
    let _ = store.tend().await;
    assert_eq!(texts(&store, "").await, [pair(NAME, TEXT)]);
}

async fn a_document_is_changed_by_one_after_the_other(world: World) {
    let (one, two) = (world.open().await, world.open().await);
    one.save_document(NAME, &"0".into()).await.unwrap();
    let more = |text: &vault::Secret| {
        let number: u32 = text.expose().parse().unwrap();
        Some(vault::Secret::new((number + 1).to_string()))
    };
    for _ in 0..10 {
        let (first, second) = tokio::join!(
            one.change_document(NAME, more),
            two.change_document(NAME, more)
        );
        first.unwrap();
        second.unwrap();
    }
    assert_eq!(texts(&one, NAME).await, [pair(NAME, "20")]);
    one.change_document(NAME, |_| None).await.unwrap();
    one.change_document("remote/4", more).await.unwrap();
    assert_eq!(texts(&two, "remote/").await, [pair(NAME, "20")]);
}

async fn a_turn_is_one_servers_until_it_ends(world: World) {
    let (one, two) = (world.open().await, world.open().await);
    let now = world.now.load(std::sync::atomic::Ordering::SeqCst);
    let (first, second) = tokio::join!(
        one.take_turn("watch", 1, now + 1000),
        two.take_turn("watch", 2, now + 1000)
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(first != second, "both or neither: {first}");
    let (winner, loser) = if first { (1, 2) } else { (2, 1) };
    assert!(one.take_turn("watch", winner, now + 2000).await.unwrap());
    assert!(one.take_turn("another", loser, now + 1000).await.unwrap());
    let later = std::sync::atomic::Ordering::SeqCst;
    world.now.store(now + 1999, later);
    assert!(!two.take_turn("watch", loser, now + 9000).await.unwrap());
    world.now.store(now + 2000, later);
    assert!(two.take_turn("watch", loser, now + 9000).await.unwrap());
    let turn = |name: &str, holder| super::super::turns::Turn {
        name: name.to_owned(),
        holder,
    };
    assert_eq!(two.turns("wat").await.unwrap(), [turn("watch", loser)]);
    assert_eq!(two.turns("another").await.unwrap(), [], "it has ended");
    one.end_turn("watch", winner, now + 9000).await.unwrap();
    one.end_turn("watch", loser, now + 8000).await.unwrap();
    assert_eq!(one.turns("").await.unwrap(), [turn("watch", loser)]);
    one.end_turn("watch", loser, now + 9000).await.unwrap();
    assert_eq!(one.turns("").await.unwrap(), []);
    assert!(one.take_turn("watch", winner, now + 9000).await.unwrap());
    assert!(!two.take_turn("watch", loser, now + 9000).await.unwrap());
    // A clock that was wrong keeps nobody waiting for ever.
    world.now.store(now - 24 * 3_600_000, later);
    assert!(one.take_turn("watch", winner, now).await.unwrap());
}
