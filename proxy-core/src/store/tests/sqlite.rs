//! What only a file can meet.

use std::path::Path;

use contract::admin::TokenRules;
use vault::Secret;

use super::{KEY, OTHER, TOKEN, World, all_bytes, contains, key, secrets};
use crate::store::FoundKey;

#[tokio::test]
async fn no_secret_is_in_the_files_in_clear() {
    let world = World::new();
    let store = world.open().await;
    store.add_keys(&[key(KEY, "label")]).await.unwrap();
    store
        .sync_environment(&secrets(&[OTHER]), &secrets(&[TOKEN]))
        .await
        .unwrap();
    let token = Secret::from("sk-a-random-token-of-the-panel");
    store
        .add_token("mine", &token, &TokenRules::default())
        .await
        .unwrap();
    let look = |when: &str| {
        let bytes = all_bytes(world.path().parent().unwrap());
        assert!(
            contains(&bytes, "label"),
            "the label is there, so this looks at the right files"
        );
        for secret in [KEY, OTHER, TOKEN, token.expose().as_str()] {
            assert!(!contains(&bytes, secret), "{when}: {secret}");
            assert!(
                !contains(&bytes, &secret[5..20]),
                "{when}: part of {secret}"
            );
        }
    };
    look("while open, with its -wal");
    store.close().await;
    look("closed");
}

#[tokio::test]
async fn a_newer_database_is_refused_before_anything_is_touched() {
    let world = World::new();
    world.open().await.close().await;
    world
        .tamper("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'from the future', 1, x'00', 0)")
        .await;
    let before = all_bytes(world.path().parent().unwrap());
    let said = world.refusal().await;
    assert!(
        said.contains("newer version") && said.contains("test.db"),
        "{said}"
    );
    assert_eq!(all_bytes(world.path().parent().unwrap()), before);
}

#[tokio::test]
async fn another_programs_database_is_left_alone() {
    let world = World::new();
    world.tamper("CREATE TABLE bookmarks (url TEXT)").await;
    let before = all_bytes(world.path().parent().unwrap());
    let said = world.refusal().await;
    assert!(
        said.contains("another program") && said.contains("DATA_DIR"),
        "{said}"
    );
    assert_eq!(all_bytes(world.path().parent().unwrap()), before);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_with_the_way_out() {
    let world = World::new();
    world.put(&b"this is not a database, but long enough to be looked at. ".repeat(40));
    let said = world.refusal().await;
    assert!(
        said.contains("damaged") && said.contains("backup"),
        "{said}"
    );

    let world = World::new();
    let store = world.open().await;
    let keys: Vec<FoundKey> = (0..200)
        .map(|n| key(&format!("{KEY}{n:04}"), "x"))
        .collect();
    store.add_keys(&keys).await.unwrap();
    store.close().await;
    let mut bytes = std::fs::read(world.path()).unwrap();
    let half = bytes.len() / 8;
    bytes[100..half].fill(0xa5);
    world.put(&bytes);
    let said = world.refusal().await;
    assert!(said.contains("damaged"), "{said}");

    let world = World::new();
    std::fs::create_dir_all(world.path()).unwrap();
    let said = world.refusal().await;
    assert!(said.contains("test.db"), "a folder in its place: {said}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named_with_the_way_out() {
    let world = World::new();
    std::fs::write(
        world.path().parent().unwrap(),
        "a file where the folder should be",
    )
    .unwrap();
    let said = world.refusal().await;
    assert!(said.contains("data") && said.contains("DATA_DIR"), "{said}");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let store = world.open().await;
    store.add_keys(&[key(KEY, "")]).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = world.path().parent().unwrap().to_path_buf();
    assert_eq!(mode(&folder), 0o700);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
