use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use hyper_util::client::proxy::matcher::Intercept;
use reqwest::Url;
use vault::Secret;

use super::{Route, digest};
use crate::settings::Text;

/// The word in `PROXIES` for the way without a proxy.
const DIRECT: &str = "direct";
/// Where SOCKS proxies listen when nothing else is said (RFC 1928 §3).
const SOCKS_PORT: u16 = 1080;

/// A proxy for calls to Google.
pub struct Proxy {
    /// With the credential that it wants, if it is written there.
    url: Secret,
    /// The credential, where it came in this form.
    auth: Option<HeaderValue>,
    shown: String,
    /// The same without the user.
    address: String,
    host: String,
    port: u16,
    id: u64,
    connection: u64,
}

impl Proxy {
    /// One as a user writes it, e.g. `socks5://user:password@host:1080` or `host:7890`.
    ///
    /// # Errors
    /// What is wrong with it, without quoting it: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, Text> {
        let with_scheme = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let Ok(url) = Url::parse(&with_scheme) else {
            return Err(Text {
                zh: "不是地址",
                en: "is no address",
            });
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(Text {
                zh: "端口后面有多余的内容",
                en: "has something after its port",
            });
        }
        Self::at(&url, None)
    }

    fn at(url: &Url, auth: Option<HeaderValue>) -> Result<Self, Text> {
        // The proxy looks names up: here they may be answered wrongly on purpose, and what is
        // asked for is told to whoever answers.
        let (scheme, usual_port) = match url.scheme() {
            "http" => ("http", 80),
            "https" => ("https", 443),
            "socks5" | "socks5h" => ("socks5h", SOCKS_PORT),
            "socks4" | "socks4a" => ("socks4a", SOCKS_PORT),
            _ => {
                return Err(Text {
                    zh: "不以 http://、https:// 或 socks5:// 开头",
                    en: "begins with none of http://, https://, socks5://",
                });
            }
        };
        let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
            return Err(Text {
                zh: "没有主机名",
                en: "has no host",
            });
        };
        let port = url.port().unwrap_or(usual_port);
        let (user, credential) = match (url.username(), url.password()) {
            ("", None) => (String::new(), String::new()),
            (user, None) => (format!("{user}@"), format!("{user}@")),
            (user, Some(password)) => (format!("{user}@"), format!("{user}:{password}@")),
        };
        let address = format!("{scheme}://{host}:{port}");
        let named = format!("{scheme}://{user}{host}:{port}");
        let full = format!("{scheme}://{credential}{host}:{port}");
        let header = auth.as_ref().map_or(&[][..], HeaderValue::as_bytes);
        Ok(Self {
            id: digest(&[named.as_bytes()]),
            connection: digest(&[full.as_bytes(), header]),
            host: host.to_owned(),
            url: Secret::new(full),
            auth,
            // A user without a password may be the whole credential.
            shown: match url.password() {
                Some(_) => named,
                None => address.clone(),
            },
            address,
            port,
        })
    }

    /// What the system's settings say.
    pub(super) fn of_system(found: &Intercept) -> Option<Self> {
        let mut url: Url = found.uri().to_string().parse().ok()?;
        if let Some((user, password)) = found.raw_auth() {
            url.set_username(user).ok()?;
            url.set_password(Some(password)).ok()?;
        }
        let mut auth = found.basic_auth().cloned();
        if let Some(auth) = &mut auth {
            auth.set_sensitive(true);
        }
        Self::at(&url, auth).ok()
    }

    /// Where it is and, where a password is needed, whose: `socks5h://host:1080`,
    /// `http://user@host:3128`.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The same without the user, for those who use this program and did not set it up.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether this is what it is shown as, or was before users were shown.
    pub(super) fn is_called(&self, name: &str) -> bool {
        name == self.shown || name == self.address
    }

    /// Its host and port.
    pub fn place(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// What tells it from others. It is the same with another password.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// What tells connections through it from others: the credential counts, too.
    pub(crate) fn connection(&self) -> u64 {
        self.connection
    }

    /// What sends everything through it.
    ///
    /// # Errors
    /// When the HTTP client does not take it.
    pub(crate) fn for_client(&self) -> reqwest::Result<reqwest::Proxy> {
        let proxy = reqwest::Proxy::all(self.url.expose().as_str())?;
        Ok(match &self.auth {
            Some(auth) => proxy.custom_http_auth(auth.clone()),
            None => proxy,
        })
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl PartialEq for Proxy {
    fn eq(&self, other: &Self) -> bool {
        self.connection == other.connection
    }
}

impl Eq for Proxy {}

/// The ways out that the user has listed.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Vec<Route>);

impl Proxies {
    /// Those of a list.
    ///
    /// # Errors
    /// Which one is wrong (from 1), and in what way.
    pub(crate) fn of(items: &[String]) -> Result<Self, (usize, Text)> {
        let mut routes = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let route = match item.eq_ignore_ascii_case(DIRECT) {
                true => Route::Direct,
                false => {
                    let mut proxy = Proxy::parse(item).map_err(|why| (at + 1, why))?;
                    // Some providers tell ways out apart by the password.
                    if routes.iter().any(|known: &Route| known.id() == proxy.id) {
                        proxy.id = proxy.connection;
                    }
                    Route::Proxy(Arc::new(proxy))
                }
            };
            if !routes.contains(&route) {
                routes.push(route);
            }
        }
        Ok(Self(routes))
    }

    /// The ways, each once.
    pub fn routes(&self) -> &[Route] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_as_people_write_them() {
        for (text, shown) in [
            ("http://10.0.0.1:7890", "http://10.0.0.1:7890"),
            ("127.0.0.1:7890", "http://127.0.0.1:7890"),
            (
                "https://user:p%40ss@proxy.example/",
                "https://user@proxy.example:443",
            ),
            ("socks5://host", "socks5h://host:1080"),
            ("SOCKS5H://me@host:9", "socks5h://host:9"),
            ("socks5://[::1]:1081", "socks5h://[::1]:1081"),
        ] {
            let proxy = Proxy::parse(text).unwrap();
            assert_eq!(proxy.shown(), shown, "{text}");
            proxy.for_client().unwrap();
            assert_eq!(format!("{proxy:?}"), shown);
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_and_not_quoted() {
        for (text, why) in [
            ("http://", "no address"),
            ("ftp://host:1", "none of http://"),
            ("http://host:1/path", "after its port"),
            ("http://host:99999", "no address"),
        ] {
            let refused = Proxy::parse(text).unwrap_err();
            assert!(refused.en.contains(why), "{text}: {}", refused.en);
        }
        let items = ["direct".to_owned(), "vmess://secret".to_owned()];
        assert_eq!(Proxies::of(&items).unwrap_err().0, 2);
    }

    #[test]
    fn a_user_makes_another_proxy_of_it_and_a_password_another_connection() {
        let [one, other, later] = ["a:tops3cret", "b:tops3cret", "a:changed"]
            .map(|credential| Proxy::parse(&format!("http://{credential}@host:1")).unwrap());
        assert_eq!(
            (one.shown(), other.shown()),
            ("http://a@host:1", "http://b@host:1")
        );
        assert!(one.id() != other.id() && one.connection() != other.connection());
        assert!(one.id() == later.id() && one.connection() != later.connection());
        // A user without a password may be a token.
        let token = Proxy::parse("http://tops3cret@host:1").unwrap();
        assert_eq!(token.shown(), "http://host:1");
        let items = [
            "http://a:1@host:1".to_owned(),
            "http://a:2@host:1".to_owned(),
            "http://a:1@host:1".to_owned(),
        ];
        let proxies = Proxies::of(&items).unwrap();
        let [one, other] = proxies.routes() else {
            panic!("{proxies:?}");
        };
        assert_ne!(one.id(), other.id());
    }
}
