//! Where a remote and this instance differ.
//!
//! What a remote should have is its wish: the keys that were chosen for it, its settings, its
//! image, and the variables that come of them. Client tokens are those that were made in the
//! panel of this instance, and the one that was made for the remote. One that was added by its
//! address has no wish: of it, keys and tokens are compared with all that are in use here, and
//! nothing else, because nothing else was ever wished.
//!
//! Keys and tokens are compared by what they are: the remote is asked what it would take in
//! (a dry run of an import), so it says which of ours it has and tells nothing of its own but
//! what its panel shows. It is asked about keys only that were chosen for it; of one that was
//! added by its address, whose owner may be somebody else, keys are compared by their looks, so
//! that none leaves before it is pushed. (Of tokens, only hashes do.) What is switched off there
//! counts as not being there.

use std::collections::{BTreeMap, VecDeque};

use contract::admin::{
    KeyState, KeyView, Origin, Provenance, SettingProblem, SettingView, TokenView,
};
use contract::deploy::{Difference, DriftView, ImageProgram};
use contract::{ApiError, ErrorCode};
use proxy_core::store::{StoredKey, StoredToken};
use proxy_core::transfer::{Content, KeyContent, TokenContent, hex};
use vault::Secret;

use crate::admin::AdminApi;
use crate::deployer::Deployer;
use crate::image;
use crate::instance::MADE_HERE;
use crate::plan::{image_change, variable_changes};
use crate::record::Record;
use crate::remotes::{nowhere, program_of, target};
use crate::run::Setback;
use crate::wish::{Wish, invalid, may_wish};

/// What a remote should have inside.
pub(crate) struct Ours {
    pub keys: Vec<StoredKey>,
    /// Those of the panel here.
    pub tokens: Vec<StoredToken>,
    /// The client token that was made for it and is in use.
    pub made: Option<Secret>,
    /// Those that were made for it and that it may accept: while one takes the place of another,
    /// both.
    pub may: Vec<Secret>,
    /// By name; `None` where nothing was wished.
    pub settings: Option<BTreeMap<String, Secret>>,
    /// It has been told its keys: by the variables of a run. Others are compared by how their
    /// keys look, and are told none before they are pushed.
    pub is_told: bool,
}

/// How keys, tokens and settings differ, as far as could be found out.
#[derive(Default)]
pub(crate) struct Compared {
    pub keys: Keys,
    pub tokens: Tokens,
    pub settings: Vec<Setting>,
    pub problems: Vec<ApiError>,
}

#[derive(Default)]
pub(crate) struct Keys {
    /// It does not have them.
    pub missing: Vec<StoredKey>,
    /// It has them, but does not use them although this instance does.
    pub off: Vec<KeyView>,
    /// It uses them, and should not have them.
    pub extra: Vec<KeyView>,
}

#[derive(Default)]
pub(crate) struct Tokens {
    /// It does not accept them.
    pub missing: Vec<TokenContent>,
    /// Called in another way there, or with other rules.
    pub changed: Vec<(TokenView, StoredToken)>,
    /// It accepts them, and should not.
    pub extra: Vec<TokenView>,
}

/// A setting that is in force there and not as wished.
pub(crate) struct Setting {
    pub name: String,
    /// What is in force there; of a secret nothing but that there is one.
    pub from: Option<String>,
    /// What was wished.
    pub to: Option<Secret>,
    pub secret: bool,
}

impl Deployer {
    /// Where a remote and this instance differ. What could not be compared is told as a problem.
    ///
    /// # Errors
    /// When it is nowhere yet, or the database cannot be read.
    pub async fn drift(&self, id: i64) -> Result<DriftView, ApiError> {
        let record = self.record(id).await?;
        if record.url.is_none() && record.remote_id.is_none() {
            return Err(nowhere());
        }
        let mut view = DriftView::default();
        match Box::pin(self.compared(&record)).await {
            Ok(compared) => compared.show(&mut view),
            Err(error) => view.problems.push(error),
        }
        if let Some(wish) = &record.wish
            && let Err(error) = Box::pin(self.compare_app(&record, wish, &mut view)).await
        {
            view.problems.push(error);
        }
        Ok(view)
    }

