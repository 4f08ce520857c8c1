//! `gemini-balance deploy …`: instances on other people's machines, from the command line.
//!
//! It calls the same functions as the panel, on the database itself, so no server need run.
//! One that runs sees what was done; the same remote must not be deployed by both at once.
//! Secrets come from a file, the standard input or the environment, never from the command
//! line, which other users can see.

mod route;
mod truth;

use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use contract::admin::{Actor, AuditAction};
use contract::deploy::{
    AccountNew, AccountView, ApplyWish, Cost, DatabaseWish, DeployProgress, Difference, KeepAlive,
    PlanView, ProviderKind, QuietHours, RemoteAction, RemoteState, RemoteView, RemoteWish,
    RunState, RunView, StepKind, StepState, VariablesFormat,
};
use deployer::run::RealTime;
use deployer::{Deployer, Host};
use proxy_core::clock::Clock;
use proxy_core::settings::Settings;
use proxy_core::store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vault::Secret;

use super::{print, say};

/// The variable with an API key, a kubeconfig or a new password.
const SECRET_VARIABLE: &str = "DEPLOY_SECRET";
/// How often a run is asked for what it has done.
const POLL: Duration = Duration::from_millis(300);
/// What a remote is called.
const NAME: &str = "name";

/// Describes the command, without the settings.
pub fn command() -> Command {
    let name = || {
        Arg::new(NAME)
            .required(true)
            .value_name("NAME")
            .help("What the remote is called")
    };
    let option = |id: &'static str, value: &'static str, help: &'static str| {
        Arg::new(id).long(id).value_name(value).help(help)
    };
    let wish = || {
        option(
            "wish",
            "FILE",
            "What the remote should be from now on, as JSON (RemoteWish in /api/openapi.json); - \
             reads standard input. It is kept, by plan as well. Without it, what was wished last",
        )
        .value_parser(value_parser!(PathBuf))
    };
    let one =
        |command: &'static str, about: &'static str| Command::new(command).about(about).arg(name());
    Command::new("deploy")
        .about("Puts instances on Render, ClawCloud and others, and looks after them")
        .long_about(
            "Puts instances on other people's machines, and looks after them. Needs the settings \
             that the server has (DATA_DIR, SECRET_KEY, the database), because accounts and \
             remotes are kept there, sealed. A server may run meanwhile; do not deploy the same \
             remote in its panel at the same time.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("accounts")
                .about("Accounts with cloud providers")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommand(Command::new("list").about("Lists the accounts"))
                .subcommand(
                    Command::new("add")
                        .about("Adds an account after asking its provider")
                        .long_about(
                            "Adds an account after asking its provider. The API key or kubeconfig \
                             is read from the file, or from the variable DEPLOY_SECRET, or asked \
                             for.",
                        )
                        .arg(
                            Arg::new("provider")
                                .required(true)
                                .value_name("PROVIDER")
                                .value_parser(PossibleValuesParser::new(
                                    deployer::PROVIDERS.map(word),
                                ))
                                .help("Whose account it is"),
                        )
                        .arg(
                            option(
                                "secret-file",
                                "FILE",
                                "The file with the API key or the kubeconfig; - reads standard \
                                 input",
                            )
                            .value_parser(value_parser!(PathBuf)),
                        )
                        .arg(option(
                            "api",
                            "URL",
                            "Another address of the API than the provider's own",
                        )),
                )
                .subcommand(
                    Command::new("remove")
                        .about("Forgets an account that no remote uses")
                        .arg(
                            Arg::new("account")
                                .required(true)
                                .value_name("NUMBER")
                                .value_parser(value_parser!(i64))
                                .help("Its number, from accounts list"),
                        ),
                ),
        )
        .subcommand(Command::new("list").about("Lists the remotes"))
        .subcommand(
            one("new", "Notes what a remote should be, without deploying it")
                .arg(
                    option(
                        "account",
                        "NUMBER",
                        "The account it runs on, from accounts list",
                    )
                    .value_parser(value_parser!(i64)),
                )
                .arg(option(
                    "workspace",
                    "ID",
                    "The workspace, where there is a choice",
                ))
                .arg(option("region", "ID", "The region, e.g. singapore"))
                .arg(option("plan", "ID", "The plan, e.g. free"))
                .arg(option(
                    "image",
                    "IMAGE",
                    "The image; without it, this program's own",
                ))
                .arg(
                    option(
                        "keys",
                        "NUMBERS",
                        "The numbers of the Gemini keys it gets, separated by commas; without it, \
                         all that are switched on",
                    )
                    .value_delimiter(',')
                    .value_parser(value_parser!(i64)),
                )
                .arg(
                    option(
                        "volume",
                        "GIB",
                        "Keeps its data on a volume of this size; without it, they do not last",
                    )
                    .value_parser(value_parser!(u32)),
                )
                .arg(wish().help(
                    "Everything it should be, as JSON (RemoteWish in /api/openapi.json), e.g. \
                         with a MySQL database; - reads standard input. The other options do not \
                         count then",
                )),
        )
        .subcommand(one("plan", "Shows what deploying would do").arg(wish()))
        .subcommand(
            one("apply", "Deploys, or goes on where it broke off")
                .arg(wish())
                .arg(
                    Arg::new("over")
                        .long("over")
                        .action(ArgAction::SetTrue)
                        .help(
                            "Overwrites what somebody else has changed of the app at the provider",
                        ),
                ),
        )
        .subcommand(one("status", "Asks how a remote is"))
        .subcommand(one("deploys", "Lists the latest deploys, the newest first"))
        .subcommand(one("logs", "Shows the latest lines of the log"))
        .subcommand(one(
            "wake",
            "Asks one that sleeps until it answers, for a minute and a half at most",
        ))
        .subcommand(
            one("keep-alive", "Says whether it is kept awake")
                .long_about(
                    "Says whether it is kept awake. The server asks it every ten minutes, more or \
                     less, for as long as it runs; this command only notes the wish.",
                )
                .arg(
                    Arg::new("awake")
                        .required(true)
                        .value_name("on|off")
                        .value_parser(["on", "off"])
                        .help("Whether it is kept awake"),
                )
                .arg(
                    option(
                        "quiet",
                        "FROM-TO",
                        "Full hours of the local day between which it may sleep, e.g. 23-7; \
                         without it, there are none",
                    )
                    .value_parser(quiet_hours),
                ),
        )
        .subcommand(one("restart", "Starts its process anew"))
        .subcommand(one("suspend", "Stops it"))
        .subcommand(one("resume", "Starts it again"))
        .subcommand(
            one(
                "redeploy",
                "Deploys the newest image of its tag, or another image",
            )
            .arg(option("image", "IMAGE", "The image")),
        )
        .subcommand(
            one("roll-back", "Goes back to an earlier deploy").arg(
                Arg::new("deploy")
                    .required(true)
                    .value_name("DEPLOY")
                    .help("Which, from deploys"),
            ),
        )
        .subcommand(
            one("variables", "Prints its variables, secrets in clear").arg(
                option("format", "FORMAT", "Their form")
                    .default_value("env")
                    .value_parser(["env", "lines", "json", "compose", "render_yaml", "template"]),
            ),
        )
        .subcommand(
            one("delete", "Deletes it at the provider, its data included").arg(option(
                "typed-name",
                "NAME",
                "Its name once more; without it, it is asked for",
            )),
        )
        .subcommands(truth::commands(&one, &option))
        .subcommand(route::command())
}

