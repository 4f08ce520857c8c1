//! `gemini-balance` on the command line.
fn main() {}
