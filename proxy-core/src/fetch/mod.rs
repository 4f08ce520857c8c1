//! Media that clients name by address, fetched for them.
//!
//! Whoever has a client token can have this server ask any address it reaches, so it is told
//! where it may ask: public addresses, unless the settings say otherwise ([`reach`]). The
//! answer of the name service is checked where the connection is made, so the address that was
//! checked is the one that is connected to, and a redirect is a new request that is checked
//! again. Nothing of the client's, no key and no cookie, goes along.
//!
//! Deliberately absent: a cache, and any proxy.

mod reach;

use std::error::Error;
use std::io;
use std::net::ToSocketAddrs as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dialect::Invalid;
use dialect::fetch::{Found, Wanted};
use http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, Url};
use tokio::sync::Semaphore;

use self::reach::Reach;
use crate::settings::Settings;

/// The most addresses of one request.
const MOST_ADDRESSES: usize = 32;
/// The names that are looked up at a time, of all requests: the look-ups block a thread each, and
/// those of Google's name need some, too.
static LOOKUPS: Semaphore = Semaphore::const_new(32);
/// The most redirects that are followed for one address.
const MOST_REDIRECTS: usize = 5;
/// How long one address may take, redirects and the whole content included.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What a server is told that we are: some answer nobody who says nothing.
const AGENT: &str = concat!(
    "gemini-balance/",
    env!("CARGO_PKG_VERSION"),
    " (fetches media for a user)"
);

/// Fetches media. Its connections are set up when they are first needed.
#[derive(Default)]
pub(crate) struct Fetcher {
    public: OnceLock<Client>,
    private: OnceLock<Client>,
}

/// Why an address was not fetched; completes "… cannot be used: ".
type Refusal = String;

impl Fetcher {
    /// Fetches what a call wants, all at once; nothing when Google is to fetch it.
    ///
    /// # Errors
    /// Which address cannot be fetched and why, for the client.
    pub async fn fetch(
        &self,
        settings: &Settings,
        wanted: &[Wanted],
    ) -> Result<Vec<Found>, Invalid> {
        let Some(first) = wanted.first() else {
            return Ok(Vec::new());
        };
        let reach = match settings.media_urls.as_str() {
            "google" => return Ok(Vec::new()),
            "off" => {
                return Err(first.refused(
                    "this server fetches nothing (MEDIA_URLS); send a data: URL instead, i.e. \
                     data:image/png;base64,…",
                ));
            }
            "private" => Reach::Private,
            _ => Reach::Public,
        };
        if wanted.len() > MOST_ADDRESSES {
            return Err(first.refused(format_args!(
                "the request names {}, and at most {MOST_ADDRESSES} addresses are fetched for one.",
                wanted.len()
            )));
        }
        let client = self
            .client(reach)
            .map_err(|error| first.refused(format_args!("fetching is not possible: {error}.")))?;
        let limit = settings.media_url_bytes();
        let left = AtomicUsize::new(limit);
        let all = wanted.iter().map(|wanted| {
            let budget = Budget { left: &left, limit };
            one(client, reach, wanted, budget)
        });
        futures_util::future::try_join_all(all).await
    }

    fn client(&self, reach: Reach) -> reqwest::Result<&Client> {
        let kept = match reach {
            Reach::Public => &self.public,
            Reach::Private => &self.private,
        };
        if let Some(client) = kept.get() {
            return Ok(client);
        }
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .dns_resolver(Checked(reach))
            .user_agent(AGENT)
            .build()?;
        Ok(kept.get_or_init(|| client))
    }
}

/// How much may still be read for a request.
#[derive(Clone, Copy)]
struct Budget<'a> {
    left: &'a AtomicUsize,
    /// How much it was, in bytes.
    limit: usize,
}

impl Budget<'_> {
    fn spend(self, bytes: usize) -> Result<(), Refusal> {
        let spent = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            });
        spent.map(drop).map_err(|_| self.exceeded())
    }

    fn exceeded(self) -> Refusal {
        format!(
            "what one request names by address is larger than {} MB, the most this server fetches. \
             Send something smaller, or raise MEDIA_URL_MB.",
            self.limit / (1024 * 1024)
        )
    }
}

