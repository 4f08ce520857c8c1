//! What a remote should be: checked, and with its secrets.

use std::collections::BTreeMap;

use contract::deploy::{DatabaseWish, KeepAlive, MysqlWish, RemoteWish, VariableWish};
use contract::{ApiError, ErrorCode};
use proxy_core::settings::{DECLARATIONS, Declaration, Settings};
use proxy_core::store::MysqlConfig;
use serde::{Deserialize, Serialize};
use vault::Secret;

use crate::document::{Kept, sealed};
use crate::provider::Data;

/// The longest name: ClawCloud's and Sealos' App Launchpad take no longer one.
pub(crate) const LONGEST_NAME: usize = 25;
/// GiB that a volume may have.
const VOLUME_GIB: std::ops::RangeInclusive<u32> = 1..=100;

/// The variable of the time zone.
pub(crate) const TIME_ZONE: &str = "TZ";

/// Variables that the wizard makes itself, or that would break what it makes.
const RESERVED: [&str; 21] = [
    "API_KEYS",
    "ALLOWED_TOKENS",
    "AUTH_TOKEN",
    "MYSQL_HOST",
    "MYSQL_PORT",
    "MYSQL_USER",
    "MYSQL_PASSWORD",
    "MYSQL_DATABASE",
    "MYSQL_SOCKET",
    "MYSQL_SSL_MODE",
    "MYSQL_SSL_CA",
    "DATABASE_TYPE",
    TIME_ZONE,
    "SECRET_KEY",
    "HOST",
    "PORT",
    "ADMIN_PORT",
    "DATA_DIR",
    "DEPLOYER",
    "RESET_SECOND_FACTOR",
    "GEMINI_BALANCE_REMOTE",
];

/// What a remote should be, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Its name.
    pub name: String,
    /// The account it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<i64>,
    /// The workspace, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The region, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The plan, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The image; absent: the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Where its data are.
    pub database: Database,
    /// The keys of this instance that it gets.
    pub keys: Vec<i64>,
    /// Further settings, by the names of their variables. All are kept as if they were secret.
    settings: BTreeMap<String, Kept>,
    /// Its time zone.
    pub time_zone: String,
    /// How it is kept awake.
    #[serde(default)]
    pub keep_alive: KeepAlive,
}

/// Where a remote's data are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Database {
    /// Nowhere that lasts.
    None,
    /// SQLite on a volume.
    Volume {
        /// GiB.
        gib: u32,
    },
    /// A MySQL beside the app.
    InCluster {
        /// GiB.
        gib: u32,
    },
    /// A MySQL somewhere.
    Mysql(Mysql),
}

/// A MySQL server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mysql {
    /// Host name.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User.
    pub user: String,
    /// Password; empty: none.
    #[serde(with = "sealed")]
    pub password: Secret,
    /// Database.
    pub database: String,
    /// As `MYSQL_SSL_MODE` has it, in small letters.
    pub ssl_mode: String,
    /// The certificate authority as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssl_ca: Option<String>,
}

