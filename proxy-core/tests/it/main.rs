//! The real server over real sockets, against a Google that behaves (`testkit`).

#[cfg(test)]
mod addresses;
#[cfg(test)]
mod anthropic;
#[cfg(test)]
mod background;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod chat;
#[cfg(test)]
mod completions;
#[cfg(test)]
mod egress;
#[cfg(test)]
mod embeddings;
#[cfg(test)]
mod express;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod fidelity;
#[cfg(test)]
mod files;
#[cfg(test)]
mod hedge;
#[cfg(test)]
mod hop;
#[cfg(test)]
mod images;
#[cfg(test)]
mod live;
#[cfg(test)]
mod media_by_address;
#[cfg(test)]
mod native;
#[cfg(test)]
mod observe;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod outage;
#[cfg(test)]
mod outcomes;
#[cfg(test)]
mod quota;
#[cfg(test)]
mod records;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod resources;
#[cfg(test)]
mod responses;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod speech;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod transcripts;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod two_servers;
#[cfg(test)]
mod world;
