//! Carries a plan out, step by step.
//!
//! The journal is the [`Record`], saved before and after each step. Whoever drops the future
//! of [`Runner::carry_out`] at any point, or ends the process, can go on with what was saved:
//! every step looks before it makes, so nothing is made twice. A step that makes something is
//! not broken off by [`Runner::cancel`] in the middle of a call, so that what it made is known.

use std::time::Duration;

use async_trait::async_trait;
use contract::deploy::{
    DeployProgress, RemoteState, RunState, RunView, StepKind, StepRun, StepState,
};
use contract::{ApiError, ErrorCode};
use proxy_core::clock::Clock;
use tokio_util::sync::CancellationToken;
use vault::Secret;

use crate::provider::{Desired, Observed, Provider, ProviderError, ProviderState, Target};
use crate::record::{Record, Run, Secrets};

/// The longest that one call may take. A sleeper on a free plan needs up to a minute to wake.
const CALL: Duration = Duration::from_secs(120);
/// The pause between two looks at something that is not ready.
const LOOK: Duration = Duration::from_secs(5);
/// The first pause after a failure that may pass; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest of those pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause that a provider may want. Render counts new services by the hour.
const LONGEST_LIMIT: Duration = Duration::from_secs(3600);

/// What is asked of the remote itself, at its address. All of it can be asked again.
#[async_trait]
pub trait RemoteApi: Send + Sync {
    /// Whether it serves.
    async fn healthy(&self, url: &str) -> Result<bool, Setback>;

    /// Signs in with the password.
    async fn sign_in(&self, url: &str, password: &Secret) -> Result<(), Setback>;

    /// Has its panel take a new password in place of the old one, unless it has already.
    async fn change_password(&self, url: &str, old: &Secret, new: &Secret) -> Result<(), Setback>;

    /// Has it accept a client token as well, unless it does already. `false`: the token was
    /// revoked there and stays so.
    async fn create_token(
        &self,
        url: &str,
        password: &Secret,
        token: &Secret,
    ) -> Result<bool, Setback>;

    /// Has it accept a client token no longer that [`RemoteApi::create_token`] made.
    async fn revoke_token(
        &self,
        url: &str,
        password: &Secret,
        token: &Secret,
    ) -> Result<(), Setback>;

    /// Sends one real request through a client token.
    async fn try_request(&self, url: &str, token: &Secret) -> Result<(), Setback>;
}

/// What is looked at before anything is made.
#[async_trait]
pub trait Checks: Send + Sync {
    /// The image by its digest, e.g. `ghcr.io/owner/name@sha256:…`, if it is for the platform.
    async fn image(&self, reference: &str) -> Result<String, Setback>;

    /// Whether the database can be used.
    async fn database(&self) -> Result<(), Setback>;
}

/// Where a run is noted.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Keeps the record as it is now.
    async fn save(&self, record: &Record) -> Result<(), ApiError>;
}

/// Lets time pass.
#[async_trait]
pub trait Pause: Send + Sync {
    /// For this long.
    async fn pause(&self, time: Duration);
}

/// Time passes by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealTime;

#[async_trait]
impl Pause for RealTime {
    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// Why something did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setback {
    /// What was wrong and what to do.
    pub error: ApiError,
    /// It may succeed later without anybody's doing.
    pub may_pass: bool,
}

/// How one attempt at a step did not end it.
enum Trouble {
    /// It is on its way.
    NotYet(String),
    /// It failed and may succeed later, not before this long.
    Passing(ApiError, Option<Duration>),
    /// It failed for good.
    Final(ApiError),
    /// What was deployed is no good.
    Bad(ApiError),
}

impl From<Setback> for Trouble {
    fn from(setback: Setback) -> Self {
        match setback.may_pass {
            true => Self::Passing(setback.error, None),
            false => Self::Final(setback.error),
        }
    }
}

