//! The real server over real sockets, against a Google that behaves (`testkit`).

#[cfg(test)]
mod addresses;
#[cfg(test)]
mod anthropic;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod chat;
#[cfg(test)]
mod embeddings;
#[cfg(test)]
mod express;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod fidelity;
#[cfg(test)]
mod hop;
#[cfg(test)]
mod live;
#[cfg(test)]
mod native;
#[cfg(test)]
mod observe;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod outage;
#[cfg(test)]
mod records;
#[cfg(test)]
mod responses;
#[cfg(test)]
mod streams;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod two_servers;
#[cfg(test)]
mod world;
