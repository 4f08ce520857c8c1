//! What Google keeps for somebody: every such thing belongs to the project of the key that made
//! it, and to another project it does not exist.

use bytes::Bytes;
use http::request::Parts;
use serde_json::{Value, json};

use super::World;
use super::error::GoogleError;
use super::target::Target;

/// Something that the fake keeps for a project, as tests see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Its full name, e.g. `files/abc` or `models/veo-3.1-generate-preview/operations/abc`.
    pub name: String,
    /// The project that owns it.
    pub project: String,
    /// The key that made it.
    pub key: String,
    /// When it was made, in milliseconds since 1970-01-01T00:00:00Z.
    pub created: i64,
    /// As Google shows it now to its owner.
    pub shown: Value,
}

/// Who calls: a key that was let in.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub key: String,
    pub project: String,
}

/// A call that was let in, and what came with it.
pub(super) struct Asked<'a> {
    pub world: &'a World,
    pub caller: &'a Caller,
    pub parts: &'a Parts,
    pub target: &'a Target,
    pub body: &'a Bytes,
}

/// One thing on a shelf.
#[derive(Debug)]
pub(super) struct Owned<T> {
    /// With its collection: `files/abc`.
    pub name: String,
    pub owner: Caller,
    /// In milliseconds since 1970.
    pub created: i64,
    /// When it is gone, in milliseconds since 1970; `None` is never.
    pub expires: Option<i64>,
    pub it: T,
}

impl<T> Owned<T> {
    fn is(&self, project: &str, name: &str, now: i64) -> bool {
        self.name == name && self.owner.project == project && self.lives_at(now)
    }

    fn lives_at(&self, now: i64) -> bool {
        self.expires.is_none_or(|end| now < end)
    }
}

/// All things of one kind, the oldest first.
#[derive(Debug)]
pub(super) struct Shelf<T> {
    things: Vec<Owned<T>>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { things: Vec::new() }
    }
}

impl<T> Shelf<T> {
    pub fn put(&mut self, thing: Owned<T>) {
        self.things.push(thing);
    }

    /// Whether any project has something of this name.
    pub fn has(&self, name: &str, now: i64) -> bool {
        let mut things = self.things.iter();
        things.any(|thing| thing.name == name && thing.lives_at(now))
    }

    pub fn get(&self, project: &str, name: &str, now: i64) -> Option<&Owned<T>> {
        let mut things = self.things.iter();
        things.find(|thing| thing.is(project, name, now))
    }

    pub fn get_mut(&mut self, project: &str, name: &str, now: i64) -> Option<&mut Owned<T>> {
        let mut things = self.things.iter_mut();
        things.find(|thing| thing.is(project, name, now))
    }

    pub fn remove(&mut self, project: &str, name: &str, now: i64) -> Option<Owned<T>> {
        let mut things = self.things.iter();
        let at = things.position(|thing| thing.is(project, name, now))?;
        Some(self.things.remove(at))
    }

    /// Everything there is at this time.
    pub fn all(&self, now: i64) -> impl Iterator<Item = &Owned<T>> {
        self.things.iter().filter(move |thing| thing.lives_at(now))
    }

    /// Everything there is for tests to look at.
    pub fn seen(&self, now: i64, show: impl Fn(&Owned<T>) -> Value) -> Vec<Resource> {
        let seen = |thing: &Owned<T>| Resource {
            name: thing.name.clone(),
            project: thing.owner.project.clone(),
            key: thing.owner.key.clone(),
            created: thing.created,
            shown: show(thing),
        };
        self.all(now).map(seen).collect()
    }

    /// A page of a project's things, the newest first, as the answer to a list: `field` names
    /// the things in it, and is left out when there is none.
    pub fn page(
        &self,
        caller: &Caller,
        now: i64,
        target: &Target,
        paging: &Paging,
        show: impl Fn(&Owned<T>) -> Value,
    ) -> Result<Value, GoogleError> {
        let (from, size) = paging.read(target)?;
        let mut mine = self
            .things
            .iter()
            .rev()
            .filter(|thing| thing.owner.project == caller.project && thing.lives_at(now));
        let page: Vec<Value> = mine.by_ref().skip(from).take(size).map(show).collect();
        let mut answer = json!({});
        if !page.is_empty() {
            answer[paging.field] = json!(page);
        }
        if mine.next().is_some() {
            answer["nextPageToken"] = json!(format!("page-{}", from + size));
        }
        Ok(answer)
    }
}

/// How a list comes in pages.
pub(super) struct Paging {
    /// The message of the request, for errors.
    pub request: &'static str,
    /// What the things are called in the answer.
    pub field: &'static str,
    /// The size of a page that nobody asked for.
    pub usual: usize,
    /// The largest page.
    pub most: usize,
    /// Who asks for more gets the largest page, and no error.
    pub coerces: bool,
}

impl Paging {
    /// Where the page begins, and how long it is at most.
    fn read(&self, target: &Target) -> Result<(usize, usize), GoogleError> {
        let size = match target.parameter("pageSize", "page_size").map(str::parse) {
            None | Some(Ok(0)) => self.usual,
            Some(Ok(size)) if size <= self.most => size,
            Some(Ok(_)) if self.coerces => self.most,
            Some(Ok(_)) => {
                return Err(GoogleError::invalid(format!(
                    "* {}.page_size: page_size must be at most {}.\n",
                    self.request, self.most
                )));
            }
            Some(Err(_)) => {
                return Err(GoogleError::invalid(format!(
                    "* {}.page_size: page_size must be positive.\n",
                    self.request
                )));
            }
        };
        let token = target.parameter("pageToken", "page_token");
        let from = match token.filter(|token| !token.is_empty()) {
            None => 0,
            Some(token) => token
                .strip_prefix("page-")
                .and_then(|from| from.parse().ok())
                .ok_or_else(|| GoogleError::invalid("Invalid page token."))?,
        };
        Ok((from, size))
    }
}

/// A time in milliseconds since 1970 as protobuf's JSON writes it.
pub(super) fn time(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .unwrap_or_default()
        .to_string()
}
