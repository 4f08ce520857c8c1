//! What the wizard has collected, and what it makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use contract::admin::SettingKind;
use contract::deploy::{
    AccountView, DatabaseReport, DatabaseWish, KeepAlive, MysqlWish, RemoteView, RemoteWish,
    VariableWish,
};
use serde::{Deserialize, Serialize};
use yew::Reducible;

use super::place::Door;
use super::{At, Step};
use crate::host::zone_name;
use crate::pages::settings::{readable, written};

/// What the zone is when the browser does not tell.
const UTC: &str = "UTC";

/// Where data can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataKind {
    /// Nowhere that lasts.
    None,
    /// SQLite on a volume.
    Volume,
    /// A MySQL beside the app.
    InCluster,
    /// A MySQL somewhere.
    Mysql,
}

/// A MySQL server, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MysqlForm {
    pub host: String,
    pub port: String,
    pub user: String,
    pub password: String,
    pub database: String,
    pub ssl_mode: String,
    pub ssl_ca: String,
}

impl Default for MysqlForm {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: "3306".to_owned(),
            user: String::new(),
            password: String::new(),
            database: "gemini_balance".to_owned(),
            ssl_mode: "REQUIRED".to_owned(),
            ssl_ca: String::new(),
        }
    }
}

impl MysqlForm {
    /// What is asked for with it; an empty password means the one that is kept.
    pub fn wish(&self) -> Option<MysqlWish> {
        Some(MysqlWish {
            host: filled(&self.host)?,
            port: self.port.trim().parse().ok()?,
            user: filled(&self.user)?,
            password: Some(self.password.clone()).filter(|password| !password.is_empty()),
            database: filled(&self.database)?,
            ssl_mode: self.ssl_mode.clone(),
            ssl_ca: filled(&self.ssl_ca),
        })
    }

    fn of(wish: &MysqlWish) -> Self {
        Self {
            host: wish.host.clone(),
            port: wish.port.to_string(),
            user: wish.user.clone(),
            password: String::new(),
            database: wish.database.clone(),
            ssl_mode: wish.ssl_mode.clone(),
            ssl_ca: wish.ssl_ca.clone().unwrap_or_default(),
        }
    }
}

/// A further setting, as typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// What it holds; none while `text` is as the instance keeps it.
    pub kind: Option<SettingKind>,
    /// What was typed; none: the secret that is kept stays.
    pub text: Option<String>,
}

impl Setting {
    /// The value written as in the environment.
    fn value(&self) -> Option<String> {
        let text = self.text.clone()?;
        Some(match &self.kind {
            Some(kind) => written(kind, &text),
            None => text,
        })
    }

    /// The value as people read and type it.
    pub fn shown(&self, kind: &SettingKind) -> String {
        let text = self.text.clone().unwrap_or_default();
        match self.kind {
            Some(_) => text,
            None => readable(kind, &text),
        }
    }
}

/// What the wizard has collected.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// What it is called.
    pub name: String,
    /// The account, as it was last checked.
    pub account: Option<AccountView>,
    /// The account of a kept draft, until the list has come.
    pub account_id: Option<i64>,
    pub workspace: Option<String>,
    pub region: Option<String>,
    pub plan: Option<String>,
    pub data: Option<DataKind>,
    /// GiB of a volume or a database.
    pub gib: String,
    pub mysql: MysqlForm,
    /// The instance keeps a password for it.
    pub password_kept: bool,
    /// What was found there with what is typed now.
    pub report: Option<DatabaseReport>,
    /// Another image than the default; empty: that.
    pub image: String,
    /// Which keys it gets; none: all that are switched on.
    pub keys: Option<BTreeSet<i64>>,
    /// Further settings, by the names of their variables.
    pub settings: BTreeMap<String, Setting>,
    pub time_zone: String,
    pub keep_alive: KeepAlive,
}

