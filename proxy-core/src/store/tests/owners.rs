//! Whose Google's resources are: found by name, by whoever shares the database.

use super::World;
use crate::memory::scribe::Note;
use crate::memory::{Owner, Owners, Scribe};
use crate::store::Store;
use crate::store::database::query;

on_both! {
    owners_are_found_by_name_and_forgotten
    a_client_with_many_resources_loses_its_oldest
    the_memory_asks_the_database_for_what_it_does_not_have
}

fn owner(client: &str, key: i64) -> Owner {
    Owner {
        client: client.into(),
        key,
    }
}

fn owns(name: &str, client: &str, key: i64) -> Note {
    Note::Owns {
        name: name.to_owned(),
        owner: owner(client, key),
    }
}

async fn found(store: &Store, names: &[&str]) -> Vec<(String, Owner)> {
    let found = store.resource_owners(names).await.unwrap();
    let mut found: Vec<_> = found.into_iter().map(|one| (one.name, one.owner)).collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

async fn owners_are_found_by_name_and_forgotten(world: World) {
    let store = world.open().await;
    // Names may be as long as those of sessions are.
    let session = format!("sessions/{}", "钥a".repeat(500));
    store
        .remember(&[
            owns("files/a", "anna", 1),
            owns("files/b", "bert", 2),
            owns("files/a", "anna", 3),
            owns("cachedContents/a", "anna", 4),
            owns(&session, "anna", 5),
            // A key that has no lasting number is another one after the next start.
            owns("files/c", "anna", i64::MIN),
        ])
        .await
        .unwrap();
    let names = ["files/a", "files/A", "files/b", "files/c", &session];
    let expected = [
        ("files/a".to_owned(), owner("anna", 3)),
        ("files/b".to_owned(), owner("bert", 2)),
        (session.clone(), owner("anna", 5)),
    ];
    assert_eq!(found(&store, &names).await, expected);
    assert_eq!(found(&store, &[]).await, []);
    assert_eq!(store.resource_keys("anna", "files").await.unwrap(), [3]);
    assert_eq!(store.resource_keys("carl", "files").await.unwrap(), [0; 0]);
    let gone = Note::Disowned {
        name: "files/a".to_owned(),
    };
    store.remember(&[gone]).await.unwrap();
    assert_eq!(found(&store, &["files/a"]).await, []);

    // What nobody has asked for again in two months is gone at Google, too, but for what is kept
    // without end.
    let lasts = "fileSearchStores/s";
    store.remember(&[owns(lasts, "anna", 1)]).await.unwrap();
    assert!(!store.resource_owners(&[lasts]).await.unwrap()[0].is_old);
    world.later(61 * 24 * 60 * 60 * 1_000);
    store.remember(&[owns("files/d", "anna", 1)]).await.unwrap();
    assert_eq!(found(&store, &["files/b", "files/d"]).await.len(), 1);
    assert!(store.resource_owners(&[lasts]).await.unwrap()[0].is_old);
}

async fn a_client_with_many_resources_loses_its_oldest(world: World) {
    let store = world.open().await;
    store
        .remember(&[owns("files/of-another", "bert", 1)])
        .await
        .unwrap();
    world.later(1_000);
    let many = (0..5_000).map(|at| owns(&format!("files/old{at}"), "anna", 1));
    store.remember(&many.collect::<Vec<_>>()).await.unwrap();
    world.later(1_000);
    let many = (0..5_003).map(|at| owns(&format!("files/new{at}"), "anna", 1));
    store.remember(&many.collect::<Vec<_>>()).await.unwrap();
    let rows =
        query("SELECT owner, COUNT(*) AS n FROM resource_owners GROUP BY owner ORDER BY owner")
            .fetch_all(store.db().unwrap().read())
            .await
            .unwrap();
    let counts: Vec<i64> = rows.iter().map(|row| row.get("n").unwrap()).collect();
    assert_eq!(counts, [10_000, 1]);
    assert_eq!(
        found(&store, &["files/new0", "files/new5002"]).await.len(),
        2
    );
}

async fn the_memory_asks_the_database_for_what_it_does_not_have(world: World) {
    let store = world.open().await;
    // By another server.
    store
        .remember(&[owns("files/theirs", "anna", 7)])
        .await
        .unwrap();
    let owners = Owners::new(Scribe::default());
    owners.remember("files/ours", owner("anna", 8));
    let names = ["files/ours", "files/theirs", "files/nobodys"];
    let found = owners.find(&store, &names).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found["files/ours"], owner("anna", 8));
    assert_eq!(found["files/theirs"], owner("anna", 7));
    let mut keys = owners.keys(&store, "anna", "files").await;
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys, [7, 8]);

    // Without the database, what is in memory is known, and of all else nothing.
    store.close().await;
    let known = &names[..2];
    assert_eq!(owners.find(&store, known).await.unwrap().len(), 2);
    assert!(owners.find(&store, &names).await.is_err());
    owners.forget("files/theirs");
    assert!(owners.find(&store, known).await.is_err());
}
