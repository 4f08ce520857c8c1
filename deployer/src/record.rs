//! What is kept of a remote: one sealed document.

use contract::deploy::{
    KeepAlive, ProviderKind, PushWish, RemoteHealth, RemoteState, RunLine, StepKind, StepRun,
    StepState, StepView,
};
use contract::{ApiError, Millis};
use proxy_core::store::StoreError;
use serde::{Deserialize, Serialize};
use vault::Secret;

use crate::document::{Kept, Numbered, sealed};
use crate::plan::Replaced;
use crate::wish::Wish;

/// How many lines of a run are kept.
const LINES: usize = 500;

/// A remote as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Its number here.
    pub id: i64,
    /// What it is called, here and at the provider.
    pub name: String,
    /// Whose account it runs on; absent for one that was added by its address, and where only
    /// the variables were wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderKind>,
    /// What it should be; absent for one that was added by its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<Wish>,
    /// Its secrets.
    pub secrets: Secrets,
    /// Secrets that take the place of those, until that is done.
    #[serde(default)]
    pub next: Next,
    /// What was pushed to it that no variable holds.
    #[serde(default)]
    pub fed: PushWish,
    /// What the provider calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_id: Option<String>,
    /// Where it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its page in the console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console_url: Option<String>,
    /// The image that was last deployed, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The user takes what is there under its name for their own.
    #[serde(default)]
    pub adopted: bool,
    /// What is known of it.
    pub state: RemoteState,
    /// Since when.
    pub state_since: Millis,
    /// What it last said of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<RemoteHealth>,
    /// When it was last asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Millis>,
    /// How it is kept awake.
    #[serde(default)]
    pub keep_alive: KeepAlive,
    /// How long it was awake.
    #[serde(default)]
    pub awake: Awake,
    /// What watching it needs to remember.
    #[serde(default)]
    pub watched: Watched,
    /// The current or last run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
}

/// The secrets of a remote that were made here, or typed in for one that was added.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Secrets {
    /// Signs in to its panel: `AUTH_TOKEN`, or the password.
    #[serde(with = "sealed")]
    pub auth_token: Secret,
    /// What clients send: the first of `ALLOWED_TOKENS`. Empty for one that was added.
    #[serde(with = "sealed")]
    pub client_token: Secret,
    /// Seals what it keeps: `SECRET_KEY`. Empty for one that was added.
    #[serde(with = "sealed")]
    pub secret_key: Secret,
    /// Earlier passwords of one that was added, the first one first. Its environment may still
    /// hold one of them, which counts again after a restart if it keeps nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) former: Vec<Kept>,
}

impl Secrets {
    /// New ones.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn random() -> Result<Self, StoreError> {
        let client_token = random()?;
        Ok(Self {
            auth_token: random()?,
            client_token: Secret::new(format!("sk-{}", client_token.expose())),
            secret_key: random()?,
            former: Vec::new(),
        })
    }

    /// Those of a remote that was there before.
    pub fn known(password: Secret) -> Self {
        Self {
            auth_token: password,
            client_token: "".into(),
            secret_key: "".into(),
            former: Vec::new(),
        }
    }

    /// Puts a new password in place of the one that was known, which stays known as well: the
    /// first that there was, and the last.
    fn supersede_password(&mut self, new: Secret) {
        let old = Kept(std::mem::replace(&mut self.auth_token, new));
        self.former.retain(|former| *former != old);
        self.former.truncate(1);
        self.former.push(old);
    }
}

/// Secrets that take the place of others. Both are known until the new ones are in use, so that
/// whoever goes on after a crash gets in with one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auth_token: Option<Kept>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_token: Option<Kept>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) database_password: Option<Kept>,
}

impl Next {
    /// Which secrets there are.
    pub(crate) fn replaced(&self) -> Replaced {
        Replaced {
            any: *self != Self::default(),
            password: self.auth_token.is_some(),
            token: self.client_token.is_some(),
        }
    }

    fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let all = [
            &self.auth_token,
            &self.client_token,
            &self.database_password,
        ];
        all.into_iter().flatten().map(|kept| &kept.0)
    }
}

