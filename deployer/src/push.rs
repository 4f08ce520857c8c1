//! Makes a remote and this instance alike, one way or the other.
//!
//! *Push* goes through the remote's admin API, so it takes effect at once, and stays where the
//! remote has a database. The variables at the provider follow without a new deploy, so that
//! what was pushed is also what its process begins with; of a remote without a database nothing
//! else outlasts a restart. Where a provider takes variables with a deploy only, they differ until
//! the next one, which report and drift say. Client tokens are known here by their hashes only and
//! fit into no variable. What a restart takes away [`Deployer::feed`] sends again.
//!
//! *Take* only adds: keys and tokens that are only there come here, settings go into the wish.
//! What is only here stays, and can be pushed.

use std::collections::BTreeMap;

use contract::ApiError;
use contract::admin::{Origin, TokenPatch, TokenView};
use contract::deploy::{PushReport, PushWish};
use proxy_core::store::{Author, FoundKey, FoundToken, StoredToken, ToTakeIn};
use proxy_core::transfer::{Content, unhex};
use vault::Secret;

use crate::admin::AdminApi;
use crate::deployer::Deployer;
use crate::document;
use crate::drift::{Compared, Keys, Setting, Tokens, key_content, told};
use crate::provider::{Desired, Observed, Value};
use crate::record::Record;
use crate::remotes::target;
use crate::run::Setback;
use crate::wish::{Database, TIME_ZONE, Wish, invalid, may_wish};

/// How far a push goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// What is only there is removed.
    Alike,
    /// What is only there stays.
    Adds,
}

impl Deployer {
    /// Makes a remote like this instance. What is only there is removed there.
    ///
    /// # Errors
    /// When it is nowhere yet, a run is under way, or it cannot be asked. What went wrong after
    /// that is in the report.
    pub async fn push(&self, id: i64, what: PushWish) -> Result<PushReport, ApiError> {
        // Noted first: a run that begins meanwhile keeps what it finds now.
        let (record, fed_before) = {
            let _changing = self.changing().await?;
            let mut record = self.still(id).await?;
            let before = record.fed;
            record.fed.keys |= what.keys;
            record.fed.tokens |= what.tokens;
            record.fed.settings |= what.settings;
            document::save(self.store(), &record).await?;
            (record, before)
        };
        let report = Box::pin(self.send(&record, what, Reach::Alike)).await;
        let was_sent = report.is_ok();
        let ended = |record: &mut Record| {
            // Whether they are alike now is found out anew.
            record.watched.drift = None;
            if !was_sent {
                record.fed = fed_before;
            }
            true
        };
        let noted = async {
            let _changing = self.changing().await?;
            document::change(self.store(), id, ended).await
        };
        match (report, noted.await) {
            (Ok(mut report), Err(error)) => {
                // All was sent, whatever is wrong here.
                report.problems.push(error);
                Ok(report)
            }
            (report, _) => report,
        }
    }

    /// Gives a remote that has lost everything with a restart what it had: its keys, and the
    /// tokens and settings that were ever pushed. Does nothing to one that has a database, and
    /// removes nothing.
    ///
    /// # Errors
    /// When it is nowhere yet, a run is under way, or it cannot be asked.
    pub async fn feed(&self, id: i64) -> Result<PushReport, ApiError> {
        let record = self.still(id).await?;
        let forgets = |wish: &Wish| wish.database == Database::None;
        if !record.wish.as_ref().is_some_and(forgets) {
            return Ok(PushReport::default());
        }
        let what = PushWish {
            keys: true,
            ..record.fed
        };
        Box::pin(self.send(&record, what, Reach::Adds)).await
    }