impl From<ProviderError> for Trouble {
    fn from(error: ProviderError) -> Self {
        let after = match &error {
            ProviderError::RateLimited { after, .. } => Some(*after),
            _ => None,
        };
        let may_pass = error.may_pass();
        let needs_card = matches!(error, ProviderError::CardNeeded(_));
        let mut error = ApiError::from(error);
        if needs_card {
            error.message.push_str(
                " Add a payment card in the provider's console and apply again, or put the \
                 app there by hand with the variables that were made for it.",
            );
        }
        match may_pass {
            true => Self::Passing(error, after),
            false => Self::Final(error),
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// Every step is done.
    Done,
    /// A step failed for good.
    Failed(ApiError),
    /// The user stopped it.
    Cancelled,
}

/// What a run is carried out with.
pub struct Runner<'a> {
    /// Where the app is.
    pub provider: &'a dyn Provider,
    /// The app itself.
    pub remote: &'a dyn RemoteApi,
    /// What is looked at first.
    pub checks: &'a dyn Checks,
    /// Where it is noted.
    pub journal: &'a dyn Journal,
    /// The time.
    pub clock: &'a Clock,
    /// Lets time pass.
    pub pause: &'a dyn Pause,
    /// Cancelled when the user stops the run.
    pub cancel: &'a CancellationToken,
    /// The keys that the remote gets.
    pub keys: &'a [Secret],
}

impl Runner<'_> {
    /// Does what [`Record::run`] has left. Steps that failed are tried again; where a first
    /// deploy failed and there was none to go back to, plan anew, with
    /// [`crate::plan::Context::again`].
    ///
    /// # Errors
    /// When the journal cannot be written; nothing more is done then.
    pub async fn carry_out(
        &self,
        record: &mut Record,
        desired: &mut Desired,
    ) -> Result<RunEnd, ApiError> {
        let now = self.clock.now();
        record.became(RemoteState::Deploying, now);
        let Some(run) = &mut record.run else {
            return Ok(RunEnd::Done);
        };
        run.cancelled = false;
        desired.over = run.over;
        if let Some(image) = &run.image {
            desired.image.clone_from(image);
        }
        while let Some(at) = record.run.as_ref().and_then(Run::current) {
            if self.cancel.is_cancelled() {
                return self.cancelled(record).await;
            }
            let Some(kind) = self.mark(record, at, StepState::Running) else {
                break;
            };
            self.journal.save(record).await?;
            match Box::pin(self.step(record, desired, at, kind)).await? {
                RunEnd::Done => {
                    self.mark(record, at, StepState::Done);
                    self.journal.save(record).await?;
                }
                RunEnd::Cancelled => return self.cancelled(record).await,
                RunEnd::Failed(error) => {
                    let error = self.scrubbed(record, error);
                    let failed = StepState::Failed {
                        error: error.clone(),
                    };
                    self.mark(record, at, failed);
                    self.say(record, error.message.clone());
                    let interrupted = RemoteState::Interrupted {
                        error: Some(error.clone()),
                    };
                    record.became(interrupted, self.clock.now());
                    self.journal.save(record).await?;
                    return Ok(RunEnd::Failed(error));
                }
            }
        }
        if let Some(image) = record.run.as_ref().and_then(|run| run.image.clone()) {
            record.image = Some(image);
        }
        // It carries our mark by now. Another of its name would be somebody else's again.
        record.adopted = false;
        record.became(RemoteState::Running, self.clock.now());
        self.journal.save(record).await?;
        Ok(RunEnd::Done)
    }

    async fn cancelled(&self, record: &mut Record) -> Result<RunEnd, ApiError> {
        let now = self.clock.now();
        if let Some(run) = &mut record.run {
            run.cancelled = true;
            if let Some(at) = run.current()
                && let Some(step) = run.steps.get_mut(at)
            {
                step.state = StepState::Waiting;
            }
        }
        let state = match record.remote_id {
            None => RemoteState::Draft,
            Some(_) => RemoteState::Interrupted { error: None },
        };
        record.became(state, now);
        self.journal.save(record).await?;
        Ok(RunEnd::Cancelled)
    }