/// 256 random bits as 64 hexadecimal digits, which no shell, file or form changes.
pub(crate) fn random() -> Result<Secret, StoreError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| StoreError::NoRandom)?;
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    Ok(Secret::new(digits.collect()))
}

/// How long a remote was awake, and how it is kept so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awake {
    /// When the month began that is counted (UTC, as providers count).
    pub month: Millis,
    /// Milliseconds awake in it, up to `seen_at`.
    pub used: Millis,
    /// When it was last seen awake; absent when it was seen asleep since.
    #[serde(default)]
    pub seen_at: Option<Millis>,
    /// When it last answered to keeping it awake.
    pub last_ok_at: Option<Millis>,
    /// When it is asked next; absent: as soon as it may be.
    pub next_at: Option<Millis>,
    /// How often it did not answer since.
    #[serde(default)]
    pub failures: u32,
}

/// What watching a remote needs to remember.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Watched {
    /// When it is looked at next; absent: in due time after the last look.
    pub next_at: Option<Millis>,
    /// When the look began that what is known of it comes from.
    pub began_at: Option<Millis>,
    /// How often in a row it was found not to work.
    pub failures: u32,
    /// The start of the process that has its keys, as that process told it.
    pub fed: Option<Millis>,
    /// What the registry last said of its image's tag.
    pub newest: Option<Newest>,
    /// Whether it was last found to be as this instance wants it.
    pub drift: Option<Drifted>,
}

/// Whether a remote was as this instance wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drifted {
    /// It was not.
    pub differs: bool,
    /// When that was found out.
    pub asked_at: Millis,
}

/// What a registry said of a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newest {
    /// The image, as it was wished for.
    pub image: String,
    /// Its digest; absent when it could not be looked up.
    pub digest: Option<String>,
    /// When it was asked.
    pub asked_at: Millis,
}

/// A run and how far it got.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Its steps, in order.
    pub steps: Vec<StepRun>,
    /// What it said.
    pub lines: Vec<RunLine>,
    /// The number of the first of `lines`.
    pub first_line: u64,
    /// The deploy that is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy: Option<String>,
    /// The deploy that was in use before, to go back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// A deploy was asked for, or is about to be: what is in use then besides `before` is it.
    #[serde(default)]
    pub asked: bool,
    /// The image that it pinned, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What others have changed of the app is overwritten.
    #[serde(default)]
    pub over: bool,
    /// Why it goes back to `before`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<ApiError>,
    /// The user stopped it.
    #[serde(default)]
    pub cancelled: bool,
}

impl Run {
    /// A run that has not begun.
    pub fn new(steps: Vec<StepView>) -> Self {
        let waiting = |step| StepRun {
            step,
            state: StepState::Waiting,
            started_at: None,
            ended_at: None,
        };
        Self {
            steps: steps.into_iter().map(waiting).collect(),
            lines: Vec::new(),
            first_line: 0,
            deploy: None,
            before: None,
            asked: false,
            image: None,
            over: false,
            back: None,
            cancelled: false,
        }
    }

    /// The step whose turn it is.
    pub fn current(&self) -> Option<usize> {
        self.steps
            .iter()
            .position(|step| !matches!(step.state, StepState::Done))
    }

    /// Notes a line.
    pub fn say(&mut self, at: Millis, text: String) {
        self.lines.push(RunLine { at, text });
        if self.lines.len() > LINES {
            let gone = self.lines.len() - LINES;
            self.lines.drain(..gone);
            self.first_line += gone as u64;
        }
    }
}

impl Numbered for Record {
    const KIND: &'static str = "remote";

    fn id(&self) -> i64 {
        self.id
    }
}

impl Record {
    /// Moves it to another state.
    pub fn became(&mut self, state: RemoteState, now: Millis) {
        if std::mem::discriminant(&self.state) != std::mem::discriminant(&state) {
            self.state_since = now;
        }
        self.state = state;
    }

    /// Its secrets as they will be.
    pub fn next_secrets(&self) -> Secrets {
        let mut secrets = self.secrets.clone();
        if let Some(Kept(new)) = &self.next.auth_token {
            secrets.auth_token = new.clone();
        }
        if let Some(Kept(new)) = &self.next.client_token {
            secrets.client_token = new.clone();
        }
        secrets
    }

