//! Who has a port, and which one is free.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// How long a listener of this computer may take to accept, when one is looked for.
const KNOCK: Duration = Duration::from_millis(200);

/// The program that listens on `port`, where the system tells (it does not tell about
/// programs of other users). Blocks for as long as it takes to look through all processes.
pub fn owner(port: u16) -> Option<String> {
    let process = listeners::get_process_by_port(port, listeners::Protocol::TCP).ok()?;
    Some(format!("{} (PID {})", process.name, process.pid))
}

/// A port above `taken` that is free now, or any free one.
pub fn next_free(taken: u16) -> u16 {
    (taken.saturating_add(1)..=u16::MAX)
        .take(200)
        .find_map(bindable)
        .or_else(|| bindable(0))
        .unwrap_or(taken)
}

fn bindable(port: u16) -> Option<u16> {
    // Elsewhere than on Linux a listener on all addresses leaves ours to be claimed.
    if cfg!(not(target_os = "linux")) && port != 0 {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpStream::connect_timeout(&address, KNOCK).is_ok() {
            return None;
        }
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
    Some(listener.local_addr().ok()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_has_an_owner_and_the_next_is_another() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let owner = owner(port).expect("our own process is never hidden from us");
        assert!(owner.contains(&std::process::id().to_string()), "{owner}");
        let next = next_free(port);
        assert_ne!(next, port);
        TcpListener::bind((Ipv4Addr::LOCALHOST, next)).expect("it said that this one is free");
    }

    #[test]
    fn the_last_port_has_a_next_one_too() {
        assert_ne!(next_free(u16::MAX), 0);
    }
}