/// Runs the command.
///
/// # Errors
/// When the database cannot be used, or what was asked for cannot be done.
pub async fn run(settings: Settings, matches: &ArgMatches) -> anyhow::Result<()> {
    let (master, sealing) = settings.sealing_key()?;
    let clock = Clock::system();
    let store = Store::reach(settings.store(master, sealing), clock.clone()).await?;
    let tracker = TaskTracker::new();
    let stop = CancellationToken::new();
    let deployer = Deployer::new(Host {
        store: store.clone(),
        clock,
        pause: Arc::new(RealTime),
        zone: {
            let zone = settings.time_zone.clone();
            Arc::new(move || zone.clone())
        },
        tracker: tracker.clone(),
        stop: stop.clone(),
        runtime: tokio::runtime::Handle::current(),
        providers: deployer::providers(),
        core: std::sync::Weak::new(),
    });
    let desk = Desk {
        settings,
        store: store.clone(),
        deployer,
    };
    let done = Box::pin(desk.serve(matches)).await;
    stop.cancel();
    tracker.close();
    tracker.wait().await;
    store.close().await;
    done
}

/// What the commands work with.
struct Desk {
    settings: Settings,
    store: Store,
    deployer: Deployer,
}

impl Desk {
    async fn serve(&self, matches: &ArgMatches) -> anyhow::Result<()> {
        let Some((command, given)) = matches.subcommand() else {
            // clap insists on one.
            return Ok(());
        };
        match command {
            "accounts" => self.accounts(given).await,
            "list" => {
                let remotes = self.deployer.remotes().await?;
                let lines: Vec<String> = remotes.iter().map(line).collect();
                print(&lines.concat())
            }
            "new" => {
                let remote = Box::pin(self.wish_new(given)).await?;
                print(&line(&remote))
            }
            "plan" => {
                let remote = Box::pin(self.wished(given)).await?;
                print(&told(&self.deployer.plan(remote.id).await?))
            }
            "apply" => {
                let remote = Box::pin(self.wished(given)).await?;
                let over = given.get_flag("over");
                self.apply(&remote, ApplyWish { over }).await
            }
            "status" => self.act(given, RemoteAction::Refresh, None).await,
            "restart" => self.act(given, RemoteAction::Restart, changed()).await,
            "suspend" => self.act(given, RemoteAction::Suspend, changed()).await,
            "resume" => self.act(given, RemoteAction::Resume, changed()).await,
            "redeploy" => {
                let image = given.get_one::<String>("image").cloned();
                let remote = self.remote(given).await?;
                self.deployer
                    .act(remote.id, RemoteAction::Redeploy { image })
                    .await?;
                self.tell(AuditAction::RemoteDeployed, &remote.name).await?;
                self.follow(remote.id).await
            }
            "wake" => {
                let remote = self.remote(given).await?;
                print(&line(&self.deployer.wake(remote.id).await?))
            }
            "keep-alive" => {
                let remote = self.remote(given).await?;
                let wish = KeepAlive {
                    enabled: text(given, "awake") == "on",
                    quiet: given.get_one::<QuietHours>("quiet").copied(),
                };
                let changed = self.deployer.set_keep_alive(remote.id, wish).await?;
                self.tell(AuditAction::RemoteChanged, &remote.name).await?;
                print(&line(&changed))
            }
            "roll-back" => {
                let deploy = text(given, "deploy");
                self.act(given, RemoteAction::RollBack { deploy }, changed())
                    .await
            }
            "deploys" => self.deploys(given).await,
            "logs" => {
                let remote = self.remote(given).await?;
                let page = self.deployer.logs(remote.id, None).await?;
                let lines = page
                    .lines
                    .into_iter()
                    .map(|line| format!("{}\n", line.text));
                print(&lines.collect::<String>())
            }
            "variables" => {
                let remote = self.remote(given).await?;
                let format =
                    serde_json::from_value::<VariablesFormat>(text(given, "format").into())
                        .context("there is no such format")?;
                let variables = self.deployer.variables_text(remote.id, format).await?;
                self.tell(AuditAction::Exported, &remote.name).await?;
                print(&variables.text)
            }
            "delete" => Box::pin(self.delete(given)).await,
            "route" => Box::pin(self.route(given)).await,
            "drift" => self.drift(given).await,
            "push" => self.push(given).await,
            "take" => self.take(given).await,
            "rotate" => self.rotate(given).await,
            "move" => Box::pin(self.move_remote(given)).await,
            _ => Ok(()),
        }
    }