    /// Whether keys, settings or variables of a remote are not as this instance wants them, or
    /// tokens that it was given. What was never asked of it is no reason to worry.
    ///
    /// # Errors
    /// When it is nowhere yet, the database cannot be read, or nothing differs as far as it could
    /// be compared and something could not.
    pub async fn has_drifted(&self, id: i64) -> Result<bool, ApiError> {
        let record = self.record(id).await?;
        if record.wish.is_none() {
            return Ok(false);
        }
        let view = self.drift(id).await?;
        let is_asked = |token: &Difference| record.fed.tokens || token.name == MADE_HERE;
        let lacks_token = view.tokens.iter().any(is_asked);
        let mut others = [&view.keys, &view.settings, &view.variables].into_iter();
        let differs = lacks_token || others.any(|differences| !differences.is_empty());
        match view.problems.into_iter().next() {
            Some(unknown) if !differs => Err(unknown),
            _ => Ok(differs),
        }
    }

    /// How keys, tokens and settings of a remote differ, asked of itself.
    pub(crate) async fn compared(&self, record: &Record) -> Result<Compared, ApiError> {
        let api = self.admin_of(record).await?;
        let ours = self.ours(record).await?;
        let compared = Box::pin(compare(&api, ours)).await;
        compared.map_err(|setback| setback.error)
    }

    /// The admin API of a remote that has one.
    pub(crate) async fn admin_of(&self, record: &Record) -> Result<AdminApi, ApiError> {
        let url = record.url.as_ref().ok_or_else(nowhere)?;
        if let Some(wish) = &record.wish
            && program_of(wish)? == ImageProgram::Original
        {
            return Err(invalid(
                "It runs the original program, whose panel cannot be asked from here. What is \
                 in its variables can be compared and changed.",
            ));
        }
        let password = self.password_of(record, url).await?;
        Ok(self.instances()?.admin(url, &password))
    }

    /// What a remote is signed in to with now: the first of [`Record::passwords`] that it takes.
    pub(crate) async fn password_of(&self, record: &Record, url: &str) -> Result<Secret, ApiError> {
        let instances = self.instances()?;
        let found = instances.right_one(url, &record.passwords()).await;
        found.map_err(|setback| setback.error)
    }

    /// What a remote should have.
    async fn ours(&self, record: &Record) -> Result<Ours, ApiError> {
        let mut keys = self.store().keys().await?;
        match &record.wish {
            Some(wish) => keys.retain(|key| wish.keys.contains(&key.id)),
            None => keys.retain(|key| key.enabled),
        }
        let mut tokens = self.store().tokens().await?;
        tokens.retain(|token| token.origin == Origin::Panel);
        let made = record.token_in_use();
        Ok(Ours {
            keys,
            tokens,
            made: (!made.expose().is_empty()).then_some(made),
            may: record.made_tokens(),
            settings: record.wish.as_ref().map(Wish::panel_settings),
            is_told: record.wish.is_some() && record.remote_id.is_some(),
        })
    }

    /// Compares what the provider has.
    async fn compare_app(
        &self,
        record: &Record,
        wish: &Wish,
        view: &mut DriftView,
    ) -> Result<(), ApiError> {
        if wish.account.is_none() || record.remote_id.is_none() {
            return Err(invalid(
                "It was put there by hand, so its variables and its image cannot be compared. \
                 They are listed under Variables.",
            ));
        }
        let provider = self.provider_of(wish).await?;
        let Some(there) = provider.observe(&target(record)).await? else {
            return Err(ApiError::new(
                ErrorCode::NotFound,
                "It is not there at its provider any more. Deploy it anew, or move it elsewhere.",
            ));
        };
        let mut desired = self.desired(record, wish).await?;
        view.variables = variable_changes(&desired, Some(&there));
        let reference = image::parse(&desired.image_tag)?;
        let found = image::Registry::new()?.look(&desired.image_tag).await;
        let found = found.map_err(|setback| setback.error)?;
        desired.image = image::pinned(&reference, &found.digest);
        view.image = image_change(&desired, &there);
        Ok(())
    }
}

