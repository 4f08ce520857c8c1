//! The fakes that tests, `--demo` and benchmarks use.
//!
//! [`google`] is a Gemini API that behaves: it answers, it counts quotas, it refuses
//! what Google refuses in Google's own words, and it fails on demand. [`clock`] is the
//! time that it and the code under test share. [`mariadb`] is no fake but the real
//! server, started for a test, and [`wire`] is the network before it, which fails on
//! demand, too. [`launch`] starts our own server as a cloud does.
//!
//! Deliberately absent: any knowledge of the gateway. This crate depends on none of
//! ours, so a mistake in our wire types cannot be repeated here and thereby hidden.

pub mod clock;
pub mod google;
#[cfg(unix)]
mod guard;
pub mod launch;
#[cfg(target_os = "linux")]
pub mod mariadb;
pub mod wire;
