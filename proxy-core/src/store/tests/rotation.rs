//! Another sealing key, whatever happens on the way.

use std::sync::Arc;

use contract::admin::{Sealing, TokenRules};
use vault::{KeyFile, MasterKey, Secret};

use super::{KEY, OTHER, TOKEN, World, all_bytes, key, secrets};
use crate::store::{Store, StoreError, Tended};

on_both! {
    another_secret_key_opens_everything_and_the_old_one_nothing
    a_new_key_file_takes_the_place_of_the_old_one
    a_rotation_that_broke_off_is_finished_or_forgotten_at_the_next_start
    a_running_server_goes_on_with_the_new_key_file
    a_running_server_with_an_old_secret_key_writes_nothing_with_it
    what_is_stored_in_clear_waits_for_a_first_key
}

fn rotated() -> MasterKey {
    MasterKey::from_bytes([9; 32])
}

impl World {
    /// With a key file in the data folder.
    fn with_key_file(mut self) -> Self {
        self.sealing = Sealing::KeyFile;
        self.read_key_file();
        self
    }

    /// As at a start: the key is read before the database is opened.
    fn read_key_file(&mut self) {
        self.master = self.key_file().load_or_create().unwrap();
    }

    fn key_file(&self) -> KeyFile {
        KeyFile::in_folder(self.folder.path())
    }

    fn key_files(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("master"))
            .collect();
        names.sort();
        names
    }
}

/// Everything that is sealed or hashed with the master key.
async fn fill(store: &Store) {
    store
        .add_keys(&[key(KEY, "one"), key(OTHER, "two")])
        .await
        .unwrap();
    store
        .sync_environment(&secrets(&["AIzaSyOfTheEnvironment"]), &secrets(&[TOKEN]))
        .await
        .unwrap();
    store
        .set_second_factor(&"JBSWY3DPEHPK3PXP".into(), 1, &[], None)
        .await
        .unwrap();
    store
        .end_sessions_of_another(Some(&"panel".into()))
        .await
        .unwrap();
}

async fn assert_filled(store: &Store) {
    let keys = store.keys().await.unwrap();
    let found: Vec<Secret> = keys.iter().map(|key| key.secret.clone()).collect();
    assert_eq!(found, secrets(&[KEY, OTHER, "AIzaSyOfTheEnvironment"]));
    let again = store.add_keys(&[key(KEY, "")]).await.unwrap();
    assert!(again[0].is_none(), "the same key is recognised");
    let factor = store.second_factor().await.unwrap().unwrap();
    assert_eq!(factor.secret, "JBSWY3DPEHPK3PXP".into());
}

fn is_other_key<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::OtherMasterKey(_)))
}

async fn another_secret_key_opens_everything_and_the_old_one_nothing(mut world: World) {
    let store = world.open().await;
    fill(&store).await;
    let session = crate::store::StoredSession {
        hash: [1; 32],
        created_at: 0,
        expires_at: i64::MAX,
        last_seen_at: 0,
        address: String::new(),
        user_agent: String::new(),
    };
    store.add_session(&session).await.unwrap();
    store.load().await.unwrap();
    store.write_snapshot(|_| None).await;
    store.rotate_secret_key(rotated()).await.unwrap();
    assert_filled(&store).await;
    store.close().await;

    let said = world.refusal().await;
    assert!(
        said.contains("rotate-key") && said.contains("SECRET_KEY"),
        "{said}"
    );
    world.master = rotated();
    let store = world.open().await;
    store
        .sync_environment(&secrets(&["AIzaSyOfTheEnvironment"]), &secrets(&[TOKEN]))
        .await
        .unwrap();
    assert_filled(&store).await;
    assert_eq!(store.keys().await.unwrap().len(), 3, "none is there twice");
    assert_eq!(store.tokens().await.unwrap().len(), 1);
    store
        .end_sessions_of_another(Some(&"panel".into()))
        .await
        .unwrap();
    assert_eq!(store.sessions().await.unwrap().len(), 1, "it goes on");
    store.close().await;
    if world.mysql.is_some() {
        let store = world.open().await;
        let offline = store.load_offline(&[], &[]);
        assert_eq!(offline.keys.len(), 2, "the snapshot opens as well");
    }
}

async fn a_new_key_file_takes_the_place_of_the_old_one(world: World) {
    let mut world = world.with_key_file();
    let store = world.open().await;
    fill(&store).await;
    let old = world.master.clone();
    store.rotate_key_file().await.unwrap();
    assert_filled(&store).await;
    store.rotate_key_file().await.unwrap();
    assert_filled(&store).await;
    store.close().await;
    assert_eq!(world.key_files(), ["master.key"]);
    world.read_key_file();
    assert_ne!(world.master.expose(), old.expose());
    assert_filled(&world.open().await).await;
    world.key_file().save(&old).unwrap();
    world.read_key_file();
    assert!(is_other_key(world.try_open().await));
}

