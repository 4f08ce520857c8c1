//! Calls that go through another instance instead of straight to Google.
//!
//! The other instance speaks Google's protocol at `…/v1beta`, so a call stays what it is, with
//! a client token in place of a key; keys are chosen there. One on a free plan sleeps and takes
//! a minute to wake up: calls are held meanwhile, or made with a key from here, as the user
//! wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use contract::deploy::{RoutePresence, WhenAway};
use contract::{ApiError, ErrorCode, Millis};
use http::{HeaderName, HeaderValue, StatusCode};
use tokio::sync::watch;
use vault::Secret;

use super::attempt::Way;
use super::failure::{Failure, Setback};
use super::{Answer, Call, Upstream};
use crate::Core;
use crate::egress::BoundBy;
use crate::pool::Outcome;
use crate::settings::Settings;
use crate::surface::HEALTHY;
use crate::surface::trace::Trace;

/// Says that a call comes from another instance, so that two of them that send through each
/// other do not go on for ever.
pub(crate) const HOP_HEADER: HeaderName = HeaderName::from_static("x-gemini-balance-hop");
/// How long one that has answered cannot have fallen asleep: Render's free plan sleeps after
/// 15 minutes without a request (<https://render.com/docs/free>).
const AWAKE: Duration = Duration::from_secs(14 * 60);
/// How long one question may take: the provider's edge holds it while the instance starts.
const QUESTION: Duration = Duration::from_secs(60);
/// The pause after the first question without an answer; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest of those pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// The most attempts for one call: the second is for one that turned out to sleep.
const MOST_TRIES: u8 = 2;

/// Which instance calls are sent through, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Through {
    /// The remote's number.
    pub remote: i64,
    /// What it is called; clients are told when it does not serve.
    pub name: String,
    /// Where it answers, e.g. `https://name.onrender.com`.
    pub address: String,
    /// The client token that lets calls in there.
    pub token: Secret,
    /// What calls do while it is away.
    pub when_away: WhenAway,
    /// How long it may take to wake up.
    pub patience: Duration,
}

/// An instance that calls are sent through.
pub struct NextHop {
    through: Through,
    base_url: String,
    header: HeaderValue,
    /// When it last answered; 0 when it is not known to be awake.
    heard_at: AtomicI64,
    presence: watch::Sender<RoutePresence>,
}

impl NextHop {
    /// One of which nothing is known yet.
    ///
    /// # Errors
    /// When its token is none that a header can hold.
    pub fn new(through: Through) -> Result<Self, ApiError> {
        let header = HeaderValue::from_str(through.token.expose());
        let Some(mut header) = header.ok().filter(|header| !header.is_empty()) else {
            return Err(ApiError::new(
                ErrorCode::InvalidInput,
                format!(
                    "No client token of {} is known here that could be sent.",
                    through.name
                ),
            ));
        };
        header.set_sensitive(true);
        Ok(Self {
            base_url: format!("{}/v1beta", through.address),
            through,
            header,
            heard_at: AtomicI64::new(0),
            presence: watch::Sender::new(RoutePresence::Unknown),
        })
    }

    /// What it was made from.
    pub fn through(&self) -> &Through {
        &self.through
    }

    /// The remote's number.
    pub fn remote(&self) -> i64 {
        self.through.remote
    }

    /// What is known of whether it answers, now and when that changes.
    pub fn presence(&self) -> watch::Receiver<RoutePresence> {
        self.presence.subscribe()
    }

