//! What crosses a boundary of ours, as plain data.
//!
//! The panel (wasm) and the core (native) both compile this crate, so a field cannot
//! be renamed on one side only. It holds no behaviour beyond what a reader of the data
//! needs (and [`links`], which both sides must build alike), and depends on neither an async runtime, an HTTP client nor a clock.
//!
//! Deliberately absent: secrets. A few fields carry one, because a person must type it in
//! ([`admin::LoginRequest::password`], [`deploy::AccountNew::secret`] and friends) or see it once
//! ([`admin::TokenCreated::secret`], [`deploy::VariablesText::text`],
//! [`deploy::RemoteAccess`]); their docs say so.

pub mod admin;
pub mod deploy;
pub mod desktop;
pub mod error;
pub mod image;
pub mod links;

pub use error::{ApiError, ErrorCode};

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;
