//! What a process used, as Linux counts it.

use std::fs;

use anyhow::{Context as _, Result};

/// Clock ticks per second in /proc: fixed at 100 for user space on all of Linux's
/// architectures that this runs on (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time of one or more processes, all their threads included, ended ones too.
pub(super) struct Usage {
    ticks: u64,
}

impl Usage {
    pub(super) fn of(pids: &[u32]) -> Result<Self> {
        let mut ticks = 0;
        for pid in pids {
            let path = format!("/proc/{pid}/stat");
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
            ticks += ticks_in(&text).with_context(|| format!("{path} is not as proc(5) says"))?;
        }
        Ok(Self { ticks })
    }

    pub(super) fn micros_since(&self, before: &Self) -> f64 {
        let ticks = self.ticks.saturating_sub(before.ticks);
        ticks as f64 / TICKS_PER_SECOND * 1e6
    }
}

/// utime + stime, the 14th and 15th field. The second field is the program's name in
/// parentheses and may itself hold spaces, so counting starts after it.
fn ticks_in(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Memory of a process that is in RAM, in KiB.
pub(super) fn resident_kib(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    text.lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .trim()
                .strip_suffix(" kB")?
                .trim()
                .parse()
                .ok()
        })
        .with_context(|| format!("{path} names no VmRSS"))
}

/// The processes that `pid` started.
pub(super) fn children(pid: u32) -> Result<Vec<u32>> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    Ok(text
        .split_whitespace()
        .filter_map(|child| child.parse().ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::ticks_in;

    #[test]
    fn cpu_time_is_user_and_system_whatever_the_name() {
        let stat = "42 (a (very) odd name) S 1 42 42 0 -1 4194560 1 0 0 0 70 30 0 0 20 0 3 0 1 2";
        assert_eq!(ticks_in(stat), Some(100));
        assert_eq!(ticks_in("42"), None);
    }
}