    async fn tell(&self, action: AuditAction, subject: &str) -> anyhow::Result<()> {
        Ok(self.store.tell(Actor::CommandLine, action, subject).await?)
    }

    async fn accounts(&self, matches: &ArgMatches) -> anyhow::Result<()> {
        match matches.subcommand() {
            Some(("add", given)) => {
                let provider =
                    serde_json::from_value::<ProviderKind>(text(given, "provider").into())
                        .context("there is no such provider")?;
                let secret = account_secret(given, provider)?;
                let added = self
                    .deployer
                    .add_account(AccountNew {
                        provider,
                        secret: secret.expose().clone(),
                        api: given.get_one::<String>("api").cloned(),
                    })
                    .await?;
                self.tell(AuditAction::AccountAdded, &added.facts.name)
                    .await?;
                print(&account_line(&added))
            }
            Some(("remove", given)) => {
                let id = given.get_one::<i64>("account").copied().unwrap_or_default();
                let name = self.deployer.remove_account(id).await?;
                self.tell(AuditAction::AccountRemoved, &name).await?;
                say(&format!(
                    "{name} is forgotten here; at the provider nothing has changed.\n"
                ))
            }
            _ => {
                let accounts = self.deployer.accounts().await?;
                let lines: Vec<String> = accounts.iter().map(account_line).collect();
                print(&lines.concat())
            }
        }
    }