    /// Moves a step to another state, and gives what it does.
    fn mark(&self, record: &mut Record, at: usize, state: StepState) -> Option<StepKind> {
        let now = self.clock.now();
        let step: &mut StepRun = record.run.as_mut()?.steps.get_mut(at)?;
        match state {
            StepState::Done | StepState::Failed { .. } => step.ended_at = Some(now),
            _ => {
                step.started_at.get_or_insert(now);
                step.ended_at = None;
            }
        }
        step.state = state;
        Some(step.step.kind)
    }

    fn say(&self, record: &mut Record, text: String) {
        let text = scrub(text, &self.secrets(record));
        let now = self.clock.now();
        let Some(run) = &mut record.run else { return };
        if run.lines.last().is_none_or(|last| last.text != text) {
            run.say(now, text);
        }
    }

    fn secrets(&self, record: &Record) -> Vec<Secret> {
        let mut all = record.known_secrets();
        all.extend_from_slice(self.keys);
        all
    }

    fn scrubbed(&self, record: &Record, mut error: ApiError) -> ApiError {
        error.message = scrub(error.message, &self.secrets(record));
        error
    }

    /// One step with all its attempts.
    async fn step(
        &self,
        record: &mut Record,
        desired: &mut Desired,
        at: usize,
        kind: StepKind,
    ) -> Result<RunEnd, ApiError> {
        let mut until = self.clock.monotonic() + patience(kind);
        let mut next = FIRST_PAUSE;
        loop {
            if self.cancel.is_cancelled() {
                return Ok(RunEnd::Cancelled);
            }
            let attempt = Box::pin(self.attempt(record, desired, kind));
            let ended = match makes(kind) {
                true => Some(attempt.await),
                false => self.cancel.run_until_cancelled(attempt).await,
            };
            let Some(ended) = ended else {
                return Ok(RunEnd::Cancelled);
            };
            let trouble = match ended? {
                Ok(()) => return Ok(RunEnd::Done),
                Err(trouble) => trouble,
            };
            let is_late = self.clock.monotonic() >= until;
            let (pause, error) = match trouble {
                Trouble::Final(error) => return Ok(RunEnd::Failed(error)),
                Trouble::Bad(error) => return self.go_back(record, error).await,
                Trouble::NotYet(what) if is_late => {
                    let error = too_slow(kind, &what);
                    return match kind {
                        StepKind::WaitLive | StepKind::WaitHealthy => {
                            self.go_back(record, error).await
                        }
                        _ => Ok(RunEnd::Failed(error)),
                    };
                }
                Trouble::Passing(error, None) if is_late => {
                    return match kind {
                        StepKind::WaitHealthy => self.go_back(record, error).await,
                        _ => Ok(RunEnd::Failed(error)),
                    };
                }
                Trouble::Passing(error, Some(after)) if after > LONGEST_LIMIT => {
                    return Ok(RunEnd::Failed(error));
                }
                Trouble::NotYet(what) => {
                    self.say(record, what);
                    (LOOK, None)
                }
                Trouble::Passing(error, Some(after)) => {
                    // Waiting as the provider wants is not the step's slowness.
                    until += after;
                    (jittered(after, after + FIRST_PAUSE), Some(error))
                }
                Trouble::Passing(error, None) => {
                    let pause = jittered(next / 2, next);
                    next = (next * 2).min(LONGEST_PAUSE);
                    (pause, Some(error))
                }
            };
            if let Some(error) = error {
                let error = self.scrubbed(record, error);
                self.say(record, error.message.clone());
                let wait = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
                let at_time = self.clock.now().saturating_add(wait);
                let retrying = StepState::Retrying { at: at_time, error };
                self.mark(record, at, retrying);
            }
            self.journal.save(record).await?;
            let paused = self
                .cancel
                .run_until_cancelled(self.pause.pause(pause))
                .await;
            if paused.is_none() {
                return Ok(RunEnd::Cancelled);
            }
        }
    }

