//! Replaces the secrets of a remote, each in the order in which nothing stops working.
//!
//! The new secret is kept beside the old one ([`Record::next`]) before anything else happens.
//! Then a run tells the remote of it, where its panel takes it at once; sets the variables and
//! deploys them; tries the new one; and takes the old one out of use last. Whoever goes on after
//! a crash finds both, and a second wish to replace the same goes on with the first new one: it
//! may be in force already. A password of a database was changed there, so it is tried from
//! here before anything is noted.
//!
//! One that was added by its address has no variables that are known here: what its panel can
//! change is changed there and then. It may keep nothing, so that its environment's password is
//! right again after a restart: earlier ones stay known ([`Record::passwords`]).

use contract::ApiError;
use contract::deploy::{
    ApplyWish, ImageProgram, RemoteState, Rotation, RunView, StepKind, StepState, StepView,
};
use proxy_core::store::inspect;
use vault::Secret;

use crate::claim::elsewhere;
use crate::deployer::Deployer;
use crate::document::{self, Kept};
use crate::record::{Next, Record, Run, Secrets};
use crate::remotes::{nowhere, program_of};
use crate::run::{self, RemoteApi as _};
use crate::wish::{Database, Wish, invalid};

impl Deployer {
    /// Replaces a secret. The run goes on by itself; ask for it.
    ///
    /// # Errors
    /// When it is nowhere yet, a run is under way, the secret cannot be replaced from here, or
    /// the new password does not open the database.
    pub async fn rotate(&self, id: i64, rotation: Rotation) -> Result<RunView, ApiError> {
        let record = self.still(id).await?;
        if record.url.is_none() {
            return Err(nowhere());
        }
        let Some(wish) = &record.wish else {
            return Box::pin(self.rotate_added(id, &rotation)).await;
        };
        if wish.account.is_none() || record.remote_id.is_none() {
            return Err(invalid(
                "It was put there by hand, so its variables cannot be set from here. Change the \
                 secret in its host's console, then add it here by its address.",
            ));
        }
        self.may_rotate(wish, &rotation).await?;
        {
            let _changing = self.changing().await?;
            let mut record = self.still(id).await?;
            note(&mut record.next, rotation)?;
            // Its steps know nothing of that; what they made is found when it is planned anew.
            record.run = None;
            document::save(self.store(), &record).await?;
        }
        self.begin(id, ApplyWish::default(), true).await
    }

    /// Whether the wish lets a secret be replaced.
    async fn may_rotate(&self, wish: &Wish, rotation: &Rotation) -> Result<(), ApiError> {
        match (rotation, &wish.database) {
            (Rotation::DatabasePassword { password }, Database::Mysql(_)) => {
                let mut wish = wish.clone();
                wish.set_database_password(Secret::from(password.as_str()));
                let Database::Mysql(mysql) = &wish.database else {
                    return Ok(());
                };
                let report = inspect(&mysql.config()?, self.clock()).await;
                report.problem.map_or(Ok(()), Err)
            }
            (Rotation::DatabasePassword { .. }, _) => Err(invalid(
                "It has no MySQL database of your own whose password could be typed in.",
            )),
            _ if program_of(wish)? == ImageProgram::Original => Err(invalid(
                "The original program keeps its password and tokens in its own database, which \
                 count more than its variables. Change them in its own panel.",
            )),
            _ => Ok(()),
        }
    }

    /// The same for one that was added by its address.
    async fn rotate_added(&self, id: i64, rotation: &Rotation) -> Result<RunView, ApiError> {
        let kind = match rotation {
            Rotation::AuthToken => StepKind::ChangePassword,
            Rotation::ClientToken => StepKind::CreateToken,
            Rotation::DatabasePassword { .. } => {
                return Err(invalid(
                    "It was added by its address, so its database is not known here.",
                ));
            }
        };
        // Nobody else signs in meanwhile with what no longer holds.
        let (claim, record) = self.claim(id).await?;
        let replaced = claim.hold(self.rotate_claimed(record, rotation, kind));
        let replaced = Box::pin(replaced).await;
        claim.end().await;
        replaced.ok_or_else(elsewhere)?
    }

    async fn rotate_claimed(
        &self,
        mut record: Record,
        rotation: &Rotation,
        kind: StepKind,
    ) -> Result<RunView, ApiError> {
        let url = record.url.clone().ok_or_else(nowhere)?;
        note(&mut record.next, rotation.clone())?;
        // The steps of the last one say nothing of this one.
        record.run = None;
        document::save(self.store(), &record).await?;
        let password = self.password_of(&record, &url).await?;
        let replaced = match kind {
            StepKind::ChangePassword => self.change_password(&record, &url, &password).await,
            _ => self.change_token(&mut record, &url, &password).await,
        };
        replaced?;
        record.replaced_there(kind);
        let step = |kind| StepView {
            kind,
            subject: record.name.clone(),
            changes: Vec::new(),
        };
        let mut run = Run::new(vec![step(kind), step(StepKind::RevokeOld)]);
        let now = self.clock().now();
        for step in &mut run.steps {
            step.state = StepState::Done;
            step.started_at = Some(now);
            step.ended_at = Some(now);
        }
        record.run = Some(run);
        record.became(RemoteState::Running, now);
        document::save(self.store(), &record).await?;
        self.follow_route().await;
        Ok(run::view(&record, 0, false))
    }

    /// Has the panel take the new password. `password` is the one that it takes now.
    async fn change_password(
        &self,
        record: &Record,
        url: &str,
        password: &Secret,
    ) -> Result<(), ApiError> {
        let new = record.next_secrets().auth_token;
        // Where the new one is taken already, the old one may be as well.
        let old = match *password == new {
            true => &record.secrets.auth_token,
            false => password,
        };
        let remote = self.instances()?;
        let changed = remote.change_password(url, old, &new).await;
        changed.map_err(|setback| setback.error)
    }

    /// Has the panel accept the new client token in place of the old one.
    async fn change_token(
        &self,
        record: &mut Record,
        url: &str,
        password: &Secret,
    ) -> Result<(), ApiError> {
        let remote = self.instances()?;
        let create = async |token: &Secret| {
            let created = remote.create_token(url, password, token).await;
            created.map_err(|setback| setback.error)
        };
        if !create(&record.next_secrets().client_token).await? {
            // It was made by an earlier attempt, and revoked since.
            record.renew_next_token()?;
            document::save(self.store(), record).await?;
            if !create(&record.next_secrets().client_token).await? {
                return Err(invalid("It takes no new client token."));
            }
        }
        let old = &record.secrets.client_token;
        if old.expose().is_empty() {
            return Ok(());
        }
        let revoked = remote.revoke_token(url, password, old).await;
        revoked.map_err(|setback| setback.error)
    }
}

/// Notes the new secret. One that was made before may be in force already, so it stays.
fn note(next: &mut Next, rotation: Rotation) -> Result<(), ApiError> {
    let made = Secrets::random()?;
    match rotation {
        Rotation::AuthToken => {
            next.auth_token.get_or_insert(Kept(made.auth_token));
        }
        Rotation::ClientToken => {
            next.client_token.get_or_insert(Kept(made.client_token));
        }
        Rotation::DatabasePassword { password } => {
            next.database_password = Some(Kept(Secret::new(password)));
        }
    }
    Ok(())
}
