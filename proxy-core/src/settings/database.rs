//! What the settings say of the database and of what seals the secrets in it.

use contract::admin::Sealing;
use vault::{KeyFile, KeyFileError, MasterKey};

use super::Settings;
use crate::store::{DatabaseConfig, MysqlConfig, StoreConfig, TlsMode};

impl Settings {
    /// The database to use.
    pub fn database(&self) -> DatabaseConfig {
        if !self.uses_mysql() {
            return DatabaseConfig::Sqlite(self.data_dir.join("gemini-balance.db"));
        }
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        DatabaseConfig::Mysql(MysqlConfig {
            host: self.mysql_host.clone(),
            port: self.mysql_port,
            socket: some(&self.mysql_socket).map(Into::into),
            user: self.mysql_user.clone(),
            password: self.mysql_password.clone(),
            database: self.mysql_database.clone(),
            tls: self.mysql_tls(),
            tls_ca: some(&self.mysql_ssl_ca),
        })
    }

    /// The database with what seals its secrets and what is kept beside it.
    pub fn store(&self, master: MasterKey, sealing: Sealing) -> StoreConfig {
        StoreConfig {
            database: self.database(),
            master,
            sealing,
            data_dir: self.data_dir.clone(),
        }
    }

    /// Whether the database is a MySQL server rather than a SQLite file: `DATABASE_TYPE`, of
    /// which `auto` goes by whether a host or a socket is given.
    pub fn uses_mysql(&self) -> bool {
        match self.database_type.as_str() {
            "mysql" => true,
            "sqlite" => false,
            _ => !self.mysql_host.is_empty() || !self.mysql_socket.is_empty(),
        }
    }

    /// `MYSQL_SSL_MODE`, of which `auto` checks who the server is when it is known who may
    /// vouch for it. TiDB Cloud's certificates are of an authority that systems know.
    pub fn mysql_tls(&self) -> TlsMode {
        let host = self.mysql_host.to_ascii_lowercase();
        let checkable = !self.mysql_ssl_ca.is_empty() || host.ends_with(".tidbcloud.com");
        TlsMode::named(&self.mysql_ssl_mode).unwrap_or(match checkable {
            true => TlsMode::VerifyIdentity,
            false => TlsMode::Preferred,
        })
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
        let lasting = !self.uses_mysql();
        if lasting || file.path().exists() {
            return Ok((file.load_or_create()?, Sealing::KeyFile));
        }
        let forgotten = MasterKey::random().map_err(KeyFileError::from)?;
        Ok((forgotten, Sealing::NotStored))
    }
}