    /// The outer error is the journal's.
    async fn attempt(
        &self,
        record: &mut Record,
        desired: &mut Desired,
        kind: StepKind,
    ) -> Result<Result<(), Trouble>, ApiError> {
        let Secrets {
            auth_token: password,
            client_token: token,
            ..
        } = record.next_secrets();
        if let Some(error) = record.run.as_ref().and_then(|run| run.back.clone()) {
            return Ok(Err(Trouble::Bad(error)));
        }
        let done = match kind {
            StepKind::CheckImage => match called(self.checks.image(&desired.image_tag)).await {
                Ok(image) => {
                    desired.image.clone_from(&image);
                    if let Some(run) = &mut record.run {
                        run.image = Some(image);
                    }
                    Ok(())
                }
                Err(trouble) => Err(trouble),
            },
            StepKind::CheckDatabase => called(self.checks.database()).await,
            StepKind::CreateDatabase => {
                match called(self.provider.create_database(desired)).await {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(Trouble::NotYet("The database is being made.".to_owned())),
                    Err(trouble) => Err(trouble),
                }
            }
            StepKind::CreateApp => self.create(record, desired).await,
            StepKind::Deploy => return self.deploy(record, desired).await,
            StepKind::SetVariables => match self.id(record, desired).await {
                Ok(id) => called(self.provider.set_variables(&id, desired)).await,
                Err(trouble) => Err(trouble),
            },
            StepKind::ChangeApp => match self.id(record, desired).await {
                Ok(id) => called(self.provider.change(&id, desired)).await,
                Err(trouble) => Err(trouble),
            },
            StepKind::WaitLive => self.wait_live(record, desired).await,
            StepKind::WaitHealthy => match url(record) {
                Ok(url) => match called(self.remote.healthy(&url)).await {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(Trouble::NotYet(format!("{url} does not serve yet."))),
                    Err(trouble) => Err(trouble),
                },
                Err(trouble) => Err(trouble),
            },
            StepKind::SignIn => match url(record) {
                Ok(url) => called(self.remote.sign_in(&url, &password)).await,
                Err(trouble) => Err(trouble),
            },
            StepKind::ChangePassword => match url(record) {
                Ok(url) => {
                    let old = &record.secrets.auth_token;
                    called(self.remote.change_password(&url, old, &password)).await
                }
                Err(trouble) => Err(trouble),
            },
            StepKind::CreateToken => match url(record) {
                Ok(url) => match called(self.remote.create_token(&url, &password, &token)).await {
                    Ok(true) => Ok(()),
                    Ok(false) => {
                        record.renew_next_token()?;
                        Err(was_revoked())
                    }
                    Err(trouble) => Err(trouble),
                },
                Err(trouble) => Err(trouble),
            },
            StepKind::TryRequest => match url(record) {
                Ok(url) => called(self.remote.try_request(&url, &token)).await,
                Err(trouble) => Err(trouble),
            },
            StepKind::RevokeOld => self.revoke_old(record, &password).await,
        };
        Ok(done)
    }

    async fn observe(
        &self,
        record: &Record,
        desired: &Desired,
    ) -> Result<Option<Observed>, Trouble> {
        let target = Target {
            name: desired.name.clone(),
            workspace: desired.workspace.clone(),
            id: record.remote_id.clone(),
        };
        called(self.provider.observe(&target)).await
    }

    /// What the provider calls the app, which must be ours or taken for ours.
    async fn id(&self, record: &mut Record, desired: &Desired) -> Result<String, Trouble> {
        if let Some(id) = &record.remote_id {
            return Ok(id.clone());
        }
        match self.observe(record, desired).await? {
            Some(there) => {
                take(record, &there)?;
                Ok(there.id)
            }
            None => Err(Trouble::Final(ApiError::new(
                ErrorCode::NotFound,
                format!(
                    "{} is not there any more. Apply again to make it anew.",
                    desired.name
                ),
            ))),
        }
    }

    async fn create(&self, record: &mut Record, desired: &Desired) -> Result<(), Trouble> {
        match self.observe(record, desired).await? {
            // Its rest is made below.
            Some(there) if there.state == ProviderState::Partial => take(record, &there)?,
            Some(there) => return take(record, &there),
            // What was known is gone, or there was nothing.
            None => record.remote_id = None,
        }
        let made = match called(self.provider.create(desired)).await {
            Ok(made) => made,
            Err(Trouble::Final(error)) if error.code == ErrorCode::NameTaken => {
                // Perhaps by an earlier attempt whose answer was lost.
                match self.observe(record, desired).await? {
                    Some(there) if there.state != ProviderState::Partial => {
                        return take(record, &there);
                    }
                    _ => return Err(Trouble::Final(error)),
                }
            }
            Err(trouble) => return Err(trouble),
        };
        know(record, &made);
        Ok(())
    }