async fn compare(api: &AdminApi, ours: Ours) -> Result<Compared, Setback> {
    let mut compared = Compared::default();
    let there = api.keys().await?;
    let content = Content {
        keys: match ours.is_told {
            true => ours.keys.iter().map(key_content).collect(),
            false => Vec::new(),
        },
        tokens: (ours.made.iter())
            .map(|made| TokenContent::of(MADE_HERE, made, Default::default()))
            .chain(ours.tokens.iter().map(token_content))
            .collect(),
        ..Content::default()
    };
    let report = api.take(&content, true).await?;
    let ignored = report.ignored.iter();
    let problems = ignored.chain(&report.problems).map(told);
    compared.problems.extend(problems);

    let (added, known) = match ours.is_told {
        true => (report.keys_added, report.keys_known),
        false => by_looks(&ours.keys, &there),
    };
    let keys = Sorted::of(ours.keys, |key| key.secret.masked(), added, known);
    let mut there = Looks::of(there, |key| key.masked.clone());
    for key in keys.known {
        if let Some(view) = there.take(&key.secret.masked())
            && view.state == KeyState::Disabled
            && key.enabled
        {
            compared.keys.off.push(view);
        }
    }
    compared.keys.missing = keys.missing;
    let extra = there.rest(&mut compared.problems);
    let in_use = extra
        .into_iter()
        .filter(|key| key.state != KeyState::Disabled);
    compared.keys.extra = in_use.collect();

    // In the order in which they were asked about: first the one that was made for it.
    let all: Vec<Option<StoredToken>> = (ours.made.iter().map(|_| None))
        .chain(ours.tokens.into_iter().map(Some))
        .collect();
    let about: Vec<(Option<StoredToken>, TokenContent)> =
        all.into_iter().zip(content.tokens).collect();
    let tokens = Sorted::of(
        about,
        |(_, token)| token.name.clone(),
        report.tokens_added,
        report.tokens_known,
    );
    let mut panel = api.tokens().await?;
    // The others are among its variables.
    panel.retain(|token| token.origin == Origin::Panel);
    let mut there = Looks::of(panel, |token| token.masked.clone());
    for (here, token) in tokens.known {
        let (Some(view), Some(here)) = (there.take(&token.masked), here) else {
            continue;
        };
        if view.name != here.name || view.rules != here.rules {
            compared.tokens.changed.push((view, here));
        }
    }
    let missing = tokens.missing.into_iter().map(|(_, token)| token);
    compared.tokens.missing = missing.collect();
    let may: Vec<String> = ours.may.iter().map(Secret::masked).collect();
    compared.tokens.extra = there.rest(&mut compared.problems);
    compared
        .tokens
        .extra
        .retain(|token| token.name != MADE_HERE || !may.contains(&token.masked));

    if let Some(wanted) = &ours.settings {
        Box::pin(compare_settings(api, wanted, &mut compared)).await?;
    }
    Ok(compared)
}

