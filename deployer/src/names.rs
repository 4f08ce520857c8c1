//! Where the names of instances lead.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The system's answer, but for names below `.localhost`: those are this machine (RFC 6761,
/// 6.3), which browsers know and many systems do not. Clusters of one's own have such names.
pub(crate) struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        Box::pin(async move {
            let found: Addrs = match is_here(&host) {
                true => Box::new(
                    [
                        SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                        SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
                    ]
                    .into_iter(),
                ),
                false => Box::new(tokio::net::lookup_host((host, 0)).await?),
            };
            Ok(found)
        })
    }
}

fn is_here(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    let last = host.rsplit('.').next().unwrap_or(host);
    last.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_below_localhost_are_this_machine_and_no_others() {
        for host in ["gb.apps.localhost", "localhost", "GB.LocalHost."] {
            let found = Names.resolve(host.parse().unwrap()).await.unwrap();
            let mut found = found.peekable();
            assert!(found.peek().is_some(), "{host}");
            assert!(found.all(|address| address.ip().is_loopback()), "{host}");
        }
        for host in ["localhost.example.com", "notlocalhost", ""] {
            assert!(!is_here(host), "{host}");
        }
    }
}