impl Wish {
    /// Checks what was asked for. Secrets that are absent stay what they are in `known`.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn checked(wish: RemoteWish, known: Option<&Self>) -> Result<Self, ApiError> {
        let name = wish.name.trim().to_owned();
        if !is_name(&name) {
            return Err(invalid(format!(
                "The name consists of small letters, digits and -, begins with a letter, ends \
                 with a letter or a digit, and has at most {LONGEST_NAME} characters."
            )));
        }
        if jiff::tz::TimeZone::get(&wish.time_zone).is_err() {
            return Err(invalid(format!(
                "{} is no time zone; it is called like Asia/Shanghai.",
                wish.time_zone
            )));
        }
        check_keep_alive(&wish.keep_alive)?;
        let database = match wish.database {
            DatabaseWish::None => Database::None,
            DatabaseWish::Volume { gib } => Database::Volume { gib: size(gib)? },
            DatabaseWish::InCluster { gib } => Database::InCluster { gib: size(gib)? },
            DatabaseWish::Mysql(wish) => {
                let known = match known.map(|known| &known.database) {
                    Some(Database::Mysql(known)) => Some(known),
                    _ => None,
                };
                Database::Mysql(Mysql::checked(wish, known)?)
            }
        };
        let mut settings = BTreeMap::new();
        for VariableWish { name, value } in wish.settings {
            let declaration = settable(&name)?;
            let value = match value {
                Some(value) => Secret::from(value.trim()),
                None => match known.and_then(|known| known.settings.get(&name)) {
                    Some(kept) => kept.0.clone(),
                    None => return Err(invalid(format!("{name} has no value."))),
                },
            };
            check_value(declaration, &value)?;
            settings.insert(name, Kept(value));
        }
        let some = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        Ok(Self {
            name,
            account: wish.account,
            workspace: some(wish.workspace),
            region: some(wish.region),
            plan: some(wish.plan),
            image: some(wish.image).map(|image| image.trim().to_owned()),
            database,
            keys: wish.keys,
            settings,
            time_zone: wish.time_zone,
            keep_alive: wish.keep_alive,
        })
    }

    /// The same as it may be seen.
    pub fn shown(&self) -> RemoteWish {
        RemoteWish {
            name: self.name.clone(),
            account: self.account,
            workspace: self.workspace.clone(),
            region: self.region.clone(),
            plan: self.plan.clone(),
            image: self.image.clone(),
            database: match &self.database {
                Database::None => DatabaseWish::None,
                Database::Volume { gib } => DatabaseWish::Volume { gib: *gib },
                Database::InCluster { gib } => DatabaseWish::InCluster { gib: *gib },
                Database::Mysql(mysql) => DatabaseWish::Mysql(MysqlWish {
                    host: mysql.host.clone(),
                    port: mysql.port,
                    user: mysql.user.clone(),
                    password: None,
                    database: mysql.database.clone(),
                    ssl_mode: mysql.ssl_mode.to_ascii_uppercase(),
                    ssl_ca: mysql.ssl_ca.clone(),
                }),
            },
            keys: self.keys.clone(),
            settings: self
                .settings()
                .map(|(declaration, value)| VariableWish {
                    name: declaration.name.to_owned(),
                    value: (!declaration.secret).then(|| value.expose().clone()),
                })
                .collect(),
            time_zone: self.time_zone.clone(),
            keep_alive: self.keep_alive.clone(),
        }
    }

    /// The further settings. One that this version no longer has is left out.
    pub fn settings(&self) -> impl Iterator<Item = (&'static Declaration, &Secret)> {
        self.settings.iter().filter_map(|(name, value)| {
            let declaration = DECLARATIONS.iter().find(|one| one.name == name)?;
            Some((declaration, &value.0))
        })
    }

    /// What should be in force there of what its panel can change, by name.
    pub(crate) fn panel_settings(&self) -> BTreeMap<String, Secret> {
        let settings = self.settings().filter(|(one, _)| !one.environment_only);
        let zone = Secret::from(self.time_zone.as_str());
        settings
            .map(|(one, value)| (one.name.to_owned(), value.clone()))
            .chain([(TIME_ZONE.to_owned(), zone)])
            .collect()
    }

    /// Makes a setting what it is there; `None`: the default is in force there.
    ///
    /// # Errors
    /// When it is none that can be wished for.
    pub(crate) fn take_setting(
        &mut self,
        name: &str,
        value: Option<Secret>,
    ) -> Result<(), ApiError> {
        if name == TIME_ZONE {
            let zone = value.map(|value| value.expose().clone());
            let zone = zone.filter(|zone| jiff::tz::TimeZone::get(zone).is_ok());
            let unknown = || invalid("TZ: which time zone it is in is not set there.");
            self.time_zone = zone.ok_or_else(unknown)?;
            return Ok(());
        }
        let declaration = settable(name)?;
        let default = Some(declaration.default).filter(|text| !text.is_empty());
        match value.or(default.map(Secret::from)) {
            Some(value) => {
                check_value(declaration, &value)?;
                self.settings.insert(name.to_owned(), Kept(value));
            }
            None => {
                self.settings.remove(name);
            }
        }
        Ok(())
    }

    /// Where its data are, as far as the provider is concerned.
    pub fn data(&self) -> Data {
        match self.database {
            Database::None | Database::Mysql(_) => Data::Elsewhere,
            Database::Volume { gib } => Data::Volume { gib },
            Database::InCluster { gib } => Data::InCluster { gib },
        }
    }

    /// Replaces the password of its MySQL, if it has one.
    pub(crate) fn set_database_password(&mut self, password: Secret) {
        if let Database::Mysql(mysql) = &mut self.database {
            mysql.password = password;
        }
    }

    /// Its secrets.
    pub fn secrets(&self) -> Vec<Secret> {
        let settings = self
            .settings()
            .filter(|(declaration, _)| declaration.secret);
        let mut all: Vec<Secret> = settings.map(|(_, value)| value.clone()).collect();
        if let Database::Mysql(mysql) = &self.database {
            all.push(mysql.password.clone());
        }
        all
    }
}