    /// The outer error is the journal's.
    async fn deploy(
        &self,
        record: &mut Record,
        desired: &Desired,
    ) -> Result<Result<(), Trouble>, ApiError> {
        let id = match self.id(record, desired).await {
            Ok(id) => id,
            Err(trouble) => return Ok(Err(trouble)),
        };
        let there = match self.observe(record, desired).await {
            Ok(Some(there)) => there,
            Ok(None) => {
                let gone = ProviderError::NotFound(format!("{} is not there.", desired.name));
                return Ok(Err(gone.into()));
            }
            Err(trouble) => return Ok(Err(trouble)),
        };
        let Some(run) = &mut record.run else {
            return Ok(Ok(()));
        };
        if run.asked && there.deploy.is_some() && there.deploy != run.before {
            run.deploy = there.deploy;
            return Ok(Ok(()));
        }
        if !run.asked {
            run.before = there.deploy;
            run.asked = true;
            self.journal.save(record).await?;
        }
        Ok(match called(self.provider.deploy(&id, desired)).await {
            Ok(deploy) => {
                if let Some(run) = &mut record.run {
                    run.deploy = Some(deploy);
                }
                Ok(())
            }
            Err(trouble) => Err(trouble),
        })
    }

    /// From here on the new secrets are the only ones.
    async fn revoke_old(&self, record: &mut Record, password: &Secret) -> Result<(), Trouble> {
        if record.next.replaced().token {
            let url = url(record)?;
            let old = &record.secrets.client_token;
            called(self.remote.revoke_token(&url, password, old)).await?;
        }
        record.replaced();
        Ok(())
    }

    async fn wait_live(&self, record: &mut Record, desired: &Desired) -> Result<(), Trouble> {
        let id = self.id(record, desired).await?;
        if let Some(deploy) = record.run.as_ref().and_then(|run| run.deploy.clone()) {
            let failed = |detail: &str| {
                Trouble::Bad(ApiError::new(
                    ErrorCode::Provider,
                    format!("The deploy failed: {detail}. The app's log says more."),
                ))
            };
            match called(self.provider.progress(&id, &deploy)).await? {
                DeployProgress::Live | DeployProgress::Replaced => {}
                DeployProgress::Queued => {
                    let what = "The deploy waits behind another one.";
                    return Err(Trouble::NotYet(what.to_owned()));
                }
                DeployProgress::UnderWay { detail } => return Err(Trouble::NotYet(detail)),
                DeployProgress::Failed { detail } => return Err(failed(&detail)),
                DeployProgress::Cancelled => return Err(failed("it was cancelled there")),
            }
        }
        let Some(there) = self.observe(record, desired).await? else {
            let gone = format!("{} is not there (any more).", desired.name);
            return Err(ProviderError::NotFound(gone).into());
        };
        know(record, &there);
        match there.state {
            // The next step wakes it up.
            ProviderState::Running | ProviderState::Asleep if there.url.is_some() => Ok(()),
            ProviderState::Running | ProviderState::Asleep => {
                Err(Trouble::NotYet("It has no address yet.".to_owned()))
            }
            ProviderState::Starting => Err(Trouble::NotYet("It starts.".to_owned())),
            ProviderState::Partial => {
                let gone = format!("Only parts of {} are there (any more).", desired.name);
                Err(ProviderError::NotFound(gone).into())
            }
            ProviderState::Failing(why) => {
                Err(Trouble::NotYet(format!("It fails to start: {why}")))
            }
            ProviderState::Suspended => Err(Trouble::Final(ApiError::new(
                ErrorCode::Provider,
                "The app is suspended. Resume it, then apply again.",
            ))),
            ProviderState::Stopped(why) => {
                Err(Trouble::Final(ApiError::new(ErrorCode::QuotaExceeded, why)))
            }
        }
    }

