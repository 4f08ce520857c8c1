//! What clients may go back to after a restart: whose it is, and how much of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use contract::Millis;
use contract::admin::TokenRules;
use dialect::openai_to_gemini::responses::Kept;
use serde_json::json;
use vault::MasterKey;

use super::{World, secrets};
use crate::memory::scribe::Note;
use crate::store::Store;
use crate::store::database::query;

on_both! {
    short_tokens_that_look_alike_inherit_nothing
    another_master_key_keeps_the_numbers_and_forgets_what_was_said
    the_oldest_answers_of_too_much_go_first
    a_token_with_many_signatures_loses_its_oldest
}

/// An answer of about `size` bytes.
fn answer(token: i64, id: &str, size: usize) -> Note {
    let written = json!({"id": id, "input": ["x".repeat(size)], "response": {}});
    let answer = Arc::new(Kept::read(&written.to_string()).unwrap());
    Note::Keep { token, answer }
}

fn signature(token: i64, call: &str) -> Note {
    Note::Signature {
        token,
        call: call.to_owned(),
        signature: "c2ln".to_owned(),
    }
}

async fn kept(store: &Store) -> Vec<(i64, String)> {
    let kept = store.kept_responses().await.unwrap();
    let mut ids: Vec<_> = (kept.into_iter())
        .map(|(token, answer)| (token, answer.id().to_owned()))
        .collect();
    ids.sort_unstable();
    ids
}

async fn signed(store: &Store) -> Vec<(i64, String)> {
    let known = store.call_signatures().await.unwrap();
    let signed = known.into_iter().map(|known| (known.token, known.call));
    signed.collect()
}

async fn ids(store: &Store) -> Vec<i64> {
    store.load().await.unwrap();
    let tokens = store.tokens().await.unwrap();
    tokens.iter().map(|token| token.id).collect()
}

async fn short_tokens_that_look_alike_inherit_nothing(world: World) {
    let store = world.open().await;
    let before = secrets(&["sk-anna", "sk-bert"]);
    store.sync_environment(&[], &before).await.unwrap();
    assert_eq!(ids(&store).await, [-1, -2]);
    let rules = TokenRules {
        rpm: Some(3),
        ..TokenRules::default()
    };
    assert!(store.change_token(-1, None, Some(&rules)).await.unwrap());
    let notes = [answer(-1, "resp_a", 10), signature(-2, "call_b")];
    store.remember(&notes).await.unwrap();

    // One is gone, one is new, and both are shown as nothing but dots.
    let after = secrets(&["sk-carl", "sk-bert"]);
    store.sync_environment(&[], &after).await.unwrap();
    assert_eq!(ids(&store).await, [-2, -3]);
    let tokens = store.tokens().await.unwrap();
    assert_eq!(tokens[1].rules, TokenRules::default());
    assert_eq!(kept(&store).await, [(-1, "resp_a".to_owned())]);
    assert_eq!(signed(&store).await, [(-2, "call_b".to_owned())]);
}

async fn another_master_key_keeps_the_numbers_and_forgets_what_was_said(mut world: World) {
    let long = secrets(&["sk-a-long-token-of-anna", "sk-another-one-of-bert"]);
    let store = world.open().await;
    store.sync_environment(&[], &long).await.unwrap();
    let rules = TokenRules {
        rpm: Some(3),
        ..TokenRules::default()
    };
    assert!(store.change_token(-2, None, Some(&rules)).await.unwrap());
    store.remember(&[signature(-2, "call_b")]).await.unwrap();
    let other = MasterKey::from_bytes([8; 32]);
    store.rotate_secret_key(other.clone()).await.unwrap();
    store.close().await;

    world.master = other;
    let store = world.open().await;
    store.sync_environment(&[], &long).await.unwrap();
    assert_eq!(ids(&store).await, [-1, -2]);
    assert_eq!(store.tokens().await.unwrap()[1].rules, rules);
    assert_eq!(signed(&store).await, []);
    // From now on it is known.
    store.remember(&[signature(-2, "call_c")]).await.unwrap();
    store.sync_environment(&[], &long).await.unwrap();
    assert_eq!(signed(&store).await, [(-2, "call_c".to_owned())]);
}

/// Answers that take up as much as is said, though nothing is in them.
async fn put(store: &Store, at: Millis, answers: &[(i64, String, i64)]) {
    let mut tx = store.begin().await.unwrap();
    for (token, id, bytes) in answers {
        query(
            "INSERT INTO kept_responses (id, token_id, bytes, at, sealed) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(id.as_str())
        .bind(*token)
        .bind(*bytes)
        .bind(at)
        .bind(Vec::new())
        .execute(&mut tx)
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    // With the next thing that is remembered it is seen what is too much.
    store.remember(&[signature(1, "any")]).await.unwrap();
}

async fn left(store: &Store) -> Vec<(i64, String)> {
    let rows = query("SELECT token_id, id FROM kept_responses ORDER BY token_id, id")
        .fetch_all(store.db().unwrap().read())
        .await
        .unwrap();
    let rows = rows.iter();
    rows.map(|row| (row.get("token_id").unwrap(), row.get("id").unwrap()))
        .collect()
}

async fn the_oldest_answers_of_too_much_go_first(world: World) {
    const MIB: i64 = 1024 * 1024;
    let store = world.open().await;
    let now = world.now.load(Ordering::Relaxed);
    // All at the same time, and of two tokens only one has too much.
    let mut answers = vec![(2, "another".to_owned(), MIB)];
    answers.extend((10..30).map(|at| (1, format!("{at}"), MIB)));
    put(&store, now, &answers).await;
    let of_one = left(&store).await;
    assert_eq!(of_one.len(), 16 + 1, "{of_one:?}");
    assert_eq!(of_one[0], (1, "14".to_owned()));
    assert_eq!(of_one[16], (2, "another".to_owned()));

    // In all, too: those of the first tokens are older.
    let more: Vec<_> = (10..30)
        .map(|at| (3 + at % 2, format!("new {at}"), MIB))
        .collect();
    put(&store, now + 1, &more).await;
    let of_all = left(&store).await;
    let of = |token| of_all.iter().filter(|(of, _)| *of == token).count();
    assert_eq!((of(3), of(4)), (10, 10));
    assert_eq!(of(1) + of(2), 12);
}

async fn a_token_with_many_signatures_loses_its_oldest(world: World) {
    let store = world.open().await;
    store.remember(&[signature(2, "of another")]).await.unwrap();
    world.later(1_000);
    let many = (0..10_003).map(|at| signature(1, &format!("{at:05}")));
    store.remember(&many.collect::<Vec<_>>()).await.unwrap();
    let left = signed(&store).await;
    assert_eq!(left.len(), 10_001);
    assert_eq!(left[0], (2, "of another".to_owned()));
    assert!(!left.contains(&(1, "00002".to_owned())));
    assert!(left.contains(&(1, "00003".to_owned())));
}