async fn a_rotation_that_broke_off_is_finished_or_forgotten_at_the_next_start(world: World) {
    let mut world = world.with_key_file();
    let store = world.open().await;
    fill(&store).await;
    store.close().await;
    let old = world.master.clone();

    // Killed before the database was told.
    world.key_file().replacement().save(&rotated()).unwrap();
    let store = world.open().await;
    assert_filled(&store).await;
    assert_eq!(world.key_files(), ["master.key"]);

    // Killed between the database and the renaming.
    store.rotate_key_file().await.unwrap();
    store.close().await;
    let new = world.key_file().load().unwrap().unwrap();
    world.key_file().replacement().save(&new).unwrap();
    world.key_file().save(&old).unwrap();
    world.read_key_file();
    assert_eq!(world.master.expose(), old.expose());
    let store = world.open().await;
    assert_filled(&store).await;
    assert_eq!(world.key_files(), ["master.key"]);
    let found = world.key_file().load().unwrap().unwrap();
    assert_eq!(found.expose(), new.expose());
    store.add_keys(&[key("AIzaSyLater", "")]).await.unwrap();

    // The same, met by the next rotation instead of the next start.
    world.key_file().replacement().save(&new).unwrap();
    world.key_file().save(&old).unwrap();
    store.rotate_key_file().await.unwrap();
    store.close().await;
    world.read_key_file();
    let store = world.open().await;
    assert_eq!(store.keys().await.unwrap().len(), 4);
    store.close().await;

    // A file that is no key is of no rotation that got anywhere.
    let beside = world.key_file().replacement();
    beside.save(&rotated()).unwrap();
    std::fs::write(beside.path(), b"half a k").unwrap();
    assert_eq!(world.open().await.keys().await.unwrap().len(), 4);
}

async fn a_running_server_goes_on_with_the_new_key_file(world: World) {
    let world = world.with_key_file();
    let (server, command) = (world.open().await, world.open().await);
    fill(&server).await;
    server.load().await.unwrap();
    assert_eq!(server.tend().await, Tended::Unchanged);
    let old = world.master.clone();
    command.rotate_key_file().await.unwrap();
    // Even if it looks before the file has its name.
    let new = world.key_file().load().unwrap().unwrap();
    world.key_file().replacement().save(&new).unwrap();
    world.key_file().save(&old).unwrap();
    assert_eq!(server.tend().await, Tended::Changed);
    assert_eq!(server.load().await.unwrap().keys.len(), 3);
    world.key_file().replace().unwrap();
    server.add_keys(&[key("AIzaSyLater", "")]).await.unwrap();
    assert_eq!(command.keys().await.unwrap().len(), 4);

    // The first thing it does may as well be a change.
    command.rotate_key_file().await.unwrap();
    server.add_keys(&[key("AIzaSyLast", "")]).await.unwrap();
    assert_eq!(command.keys().await.unwrap().len(), 5);
    command.rotate_key_file().await.unwrap();
    assert!(server.second_factor().await.unwrap().is_some());
    let id = server.keys().await.unwrap()[0].id;
    command.rotate_key_file().await.unwrap();
    assert!(server.key(id).await.unwrap().is_some());
}

async fn a_running_server_with_an_old_secret_key_writes_nothing_with_it(mut world: World) {
    let (server, command) = (Arc::new(world.open().await), world.open().await);
    fill(&server).await;
    server.load().await.unwrap();
    // A change that is under way while the key changes: one comes after the other.
    let adding = {
        let server = server.clone();
        tokio::spawn(async move { server.add_keys(&[key("AIzaSyInBetween", "")]).await })
    };
    let rotated_now = command.rotate_secret_key(rotated()).await;
    rotated_now.unwrap();
    let added = adding.await.unwrap().is_ok();

    assert!(is_other_key(
        server.add_keys(&[key("AIzaSyLater", "")]).await
    ));
    assert!(is_other_key(
        server.set_second_factor(&"X".into(), 1, &[], None).await
    ));
    assert!(is_other_key(server.load().await), "memory is not emptied");
    assert!(is_other_key(server.second_factor().await.map(drop)));
    let environment = secrets(&["AIzaSyOfTheEnvironment"]);
    assert!(is_other_key(
        server.sync_environment(&environment, &[]).await
    ));
    // What needs no key goes on.
    let rules = TokenRules::default();
    server
        .add_token("phone", &"sk-1".into(), &rules)
        .await
        .unwrap();
    server.end_sessions().await.unwrap();

    command.close().await;
    world.master = rotated();
    let store = world.open().await;
    let keys = store.keys().await.unwrap();
    assert_eq!(keys.len(), 3 + usize::from(added), "all of them open");
}

async fn what_is_stored_in_clear_waits_for_a_first_key(mut world: World) {
    world.sealing = Sealing::NotStored;
    let store = world.open().await;
    let refused = store.rotate_secret_key(rotated()).await.unwrap_err();
    assert!(matches!(refused, StoreError::NoSealingKey), "{refused}");
    store.agree_to_clear().await.unwrap();
    store.add_keys(&[key(KEY, "")]).await.unwrap();
    let refused = store.rotate_secret_key(rotated()).await.unwrap_err();
    assert!(matches!(refused, StoreError::NoSealingKey), "{refused}");
    assert!(store.rotate_key_file().await.is_err());

    // Another server is started with a key: this one has the old one from then on.
    world.sealing = Sealing::SecretKey;
    let other = world.open().await;
    assert_eq!(other.keys().await.unwrap().len(), 1);
    assert!(is_other_key(store.add_keys(&[key(OTHER, "")]).await));
    if world.mysql.is_none() {
        other.rotate_secret_key(rotated()).await.unwrap();
        other.close().await;
        assert!(!super::contains(
            &all_bytes(world.path().parent().unwrap()),
            KEY
        ));
    }
}