impl Draft {
    /// Nothing chosen yet.
    pub fn new() -> Self {
        Self {
            name: "gemini-balance".to_owned(),
            account: None,
            account_id: None,
            workspace: None,
            region: None,
            plan: None,
            data: None,
            gib: "1".to_owned(),
            mysql: MysqlForm::default(),
            password_kept: false,
            report: None,
            image: String::new(),
            keys: None,
            settings: BTreeMap::new(),
            time_zone: zone_name().unwrap_or_else(|| UTC.to_owned()),
            keep_alive: KeepAlive::default(),
        }
    }

    /// What a remote was wished to be. One that `moves` gets another account and place.
    pub fn of(remote: &RemoteView, moves: bool) -> Self {
        let Some(wish) = &remote.wish else {
            return Self::new();
        };
        let mut draft = Self {
            name: wish.name.clone(),
            image: wish.image.clone().unwrap_or_default(),
            keys: Some(wish.keys.iter().copied().collect()),
            settings: wish
                .settings
                .iter()
                .map(|one| {
                    let text = one.value.clone();
                    (one.name.clone(), Setting { kind: None, text })
                })
                .collect(),
            time_zone: wish.time_zone.clone(),
            keep_alive: wish.keep_alive.clone(),
            ..Self::new()
        };
        match &wish.database {
            DatabaseWish::None => draft.data = Some(DataKind::None),
            DatabaseWish::Volume { gib } => {
                draft.data = Some(DataKind::Volume);
                draft.gib = gib.to_string();
            }
            DatabaseWish::InCluster { gib } => {
                draft.data = Some(DataKind::InCluster);
                draft.gib = gib.to_string();
            }
            DatabaseWish::Mysql(mysql) => {
                draft.data = Some(DataKind::Mysql);
                draft.mysql = MysqlForm::of(mysql);
                draft.password_kept = true;
            }
        }
        if !moves {
            draft.account_id = wish.account;
            draft.workspace.clone_from(&wish.workspace);
            draft.region.clone_from(&wish.region);
            draft.plan.clone_from(&wish.plan);
        }
        draft
    }

    /// Takes an account, and of what it offers the first of each that is not chosen yet.
    pub fn take(&mut self, account: AccountView) {
        let facts = &account.facts;
        let first = |now: &Option<String>, all: &[contract::deploy::Choice]| {
            now.clone()
                .filter(|now| all.iter().any(|choice| choice.id == *now))
                .or_else(|| all.first().map(|choice| choice.id.clone()))
        };
        self.workspace = first(&self.workspace, &facts.workspaces);
        // Near to Google and to China alike, where it is offered.
        let near = facts
            .regions
            .iter()
            .find(|region| region.id.contains("singapore") || region.id.contains("ap-southeast"))
            .map(|region| region.id.clone());
        self.region = first(&self.region.clone().or(near), &facts.regions);
        self.plan = first(&self.plan, &facts.plans);
        self.account_id = Some(account.id);
        self.account = Some(account);
    }

    /// Takes no account, e.g. because another place was chosen.
    pub fn leave(&mut self) {
        self.account = None;
        self.account_id = None;
        self.workspace = None;
        self.region = None;
        self.plan = None;
    }

    /// The data are here unless something else is chosen.
    pub fn data_or_default(&self, door: Door) -> DataKind {
        self.data.unwrap_or(match door {
            Door::Docker | Door::Variables => DataKind::Volume,
            Door::Render | Door::ClawCloud | Door::Kubernetes | Door::Koyeb => DataKind::None,
        })
    }

    /// Whether data can be there.
    pub fn offers(&self, at: At, kind: DataKind) -> bool {
        let door = at.door.unwrap_or(Door::Variables);
        let facts = self
            .account
            .as_ref()
            .filter(|_| !at.by_hand)
            .map(|account| &account.facts);
        match (kind, facts) {
            (DataKind::None | DataKind::Mysql, _) => true,
            (DataKind::Volume, Some(facts)) => facts.has_volumes,
            (DataKind::Volume, None) => door.has_volumes(),
            (DataKind::InCluster, Some(facts)) => facts.has_databases,
            (DataKind::InCluster, None) => false,
        }
    }