    /// The remote of the name that was given.
    async fn remote(&self, given: &ArgMatches) -> anyhow::Result<RemoteView> {
        let name = text(given, NAME);
        match self.find(&name).await? {
            Some(remote) => Ok(remote),
            None => bail!("there is no remote called {name}; `deploy list` has all names"),
        }
    }

    async fn find(&self, name: &str) -> anyhow::Result<Option<RemoteView>> {
        let remotes = self.deployer.remotes().await?;
        Ok(remotes.into_iter().find(|remote| remote.name == name))
    }

    /// The same after its wish was changed to what the file says, or made from it.
    async fn wished(&self, given: &ArgMatches) -> anyhow::Result<RemoteView> {
        let Some(wish) = wish_file(given)? else {
            return self.remote(given).await;
        };
        let name = named(given, &wish)?;
        let Some(known) = self.find(&name).await? else {
            return self.create(wish).await;
        };
        let changed = self.deployer.change_wish(known.id, wish).await?;
        self.tell(AuditAction::RemoteChanged, &changed.name).await?;
        Ok(changed)
    }

    async fn create(&self, wish: RemoteWish) -> anyhow::Result<RemoteView> {
        let draft = self.deployer.create_remote(wish).await?;
        self.tell(AuditAction::RemoteChanged, &draft.name).await?;
        Ok(draft)
    }

    /// A draft. One that is there already is not touched.
    async fn wish_new(&self, given: &ArgMatches) -> anyhow::Result<RemoteView> {
        let name = text(given, NAME);
        if self.find(&name).await?.is_some() {
            bail!(
                "there is a remote called {name} already; change what it should be with \
                 `deploy plan {name} --wish FILE`, or choose another name"
            );
        }
        if let Some(wish) = wish_file(given)? {
            named(given, &wish)?;
            return self.create(wish).await;
        }
        let some = |id: &str| given.get_one::<String>(id).cloned();
        let keys = match given.get_many::<i64>("keys") {
            Some(keys) => keys.copied().collect(),
            None => {
                let keys = self.store.keys().await?.into_iter();
                keys.filter(|key| key.enabled).map(|key| key.id).collect()
            }
        };
        let database = match given.get_one::<u32>("volume") {
            Some(gib) => DatabaseWish::Volume { gib: *gib },
            None => DatabaseWish::None,
        };
        let wish = RemoteWish {
            name: text(given, NAME),
            account: given.get_one::<i64>("account").copied(),
            workspace: some("workspace"),
            region: some("region"),
            plan: some("plan"),
            image: some("image"),
            database,
            keys,
            settings: Vec::new(),
            time_zone: self.settings.time_zone_name().to_owned(),
            keep_alive: KeepAlive::default(),
        };
        self.create(wish).await
    }

    async fn apply(&self, remote: &RemoteView, how: ApplyWish) -> anyhow::Result<()> {
        self.deployer.apply(remote.id, how).await?;
        self.tell(AuditAction::RemoteDeployed, &remote.name).await?;
        self.follow(remote.id).await
    }

