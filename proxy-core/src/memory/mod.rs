//! What clients may go back to: answers of the Responses API ([`kept`]), thought signatures
//! of calls that clients lose ([`signatures`]), and what Google keeps for them ([`owners`]).
//!
//! Requests ask and fill the memory of the process and nothing else. One task writes what is new
//! to the database in batches ([`scribe`]), from which the next start reads it.

pub(crate) mod kept;
pub(crate) mod owners;
pub(crate) mod scribe;
pub(crate) mod signatures;

pub(crate) use kept::KeptResponses;
pub(crate) use owners::{Owner, Owners, Unknown};
pub(crate) use scribe::Scribe;
pub(crate) use signatures::CallSignatures;

use crate::store::Store;

/// Takes up what an earlier run left. Without the database one begins with nothing: better
/// than no start.
pub(crate) async fn recall(store: &Store, kept: &KeptResponses, signatures: &CallSignatures) {
    match store.kept_responses().await {
        Ok(answers) => {
            for (token, answer) in answers {
                kept.recall(token, answer);
            }
        }
        Err(error) => tracing::warn!(%error, "the answers kept for clients cannot be read"),
    }
    match store.call_signatures().await {
        Ok(known) => {
            for known in known {
                signatures.recall(known.token, known.call, known.signature);
            }
        }
        Err(error) => tracing::warn!(%error, "the thought signatures kept cannot be read"),
    }
}
