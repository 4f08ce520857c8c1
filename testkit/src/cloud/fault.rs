//! Faults on demand, for the next call or for calls of a kind.

use std::time::Duration;

/// Something that goes wrong, in the place of (or on top of) the ordinary answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The cloud's usual error of this HTTP status.
    Status(u16),
    /// An error of this HTTP status in these words.
    Said(u16, String),
    /// 429, to be tried again after so long.
    RateLimited(Duration),
    /// A body that is not JSON, e.g. the HTML page of a proxy in between.
    Page(u16, String),
    /// Waits before it does anything. It is the fake's own clock that passes: with a virtual
    /// clock somebody must advance it. Combines with other faults.
    Slow(Duration),
    /// The connection closes, and nothing has been done.
    CutBefore,
    /// The connection closes after all has been done: the client cannot know.
    CutAfter,
}

/// A fault and the calls it is meant for.
#[derive(Clone, Debug)]
pub struct FaultRule {
    fault: Fault,
    call: Option<String>,
    skip: usize,
    times: Option<usize>,
}

impl FaultRule {
    /// This fault on every call.
    #[must_use]
    pub const fn new(fault: Fault) -> Self {
        Self {
            fault,
            call: None,
            skip: 0,
            times: None,
        }
    }

    /// Only for such calls: method and path, `*` for any one segment of the path, e.g.
    /// `POST /v1/services/*/deploys`.
    #[must_use]
    pub fn on(mut self, call: impl Into<String>) -> Self {
        self.call = Some(call.into());
        self
    }

    /// Only after so many such calls.
    #[must_use]
    pub const fn after(mut self, calls: usize) -> Self {
        self.skip = calls;
        self
    }

    /// Only so many times.
    #[must_use]
    pub const fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }

    fn matches(&self, call: &str) -> bool {
        self.call
            .as_deref()
            .is_none_or(|pattern| is_like(pattern, call))
    }
}

/// Whether a call is of the pattern's kind.
fn is_like(pattern: &str, call: &str) -> bool {
    let mut segments = call.split('/');
    pattern.split('/').all(|wanted| {
        segments
            .next()
            .is_some_and(|it| wanted == "*" || wanted == it)
    }) && segments.next().is_none()
}

/// All rules of a fake.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<FaultRule>);

/// What the rules say about one call.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub slow: Duration,
    pub fault: Option<Fault>,
}

impl Faults {
    pub fn add(&mut self, rule: FaultRule) {
        self.0.push(rule);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Looks a call up and uses up the rules that applied: all delays, and the first fault.
    pub fn take(&mut self, call: &str) -> Verdict {
        let mut verdict = Verdict::default();
        for rule in &mut self.0 {
            if !rule.matches(call) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            match &rule.fault {
                Fault::Slow(wait) => verdict.slow += *wait,
                _ if verdict.fault.is_some() => continue,
                fault => verdict.fault = Some(fault.clone()),
            }
            if let Some(times) = &mut rule.times {
                *times -= 1;
            }
        }
        self.0.retain(|rule| rule.times != Some(0));
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, FaultRule, Faults};

    #[test]
    fn rules_apply_to_their_calls_in_their_order_and_are_used_up() {
        let mut faults = Faults::default();
        let deploys = "POST /v1/services/*/deploys";
        faults.add(
            FaultRule::new(Fault::Status(503))
                .on(deploys)
                .after(1)
                .times(1),
        );
        faults.add(FaultRule::new(Fault::CutAfter).times(1));
        let call = "POST /v1/services/srv-1/deploys";
        assert_eq!(faults.take(call).fault, Some(Fault::CutAfter));
        assert_eq!(faults.take("GET /v1/services/srv-1/deploys").fault, None);
        assert_eq!(faults.take("POST /v1/services/srv-1/deploys/x").fault, None);
        assert_eq!(faults.take(call).fault, Some(Fault::Status(503)));
        assert_eq!(faults.take(call).fault, None);
    }
}