    /// Says what a run does until it ends, or until the user wants to go.
    async fn follow(&self, id: i64) -> anyhow::Result<()> {
        let mut shown = Vec::new();
        let mut after = 0;
        loop {
            let run = self.deployer.run(id, after).await?;
            after = run.after;
            say(&progress(&run, &mut shown))?;
            match run.state {
                RunState::Running => {}
                RunState::Done { url } => return print(&format!("{url}\n")),
                RunState::Failed { error } => bail!("{error}"),
                RunState::Cancelled => bail!("the run was stopped; `deploy apply` goes on"),
                RunState::None | RunState::BrokeOff => {
                    bail!("the run broke off; `deploy apply` goes on")
                }
            }
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                interrupted = tokio::signal::ctrl_c() => {
                    interrupted?;
                    bail!("stopped; what was made stays, and `deploy apply` goes on from there");
                }
            }
        }
    }

    async fn act(
        &self,
        given: &ArgMatches,
        action: RemoteAction,
        filed: Option<AuditAction>,
    ) -> anyhow::Result<()> {
        let remote = self.remote(given).await?;
        let now = Box::pin(self.deployer.act(remote.id, action)).await?;
        if let Some(filed) = filed {
            self.tell(filed, &remote.name).await?;
        }
        print(&line(&now))
    }

    async fn deploys(&self, given: &ArgMatches) -> anyhow::Result<()> {
        let remote = self.remote(given).await?;
        let deploys = self.deployer.deploys(remote.id).await?;
        let lines = deploys.into_iter().map(|deploy| {
            let state = match deploy.state {
                DeployProgress::Queued => "queued".to_owned(),
                DeployProgress::UnderWay { detail } => detail,
                DeployProgress::Live => "live".to_owned(),
                DeployProgress::Replaced => "replaced".to_owned(),
                DeployProgress::Failed { detail } => format!("failed: {detail}"),
                DeployProgress::Cancelled => "cancelled".to_owned(),
            };
            format!(
                "{}  {state}  {}\n",
                deploy.id,
                deploy.image.unwrap_or_default()
            )
        });
        print(&lines.collect::<String>())
    }

    async fn delete(&self, given: &ArgMatches) -> anyhow::Result<()> {
        let remote = self.remote(given).await?;
        let typed = match given.get_one::<String>("typed-name") {
            Some(typed) => typed.clone(),
            None if std::io::stdin().is_terminal() => {
                say(&format!(
                    "This deletes {} at its provider, with its data. Type its name to go on: ",
                    remote.name
                ))?;
                let mut typed = String::new();
                std::io::stdin()
                    .read_line(&mut typed)
                    .context("the name cannot be read from the terminal")?;
                typed.trim().to_owned()
            }
            None => bail!("nobody can be asked here: give its name once more with --typed-name"),
        };
        self.deployer
            .act(remote.id, RemoteAction::Delete { name: typed })
            .await?;
        self.tell(AuditAction::RemoteDeleted, &remote.name).await?;
        say(&format!("{} is deleted.\n", remote.name))
    }
}

/// Reads `23-7`.
fn quiet_hours(given: &str) -> Result<QuietHours, String> {
    let read = || {
        let (from, to) = given.split_once('-')?;
        Some(QuietHours {
            from: from.trim().parse().ok()?,
            to: to.trim().parse().ok()?,
        })
    };
    read().ok_or_else(|| "write full hours of the day, e.g. 23-7".to_owned())
}

fn changed() -> Option<AuditAction> {
    Some(AuditAction::RemoteChanged)
}

/// The name that was given, which must be the wish's.
fn named(given: &ArgMatches, wish: &RemoteWish) -> anyhow::Result<String> {
    let name = text(given, NAME);
    match wish.name == name {
        true => Ok(name),
        false => bail!("the wish is for {}, not for {name}", wish.name),
    }
}

fn text(given: &ArgMatches, id: &str) -> String {
    given.get_one::<String>(id).cloned().unwrap_or_default()
}

/// What a file holds; `-` is the standard input.
fn read(file: &PathBuf) -> anyhow::Result<Secret> {
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin()
            .read_to_string(&mut text)
            .context("the standard input cannot be read")?;
    } else {
        text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(Secret::new(text))
}

/// The API key or kubeconfig. A kubeconfig has many lines, and a question takes one.
fn account_secret(given: &ArgMatches, provider: ProviderKind) -> anyhow::Result<Secret> {
    let is_file = matches!(provider, ProviderKind::ClawCloud | ProviderKind::Kubernetes);
    let is_given = given.contains_id("secret-file") || std::env::var_os(SECRET_VARIABLE).is_some();
    if is_file && !is_given {
        bail!("give the kubeconfig in the variable {SECRET_VARIABLE} or with --secret-file");
    }
    secret(given, "API key: ")
}

/// A secret: from a file, the environment, or typed without being shown.
fn secret(given: &ArgMatches, prompt: &str) -> anyhow::Result<Secret> {
    if let Some(file) = given.get_one::<PathBuf>("secret-file") {
        return read(file);
    }
    if let Ok(secret) = std::env::var(SECRET_VARIABLE) {
        return Ok(Secret::new(secret));
    }
    if !std::io::stdin().is_terminal() {
        bail!("give the secret in the variable {SECRET_VARIABLE} or with --secret-file");
    }
    rpassword::prompt_password(prompt)
        .map(Secret::new)
        .context("the secret cannot be read from the terminal")
}

