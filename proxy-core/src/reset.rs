//! The way back in for whoever has the server's own settings: another password for the panel,
//! without knowing the old one, whether the server runs or not.

use contract::admin::{Actor, AuditAction, Sealing};
use contract::{ApiError, ErrorCode};
use vault::{MasterKey, Secret};

use crate::admin::{check_new_password, hash_password};
use crate::clock::Clock;
use crate::settings::Settings;
use crate::store::{NewAudit, Store, StoreError};

/// Switches the second factor off because the environment says so, if one is on. That the
/// server starts is more important.
pub(crate) async fn drop_second_factor(store: &Store) {
    let dropped = async {
        // One that cannot be opened is one.
        if matches!(store.second_factor().await, Ok(None)) {
            return Ok(false);
        }
        store.delete_second_factor().await?;
        let entry = NewAudit::plain(Actor::Environment, AuditAction::SecondFactorOff);
        store.file_audit(&entry).await.map(|_| true)
    };
    match dropped.await {
        Ok(false) => {}
        Ok(true) => tracing::warn!(
            "RESET_SECOND_FACTOR: the second factor is off; sign in, then remove the variable"
        ),
        Err(error) => tracing::error!(
            %error, "RESET_SECOND_FACTOR: the second factor could not be switched off"
        ),
    }
}

/// The database of an instance, opened to let its owner in again.
pub struct PanelReset {
    store: Store,
}

impl PanelReset {
    /// Opens the database that the settings name.
    ///
    /// # Errors
    /// When it cannot be used, or not be reached.
    pub async fn open(
        settings: &Settings,
        master: MasterKey,
        sealing: Sealing,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let store = Store::reach(settings.store(master, sealing), clock).await?;
        Ok(Self { store })
    }

    /// Whether signing in asks for a second factor.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn has_second_factor(&self) -> Result<bool, StoreError> {
        Ok(self.store.second_factor().await?.is_some())
    }

    /// Sets the password and ends all sessions; unless it is kept, the second factor goes.
    ///
    /// # Errors
    /// When the password is too short or too long, or the database cannot be written; then
    /// nothing has changed.
    pub async fn set(&self, password: &Secret, keep_second_factor: bool) -> Result<(), ApiError> {
        check_new_password(password)?;
        let hash =
            hash_password(password).map_err(|what| ApiError::new(ErrorCode::Internal, what))?;
        self.store
            .change_password(&hash, None, !keep_second_factor)
            .await
            .map_err(|error| ApiError::new(ErrorCode::Database, error.to_string()))
    }

    /// Closes the database.
    pub async fn close(self) {
        self.store.close().await;
    }
}
