//! Another sealing key for an instance, from outside it: the server may run meanwhile. What
//! may go wrong on the way is in `store/seal.rs`.

use contract::admin::Sealing;
use vault::{KeyFileError, MasterKey, Secret};

use crate::clock::Clock;
use crate::settings::Settings;
use crate::store::{Store, StoreError};

/// The database of an instance, opened to seal its secrets anew.
pub struct KeyRotation {
    store: Store,
}

impl KeyRotation {
    /// Opens the database that the settings name.
    ///
    /// # Errors
    /// When it cannot be used, or not be reached, or was sealed with another key.
    pub async fn open(
        settings: &Settings,
        master: MasterKey,
        sealing: Sealing,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let store = Store::reach(settings.store(master, sealing), clock).await?;
        Ok(Self { store })
    }

    /// How secrets are kept now.
    pub fn sealing(&self) -> Sealing {
        self.store.sealing()
    }

    /// Seals everything with a new key file.
    ///
    /// # Errors
    /// When the old key is not one, or something cannot be written; then the old key holds.
    pub async fn to_new_key_file(&self) -> Result<(), StoreError> {
        self.store.rotate_key_file().await
    }

    /// Seals everything with the key that another `SECRET_KEY` stands for.
    ///
    /// # Errors
    /// When it stands for none, or the database cannot be written; then the old key holds.
    pub async fn to_secret_key(&self, text: &Secret) -> Result<(), RotationError> {
        let master = MasterKey::from_secret_key(text)?;
        Ok(self.store.rotate_secret_key(master).await?)
    }

    /// Closes the database.
    pub async fn close(self) {
        self.store.close().await;
    }
}

/// Why there is no other sealing key.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// What was given is no key.
    #[error("the new key is not acceptable: {0}")]
    Key(#[from] KeyFileError),
    /// The database was not sealed anew.
    #[error(transparent)]
    Store(#[from] StoreError),
}
