//! Keys and tokens that another instance has, and that are to be here as well.

use contract::admin::{Actor, AuditAction, TokenRules};

use super::database::{Tx, query};
use super::keys::FoundKey;
use super::settings::{FoundToken, Inverse, NewAudit, TokenChoice, TokenWas};
use super::{Store, StoreError};

/// Through what a change came, and from where.
#[derive(Clone, Debug)]
pub struct Author {
    /// Through what.
    pub actor: Actor,
    /// The address it came from, when it came over HTTP.
    pub address: Option<String>,
}

/// What another instance has.
#[derive(Default)]
pub struct ToTakeIn {
    /// Keys, each with whether it is switched on.
    pub keys: Vec<(FoundKey, bool)>,
    /// Tokens.
    pub tokens: Vec<FoundToken>,
    /// What tokens of this instance, by number, are called there and may do.
    pub changed: Vec<(i64, String, TokenRules)>,
}

/// What came of taking keys and tokens in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakenIn {
    /// The numbers of all the keys here, new or not, in their order.
    pub keys: Vec<i64>,
    /// How many of them are new.
    pub new_keys: u32,
    /// How many tokens are new.
    pub new_tokens: u32,
    /// How many tokens have changed.
    pub changed_tokens: u32,
}

impl Store {
    /// Adds keys and tokens; those that are here stay as they are, and revoked tokens stay
    /// revoked. The audit log gets an entry about `subject`, by which it can be undone. A core
    /// on this database has them within a second.
    ///
    /// # Errors
    /// When the database cannot be written, or a key cannot be sealed; then nothing has
    /// changed.
    pub async fn take_in(
        &self,
        by: Author,
        subject: impl Into<String>,
        found: &ToTakeIn,
    ) -> Result<TakenIn, StoreError> {
        let mut tx = self.begin().await?;
        let mut inverse = Inverse {
            keys_added: self.put_found_keys(&mut tx, &found.keys).await?,
            ..Inverse::default()
        };
        let known = self.key_ids(&mut tx).await?;
        let number = |(key, _): &(FoundKey, bool)| known.get(&self.fingerprint(&key.secret));
        for token in &found.tokens {
            let added = self.put_token(&mut tx, token).await?;
            inverse.tokens_added.extend(added);
        }
        for (id, name, rules) in &found.changed {
            let was = self.put_choice(&mut tx, *id, name, rules).await?;
            inverse.tokens.extend(was);
        }
        let taken = TakenIn {
            keys: found.keys.iter().filter_map(number).copied().collect(),
            new_keys: count(inverse.keys_added.len()),
            new_tokens: count(inverse.tokens_added.len()),
            changed_tokens: count(inverse.tokens.len()),
        };
        if inverse == Inverse::default() {
            tx.commit().await?;
            return Ok(taken);
        }
        let entry = NewAudit {
            actor: by.actor,
            address: by.address,
            action: AuditAction::Imported,
            subject: subject.into(),
            changes: Vec::new(),
            inverse: Some(inverse),
        };
        self.put_audit(&mut tx, &entry).await?;
        self.commit_change(tx).await?;
        Ok(taken)
    }

    /// Gives a token of the panel another name and other rules; gives what it had, if there is
    /// such a token.
    async fn put_choice(
        &self,
        tx: &mut Tx,
        id: i64,
        name: &str,
        rules: &TokenRules,
    ) -> Result<Option<TokenWas>, StoreError> {
        let row = query(
            "SELECT name, rules FROM client_tokens \
             WHERE id = ? AND deleted_at IS NULL AND origin = 'panel'",
        )
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let had = row.get::<Option<String>>("rules")?;
        query("UPDATE client_tokens SET name = ?, rules = ? WHERE id = ?")
            .bind(name)
            .bind(self.json(rules)?)
            .bind(id)
            .execute(tx)
            .await?;
        Ok(Some(TokenWas {
            id,
            was: TokenChoice {
                name: row.get("name")?,
                rules: had
                    .and_then(|text| serde_json::from_str(&text).ok())
                    .unwrap_or_default(),
            },
            became: Some(TokenChoice {
                name: name.to_owned(),
                rules: rules.clone(),
            }),
        }))
    }
}

fn count(number: usize) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}
