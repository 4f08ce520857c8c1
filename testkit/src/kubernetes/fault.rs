//! Faults on demand, for the next request or for those to some resource.

use std::time::Duration;

/// Something that goes wrong, in the place of (or on top of) the ordinary answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429 with `Retry-After`.
    TooManyRequests {
        /// Seconds.
        retry_after: u64,
    },
    /// What the server usually says with this HTTP status, e.g. 500, 503 or 504.
    Status(u16),
    /// Waits before it goes on as usual. It is the fake's own clock that passes: with a
    /// virtual clock somebody must advance it.
    Slow(Duration),
    /// 409: somebody else has changed the object meanwhile.
    Conflict,
    /// Closes the connection instead of answering; nothing is done.
    Close,
    /// Does it, and closes the connection instead of answering.
    LoseAnswer,
}

/// A fault and the requests it is meant for. Without conditions it is meant for every
/// request.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(super) fault: Fault,
    verb: Option<String>,
    resource: Option<String>,
    name: Option<String>,
    skip: usize,
    times: Option<usize>,
}

impl Rule {
    /// This fault for every request.
    #[must_use]
    pub const fn new(fault: Fault) -> Self {
        Self {
            fault,
            verb: None,
            resource: None,
            name: None,
            skip: 0,
            times: None,
        }
    }

    /// Only for this verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`,
    /// `deletecollection`.
    #[must_use]
    pub fn verb(mut self, verb: impl Into<String>) -> Self {
        self.verb = Some(verb.into());
        self
    }

    /// Only for this resource, e.g. `deployments` or `pods/log`.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// Only for the object of this name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Not before so many of these requests have passed.
    #[must_use]
    pub const fn skip(mut self, skip: usize) -> Self {
        self.skip = skip;
        self
    }

    /// Only so many times.
    #[must_use]
    pub const fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }
}

/// Takes the first rule for such a request, and uses it up.
pub(super) fn take(rules: &mut Vec<Rule>, verb: &str, resource: &str, name: &str) -> Option<Fault> {
    let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|it| it == is);
    let rule = rules.iter_mut().find(|rule| {
        fits(&rule.verb, verb) && fits(&rule.resource, resource) && fits(&rule.name, name)
    })?;
    if rule.skip > 0 {
        rule.skip -= 1;
        return None;
    }
    let fault = rule.fault.clone();
    if let Some(times) = &mut rule.times {
        *times = times.saturating_sub(1);
    }
    rules.retain(|rule| rule.times != Some(0));
    Some(fault)
}
