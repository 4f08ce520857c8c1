//! `gemini-balance deploy route`: through which remote this instance's requests go.

use anyhow::bail;
use clap::{Arg, ArgMatches, Command};
use contract::admin::AuditAction;
use contract::deploy::{RouteView, RouteWish, WhenAway};

use super::{Desk, print, text};

/// What stands for no remote.
const DIRECT: &str = "direct";

/// Describes the command.
pub(super) fn command() -> Command {
    Command::new("route")
        .about("Shows or changes through which remote this instance's requests go")
        .long_about(
            "Shows or changes through which remote this instance's requests go. The remote \
             answers them with its own keys. A server that runs follows within five minutes, or \
             when it starts.",
        )
        .arg(
            Arg::new("through")
                .value_name("NAME")
                .help("What the remote is called, or direct: straight to Google"),
        )
        .arg(
            Arg::new("when-away")
                .long("when-away")
                .value_name("WAY")
                .value_parser(["hold", "local"])
                .default_value("hold")
                .help(
                    "While it sleeps or is away: hold requests until it is awake, or answer them \
                     with the keys here",
                ),
        )
}

impl Desk {
    pub(super) async fn route(&self, given: &ArgMatches) -> anyhow::Result<()> {
        let Some(name) = given.get_one::<String>("through") else {
            let route = self.deployer.route().await?;
            return print(&self.told_of(&route).await?);
        };
        let remote = match name.as_str() {
            DIRECT => None,
            name => match self.find(name).await? {
                Some(remote) => Some(remote.id),
                None => bail!("there is no remote called {name}; `deploy list` has all names"),
            },
        };
        let when_away = match text(given, "when-away").as_str() {
            "local" => WhenAway::Local,
            _ => WhenAway::Hold,
        };
        let route = self
            .deployer
            .set_route(RouteWish { remote, when_away })
            .await?;
        self.tell(AuditAction::RouteChanged, name).await?;
        print(&self.told_of(&route).await?)
    }

    async fn told_of(&self, route: &RouteView) -> anyhow::Result<String> {
        let Some(id) = route.remote else {
            return Ok("straight to Google, with the keys here\n".to_owned());
        };
        let name = self.deployer.remote(id).await?.name;
        let away = match route.when_away {
            WhenAway::Hold => "requests wait",
            WhenAway::Local => "the keys here answer",
        };
        Ok(format!("through {name}; while it is away {away}\n"))
    }
}
