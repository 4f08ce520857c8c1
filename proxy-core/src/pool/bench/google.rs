//! Google's side: it counts what arrives.

use std::collections::VecDeque;

use contract::Millis;
use contract::admin::CooldownReason;

use super::super::day::next_midnight;
use super::super::{Limits, Outcome};

/// What one project may ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    pub(super) rpm: u32,
    pub(super) tpm: u32,
    pub(super) rpd: u32,
}

/// What one project has asked.
pub(super) struct Project {
    quota: Quota,
    minute: VecDeque<(Millis, u64)>,
    day_ends: Millis,
    today: u64,
}

impl Project {
    pub(super) fn new(quota: Quota) -> Self {
        Self {
            quota,
            minute: VecDeque::new(),
            day_ends: 0,
            today: 0,
        }
    }

    /// Counts a request, or refuses it as Google does.
    pub(super) fn admit(&mut self, now: Millis, tokens: u64) -> Result<(), Outcome> {
        while self
            .minute
            .front()
            .is_some_and(|(at, _)| at + 60_000 <= now)
        {
            self.minute.pop_front();
        }
        if now >= self.day_ends {
            self.day_ends = next_midnight(now).unwrap();
            self.today = 0;
        }
        let used: u64 = self.minute.iter().map(|(_, tokens)| tokens).sum();
        let mut limits = Limits::default();
        let mut reason = None;
        if self.minute.len() as u64 >= u64::from(self.quota.rpm) {
            limits.rpm = Some(self.quota.rpm);
            reason = Some(CooldownReason::PerMinute);
        }
        if used + tokens > u64::from(self.quota.tpm) {
            limits.tpm = Some(self.quota.tpm);
            reason = Some(CooldownReason::TokensPerMinute);
        }
        if self.today >= u64::from(self.quota.rpd) {
            limits.rpd = Some(self.quota.rpd);
            reason = Some(CooldownReason::PerDay);
        }
        let Some(reason) = reason else {
            self.minute.push_back((now, tokens));
            self.today += 1;
            return Ok(());
        };
        let opens = self.minute.front().map_or(now, |(at, _)| at + 60_000);
        let wait = u64::try_from((opens - now).max(1)).unwrap();
        Err(Outcome::Quota {
            reason,
            limits,
            retry_after: Some(std::time::Duration::from_millis(wait)),
        })
    }
}