    async fn send(
        &self,
        record: &Record,
        what: PushWish,
        reach: Reach,
    ) -> Result<PushReport, ApiError> {
        let mut report = PushReport::default();
        let has_provider = record.remote_id.is_some();
        let (api, compared) = match (
            self.admin_of(record).await,
            Box::pin(self.compared(record)).await,
        ) {
            (Ok(api), Ok(compared)) => (Some(api), compared),
            // Its variables can follow although nobody can be asked.
            (Err(error), _) if has_provider => {
                report.problems.push(error);
                (None, Compared::default())
            }
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        report.problems.extend(compared.problems);
        let alike = reach == Reach::Alike;
        if let Some(api) = api {
            let mut push = Push {
                api: &api,
                alike,
                report: &mut report,
            };
            if what.keys {
                push.keys(compared.keys).await;
            }
            if what.tokens {
                push.tokens(compared.tokens).await;
            }
            if what.settings {
                push.settings(compared.settings).await;
            }
        }
        // A restart has not changed them.
        if alike && let Some(wish) = &record.wish {
            match Box::pin(self.follow(record, wish, what)).await {
                Ok(waits) => report.variables_wait = waits,
                Err(error) => report.problems.push(error),
            }
        }
        Ok(report)
    }

    /// Has the variables at the provider say what was pushed, and leaves the others as they are.
    /// Gives whether they do so only after the next deploy.
    async fn follow(&self, record: &Record, wish: &Wish, what: PushWish) -> Result<bool, ApiError> {
        if !what.keys && !what.settings {
            return Ok(false);
        }
        let (Some(_), Some(id)) = (wish.account, &record.remote_id) else {
            return match wish.database {
                Database::None => Err(invalid(
                    "It was put there by hand and keeps nothing: put its new variables into \
                     the host's console, or what was sent is lost with its next restart.",
                )),
                _ => Ok(false),
            };
        };
        let provider = self.provider_of(wish).await?;
        let there = provider.observe(&target(record)).await?;
        let desired = self.desired(record, wish).await?;
        let follows = |name: &str| match name {
            "API_KEYS" => what.keys,
            name => what.settings && (name == TIME_ZONE || may_wish(name)),
        };
        match there.and_then(|there| following(&desired, &there, follows)) {
            Some(desired) if provider.keeps_variables() => {
                provider.set_variables(id, &desired).await?;
                Ok(false)
            }
            Some(_) => Ok(true),
            None => Ok(false),
        }
    }

    /// Takes over what a remote has. Nothing is removed here.
    ///
    /// # Errors
    /// When it is nowhere yet, a run is under way, it cannot be asked, or the database cannot
    /// be written.
    pub async fn take(&self, id: i64, what: PushWish, by: Author) -> Result<PushReport, ApiError> {
        let record = self.still(id).await?;
        let compared = Box::pin(self.compared(&record)).await?;
        let exported = self.admin_of(&record).await?.export().await;
        let content = exported.map_err(|setback| setback.error)?;
        let mut report = PushReport {
            problems: compared.problems,
            ..PushReport::default()
        };
        let mut found = ToTakeIn::default();
        if what.keys {
            let extra =
                |masked: &String| compared.keys.extra.iter().any(|key| key.masked == *masked);
            for key in content.keys {
                let secret = Secret::new(key.key);
                if key.enabled && extra(&secret.masked()) {
                    let (label, rules) = (key.label, key.rules);
                    let key = FoundKey {
                        secret,
                        label,
                        rules,
                    };
                    found.keys.push((key, true));
                }
            }
        }
        if what.tokens {
            found.tokens = taken_tokens(&content.tokens, &compared.tokens.extra);
            let theirs =
                |(there, here): (TokenView, StoredToken)| (here.id, there.name, there.rules);
            found.changed = compared.tokens.changed.into_iter().map(theirs).collect();
        }
        let wanted_tokens = u32::try_from(found.tokens.len()).unwrap_or(u32::MAX);
        let taken = self.store().take_in(by, &record.name, &found).await?;
        report.added = taken.new_keys + taken.new_tokens;
        report.changed = taken.changed_tokens;
        if taken.new_tokens < wanted_tokens {
            report.problems.push(invalid(
                "A token that it accepts was revoked here and stays so. Push the tokens to \
                 have it revoked there as well.",
            ));
        }

        let noted = async {
            let changing = self.changing().await?;
            Ok::<_, ApiError>((changing, self.still(id).await?))
        };
        let (_changing, mut record) = match noted.await {
            Ok(noted) => noted,
            Err(error) => {
                // What was taken over is here already.
                report.problems.push(error);
                return Ok(report);
            }
        };
        let Some(wish) = &mut record.wish else {
            if what.settings {
                report.problems.push(crate::remotes::not_ours());
            }
            return Ok(report);
        };
        // A key that was here already and is new to the wish is a change as well.
        let new: Vec<i64> = (taken.keys.into_iter())
            .filter(|key| !wish.keys.contains(key))
            .collect();
        let all = u32::try_from(new.len()).unwrap_or(u32::MAX);
        report.changed += all.saturating_sub(taken.new_keys);
        wish.keys.extend(new);
        if what.settings {
            for setting in compared.settings {
                let name = setting.name.as_str();
                let value = content
                    .settings
                    .get(name)
                    .map(|value| Secret::from(value.as_str()));
                match wish.take_setting(name, value) {
                    Ok(()) => report.changed += 1,
                    Err(error) => report.problems.push(error),
                }
            }
        }
        document::save(self.store(), &record).await?;
        Ok(report)
    }
}

/// A push that is under way.
struct Push<'a> {
    api: &'a AdminApi,
    /// What is only there is removed.
    alike: bool,
    report: &'a mut PushReport,
}