impl Mysql {
    /// How one gets in from here.
    ///
    /// # Errors
    /// When it cannot be right any more.
    pub fn config(&self) -> Result<MysqlConfig, ApiError> {
        let config = crate::mysql_config(MysqlWish {
            host: self.host.clone(),
            port: self.port,
            user: self.user.clone(),
            password: None,
            database: self.database.clone(),
            ssl_mode: self.ssl_mode.clone(),
            ssl_ca: self.ssl_ca.clone(),
        })?;
        Ok(MysqlConfig {
            password: Some(self.password.clone()),
            ..config
        })
    }

    fn checked(wish: MysqlWish, known: Option<&Self>) -> Result<Self, ApiError> {
        // One place says what can be right.
        let config = crate::mysql_config(MysqlWish {
            password: None,
            ..wish.clone()
        })?;
        let mut new = Self {
            host: config.host,
            port: config.port,
            user: config.user,
            password: "".into(),
            database: config.database,
            ssl_mode: wish.ssl_mode.trim().to_ascii_lowercase(),
            ssl_ca: config.tls_ca,
        };
        new.password = match (wish.password, known) {
            (Some(password), _) => Secret::new(password),
            (None, None) => "".into(),
            (None, Some(known)) if known.password.expose().is_empty() || new.is_at(known) => {
                known.password.clone()
            }
            // Whoever changes where it is sent must know it.
            (None, Some(_)) => {
                return Err(invalid(
                    "Type the database's password again: it is sent to another server, or \
                     protected in another way, than the one that is kept.",
                ));
            }
        };
        Ok(new)
    }

    /// Whether a password gets to the same place in the same way.
    fn is_at(&self, other: &Self) -> bool {
        let way = |one: &Self| {
            let Self {
                host,
                port,
                user,
                ssl_mode,
                ssl_ca,
                ..
            } = one.clone();
            (host, port, user, ssl_mode, ssl_ca)
        };
        way(self) == way(other)
    }
}

fn is_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(inner)
}

fn size(gib: u32) -> Result<u32, ApiError> {
    match VOLUME_GIB.contains(&gib) {
        true => Ok(gib),
        false => Err(invalid(format!(
            "A volume has from {} to {} GiB.",
            VOLUME_GIB.start(),
            VOLUME_GIB.end()
        ))),
    }
}

/// Whether the user may wish for a setting of this name.
pub(crate) fn may_wish(name: &str) -> bool {
    settable(name).is_ok()
}

fn settable(name: &str) -> Result<&'static Declaration, ApiError> {
    if RESERVED.contains(&name) {
        return Err(invalid(format!(
            "{name} is set by the other steps and cannot be chosen here."
        )));
    }
    DECLARATIONS
        .iter()
        .find(|declaration| declaration.name == name)
        .ok_or_else(|| invalid(format!("There is no setting {name}.")))
}

/// Whether a server would start with that value.
fn check_value(declaration: &Declaration, value: &Secret) -> Result<(), ApiError> {
    let checked = Settings::load(|name| match name {
        "DATA_DIR" => Some("/data".to_owned()),
        name if name == declaration.name => Some(value.expose().clone()),
        _ => None,
    });
    let errors = checked.err().unwrap_or_default();
    match errors
        .into_iter()
        .find(|error| error.name == declaration.name)
    {
        None => Ok(()),
        Some(error) => Err(invalid(format!("{}: {}.", error.name, error.reason.en))),
    }
}

/// Whether the hours in which a remote may sleep can be such.
pub(crate) fn check_keep_alive(wish: &KeepAlive) -> Result<(), ApiError> {
    match wish.quiet {
        Some(quiet) if quiet.from > 23 || quiet.to > 23 || quiet.from == quiet.to => Err(invalid(
            "Quiet hours go from one full hour to another, each from 0 to 23.",
        )),
        _ => Ok(()),
    }
}

pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish() -> RemoteWish {
        RemoteWish {
            name: "gemini-balance".to_owned(),
            account: Some(1),
            workspace: None,
            region: Some(" ".to_owned()),
            plan: Some("free".to_owned()),
            image: None,
            database: DatabaseWish::Mysql(MysqlWish {
                host: "db.example".to_owned(),
                port: 4000,
                user: "2abc.root".to_owned(),
                password: Some("the password".to_owned()),
                database: "gemini_balance".to_owned(),
                ssl_mode: "VERIFY_IDENTITY".to_owned(),
                ssl_ca: None,
            }),
            keys: vec![1, 2],
            settings: vec![
                VariableWish {
                    name: "MAX_RETRIES".to_owned(),
                    value: Some("5".to_owned()),
                },
                VariableWish {
                    name: "METRICS_TOKEN".to_owned(),
                    value: Some("a token for Prometheus".to_owned()),
                },
            ],
            time_zone: "Asia/Shanghai".to_owned(),
            keep_alive: KeepAlive::default(),
        }
    }

    #[test]
    fn what_is_shown_holds_no_secret_and_changes_nothing_when_it_is_sent_back() {
        let kept = Wish::checked(wish(), None).unwrap();
        let shown = kept.shown();
        let text = serde_json::to_string(&shown).unwrap();
        for secret in ["the password", "a token for Prometheus"] {
            assert!(!text.contains(secret), "{text}");
            assert!(kept.secrets().contains(&secret.into()));
        }
        assert!(text.contains("\"5\""), "{text}");
        assert_eq!(Wish::checked(shown, Some(&kept)).unwrap(), kept);
        assert_eq!(kept.region, None, "an empty choice is none");
    }

    #[test]
    fn a_password_that_is_kept_goes_to_no_other_server() {
        let kept = Wish::checked(wish(), None).unwrap();
        let changes: [fn(&mut MysqlWish); 3] = [
            |mysql| mysql.host = "evil.example".into(),
            |mysql| mysql.ssl_mode = "REQUIRED".into(),
            |mysql| mysql.port = 3307,
        ];
        for change in changes {
            let mut elsewhere = kept.shown();
            let DatabaseWish::Mysql(mysql) = &mut elsewhere.database else {
                panic!("{elsewhere:?}");
            };
            change(mysql);
            let refused = Wish::checked(elsewhere.clone(), Some(&kept)).unwrap_err();
            assert!(refused.message.contains("again"), "{refused}");
            let DatabaseWish::Mysql(mysql) = &mut elsewhere.database else {
                panic!("{elsewhere:?}");
            };
            mysql.password = Some("typed again".into());
            assert!(Wish::checked(elsewhere, Some(&kept)).is_ok());
        }
        let mut database = kept.shown();
        let DatabaseWish::Mysql(mysql) = &mut database.database else {
            panic!("{database:?}");
        };
        mysql.database = "another".into();
        assert!(Wish::checked(database, Some(&kept)).is_ok());
    }

    #[test]
    fn it_is_kept_whole() {
        let kept = Wish::checked(wish(), None).unwrap();
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<Wish>(&text).unwrap(), kept);
        assert!(!format!("{kept:?}").contains("the password"));
    }

    #[test]
    fn what_cannot_be_right_is_refused_with_the_reason() {
        let refused = |change: fn(&mut RemoteWish)| {
            let mut wish = wish();
            change(&mut wish);
            Wish::checked(wish, None).unwrap_err().message
        };
        for name in [
            "",
            "Gemini",
            "9lives",
            "a-",
            "a_b",
            "abcdefghijklmnopqrstuvwxyz",
        ] {
            let mut wish = wish();
            name.clone_into(&mut wish.name);
            assert!(Wish::checked(wish, None).is_err(), "{name}");
        }
        assert!(refused(|wish| wish.time_zone = "Shanghai".into()).contains("Asia/Shanghai"));
        assert!(
            refused(|wish| wish.settings[0].value = Some("many".into())).contains("MAX_RETRIES")
        );
        assert!(
            refused(|wish| wish.settings[0].name = "AUTH_TOKEN".into()).contains("other steps")
        );
        assert!(refused(|wish| wish.settings[0].name = "RETRIES".into()).contains("no setting"));
        assert!(refused(|wish| wish.settings[1].value = None).contains("no value"));
        assert!(refused(|wish| wish.database = DatabaseWish::Volume { gib: 0 }).contains("GiB"));
    }

    #[test]
    fn every_reserved_name_is_a_setting_or_our_mark() {
        for name in RESERVED {
            let declared = DECLARATIONS.iter().any(|one| one.name == name);
            let later = ["DEPLOYER", crate::provider::MARK].contains(&name);
            assert!(declared || later, "{name}");
        }
    }
}
