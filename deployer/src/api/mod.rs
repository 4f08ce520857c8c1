//! The routes of [`contract::deploy`], which extend the admin API.
//!
//! Handlers are registered together with their description. Who may call is the core's to
//! check. Every change is filed in the audit log, unlike what only asks how something is (check,
//! refresh, wake); secrets leave in two answers only, and only after the password was given again.
//!
//! Deliberately absent: long polls. What takes time is a run, whose state is asked for.

mod accounts;
mod awake;
mod lookups;
mod panel;
mod remotes;
mod route;
mod runs;
mod truth;

use std::sync::Arc;

use axum::routing::any;
use proxy_core::{Core, Extension};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Deployer;

/// What the handlers share.
#[derive(Clone)]
struct Api {
    core: Arc<Core>,
    deployer: Deployer,
}

/// The routes of a deployer that lives beside `core`.
pub fn extension(core: &Arc<Core>, deployer: Deployer) -> Extension {
    let (routes, description) = OpenApiRouter::new()
        .routes(routes!(lookups::state))
        .routes(routes!(accounts::list, accounts::add))
        .routes(routes!(accounts::check))
        .routes(routes!(accounts::remove))
        .routes(routes!(lookups::database))
        .routes(routes!(remotes::list, remotes::create))
        .routes(routes!(remotes::add))
        .routes(routes!(remotes::show))
        .routes(routes!(remotes::change_wish))
        .routes(routes!(remotes::variables, remotes::variables_text))
        .routes(routes!(remotes::access))
        .routes(routes!(remotes::act))
        .routes(routes!(awake::set))
        .routes(routes!(awake::wake))
        .routes(routes!(remotes::deploys))
        .routes(routes!(remotes::logs))
        .routes(routes!(remotes::events))
        .routes(routes!(remotes::usage))
        .routes(routes!(lookups::image))
        .routes(routes!(runs::plan))
        .routes(routes!(runs::apply))
        .routes(routes!(runs::show))
        .routes(routes!(runs::cancel))
        .routes(routes!(truth::drift))
        .routes(routes!(truth::push))
        .routes(routes!(truth::take))
        .routes(routes!(truth::rotate))
        .routes(routes!(truth::move_remote))
        .routes(routes!(route::show, route::set))
        .route(
            "/api/deploy/remotes/{id}/panel/{*path}",
            any(panel::pass_on),
        )
        .split_for_parts();
    let api = Api {
        core: core.clone(),
        deployer,
    };
    Extension {
        routes: routes.with_state(api),
        description,
    }
}