async fn compare_settings(
    api: &AdminApi,
    wanted: &BTreeMap<String, Secret>,
    compared: &mut Compared,
) -> Result<(), Setback> {
    let there = api.settings().await?;
    let settable = |name: &String| {
        let mut all = there.settings.iter();
        all.any(|one| one.name == *name && !one.environment_only)
    };
    let (known, unknown): (Vec<_>, Vec<_>) = wanted.iter().partition(|(name, _)| settable(name));
    compared
        .problems
        .extend(unknown.into_iter().map(|(name, _)| {
        invalid(format!(
            "{name}: the version there has no such setting, or not in its panel. Deploy a newer \
             image."
        ))
    }));
    let values = known.into_iter();
    let values = values.map(|(name, value)| (name.clone(), Some(value.expose().clone())));
    let report = api
        .change_settings(values.collect(), there.revision, true)
        .await?;
    compared.problems.extend(report.problems.iter().map(told));
    for change in report.changes {
        let is_set = |one: &SettingView| one.name == change.name && one.is_set;
        let hidden = there.settings.iter().any(is_set).then(|| "…".to_owned());
        compared.settings.push(Setting {
            from: match change.secret {
                true => hidden,
                false => change.before,
            },
            to: wanted.get(&change.name).cloned(),
            secret: change.secret,
            name: change.name,
        });
    }
    for one in there.settings {
        let was_saved = matches!(one.provenance, Provenance::Panel { .. });
        let is_default = one.value.as_ref() == Some(&one.default);
        if was_saved && !is_default && !wanted.contains_key(&one.name) && may_wish(&one.name) {
            compared.settings.push(Setting {
                name: one.name,
                from: Some(one.value.unwrap_or_else(|| "…".to_owned())),
                to: None,
                secret: one.secret,
            });
        }
    }
    Ok(())
}

impl Compared {
    /// As it may be seen.
    fn show(self, view: &mut DriftView) {
        let called = |label: &str, masked: &str| match label.trim() {
            "" => masked.to_owned(),
            label => label.to_owned(),
        };
        let there = |key: &KeyView| Difference {
            name: called(&key.label, &key.masked),
            from: Some(key.masked.clone()),
            to: None,
        };
        let off = |key: &KeyView| Difference {
            name: called(&key.label, &key.masked),
            from: None,
            to: Some(key.masked.clone()),
        };
        let missing = |key: &StoredKey| Difference {
            name: called(&key.label, &key.secret.masked()),
            from: None,
            to: Some(key.secret.masked()),
        };
        let keys = &self.keys;
        view.keys = (keys.missing.iter().map(missing))
            .chain(keys.off.iter().map(off))
            .chain(keys.extra.iter().map(there))
            .collect();
        number(&mut view.keys);

        let mut tokens = Vec::new();
        let mut extra = self.tokens.extra;
        for token in self.tokens.missing {
            // One of that name that is another one.
            let other = extra.iter().position(|there| there.name == token.name);
            tokens.push(Difference {
                from: other.map(|at| extra.remove(at).masked),
                to: Some(token.masked),
                name: token.name,
            });
        }
        for (there, here) in self.tokens.changed {
            let shown = |name: &str, rules| {
                let rules = serde_json::to_value(rules).unwrap_or_default();
                format!("{name} {}", limits(&rules))
            };
            tokens.push(Difference {
                from: Some(shown(&there.name, &there.rules)),
                to: Some(shown(&here.name, &here.rules)),
                name: here.name,
            });
        }
        tokens.extend(extra.into_iter().map(|token| Difference {
            name: token.name,
            from: Some(token.masked),
            to: None,
        }));
        number(&mut tokens);
        view.tokens = tokens;

        let settings = self.settings.into_iter().map(|setting| Difference {
            to: setting.to.as_ref().map(|to| match setting.secret {
                true => to.masked(),
                false => to.expose().clone(),
            }),
            from: setting.from,
            name: setting.name,
        });
        view.settings = settings.collect();
        view.problems = self.problems;
    }
}

