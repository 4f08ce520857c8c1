//! Render, against a fake that refuses what Render refuses.

#![expect(
    clippy::unwrap_used,
    reason = "what helps a test may panic like a test"
)]

mod errors;
mod life;

use std::collections::BTreeMap;
use std::time::Duration;

use deployer::provider::{Data, Desired, MARK, Observed, Provider as _, Target, Value};
use deployer::render::{Render, account};
use testkit::clock::VirtualClock;
use testkit::render::{Builder, FakeRender, KEY, OWNER, Pace};
use vault::Secret;

/// 2026-09-21T14:13:20Z.
const NOW: i64 = 1_790_000_000_000;
/// How long each step of a deploy takes.
const STEP: Duration = Duration::from_secs(10);
const PASSWORD: &str = "a password that nobody may see";

/// A Render, its clock, and an account there.
struct Cloud {
    fake: FakeRender,
    clock: VirtualClock,
    render: Render,
}

impl Cloud {
    async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(change: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = VirtualClock::at(NOW);
        let builder = FakeRender::builder().clock(&clock).pace(Pace::every(STEP));
        let fake = change(builder).start().await;
        let render = account(Secret::from(KEY), Some(&fake.base_url())).unwrap();
        Self {
            fake,
            clock,
            render,
        }
    }

    /// Lets deploys that are under way come to their end.
    fn wait(&self) {
        self.clock.advance(STEP * 5);
    }

    async fn look(&self, id: &str) -> Option<Observed> {
        let target = Target {
            id: Some(id.to_owned()),
            ..Target::default()
        };
        self.render.observe(&target).await.unwrap()
    }

    /// How many calls of this kind were answered with success.
    fn done(&self, call: &str) -> usize {
        let calls = self.fake.calls();
        let calls = calls.iter().filter(|seen| seen.status < 300);
        calls.filter(|seen| seen.call.starts_with(call)).count()
    }
}

/// An image by its digest, which is this digit again and again.
fn image(digit: &str) -> String {
    format!("ghcr.io/owner/gemini-balance@sha256:{}", digit.repeat(64))
}

fn desired(name: &str) -> Desired {
    let plain = |text: &str| Value::Plain(text.to_owned());
    Desired {
        name: name.to_owned(),
        workspace: Some(OWNER.to_owned()),
        region: Some("singapore".to_owned()),
        plan: Some("free".to_owned()),
        image: image("1"),
        image_tag: "ghcr.io/owner/gemini-balance:latest".to_owned(),
        variables: BTreeMap::from([
            ("PORT".to_owned(), plain("8000")),
            (MARK.to_owned(), plain(name)),
            (
                "AUTH_TOKEN".to_owned(),
                Value::Secret(Secret::from(PASSWORD)),
            ),
        ]),
        data: Data::Elsewhere,
        over: false,
    }
}

/// The value of a variable that is there.
fn value<'a>(there: &'a Observed, name: &str) -> Option<&'a str> {
    let value = there.variables.get(name)?.as_ref()?;
    Some(value.expose().as_str())
}
