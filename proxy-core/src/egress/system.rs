use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use parking_lot::Mutex;

use super::Proxy;

/// How long what the system said is believed.
const BELIEVED: Duration = Duration::from_secs(5);

/// The system's proxy: of the environment (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY` as curl reads
/// them), and on Windows and macOS that of the network settings. Read anew again and again, so
/// that a VPN program that is switched on or off is followed at once.
pub(super) struct System {
    read: fn() -> Matcher,
    known: Mutex<Option<Known>>,
}

struct Known {
    read_at: Duration,
    matcher: Arc<Matcher>,
}

impl Default for System {
    fn default() -> Self {
        Self {
            read: Matcher::from_system,
            known: Mutex::default(),
        }
    }
}

impl System {
    /// The proxy that calls to `address` should go through; `None` when there is none.
    pub(super) fn proxy_for(&self, address: &str, now: Duration) -> Option<Arc<Proxy>> {
        let target: http::Uri = address.parse().ok()?;
        let found = self.matcher(now).intercept(&target)?;
        Proxy::of_system(&found).map(Arc::new)
    }

    fn matcher(&self, now: Duration) -> Arc<Matcher> {
        let mut known = self.known.lock();
        match &*known {
            Some(known) if now.saturating_sub(known.read_at) < BELIEVED => known.matcher.clone(),
            _ => {
                let matcher = Arc::new((self.read)());
                *known = Some(Known {
                    read_at: now,
                    matcher: matcher.clone(),
                });
                matcher
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    static READS: AtomicU32 = AtomicU32::new(0);

    fn read() -> Matcher {
        let builder = Matcher::builder().no("internal.example");
        match READS.fetch_add(1, Ordering::Relaxed) {
            0 => builder.https("http://me:tops3cret@127.0.0.1:7890").build(),
            _ => builder.all("socks5://vpn:1080").build(),
        }
    }

    #[test]
    fn it_is_read_anew_after_some_seconds() {
        let system = System {
            read,
            known: Mutex::default(),
        };
        let shown = |address: &str, seconds| {
            let proxy = system.proxy_for(address, Duration::from_secs(seconds));
            proxy.map(|proxy| proxy.shown().to_owned())
        };
        let google = "https://generativelanguage.googleapis.com/v1beta";
        assert_eq!(shown(google, 1).unwrap(), "http://127.0.0.1:7890");
        assert_eq!(shown("http://plain.example", 2), None);
        assert_eq!(shown(google, 5).unwrap(), "http://127.0.0.1:7890");
        assert_eq!(shown(google, 6).unwrap(), "socks5h://vpn:1080");
        assert_eq!(shown("https://internal.example", 7), None);
        let proxy = system.proxy_for(google, Duration::from_secs(7)).unwrap();
        assert!(!format!("{proxy:?}").contains("tops3cret"));
        proxy.for_client().unwrap();
    }
}
