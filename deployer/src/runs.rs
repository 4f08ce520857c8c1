//! Runs as tasks of the host: one at a time per remote.

use async_trait::async_trait;
use contract::deploy::{ApplyWish, ImageProgram, RemoteState, RunView};
use contract::{ApiError, ErrorCode};
use parking_lot::Mutex;
use proxy_core::clock::Clock;
use proxy_core::store::{MysqlConfig, inspect};
use tokio_util::sync::CancellationToken;
use vault::Secret;

use crate::claim::elsewhere;
use crate::deployer::Deployer;
use crate::document;
use crate::image::{Registry, parse, pinned};
use crate::instance::Instances;
use crate::provider::Desired;
use crate::record::{Record, Run};
use crate::remotes::{not_ours, pin, planned, program_of, target};
use crate::run::{self, Checks, Journal, RealTime, Runner, Setback};
use crate::variables::{original_cannot, original_forgets};
use crate::wish::Database;

/// The database, where runs are noted.
struct Noted {
    deployer: Deployer,
    /// The client token that was in use when it was last noted.
    token: Mutex<Secret>,
}

#[async_trait]
impl Journal for Noted {
    async fn save(&self, record: &Record) -> Result<(), ApiError> {
        document::save(self.deployer.store(), record).await?;
        let token = record.token_in_use();
        let before = std::mem::replace(&mut *self.token.lock(), token.clone());
        if before != token {
            // Requests of this instance go with the new one before the old one ends.
            self.deployer.follow_route().await;
        }
        Ok(())
    }
}

/// What is looked at from this machine.
struct Looks {
    registry: Registry,
    mysql: Option<MysqlConfig>,
    clock: Clock,
}

#[async_trait]
impl Checks for Looks {
    async fn image(&self, name: &str) -> Result<String, Setback> {
        let found = self.registry.look(name).await?;
        match parse(name) {
            Ok(reference) => Ok(pinned(&reference, &found.digest)),
            Err(error) => Err(Setback {
                error,
                may_pass: false,
            }),
        }
    }

    async fn database(&self) -> Result<(), Setback> {
        let Some(config) = &self.mysql else {
            return Ok(());
        };
        match inspect(config, &self.clock).await.problem {
            None => Ok(()),
            Some(error) => Err(Setback {
                error,
                may_pass: false,
            }),
        }
    }
}

/// What a run is carried out with.
struct Work {
    provider: std::sync::Arc<dyn crate::provider::Provider>,
    remote: Instances,
    checks: Looks,
    journal: Noted,
    clock: Clock,
    cancel: CancellationToken,
    keys: Vec<Secret>,
}

impl Work {
    async fn carry_out(&self, mut record: Record, mut desired: Desired) {
        let runner = Runner {
            provider: &*self.provider,
            remote: &self.remote,
            checks: &self.checks,
            journal: &self.journal,
            clock: &self.clock,
            pause: &RealTime,
            cancel: &self.cancel,
            keys: &self.keys,
        };
        if let Err(error) = Box::pin(runner.carry_out(&mut record, &mut desired)).await {
            tracing::error!(%error, remote = record.name, "a run cannot be noted, so it broke off");
        }
    }
}

impl Deployer {
    /// Begins a run, or goes on with one that broke off. It goes on by itself.
    ///
    /// # Errors
    /// When one is under way, the remote has no account, an app of its name is somebody
    /// else's, its provider cannot be asked, or the database cannot be used.
    pub async fn apply(&self, id: i64, how: ApplyWish) -> Result<RunView, ApiError> {
        self.begin(id, how, false).await
    }

    /// The same; `again`: it is deployed also when nothing differs.
    pub(crate) async fn begin(
        &self,
        id: i64,
        how: ApplyWish,
        again: bool,
    ) -> Result<RunView, ApiError> {
        let (claim, mut record) = self.claim(id).await?;
        let wish = record.wish.clone().ok_or_else(not_ours)?;
        let provider = self.provider_of(&wish).await?;
        let mut desired = self.desired(&record, &wish).await?;
        let is_original = program_of(&wish)? == ImageProgram::Original;
        if is_original && let Some(why) = original_cannot(&wish) {
            return Err(ApiError::new(ErrorCode::InvalidInput, why));
        }
        let went_back = record.run.as_ref().is_some_and(|run| run.back.is_some());
        let goes_on = !again
            && !went_back
            && record
                .run
                .as_ref()
                .is_some_and(|run| run.current().is_some());
        if !goes_on {
            pin(&mut desired).await?;
            let observed = provider.observe(&target(&record)).await?;
            let again = again || went_back;
            let plan = planned(&record, &wish, &desired, observed.as_ref(), again);
            if let Some(name) = plan.foreign {
                return Err(ApiError::new(
                    ErrorCode::NameTaken,
                    format!(
                        "An app called {name} is there already and was not made here. Take it \
                         for your own first, or choose another name."
                    ),
                ));
            }
            let mut run = Run::new(plan.steps);
            if is_original && let Some(warning) = original_forgets(&wish) {
                run.say(self.clock().now(), warning.to_owned());
            }
            record.run = Some(run);
        }
        if let Some(run) = &mut record.run {
            run.over = how.over;
        }
        record.became(RemoteState::Deploying, self.clock().now());
        let mysql = match &record.next_wish(&wish).database {
            Database::Mysql(mysql) => Some(mysql.config()?),
            _ => None,
        };
        let work = Work {
            provider,
            remote: self.instances()?,
            checks: Looks {
                registry: Registry::new()?,
                mysql,
                clock: self.clock().clone(),
            },
            journal: Noted {
                deployer: self.clone(),
                token: Mutex::new(record.token_in_use()),
            },
            clock: self.clock().clone(),
            cancel: claim.cancel.clone(),
            keys: self.keys_of(&wish).await?,
        };
        if !claim.keep().await? {
            return Err(elsewhere());
        }
        document::save(self.store(), &record).await?;
        let view = run::view(&record, 0, true);
        let stop = self.host().stop.clone();
        let deployer = self.clone();
        let task = async move {
            let name = record.name.clone();
            // Dropped in the middle when the host ends: the next apply goes on.
            let carried = Box::pin(work.carry_out(record, desired));
            match stop
                .run_until_cancelled(Box::pin(claim.hold(carried)))
                .await
            {
                // Its address or its token may be another one now.
                Some(Some(())) => deployer.follow_route().await,
                Some(None) => {
                    tracing::error!(remote = name, "another process goes on with the run");
                }
                None => {}
            }
            claim.end().await;
        };
        self.host().tracker.spawn_on(task, &self.host().runtime);
        Ok(view)
    }

    /// The current or last run, with the lines from number `after` on.
    ///
    /// # Errors
    /// When there is no such remote, or the database cannot be read.
    pub async fn run(&self, id: i64, after: u64) -> Result<RunView, ApiError> {
        // First: a run that ends in between has been noted by then.
        let active = self.is_active(id);
        Ok(run::view(&self.record(id).await?, after, active))
    }

    /// Stops a run. What was made stays, and another run goes on from there.
    ///
    /// # Errors
    /// When there is no such remote, or the database cannot be read.
    pub async fn cancel(&self, id: i64) -> Result<RunView, ApiError> {
        let cancel = self.active().lock().get(&id).cloned();
        if let Some(cancel) = cancel {
            cancel.cancel();
        }
        self.run(id, 0).await
    }
}
