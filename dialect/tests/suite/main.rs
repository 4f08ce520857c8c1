//! The tests of this crate, in one binary.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod anthropic_golden;
mod anthropic_roundtrip;
mod calls;
mod clients;
mod common;
mod conversations;
mod described;
mod embeddings;
mod errors;
mod fetch;
mod gemini;
mod media;
mod openai_golden;
mod openai_roundtrip;
mod ranges;
mod responses_golden;
mod responses_roundtrip;
mod schemas;
mod signatures;
mod spoken;
mod sse;
