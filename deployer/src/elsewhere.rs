//! Puts a remote elsewhere with everything: its keys, its settings, and the very secrets, so
//! that clients need another address only, and a database that both can reach opens as before.
//!
//! What lies on a volume or in a database beside the app stays at the old host; take it over
//! first while that still answers. The old remote is left as it is.

use contract::ApiError;
use contract::deploy::{RemoteView, RemoteWish};

use crate::deployer::Deployer;
use crate::document;
use crate::record::Record;
use crate::remotes::not_ours;
use crate::wish::{LONGEST_NAME, Wish};

impl Deployer {
    /// A draft elsewhere with everything of this remote. Secrets that are absent in the wish are
    /// those of this one; a name that is still in use here gets a number.
    ///
    /// # Errors
    /// When it was added by its address, the wish cannot be right, or it cannot be kept.
    pub async fn move_remote(&self, id: i64, wish: RemoteWish) -> Result<RemoteView, ApiError> {
        let _changing = self.changing().await?;
        let from = self.record(id).await?;
        let known = from.wish.as_ref().ok_or_else(not_ours)?;
        let known = from.next_wish(known);
        let mut wish = Wish::checked(wish, Some(&known))?;
        let records: Vec<Record> = document::all(self.store()).await?;
        let is_free = |name: &String| !records.iter().any(|record| record.name == *name);
        if wish.name == from.name {
            let numbered = (2..).map(|number| numbered(&wish.name, number));
            wish.name = numbered.into_iter().find(is_free).unwrap_or_default();
        }
        let provider = self.provider_kind(&wish).await?;
        let id = self.new_id(&wish.name).await?;
        let record = Record {
            provider,
            keep_alive: wish.keep_alive.clone(),
            fed: from.fed,
            ..self.blank(id, &wish.name, from.next_secrets())
        };
        let record = Record {
            wish: Some(wish),
            ..record
        };
        document::save(self.store(), &record).await?;
        self.view(&record).await
    }
}

/// The name with a number, e.g. `gb-2`, as short as names have to be.
fn numbered(name: &str, number: u32) -> String {
    let end = format!("-{number}");
    let room = LONGEST_NAME.saturating_sub(end.len());
    let name: String = name.chars().take(room).collect();
    name.trim_end_matches('-').to_owned() + &end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numbered_name_is_no_longer_than_names_may_be() {
        assert_eq!(numbered("gb", 2), "gb-2");
        assert_eq!(
            numbered("a-name-of-just-25-letters", 10),
            "a-name-of-just-25-lett-10"
        );
        assert_eq!(
            numbered("a-name-of-just-25-le-tters", 123),
            "a-name-of-just-25-le-123"
        );
    }
}