impl Push<'_> {
    /// Notes what was done, or why it could not be. Gives whether it was.
    fn note<T>(
        &mut self,
        done: Result<T, Setback>,
        count: impl FnOnce(&mut PushReport, T),
    ) -> bool {
        match done {
            Ok(done) => {
                count(self.report, done);
                true
            }
            Err(setback) => {
                self.report.problems.push(setback.error);
                false
            }
        }
    }

    /// Has it take in what it lacks. Gives whether it has all of it then.
    async fn add(&mut self, content: Content) -> bool {
        let wanted = content.keys.len() + content.tokens.len();
        if wanted == 0 {
            return true;
        }
        let mut taken = 0;
        let done = self.api.take(&content, false).await;
        let answered = self.note(done, |report, done| {
            let added = done.keys_added.len() + done.tokens_added.len();
            taken = added + done.keys_known.len() + done.tokens_known.len();
            report.added += u32::try_from(added).unwrap_or(u32::MAX);
            let problems = done.ignored.iter().chain(&done.problems);
            report.problems.extend(problems.map(told));
        });
        answered && taken >= wanted
    }

    /// What is too much goes last, and only when all else is there, so that the remote is not
    /// left without any.
    async fn keys(&mut self, keys: Keys) {
        let mut is_complete = self
            .add(Content {
                keys: keys.missing.iter().map(key_content).collect(),
                ..Content::default()
            })
            .await;
        for key in &keys.off {
            let done = self.api.switch_key(key.id, true).await;
            is_complete &= self.note(done, |report, ()| report.changed += 1);
        }
        if !self.alike || !is_complete {
            return;
        }
        for key in keys.extra {
            // One of its variables would come back by a deletion; these follow.
            let done = match key.origin {
                Origin::Panel => self.api.delete_key(key.id).await,
                Origin::Environment => self.api.switch_key(key.id, false).await,
            };
            self.note(done, |report, ()| report.removed += 1);
        }
    }

    /// The same order as with keys.
    async fn tokens(&mut self, tokens: Tokens) {
        let mut is_complete = self
            .add(Content {
                tokens: tokens.missing,
                ..Content::default()
            })
            .await;
        for (there, here) in tokens.changed {
            let patch = TokenPatch {
                name: Some(here.name),
                rules: Some(here.rules),
            };
            let done = self.api.change_token(there.id, &patch).await;
            is_complete &= self.note(done, |report, ()| report.changed += 1);
        }
        if !self.alike || !is_complete {
            return;
        }
        for token in tokens.extra {
            let done = self.api.delete_token(token.id).await;
            self.note(done, |report, ()| report.removed += 1);
        }
    }

    async fn settings(&mut self, settings: Vec<Setting>) {
        let wanted = |setting: Setting| (setting.name, setting.to.map(|to| to.expose().clone()));
        let values: BTreeMap<String, Option<String>> = settings
            .into_iter()
            .filter(|setting| self.alike || setting.to.is_some())
            .map(wanted)
            .collect();
        if values.is_empty() {
            return;
        }
        let removed = values.values().filter(|value| value.is_none()).count();
        let changed = values.len() - removed;
        let done = async {
            let revision = self.api.settings().await?.revision;
            self.api.change_settings(values, revision, false).await
        };
        let done = done.await;
        self.note(done, |report, done| {
            if done.problems.is_empty() {
                report.changed += u32::try_from(changed).unwrap_or(u32::MAX);
                report.removed += u32::try_from(removed).unwrap_or(u32::MAX);
            }
            report.problems.extend(done.problems.iter().map(told));
        });
    }
}

/// The tokens of an export that are among those that are only there.
fn taken_tokens(
    exported: &[proxy_core::transfer::TokenContent],
    extra: &[TokenView],
) -> Vec<FoundToken> {
    let is_extra = |token: &&proxy_core::transfer::TokenContent| {
        let alike = |view: &TokenView| view.name == token.name && view.masked == token.masked;
        extra.iter().any(alike)
    };
    let found = |token: &proxy_core::transfer::TokenContent| {
        Some(FoundToken {
            name: token.name.clone(),
            masked: token.masked.clone(),
            hash: unhex(&token.hash)?,
            rules: token.rules.clone(),
        })
    };
    exported.iter().filter(is_extra).filter_map(found).collect()
}

/// What is there with those variables as they are wished that are to follow; `None` when
/// nothing differs, or when a value is not known that would have to be sent again.
fn following(
    desired: &Desired,
    there: &Observed,
    follows: impl Fn(&str) -> bool,
) -> Option<Desired> {
    let mut variables = BTreeMap::new();
    let mut differs = false;
    for (name, value) in &there.variables {
        match (value, desired.variables.get(name)) {
            _ if follows(name) => differs |= !desired.variables.contains_key(name),
            (Some(value), _) => {
                variables.insert(name.clone(), Value::Secret(value.clone()));
            }
            (None, Some(value @ Value::FromDatabase(_))) => {
                variables.insert(name.clone(), value.clone());
            }
            (None, _) => return None,
        }
    }
    for (name, value) in desired.variables.iter().filter(|(name, _)| follows(name)) {
        let text = match value {
            Value::Plain(text) => Some(Secret::from(text.as_str())),
            Value::Secret(secret) => Some(secret.clone()),
            Value::FromDatabase(_) => None,
        };
        differs |= there.variables.get(name).is_none_or(|is| *is != text);
        variables.insert(name.clone(), value.clone());
    }
    differs.then(|| Desired {
        variables,
        // What runs goes on to run.
        image: there.image.clone().unwrap_or_else(|| desired.image.clone()),
        ..desired.clone()
    })
}