fn wish_file(given: &ArgMatches) -> anyhow::Result<Option<RemoteWish>> {
    let Some(file) = given.get_one::<PathBuf>("wish") else {
        return Ok(None);
    };
    let wish = read(file)?;
    match serde_json::from_str(wish.expose()) {
        Ok(wish) => Ok(Some(wish)),
        // What serde says may quote a value, and values can be secrets.
        Err(error) => bail!(
            "{} is not a RemoteWish as /api/openapi.json describes it (line {}, column {})",
            file.display(),
            error.line(),
            error.column()
        ),
    }
}

fn account_line(account: &AccountView) -> String {
    let provider = word(account.provider);
    let problem = match &account.problem {
        Some(problem) => format!("  {problem}"),
        None => String::new(),
    };
    format!(
        "{}  {provider}  {}{problem}\n",
        account.id, account.facts.name
    )
}

fn line(remote: &RemoteView) -> String {
    let provider = remote.provider.map_or_else(|| "-".to_owned(), word);
    let state = match &remote.state {
        RemoteState::Interrupted { error: Some(error) } => format!("interrupted: {error}"),
        RemoteState::StoppedByProvider { reason } => format!("stopped by its provider: {reason}"),
        RemoteState::Failing { error } => format!("failing: {error}"),
        RemoteState::Unknown { error } => format!("unknown: {error}"),
        RemoteState::Draft => "draft".to_owned(),
        RemoteState::Deploying => "deploying".to_owned(),
        RemoteState::Interrupted { error: None } => "interrupted".to_owned(),
        RemoteState::Starting => "starting".to_owned(),
        RemoteState::Running => "running".to_owned(),
        RemoteState::Asleep => "asleep".to_owned(),
        RemoteState::Waking => "waking".to_owned(),
        RemoteState::Suspended => "suspended".to_owned(),
        RemoteState::Deleting => "being deleted".to_owned(),
        RemoteState::Gone => "gone".to_owned(),
    };
    let url = remote.url.as_deref().unwrap_or("-");
    format!("{}  {provider}  {url}  {state}\n", remote.name)
}

/// A value as the API writes it, e.g. `claw_cloud`.
fn word(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn step(kind: StepKind) -> String {
    word(kind).replace('_', " ")
}

/// A plan in words.
fn told(plan: &PlanView) -> String {
    if let Some(name) = &plan.foreign {
        return format!(
            "An app called {name} is there already and was not made here. Choose another name, \
             or take it for your own in the panel.\n"
        );
    }
    if plan.steps.is_empty() {
        return "Everything is as it should be.\n".to_owned();
    }
    let mut text = String::new();
    for one in &plan.steps {
        text.push_str(&format!("{}  {}\n", step(one.kind), one.subject));
        text.extend(one.changes.iter().map(difference));
    }
    text.push_str(&match plan.cost {
        Cost::Free => "Costs nothing within the free plan's limits.\n".to_owned(),
        Cost::About { cents } => {
            format!("Costs about ${}.{:02} a month.\n", cents / 100, cents % 100)
        }
        Cost::Unknown => "The provider says what it costs.\n".to_owned(),
    });
    text
}

fn difference(one: &Difference) -> String {
    let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_owned());
    format!(
        "    {}: {} -> {}\n",
        one.name,
        side(&one.from),
        side(&one.to)
    )
}

/// What is new in a run since the last time: lines, and steps in another state.
fn progress(run: &RunView, shown: &mut Vec<String>) -> String {
    let mut text = String::new();
    shown.resize(run.steps.len(), String::new());
    for (one, shown) in run.steps.iter().zip(shown) {
        let state = match &one.state {
            StepState::Waiting => continue,
            StepState::Running => "…".to_owned(),
            StepState::Retrying { error, .. } => format!("again: {error}"),
            StepState::Done => "done".to_owned(),
            StepState::Failed { error } => format!("failed: {error}"),
        };
        if *shown != state {
            text.push_str(&format!(
                "{}  {}  {state}\n",
                step(one.step.kind),
                one.step.subject
            ));
            *shown = state;
        }
    }
    for line in &run.lines {
        text.push_str(&format!("    {}\n", line.text));
    }
    text
}