    /// What is asked for.
    pub fn wish(&self, at: At) -> RemoteWish {
        let door = at.door.unwrap_or(Door::Variables);
        let gib = self.gib.trim().parse().unwrap_or(1);
        let account = (!at.by_hand && door.provider().is_some())
            .then_some(self.account_id)
            .flatten();
        let database = match self.data_or_default(door) {
            DataKind::None => DatabaseWish::None,
            DataKind::Volume => DatabaseWish::Volume { gib },
            DataKind::InCluster => DatabaseWish::InCluster { gib },
            DataKind::Mysql => self
                .mysql
                .wish()
                .map_or(DatabaseWish::None, DatabaseWish::Mysql),
        };
        let of_account = |choice: &Option<String>| account.and(choice.clone());
        RemoteWish {
            name: self.name.trim().to_owned(),
            account,
            workspace: of_account(&self.workspace),
            region: of_account(&self.region),
            plan: of_account(&self.plan),
            image: filled(&self.image),
            database,
            keys: self.keys.iter().flatten().copied().collect(),
            settings: self
                .settings
                .iter()
                .map(|(name, setting)| VariableWish {
                    name: name.clone(),
                    value: setting.value(),
                })
                .collect(),
            time_zone: self.time_zone.trim().to_owned(),
            keep_alive: self.keep_alive.clone(),
        }
    }

    /// Whether the step has what it needs.
    pub fn ready(&self, at: At) -> bool {
        self.missing(at).is_none()
    }

    /// The text that names what the step still needs; none when it has all.
    pub fn missing(&self, at: At) -> Option<&'static str> {
        let door = at.door?;
        match at.step {
            Step::Account => {
                if !name_is_good(&self.name, door) {
                    return Some("deploy.missing.name");
                }
                if at.by_hand {
                    return None;
                }
                match &self.account {
                    Some(account) if Some(account.provider) != door.provider() => {
                        Some("deploy.missing.account")
                    }
                    Some(account) if account.problem.is_some() => Some("deploy.missing.problem"),
                    None if self.account_id.is_none() => Some("deploy.missing.account"),
                    _ => None,
                }
            }
            Step::Data => {
                if !name_is_good(&self.name, door) {
                    return Some("deploy.missing.name");
                }
                let kind = self.data_or_default(door);
                if !self.offers(at, kind) {
                    return Some("deploy.missing.data");
                }
                match kind {
                    DataKind::Mysql => match (self.mysql.wish(), &self.report) {
                        (None, _) => Some("deploy.missing.mysql"),
                        (Some(wish), _) if wish.password.is_none() && !self.password_kept => {
                            Some("deploy.missing.mysql")
                        }
                        (Some(_), Some(report)) if !report.ok => Some("deploy.missing.refused"),
                        (Some(_), None) if !self.password_kept => Some("deploy.missing.tested"),
                        _ => None,
                    },
                    DataKind::Volume | DataKind::InCluster => {
                        (!matches!(self.gib.trim().parse::<u32>(), Ok(1..=100)))
                            .then_some("deploy.missing.gib")
                    }
                    DataKind::None => None,
                }
            }
            Step::Variables => {
                (self.time_zone.trim().is_empty()).then_some("deploy.missing.time_zone")
            }
            Step::Where | Step::Plan | Step::Done => None,
        }
    }
}

/// What providers take as the name of an app: small letters, digits and `-`, beginning with
/// a letter and not ending with `-`.
pub fn name_is_good(name: &str, door: Door) -> bool {
    let name = name.trim();
    door.name_length().contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn filled(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Something that was typed or chosen.
pub struct Change(Box<dyn FnOnce(&mut Draft)>);

/// A change of the draft as it is when the change arrives, so that two do not undo one
/// another.
pub fn change(how: impl FnOnce(&mut Draft) + 'static) -> Change {
    Change(Box::new(how))
}

impl Reducible for Draft {
    type Action = Change;

    fn reduce(self: Rc<Self>, change: Change) -> Rc<Self> {
        let mut draft = (*self).clone();
        (change.0)(&mut draft);
        draft.into()
    }
}