async fn one(
    client: &Client,
    reach: Reach,
    wanted: &Wanted,
    budget: Budget<'_>,
) -> Result<Found, Invalid> {
    let fetched = tokio::time::timeout(PATIENCE, read(client, reach, &wanted.url, budget))
        .await
        .unwrap_or_else(|_| {
            Err(format!(
                "it did not answer within {} seconds.",
                PATIENCE.as_secs()
            ))
        });
    let (kind, bytes) = fetched.map_err(|why| wanted.refused(why))?;
    wanted.found(kind.as_deref(), &bytes)
}

/// The `Content-Type` and the content of an address.
async fn read(
    client: &Client,
    reach: Reach,
    url: &str,
    budget: Budget<'_>,
) -> Result<(Option<String>, Vec<u8>), Refusal> {
    let mut response = follow(client, reach, url).await?;
    let kind = response.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| Some(kind.to_str().ok()?.to_owned()));
    let announced = response.content_length().unwrap_or_default();
    if announced > budget.left.load(Ordering::Relaxed) as u64 {
        return Err(budget.exceeded());
    }
    let mut bytes = Vec::new();
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(|_| "its answer broke off.".to_owned())?
    {
        budget.spend(piece.len())?;
        bytes.extend_from_slice(&piece);
    }
    Ok((kind, bytes))
}

/// Asks an address, and those that it sends on to.
async fn follow(client: &Client, reach: Reach, url: &str) -> Result<Response, Refusal> {
    let mut url = Url::parse(url).map_err(|error| format!("{error}."))?;
    for _ in 0..=MOST_REDIRECTS {
        may_ask(&url, reach)?;
        let response = client
            .get(url.clone())
            .header(ACCEPT, "*/*")
            .send()
            .await
            .map_err(|error| lost(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let next = response.headers().get(LOCATION);
        let next = next.filter(|_| status.is_redirection());
        let Some(next) = next.and_then(|next| next.to_str().ok()) else {
            return Err(format!("it answers with the status {}.", status.as_u16()));
        };
        url = url
            .join(next)
            .map_err(|_| "it redirects to no address.".to_owned())?;
    }
    Err(format!("it redirects more than {MOST_REDIRECTS} times."))
}

/// Whether an address may be asked at all. One that has a name is checked when the name has
/// been looked up.
fn may_ask(url: &Url, reach: Reach) -> Result<(), Refusal> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http and https are fetched.".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user name or password, which is not sent.".to_owned());
    }
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
    match literal {
        Ok(address) if !reach.allows(address) => Err(Barred.to_string()),
        _ => Ok(()),
    }
}

/// Why nothing came, in words for the client: what the server's own network is like is not
/// told.
fn lost(error: &reqwest::Error) -> Refusal {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<Barred>() {
            return Barred.to_string();
        }
        // `io::Error` hides what it was made from behind another door.
        if let Some(inner) = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            && inner.is::<Barred>()
        {
            return Barred.to_string();
        }
        cause = error.source();
    }
    match error.is_timeout() {
        true => "it did not answer in time.".to_owned(),
        false => "it cannot be reached.".to_owned(),
    }
}

/// Every address of a name is out of reach.
#[derive(Debug, thiserror::Error)]
#[error(
    "it is in a private or reserved network, which this server does not fetch from (MEDIA_URLS); \
     send a data: URL instead, i.e. data:image/png;base64,…"
)]
struct Barred;

/// Looks names up and keeps the addresses that are within reach. What is connected to is one of
/// these, so that a name cannot mean something else by then.
struct Checked(Reach);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let turn = LOOKUPS.acquire().await?;
            let found = tokio::task::spawn_blocking(move || {
                // Given back when the look-up ends, not when the request is given up.
                let _turn = turn;
                let found = (name.as_str(), 0).to_socket_addrs()?;
                io::Result::Ok(found.collect::<Vec<_>>())
            });
            let mut found = found.await??;
            found.retain(|address| reach.allows(address.ip()));
            if found.is_empty() {
                return Err(Barred.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