    /// Back to the deploy that was in use before, if there was one. Ends the run.
    async fn go_back(&self, record: &mut Record, error: ApiError) -> Result<RunEnd, ApiError> {
        let error = self.scrubbed(record, error);
        let (Some(id), Some(run)) = (record.remote_id.clone(), &mut record.run) else {
            return Ok(RunEnd::Failed(error));
        };
        let Some(before) = run.before.clone() else {
            return Ok(RunEnd::Failed(error));
        };
        let is_known = run.back.replace(error.clone()).is_some();
        let bad = run.deploy.clone();
        self.journal.save(record).await?;
        let target = Target {
            id: Some(id.clone()),
            ..Target::default()
        };
        let mut next = FIRST_PAUSE;
        let until = self.clock.monotonic() + patience(StepKind::Deploy);
        let went = loop {
            // An earlier attempt may have been carried out although its answer was lost.
            let is_again = is_known || next > FIRST_PAUSE;
            let tried = match is_again {
                true => called(self.provider.observe(&target)).await,
                false => Ok(None),
            };
            let is_back = |there: &Observed| there.deploy.is_some() && there.deploy != bad;
            let tried = match tried {
                Ok(there) if there.as_ref().is_some_and(is_back) => Ok(()),
                Ok(_) => called(self.provider.roll_back(&id, &before))
                    .await
                    .map(drop),
                Err(trouble) => Err(trouble),
            };
            let after = match tried {
                Ok(()) => break Ok(()),
                Err(Trouble::Passing(error, after)) => {
                    if self.clock.monotonic() >= until || after > Some(LONGEST_LIMIT) {
                        break Err(error);
                    }
                    after
                }
                Err(Trouble::Final(error) | Trouble::Bad(error)) => break Err(error),
                Err(Trouble::NotYet(what)) => break Err(too_slow(StepKind::Deploy, &what)),
            };
            self.pause
                .pause(after.unwrap_or_else(|| jittered(next / 2, next)))
                .await;
            next = (next * 2).min(LONGEST_PAUSE);
        };
        let also = match &went {
            Ok(()) => " The version that ran before is in use again.".to_owned(),
            Err(why) => format!(" Going back to the version before failed as well: {why}"),
        };
        if let Some(run) = &mut record.run {
            run.back = None;
            if went.is_ok() {
                // Who goes on looks at the image anew, and deploys anew.
                run.image = None;
                run.asked = false;
                run.deploy = None;
                for step in &mut run.steps {
                    // What its panel was told may be lost with its process.
                    if matches!(
                        step.step.kind,
                        StepKind::CheckImage
                            | StepKind::Deploy
                            | StepKind::ChangePassword
                            | StepKind::CreateToken
                    ) {
                        step.state = StepState::Waiting;
                    }
                }
            }
        }
        let message = error.message + &also;
        Ok(RunEnd::Failed(ApiError::new(error.code, message)))
    }
}

/// Makes a call, with an end to patience.
async fn called<T, E: Into<Trouble>>(
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(CALL, call).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => {
            let error = format!("There was no answer within {} s.", CALL.as_secs());
            let error = ApiError::new(ErrorCode::Unreachable, error);
            Err(Trouble::Passing(error, None))
        }
    }
}

fn url(record: &Record) -> Result<String, Trouble> {
    record.url.clone().ok_or_else(|| {
        let what = "It is not known where the app answers. Apply again.";
        Trouble::Final(ApiError::new(ErrorCode::NotFound, what))
    })
}

/// The variables of the run have the token that was refused.
fn was_revoked() -> Trouble {
    Trouble::Final(ApiError::new(
        ErrorCode::InvalidInput,
        "The new client token was revoked there before it was in use. Another one has been made: \
         apply again.",
    ))
}

/// Takes what is there for the app, if it is ours.
fn take(record: &mut Record, there: &Observed) -> Result<(), Trouble> {
    let made_here = record.remote_id.as_ref() == Some(&there.id);
    if !there.is_ours && !record.adopted && !made_here {
        return Err(Trouble::Final(ApiError::new(
            ErrorCode::NameTaken,
            format!(
                "{} is there already and was not made here. Choose another name, or take it \
                 for your own.",
                there.name
            ),
        )));
    }
    know(record, there);
    Ok(())
}