    /// Whether it answered a client's request that lately.
    pub fn answered_within(&self, time: Duration, now: Millis) -> bool {
        let heard = self.heard_at.load(Ordering::Relaxed);
        let kept = Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX);
        heard > 0 && now.saturating_sub(heard) < kept
    }

    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    pub(super) fn token(&self) -> &Secret {
        &self.through.token
    }

    fn is_awake(&self, now: Millis) -> bool {
        self.answered_within(AWAKE, now)
    }

    fn heard(&self, now: Millis) {
        self.heard_at.store(now, Ordering::Relaxed);
        self.presence.send_if_modified(|presence| {
            let is_news = *presence != RoutePresence::Awake;
            *presence = RoutePresence::Awake;
            is_news
        });
    }

    fn lost(&self) {
        self.heard_at.store(0, Ordering::Relaxed);
    }

    /// Asks it in the background until it answers, unless that is under way. Told how it ends.
    fn wake(self: &Arc<Self>, core: &Core) -> watch::Receiver<RoutePresence> {
        let told = self.presence.subscribe();
        let begins = self.presence.send_if_modified(|presence| {
            let begins = *presence != RoutePresence::Waking;
            *presence = RoutePresence::Waking;
            begins
        });
        if begins {
            let hop = self.clone();
            let client = self.client(core);
            let clock = core.clock.clone();
            core.in_background(async move {
                let asked = hop.ask_until_it_answers(&client);
                match tokio::time::timeout(hop.through.patience, asked).await {
                    Ok(()) => hop.heard(clock.now()),
                    Err(_) => {
                        tracing::warn!(remote = hop.remote(), "the remote did not wake up");
                        hop.presence.send_replace(RoutePresence::Away);
                    }
                }
            });
        }
        told
    }

    /// The connections by the way that its calls go.
    fn client(&self, core: &Core) -> reqwest::Client {
        let (settings, now) = (core.settings(), core.clock.monotonic());
        let by = BoundBy::credential(self.token());
        let route = core.egress.route(&settings, by, &self.base_url, now);
        let client = core.upstream.by(&route);
        client.unwrap_or_else(|_| core.upstream.client.clone())
    }

    async fn ask_until_it_answers(&self, client: &reqwest::Client) {
        let address = format!("{}/health", self.through.address);
        let mut pause = FIRST_PAUSE;
        loop {
            let answer = client.get(&address).timeout(QUESTION).send().await;
            if let Ok(answer) = answer
                && answer.status() == StatusCode::OK
                && answer.text().await.is_ok_and(|said| said == HEALTHY)
            {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits until it is awake.
    async fn held(self: &Arc<Self>, core: &Core) -> bool {
        let mut told = self.wake(core);
        let ended = told.wait_for(|presence| *presence != RoutePresence::Waking);
        // The host may end while it is waited for.
        let ended = tokio::time::timeout(self.through.patience + LONGEST_PAUSE, ended).await;
        ended.is_ok_and(|ended| ended.is_ok_and(|presence| *presence == RoutePresence::Awake))
    }

    fn away(&self, why: &str) -> Failure {
        Failure::Remote(format!("The remote '{}' {why}", self.through.name))
    }
}

/// What comes of an attempt that failed.
enum Judged {
    /// The client gets to know.
    Final(Failure),
    /// It does not answer itself: it sleeps, or its host has stopped it.
    Away(Failure),
    /// It answers, and cannot serve now.
    Unable(Failure),
}

fn judge(hop: &NextHop, setback: Setback) -> Judged {
    match setback.failure {
        Failure::Unreachable(_) => Judged::Away(hop.away("cannot be reached.")),
        Failure::NotGoogle(why) => Judged::Away(hop.away(&format!("does not answer; {why}."))),
        // What the host's edge says of an app that is not there is no answer of Google's form.
        Failure::Refused {
            status, said: None, ..
        } if status.is_server_error() || status == StatusCode::NOT_FOUND => {
            let why = format!("does not answer; its host says {}.", status.as_u16());
            Judged::Away(hop.away(&why))
        }
        Failure::Refused {
            status: StatusCode::UNAUTHORIZED,
            ..
        } => Judged::Unable(hop.away("does not accept the client token that was made for it.")),
        Failure::TooSlow(_) => Judged::Final(Failure::TooSlow(format!(
            "The remote '{}' did not answer in time (TIME_OUT says how long that is)",
            hop.through.name
        ))),
        failure @ Failure::Refused { status, .. }
            if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() =>
        {
            Judged::Unable(failure)
        }
        failure => Judged::Final(failure),
    }
}

/// Makes a call through `hop`. `None`: it is to be made with a key from here.
pub(super) async fn call(
    upstream: &Upstream,
    core: &Core,
    hop: &Arc<NextHop>,
    (call, settings): (&Call<'_>, &Settings),
    trace: &mut Trace,
) -> Option<Result<Answer, Failure>> {
    let is_held = hop.through.when_away == WhenAway::Hold;
    trace.call_is_over();
    let mut last = None;
    for _ in 0..MOST_TRIES {
        if !hop.is_awake(core.clock.now()) {
            if !is_held {
                hop.wake(core);
                return None;
            }
            if !hop.held(core).await {
                let slept = || hop.away("did not wake up.");
                return Some(Err(last.unwrap_or_else(slept)));
            }
        }
        trace.attempt_through(call, hop);
        let attempt = upstream.attempt_one(core, settings, call, Way::Through(hop), trace);
        let setback = match attempt.await {
            Ok(answer) => {
                trace.settled(Outcome::Answered);
                hop.heard(core.clock.now());
                return Some(Ok(answer));
            }
            Err(setback) => setback,
        };
        trace.settled(setback.outcome);
        trace.failed(&setback.failure);
        match judge(hop, setback) {
            Judged::Final(failure) => {
                return Some(Err(failure));
            }
            Judged::Unable(failure) if is_held => return Some(Err(failure)),
            Judged::Unable(failure) => {
                tracing::warn!(
                    remote = hop.remote(),
                    why = failure.in_short(),
                    "the remote cannot serve now, so a key from here is used"
                );
                return None;
            }
            Judged::Away(failure) => {
                hop.lost();
                last = Some(failure);
            }
        }
    }
    match is_held {
        true => last.map(Err),
        false => {
            hop.wake(core);
            None
        }
    }
}
