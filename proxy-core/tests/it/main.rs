//! The real server over real sockets, against a Google that behaves (`testkit`).

mod anthropic;
mod bad_input;
mod chat;
mod failover;
mod native;
mod records;
mod streams;
mod world;