/// A token's limits in short, e.g. `rpm 5, models gemini-*`.
fn limits(rules: &serde_json::Value) -> String {
    let rules = rules.as_object().into_iter().flatten();
    let told = rules.filter_map(|(name, value)| {
        let text = match value {
            serde_json::Value::Array(all) if all.is_empty() => return None,
            serde_json::Value::Array(all) => all
                .iter()
                .filter_map(|one| one.as_str())
                .collect::<Vec<_>>()
                .join(" "),
            serde_json::Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        Some(format!("{name} {text}"))
    });
    format!("({})", told.collect::<Vec<_>>().join(", "))
}

/// Makes names different that are alike.
fn number(differences: &mut [Difference]) {
    let mut seen = BTreeMap::<String, u32>::new();
    for one in differences {
        let times = seen.entry(one.name.clone()).or_default();
        *times += 1;
        if *times > 1 {
            one.name = format!("{} ({times})", one.name);
        }
    }
}

/// What a remote would take in, and what it has. An answer names both in the order of the
/// question.
struct Sorted<T> {
    missing: Vec<T>,
    known: Vec<T>,
}

impl<T> Sorted<T> {
    fn of(
        ours: Vec<T>,
        name: impl Fn(&T) -> String,
        added: Vec<String>,
        known: Vec<String>,
    ) -> Self {
        let (mut added, mut known) = (VecDeque::from(added), VecDeque::from(known));
        let mut sorted = Self {
            missing: Vec::new(),
            known: Vec::new(),
        };
        for one in ours {
            let name = name(&one);
            if added.front() == Some(&name) {
                added.pop_front();
                sorted.missing.push(one);
            } else if known.front() == Some(&name) {
                known.pop_front();
                sorted.known.push(one);
            }
            // Else it was ignored, which is told as a problem.
        }
        sorted
    }
}

/// Which keys a remote seems not to have, and which it seems to have.
fn by_looks(ours: &[StoredKey], there: &[KeyView]) -> (Vec<String>, Vec<String>) {
    let mut there: Vec<&str> = there.iter().map(|key| key.masked.as_str()).collect();
    let masks = ours.iter().map(|key| key.secret.masked());
    masks.partition(|mask| match there.iter().position(|one| one == mask) {
        Some(at) => {
            there.swap_remove(at);
            false
        }
        None => true,
    })
}

/// What a remote shows of what it has, by its looks.
struct Looks<T> {
    by_mask: BTreeMap<String, Vec<T>>,
    /// How many of ours look like that.
    taken: BTreeMap<String, u32>,
}

impl<T> Looks<T> {
    fn of(all: Vec<T>, mask: impl Fn(&T) -> String) -> Self {
        let mut by_mask = BTreeMap::<String, Vec<T>>::new();
        for one in all {
            by_mask.entry(mask(&one)).or_default().push(one);
        }
        Self {
            by_mask,
            taken: BTreeMap::new(),
        }
    }

    fn take(&mut self, mask: &str) -> Option<T> {
        *self.taken.entry(mask.to_owned()).or_default() += 1;
        self.by_mask.get_mut(mask)?.pop()
    }

    /// What is only there. Where something there looks like something of ours, which of them is
    /// which cannot be told.
    fn rest(self, problems: &mut Vec<ApiError>) -> Vec<T> {
        let mut rest = Vec::new();
        for (mask, all) in self.by_mask {
            match self.taken.contains_key(&mask) {
                true if !all.is_empty() => problems.push(invalid(format!(
                    "There is another one there that looks like {mask}, which is here as well. \
                     Open its panel to see which of them is too much."
                ))),
                _ => rest.extend(all),
            }
        }
        rest
    }
}

pub(crate) fn key_content(key: &StoredKey) -> KeyContent {
    KeyContent {
        key: key.secret.expose().clone(),
        label: key.label.clone(),
        enabled: true,
        rules: key.rules.clone(),
    }
}

fn token_content(token: &StoredToken) -> TokenContent {
    TokenContent {
        name: token.name.clone(),
        masked: token.masked.clone(),
        hash: hex(&token.hash),
        rules: token.rules.clone(),
    }
}

pub(crate) fn told(problem: &SettingProblem) -> ApiError {
    invalid(format!("{}: {}.", problem.name, problem.reason.en))
}
