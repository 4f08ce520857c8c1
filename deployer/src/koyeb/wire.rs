//! Koyeb's JSON, as much of it as is used. Everything that the API may leave out or answer
//! with null is an `Option`. Definitions are kept as they come: see [`super::definition`].

use serde::Deserialize;
use serde_json::Value;

/// A page of a list.
pub(super) trait Page {
    /// What the list is of.
    type Item;
    /// Its items.
    fn items(self) -> Vec<Self::Item>;
}

/// Declares the page of a list and what one of its items comes in alone.
macro_rules! listed {
    ($page:ident { $many:ident: $item:ident }) => {
        #[derive(Deserialize)]
        pub(super) struct $page {
            $many: Option<Vec<$item>>,
        }

        impl Page for $page {
            type Item = $item;

            fn items(self) -> Vec<$item> {
                self.$many.unwrap_or_default()
            }
        }
    };
}

listed!(Apps { apps: App });
listed!(Services { services: Service });
listed!(Deployments {
    deployments: Deployment
});
listed!(Events { events: Event });

#[derive(Deserialize)]
pub(super) struct OrganizationReply {
    pub organization: Organization,
}

/// Whose an account is.
#[derive(Deserialize)]
pub(super) struct Organization {
    pub name: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct UserReply {
    pub user: User,
}

/// Who a token belongs to.
#[derive(Deserialize)]
pub(super) struct User {
    pub email: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct AppReply {
    pub app: App,
}

/// The place of services, with their address.
#[derive(Deserialize)]
pub(super) struct App {
    pub id: String,
    pub name: String,
    pub domains: Option<Vec<Domain>>,
}

#[derive(Deserialize)]
pub(super) struct Domain {
    pub name: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ServiceReply {
    pub service: Service,
}

/// A service.
#[derive(Deserialize)]
pub(super) struct Service {
    pub id: String,
    pub name: String,
    pub app_id: String,
    pub status: Option<String>,
    pub messages: Option<Vec<String>>,
    pub latest_deployment_id: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct DeploymentReply {
    pub deployment: Deployment,
}

/// A deployment. Has no `Debug`: the definition holds secrets.
#[derive(Deserialize)]
pub(super) struct Deployment {
    pub id: String,
    pub status: Option<String>,
    pub messages: Option<Vec<String>>,
    pub created_at: Option<String>,
    #[serde(default)]
    pub definition: Value,
}

/// Something that happened to a deployment.
#[derive(Deserialize)]
pub(super) struct Event {
    pub when: Option<String>,
    pub message: Option<String>,
}

/// A page of a log.
#[derive(Deserialize)]
pub(super) struct Logs {
    pub data: Option<Vec<Line>>,
    pub pagination: Option<Pagination>,
}

#[derive(Deserialize)]
pub(super) struct Pagination {
    pub has_more: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct Line {
    pub msg: Option<String>,
    pub created_at: String,
}

#[derive(Deserialize)]
pub(super) struct Metrics {
    pub metrics: Option<Vec<Series>>,
}

/// A series of a metric, of one instance.
#[derive(Deserialize)]
pub(super) struct Series {
    pub samples: Option<Vec<Sample>>,
}

#[derive(Deserialize)]
pub(super) struct Sample {
    pub timestamp: Option<String>,
    pub value: Option<f64>,
}
