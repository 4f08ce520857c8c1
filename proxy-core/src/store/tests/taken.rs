//! Keys and tokens of another instance, taken in.

use contract::admin::{Actor, AuditAction, TokenRules};
use vault::Secret;

use super::{KEY, OTHER, World};
use crate::store::{Author, FoundKey, FoundToken, TakenIn, ToTakeIn};

on_both! {
    what_is_new_is_added_in_one_change_that_says_what_it_was
}

fn key(text: &str) -> FoundKey {
    FoundKey {
        secret: text.into(),
        label: String::new(),
        rules: contract::admin::KeyRules::default(),
    }
}

fn token(name: &str, hash: [u8; 32]) -> FoundToken {
    FoundToken {
        name: name.to_owned(),
        masked: "sk-a…bcde".to_owned(),
        hash,
        rules: TokenRules::default(),
    }
}

async fn what_is_new_is_added_in_one_change_that_says_what_it_was(world: World) {
    let store = world.open().await;
    let known = store.add_keys(&[key(KEY)]).await.unwrap();
    let known = known[0].as_ref().unwrap().id;
    let secret = Secret::from("sk-a-token-made-here-0123456789");
    let rules = TokenRules::default();
    let here = store.add_token("here", &secret, &rules).await.unwrap();
    let secret = Secret::from("sk-a-token-that-was-revoked");
    let gone = store.add_token("gone", &secret, &rules).await.unwrap();
    assert!(store.delete_token(gone.id).await.unwrap());

    let by = Author {
        actor: Actor::CommandLine,
        address: None,
    };
    let limited = TokenRules {
        rpm: Some(3),
        ..TokenRules::default()
    };
    let found = ToTakeIn {
        keys: vec![(key(KEY), true), (key(OTHER), false)],
        tokens: vec![
            token("there", [3; 32]),
            token("known", here.hash),
            token("gone", gone.hash),
        ],
        changed: vec![
            (here.id, "renamed".to_owned(), limited.clone()),
            (gone.id, "back".to_owned(), limited.clone()),
        ],
    };
    let taken = store.take_in(by.clone(), "one", &found).await.unwrap();
    assert_eq!(
        (taken.new_keys, taken.new_tokens, taken.changed_tokens),
        (1, 1, 1)
    );
    assert_eq!((taken.keys.len(), taken.keys[0]), (2, known));
    let keys = store.keys().await.unwrap();
    let on: Vec<bool> = keys.iter().map(|key| key.enabled).collect();
    assert_eq!(on, [true, false]);
    let tokens = store.tokens().await.unwrap();
    let names: Vec<&str> = tokens.iter().map(|token| token.name.as_str()).collect();
    assert_eq!(names, ["renamed", "there"], "what was revoked stays so");
    assert_eq!(tokens[0].rules, limited);
    let entries = store.audit(None, 10).await.unwrap().entries;
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (entries[0].action, entries[0].undoable),
        (AuditAction::Imported, true)
    );

    // Once more, nothing is new and nothing is filed.
    let found = ToTakeIn {
        changed: Vec::new(),
        ..found
    };
    let again = store.take_in(by, "one", &found).await.unwrap();
    let nothing = TakenIn {
        keys: taken.keys,
        ..TakenIn::default()
    };
    assert_eq!(again, nothing);
    assert_eq!(store.audit(None, 10).await.unwrap().entries.len(), 1);
}