fn know(record: &mut Record, there: &Observed) {
    record.remote_id = Some(there.id.clone());
    let run = record.run.as_mut();
    if let Some(run) = run.filter(|run| run.deploy.is_none() && !run.asked) {
        let makes = |step: &StepRun| step.step.kind == StepKind::CreateApp;
        if run.steps.iter().any(makes) {
            run.deploy.clone_from(&there.deploy);
        }
    }
    if there.url.is_some() {
        record.url.clone_from(&there.url);
    }
    if there.console_url.is_some() {
        record.console_url.clone_from(&there.console_url);
    }
}

/// Whether a step makes something, so that a call of it is not broken off.
fn makes(kind: StepKind) -> bool {
    matches!(
        kind,
        StepKind::CreateDatabase
            | StepKind::CreateApp
            | StepKind::SetVariables
            | StepKind::ChangeApp
            | StepKind::Deploy
            | StepKind::ChangePassword
            | StepKind::CreateToken
            | StepKind::RevokeOld
    )
}

/// How long a step may take, pauses that a provider wants apart.
fn patience(kind: StepKind) -> Duration {
    let minutes = match kind {
        StepKind::CheckImage | StepKind::CheckDatabase => 2,
        StepKind::SignIn
        | StepKind::ChangePassword
        | StepKind::CreateToken
        | StepKind::TryRequest
        | StepKind::RevokeOld => 3,
        StepKind::CreateApp | StepKind::SetVariables | StepKind::ChangeApp | StepKind::Deploy => 10,
        // ClawCloud's addresses take 2 to 5 minutes, in a crowded region 10.
        StepKind::WaitHealthy | StepKind::CreateDatabase => 15,
        StepKind::WaitLive => 20,
    };
    Duration::from_secs(minutes * 60)
}

fn too_slow(kind: StepKind, last: &str) -> ApiError {
    let minutes = patience(kind).as_secs() / 60;
    ApiError::new(
        ErrorCode::Provider,
        format!(
            "It was not ready within {minutes} minutes. Last: {last} Apply again to wait on, or \
             look into the app's log."
        ),
    )
}

/// A time between the two, so that many do not come at once.
fn jittered(from: Duration, to: Duration) -> Duration {
    let mut byte = [128];
    // Without random bytes it is the middle.
    let _ = getrandom::fill(&mut byte);
    from + to.saturating_sub(from) * u32::from(byte[0]) / 255
}

/// The text with every secret replaced by `***`.
pub fn scrub(mut text: String, secrets: &[Secret]) -> String {
    let mut secrets: Vec<&str> = secrets
        .iter()
        .map(|secret| secret.expose().as_str())
        .collect();
    // One may be within another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
        if text.contains(secret) {
            text = text.replace(secret, "***");
        }
    }
    text
}

/// A record's run as it may be seen, with the lines from number `after` on. `is_active`: it is
/// being carried out by this process.
pub fn view(record: &Record, after: u64, is_active: bool) -> RunView {
    let Some(run) = &record.run else {
        return RunView {
            state: RunState::None,
            steps: Vec::new(),
            lines: Vec::new(),
            after: 0,
        };
    };
    let failed = run.steps.iter().find_map(|step| match &step.state {
        StepState::Failed { error } => Some(error.clone()),
        _ => None,
    });
    let state = match failed {
        _ if is_active => RunState::Running,
        Some(error) => RunState::Failed { error },
        None if run.cancelled => RunState::Cancelled,
        None if run.current().is_none() => RunState::Done {
            url: record.url.clone().unwrap_or_default(),
        },
        None => RunState::BrokeOff,
    };
    let skip = usize::try_from(after.saturating_sub(run.first_line)).unwrap_or(usize::MAX);
    RunView {
        state,
        steps: run.steps.clone(),
        lines: run.lines.iter().skip(skip).cloned().collect(),
        after: run.first_line + run.lines.len() as u64,
    }
}

#[cfg(test)]
mod tests;
