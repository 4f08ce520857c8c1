//! The fakes that tests, `--demo` and benchmarks use.
//!
//! [`google`] is a Gemini API that behaves: it answers, it counts quotas, it refuses
//! what Google refuses in Google's own words, and it fails on demand. [`kubernetes`] is
//! a cloud that is Kubernetes, whose pods are processes of this machine. [`clock`] is the
//! time that it and the code under test share. [`mariadb`] is no fake but the real
//! server, started for a test, and [`wire`] is the network before it, which fails on
//! demand, too. [`render`] and [`koyeb`] are clouds that behave, [`registry`] has their
//! images, and what fakes of this kind have in common is in [`cloud`]; [`proxy`] is a way out through
//! somebody else, and [`launch`] starts our own server for
//! them.
//!
//! Deliberately absent: any knowledge of the gateway. This crate depends on none of
//! ours, so a mistake in our wire types cannot be repeated here and thereby hidden.

mod accept;
pub mod clock;
pub mod cloud;
pub mod google;
#[cfg(unix)]
mod guard;
pub mod koyeb;
pub mod kubernetes;
pub mod launch;
#[cfg(target_os = "linux")]
pub mod mariadb;
pub mod proxy;
pub mod registry;
pub mod render;
mod tls;
pub mod wire;