    fn has_done(&self, kind: StepKind) -> bool {
        let is_done =
            |step: &StepRun| step.step.kind == kind && matches!(step.state, StepState::Done);
        let run = self.run.as_ref();
        run.is_some_and(|run| run.steps.iter().any(is_done))
    }

    /// The passwords that may open its panel, in the order in which to try them. While one is
    /// being replaced, the new one comes first as soon as the panel has taken it, and not
    /// before: each wrong attempt makes the panel wait longer. The others follow, because a
    /// remote that keeps nothing has the old one again after a restart.
    pub fn passwords(&self) -> Vec<Secret> {
        let mut all = vec![self.secrets.auth_token.clone()];
        if let Some(Kept(new)) = &self.next.auth_token {
            let is_taken = self.has_done(StepKind::ChangePassword);
            all.insert(usize::from(!is_taken), new.clone());
        }
        let former = self.secrets.former.iter().rev();
        all.extend(former.map(|Kept(former)| former.clone()));
        all
    }

    /// The client token to use now: while it is being replaced, the new one as soon as it is
    /// accepted.
    pub fn token_in_use(&self) -> Secret {
        match self.has_done(StepKind::CreateToken) {
            true => self.next_secrets().client_token,
            false => self.secrets.client_token.clone(),
        }
    }

    /// The client tokens that were made for it: that in use, and one that takes its place.
    pub(crate) fn made_tokens(&self) -> Vec<Secret> {
        let next = self.next.client_token.iter().map(|Kept(next)| next);
        let all = std::iter::once(&self.secrets.client_token).chain(next);
        all.filter(|token| !token.expose().is_empty())
            .cloned()
            .collect()
    }

    /// A wish of it, with the database's password as it will be.
    pub fn next_wish(&self, wish: &Wish) -> Wish {
        let mut wish = wish.clone();
        if let Some(Kept(new)) = &self.next.database_password {
            wish.set_database_password(new.clone());
        }
        wish
    }

    /// The new secrets are in use; the old ones are forgotten.
    pub fn replaced(&mut self) {
        self.secrets = self.next_secrets();
        self.wish = self.wish.as_ref().map(|wish| self.next_wish(wish));
        self.next = Next::default();
    }

    /// The same of one that was added, for what its panel was told. A remote that keeps nothing
    /// has its old password again after a restart, so that one stays known.
    pub(crate) fn replaced_there(&mut self, kind: StepKind) {
        match kind {
            StepKind::ChangePassword => {
                if let Some(Kept(new)) = self.next.auth_token.take() {
                    self.secrets.supersede_password(new);
                }
            }
            _ => {
                if let Some(Kept(new)) = self.next.client_token.take() {
                    self.secrets.client_token = new;
                }
            }
        }
    }

    /// Puts a new client token in place of one that was to come and that the remote refuses.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(crate) fn renew_next_token(&mut self) -> Result<(), StoreError> {
        self.next.client_token = Some(Kept(Secrets::random()?.client_token));
        Ok(())
    }

    /// Takes another wish. A password that was typed in for the database of the last wish is
    /// none of another database.
    pub fn wish_for(&mut self, wish: Wish) {
        let before = self.wish.replace(wish);
        let database = |wish: &Option<Wish>| wish.as_ref().map(|wish| wish.database.clone());
        if database(&before) != database(&self.wish) {
            self.next.database_password = None;
        }
    }

    /// Every secret of it, for leaving them out of what is said.
    pub fn known_secrets(&self) -> Vec<Secret> {
        let Secrets {
            auth_token,
            client_token,
            secret_key,
            former,
        } = &self.secrets;
        let mut all = vec![auth_token.clone(), client_token.clone(), secret_key.clone()];
        all.extend(former.iter().map(|Kept(former)| former.clone()));
        all.extend(self.wish.iter().flat_map(Wish::secrets));
        all.extend(self.next.secrets().cloned());
        all.retain(|secret| !secret.expose().is_empty());
        all
    }
}
