//! Sending the requests of this instance's clients through a remote.
//!
//! What the user wishes is one document. The core is told at the start and whenever something
//! changes that matters: where the remote answers, what lets clients in, and whether it is
//! still there.

use std::time::Duration;

use contract::admin::{TokenCreate, TokenCreated, TokenRules};
use contract::deploy::{RouteView, RouteWish, WhenAway};
use contract::{ApiError, ErrorCode};
use proxy_core::{NextHop, Through};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use vault::Secret;

use crate::deployer::Deployer;
use crate::document::{self, Numbered};
use crate::instance::MADE_HERE;
use crate::record::Record;
use crate::remotes::nowhere;
use crate::wish::invalid;

/// How long a remote may take to wake up. Render says about a minute
/// (<https://render.com/docs/free>).
const PATIENCE: Duration = Duration::from_secs(90);
/// There is one such document.
const ONLY: i64 = 1;

/// What is kept of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Route {
    remote: i64,
    when_away: WhenAway,
}

impl Numbered for Route {
    const KIND: &'static str = "route";

    fn id(&self) -> i64 {
        ONLY
    }
}

impl Deployer {
    /// Through which remote requests go.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn route(&self) -> Result<RouteView, ApiError> {
        let Some(route) = document::find::<Route>(self.store(), ONLY).await? else {
            return Ok(RouteView {
                remote: None,
                when_away: WhenAway::default(),
                presence: None,
                problem: None,
            });
        };
        let core = self.core();
        let hop = core.as_ref().and_then(|core| core.next_hop());
        let hop = hop.filter(|hop| hop.remote() == route.remote);
        let problem = match core.is_some() && hop.is_none() {
            true => self.next_hop(route).await.err(),
            false => None,
        };
        Ok(RouteView {
            remote: Some(route.remote),
            when_away: route.when_away,
            presence: hop.map(|hop| *hop.presence().borrow()),
            problem,
        })
    }

    /// Sends requests through another remote, or straight to Google.
    ///
    /// # Errors
    /// When the remote is nowhere yet, does not let clients of this instance in, or the wish
    /// cannot be kept.
    pub async fn set_route(&self, wish: RouteWish) -> Result<RouteView, ApiError> {
        match wish.remote {
            None => document::remove::<Route>(self.store(), ONLY).await?,
            Some(remote) => {
                self.have_client_token(remote).await?;
                let route = Route {
                    remote,
                    when_away: wish.when_away,
                };
                document::save(self.store(), &route).await?;
            }
        }
        self.follow_route().await;
        self.route().await
    }

    /// Sends requests straight to Google again if they went through this remote, which is no
    /// more.
    pub(crate) async fn leave_route(&self, id: i64) -> Result<(), ApiError> {
        let route = document::find::<Route>(self.store(), ONLY).await?;
        if route.is_some_and(|route| route.remote == id) {
            document::remove::<Route>(self.store(), ONLY).await?;
            self.follow_route().await;
        }
        Ok(())
    }

    /// Tells the core what it should do by now.
    pub(crate) async fn follow_route(&self) {
        let Some(core) = self.core() else { return };
        let route = match document::find::<Route>(self.store(), ONLY).await {
            Ok(route) => route,
            Err(error) => {
                tracing::warn!(%error, "where requests should go is not known; it stays as it is");
                return;
            }
        };
        let hop = match route {
            None => None,
            Some(route) => match self.next_hop(route).await {
                Ok(hop) => Some(hop),
                Err(error) => {
                    tracing::warn!(%error, remote = route.remote, "requests go straight to Google");
                    None
                }
            },
        };
        core.send_through(hop);
    }

    async fn next_hop(&self, route: Route) -> Result<NextHop, ApiError> {
        let record = self.record(route.remote).await?;
        let token = record.token_in_use();
        NextHop::new(Through {
            remote: record.id,
            address: record.url.ok_or_else(nowhere)?,
            name: record.name,
            token,
            when_away: route.when_away,
            patience: PATIENCE,
        })
    }

    /// Sees to it that a token is known here by which the remote lets clients in. One that was
    /// added by its address, or goes on with a database of its own, is asked for a new one.
    async fn have_client_token(&self, id: i64) -> Result<(), ApiError> {
        let record = self.record(id).await?;
        let url = record.url.clone().ok_or_else(nowhere)?;
        let token = &record.secrets.client_token;
        let instances = self.instances()?;
        if !token.expose().is_empty() {
            match instances.lets_in(&url, token).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(setback) => return Err(setback.error),
            }
        }
        let token = self.new_client_token(id).await?;
        let _changing = self.changing().await?;
        let mut record = self.still(id).await?;
        record.secrets.client_token = token;
        document::save::<Record>(self.store(), &record).await
    }

    /// Has a remote make a token for the clients of this instance.
    async fn new_client_token(&self, id: i64) -> Result<Secret, ApiError> {
        let wish = TokenCreate {
            name: MADE_HERE.to_owned(),
            rules: TokenRules::default(),
        };
        let body = serde_json::to_vec(&wish)
            .map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
        let said = self
            .ask_remote(id, Method::POST, "/api/tokens", Some(&body))
            .await?;
        if let Some(error) = said.error() {
            return Err(error);
        }
        let body = Secret::new(String::from_utf8(said.body).unwrap_or_default());
        let created = serde_json::from_str::<TokenCreated>(body.expose());
        let created = created.map_err(|_| {
            invalid(
                "The remote makes no client token when it is asked to. Requests can go through \
                 instances of this program only, of a version that is not too old.",
            )
        })?;
        Ok(Secret::new(created.secret))
    }
}
