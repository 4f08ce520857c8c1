//! Workspaces, and their hours of the free plan.

/// Hours a month that a workspace's free services may be awake, all together
/// (render.com/docs/free).
pub const FREE_HOURS: i64 = 750;

/// A workspace.
#[derive(Debug)]
pub(super) struct Owner {
    pub id: String,
    pub name: String,
    pub has_card: bool,
    /// Time on the free plan this month of containers that have ended, in milliseconds.
    pub used: i64,
}

impl Owner {
    pub const fn new(id: String, name: String) -> Self {
        Self {
            id,
            name,
            has_card: false,
            used: 0,
        }
    }

    /// `user` or `team`.
    pub fn kind(&self) -> &'static str {
        if self.id.starts_with("usr-") {
            "user"
        } else {
            "team"
        }
    }
}

/// A private registry's login.
#[derive(Debug)]
pub(super) struct Credential {
    pub id: String,
    pub owner: String,
    pub name: String,
    pub registry: String,
    pub login: crate::cloud::Login,
    pub updated: i64,
}

/// The first moment of the month (UTC) in milliseconds since 1970-01-01T00:00:00Z.
pub(super) fn month_of(at: i64) -> i64 {
    jiff::Timestamp::from_millisecond(at)
        .unwrap_or_default()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .first_of_month()
        .and_then(|day| day.start_of_day())
        .map_or(0, |month| month.timestamp().as_millisecond())
}
