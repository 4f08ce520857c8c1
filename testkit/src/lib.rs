//! The fakes that tests, `--demo` and benchmarks use.
//!
//! [`google`] is a Gemini API that behaves: it answers, it counts quotas, it refuses
//! what Google refuses in Google's own words, and it fails on demand. [`clock`] is the
//! time that it and the code under test share.
//!
//! Deliberately absent: any knowledge of the gateway. This crate depends on none of
//! ours, so a mistake in our wire types cannot be repeated here and thereby hidden.

pub mod clock;
pub mod google;
