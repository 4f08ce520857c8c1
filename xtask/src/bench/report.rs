//! The benchmark's report, and whether its targets were met.

use std::fmt::Write as _;
use std::fs;

use anyhow::Result;

use super::{
    CONNECTIONS, KEYS, Measured, Memory, Options, PROFILE, ROUNDS, Shape, TIMED_REQUESTS,
    version_of,
};
use crate::shell;
use crate::workspace::Workspace;

/// Memory that our server may use before its first request, in KiB.
const IDLE_TARGET_KIB: u64 = 25 * 1024;

/// The delay that Nagle's algorithm and delayed acknowledgements make together, in
/// microseconds. A time to first byte near it means that TCP_NODELAY is missing.
const NAGLE_MICROS: f64 = 38_000.0;

pub(super) fn markdown(
    workspace: &Workspace,
    options: &Options,
    measured: &[Measured<'_>],
    memory: &Memory,
) -> Result<String> {
    let mut text = String::new();
    let seconds = options.seconds;
    writeln!(text, "# What a request costs\n")?;
    writeln!(
        text,
        "Written by `cargo xtask bench`. nginx (a plain keep-alive reverse proxy) and Gemini \
         Balance (choosing among {KEYS} keys and recording every request) stood in front of \
         the same fake Google and were loaded turn and turn about, {ROUNDS} turns of {seconds} s \
         each with {CONNECTIONS} connections; the numbers are medians. CPU is user and system \
         time of the whole process, from `/proc`. Compare the ratios between machines, not \
         the microseconds.\n"
    )?;
    if options.profile != PROFILE {
        writeln!(
            text,
            "**Built in the profile `{}`: these numbers say nothing about a release.**\n",
            options.profile
        )?;
    }
    writeln!(
        text,
        "| request | nginx µs CPU | ours µs CPU | ratio | target | nginx /s | ours /s |"
    )?;
    writeln!(text, "|---|---:|---:|---:|---:|---:|---:|")?;
    for one in measured {
        writeln!(
            text,
            "| {} | {:.1} | {:.1} | **{:.2}** | ≤ {:.0} | {:.0} | {:.0} |",
            one.case.says,
            one.nginx.cpu_micros,
            one.ours.cpu_micros,
            one.ratio,
            one.case.target,
            one.nginx.per_second,
            one.ours.per_second
        )?;
    }
    if measured.iter().any(|one| one.case.ours != one.case.nginx) {
        writeln!(
            text,
            "\nnginx cannot translate: beside chat it passes on the native request and answer \
             that chat is translated to."
        )?;
    }

    writeln!(text, "\n## Time to the first byte of the body\n")?;
    writeln!(
        text,
        "One connection, {TIMED_REQUESTS} requests one after the other, in microseconds: median \
         (99th percentile, worst).\n"
    )?;
    writeln!(
        text,
        "| request | direct | nginx | ours | added by ours (median) |"
    )?;
    writeln!(text, "|---|---:|---:|---:|---:|")?;
    for one in measured {
        let bytes = &one.first_byte;
        write!(text, "| {} ", one.case.says)?;
        for spread in [bytes.direct, bytes.nginx, bytes.ours] {
            write!(
                text,
                "| {:.0} ({:.0}, {:.0}) ",
                spread.median, spread.p99, spread.worst
            )?;
        }
        writeln!(text, "| {:.0} |", bytes.ours.median - bytes.direct.median)?;
    }

    writeln!(text, "\n## Memory\n")?;
    writeln!(text, "| process | MiB resident |\n|---|---:|")?;
    for (name, kib) in [
        ("ours, idle", memory.idle),
        ("ours, after the load", memory.loaded),
        (
            "nginx, after the load (shared pages counted for each process)",
            memory.nginx_loaded,
        ),
    ] {
        writeln!(text, "| {name} | {:.1} |", kib as f64 / 1024.0)?;
    }

    writeln!(text, "\n## Targets\n")?;
    for (met, what) in verdicts(measured, memory) {
        writeln!(text, "- {}: {what}", if met { "met" } else { "**missed**" })?;
    }
    writeln!(text, "\n## Machine\n")?;
    for line in machine(workspace) {
        writeln!(text, "- {line}")?;
    }
    writeln!(text, "- {}", version_of(workspace, "nginx", "-v"))?;
    writeln!(text, "- {}", version_of(workspace, "wrk", "-v"))?;
    Ok(text)
}

fn verdicts(measured: &[Measured<'_>], memory: &Memory) -> Vec<(bool, String)> {
    let mut verdicts = Vec::new();
    for one in measured {
        verdicts.push((
            one.ratio <= one.case.target,
            format!(
                "{} costs {:.2} times nginx's CPU, at most {:.0}",
                one.case.name, one.ratio, one.case.target
            ),
        ));
    }
    for one in measured {
        let p99 = one.first_byte.ours.p99;
        let streamed = matches!(one.case.ours, Shape::NativeStream | Shape::ChatStream);
        verdicts.push((
            p99 < NAGLE_MICROS,
            format!(
                "{} has no 40 ms step: 99 of 100 {} within {:.1} ms",
                one.case.name,
                if streamed {
                    "streams begin"
                } else {
                    "answers begin"
                },
                p99 / 1e3
            ),
        ));
    }
    verdicts.push((
        memory.idle <= IDLE_TARGET_KIB,
        format!(
            "{:.1} MiB idle, under {} MiB",
            memory.idle as f64 / 1024.0,
            IDLE_TARGET_KIB / 1024
        ),
    ));
    verdicts
}

/// What the numbers were measured on, when, and of what.
pub(super) fn machine(workspace: &Workspace) -> Vec<String> {
    let first = |path: &str, key: &str| {
        fs::read_to_string(path).ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        })
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let commit =
        shell::output(shell::program(workspace, "git").args(["describe", "--always", "--dirty"]));
    let date = shell::output(shell::program(workspace, "date").args(["-u", "+%F"]));
    vec![
        format!(
            "{cores} cores of {}, {} of memory",
            first("/proc/cpuinfo", "model name")
                .unwrap_or_else(|| "an unknown processor".to_owned()),
            first("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown size".to_owned()),
        ),
        format!(
            "Linux {}",
            fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
        ),
        version_of(workspace, "rustc", "--version"),
        format!(
            "{}, commit {}",
            date.unwrap_or_default().trim(),
            commit.unwrap_or_default().trim()
        ),
    ]
}
