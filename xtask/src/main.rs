//! What a person who builds this types: `cargo xtask run | test | bench`.
fn main() {}
