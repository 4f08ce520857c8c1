//! `gemini-balance deploy drift|push|take|rotate|move`: remotes and this instance made alike.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use contract::ApiError;
use contract::admin::{Actor, AuditAction};
use contract::deploy::{
    ApplyWish, Difference, DriftView, PushReport, PushWish, RemoteWish, Rotation,
};
use proxy_core::store::Author;

use super::{Desk, line, print, say, secret, text, wish_file};

/// Describes the commands. `one` is a command about a remote of some name.
pub(super) fn commands(
    one: &dyn Fn(&'static str, &'static str) -> Command,
    option: &dyn Fn(&'static str, &'static str, &'static str) -> Arg,
) -> Vec<Command> {
    let flag = |id: &'static str, help: &'static str| {
        Arg::new(id).long(id).action(ArgAction::SetTrue).help(help)
    };
    let groups = |command: Command| {
        command
            .arg(flag("keys", "The Gemini keys"))
            .arg(flag(
                "tokens",
                "The client tokens that were made in the panel",
            ))
            .arg(flag("settings", "The settings"))
    };
    vec![
        one("drift", "Shows where a remote and this instance differ"),
        groups(one("push", "Makes a remote like this instance").long_about(
            "Makes a remote like this instance, at once. What is only there is removed there. \
             Without an option: keys, tokens and settings.",
        )),
        groups(one("take", "Takes over what a remote has").long_about(
            "Takes over what a remote has: keys and tokens come here, its settings become what \
             is wished for it. Nothing is removed here. Without an option: keys, tokens and \
             settings.",
        )),
        one(
            "rotate",
            "Replaces a secret, in the order in which nothing stops working",
        )
        .arg(
            Arg::new("what")
                .required(true)
                .value_name("WHAT")
                .value_parser(["auth-token", "client-token", "database-password"])
                .help(
                    "Which secret. A database's password is changed at the database first; \
                         the new one is read from the file, or from the variable DEPLOY_SECRET, \
                         or asked for",
                ),
        )
        .arg(
            option(
                "secret-file",
                "FILE",
                "The file with the new password; - reads standard input",
            )
            .value_parser(value_parser!(PathBuf)),
        ),
        one("move", "Deploys a remote elsewhere with everything")
            .long_about(
                "Deploys a remote elsewhere with everything: keys, settings, secrets, and a MySQL \
                 database that can be reached from there. The old one stays until it is deleted.",
            )
            .arg(
                option(
                    "account",
                    "NUMBER",
                    "The account to move to, from accounts list",
                )
                .value_parser(value_parser!(i64)),
            )
            .arg(option(
                "as",
                "NAME",
                "What to call it there; without it, its name with a number",
            ))
            .arg(option(
                "workspace",
                "ID",
                "The workspace, where there is a choice",
            ))
            .arg(option("region", "ID", "The region, e.g. singapore"))
            .arg(option("plan", "ID", "The plan, e.g. free"))
            .arg(
                option(
                    "wish",
                    "FILE",
                    "Everything it should be there, as JSON (RemoteWish in /api/openapi.json); - \
                     reads standard input. The other options do not count then",
                )
                .value_parser(value_parser!(PathBuf)),
            ),
    ]
}

impl Desk {
    pub(super) async fn drift(&self, given: &ArgMatches) -> anyhow::Result<()> {
        let remote = self.remote(given).await?;
        print(&told(&Box::pin(self.deployer.drift(remote.id)).await?))
    }

    pub(super) async fn push(&self, given: &ArgMatches) -> anyhow::Result<()> {
        let remote = self.remote(given).await?;
        let report = Box::pin(self.deployer.push(remote.id, groups(given))).await?;
        self.tell(AuditAction::RemoteChanged, &remote.name).await?;
        print(&reported(&report, "there"))
    }

    pub(super) async fn take(&self, given: &ArgMatches) -> anyhow::Result<()> {
        let remote = self.remote(given).await?;
        let by = Author {
            actor: Actor::CommandLine,
            address: None,
        };
        let report = Box::pin(self.deployer.take(remote.id, groups(given), by)).await?;
        self.tell(AuditAction::RemoteChanged, &remote.name).await?;
        print(&reported(&report, "here"))
    }

    pub(super) async fn rotate(&self, given: &ArgMatches) -> anyhow::Result<()> {
        let remote = self.remote(given).await?;
        let rotation = match text(given, "what").as_str() {
            "auth-token" => Rotation::AuthToken,
            "client-token" => Rotation::ClientToken,
            _ => Rotation::DatabasePassword {
                password: secret(given, "New password: ")?.expose().trim().to_owned(),
            },
        };
        Box::pin(self.deployer.rotate(remote.id, rotation)).await?;
        self.tell(AuditAction::RemoteChanged, &remote.name).await?;
        self.follow(remote.id).await
    }

    pub(super) async fn move_remote(&self, given: &ArgMatches) -> anyhow::Result<()> {
        let remote = self.remote(given).await?;
        let wish = match (wish_file(given)?, remote.wish.clone()) {
            (Some(wish), _) => wish,
            (None, Some(wish)) => moved(wish, given),
            (None, None) => anyhow::bail!(
                "{} was added by its address, so what it should be is not known here",
                remote.name
            ),
        };
        let draft = self.deployer.move_remote(remote.id, wish).await?;
        self.tell(AuditAction::RemoteChanged, &draft.name).await?;
        match draft.provider {
            Some(_) => {
                say(&line(&draft))?;
                self.apply(&draft, ApplyWish::default()).await
            }
            // It is put there by hand: `deploy variables` has what that needs.
            None => print(&line(&draft)),
        }
    }
}

/// The same wish elsewhere. What an account offers is another thing with another account.
fn moved(wish: RemoteWish, given: &ArgMatches) -> RemoteWish {
    let some = |id: &str| given.get_one::<String>(id).cloned();
    RemoteWish {
        name: some("as").unwrap_or(wish.name),
        account: given.get_one::<i64>("account").copied(),
        workspace: some("workspace"),
        region: some("region"),
        plan: some("plan"),
        ..wish
    }
}

/// The groups that were asked for; all when none was.
fn groups(given: &ArgMatches) -> PushWish {
    let wish = PushWish {
        keys: given.get_flag("keys"),
        tokens: given.get_flag("tokens"),
        settings: given.get_flag("settings"),
    };
    match wish == PushWish::default() {
        false => wish,
        true => PushWish {
            keys: true,
            tokens: true,
            settings: true,
        },
    }
}

fn told(drift: &DriftView) -> String {
    let image: Vec<Difference> = drift.image.clone().into_iter().collect();
    let groups: [(&str, &[Difference]); 5] = [
        ("Keys", &drift.keys),
        ("Client tokens", &drift.tokens),
        ("Settings", &drift.settings),
        ("Variables at the provider", &drift.variables),
        ("Image", &image),
    ];
    let mut text = String::new();
    for (name, differences) in groups {
        if differences.is_empty() {
            continue;
        }
        text.push_str(&format!("{name}\n"));
        let lines = differences.iter().map(super::difference);
        text.extend(lines);
    }
    text.extend(problems(&drift.problems));
    match text.is_empty() {
        true => "Nothing differs.\n".to_owned(),
        false => text,
    }
}

fn reported(report: &PushReport, place: &str) -> String {
    let mut text = format!(
        "{} added, {} changed, {} removed {place}.\n",
        report.added, report.changed, report.removed
    );
    if report.variables_wait {
        text.push_str("Its variables at the provider stay as they are until the next deploy.\n");
    }
    text.extend(problems(&report.problems));
    text
}

fn problems(problems: &[ApiError]) -> impl Iterator<Item = String> {
    problems
        .iter()
        .map(|problem| format!("Problem: {problem}\n"))
}
