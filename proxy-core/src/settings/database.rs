//! What the settings say of the database and of what seals the secrets in it.

use contract::admin::Sealing;
use vault::{KeyFile, KeyFileError, MasterKey};

use super::Settings;
use crate::store::DatabaseConfig;

impl Settings {
    /// The database to use.
    pub fn database(&self) -> DatabaseConfig {
        DatabaseConfig::Sqlite(self.data_dir.join("gemini-balance.db"))
    }

    /// What seals secrets, and where it comes from: `SECRET_KEY`, else the key file in the
    /// data folder. A key file is made for SQLite, whose file is beside it. Beside a server's
    /// database it would be gone with the next container, and the secrets with it; there
    /// [`Sealing::NotStored`] comes with a key that lasts as long as the process.
    ///
    /// # Errors
    /// See [`KeyFileError`].
    pub fn sealing_key(&self) -> Result<(MasterKey, Sealing), KeyFileError> {
        if let Some(text) = &self.secret_key {
            return Ok((MasterKey::from_secret_key(text)?, Sealing::SecretKey));
        }
        let file = KeyFile::in_folder(&self.data_dir);
        let lasting = matches!(self.database(), DatabaseConfig::Sqlite(_));
        if lasting || file.path().exists() {
            return Ok((file.load_or_create()?, Sealing::KeyFile));
        }
        let forgotten = MasterKey::random().map_err(KeyFileError::from)?;
        Ok((forgotten, Sealing::NotStored))
    }
}
