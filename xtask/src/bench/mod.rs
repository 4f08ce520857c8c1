//! `cargo xtask bench`: what a request costs in our server, beside what it costs in nginx.
//!
//! Both run in the same minutes on the same machine, turn and turn about, in front of the
//! same fake Google, so their ratio stays meaningful where their absolute numbers do not.
//! nginx is set up as a plain keep-alive reverse proxy: it chooses no key, translates
//! nothing and records nothing, so it is the least that passing a request on can cost.
//! Chat is compared with nginx passing on the native request that chat is translated to.

mod load;
mod nginx;
mod process;
mod report;
mod store;
mod translation;
mod wire;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::panel;
use crate::servers::Server;
use crate::setup;
use crate::shell;
use crate::stages;
use crate::workspace::Workspace;

use load::Load;
use nginx::Nginx;
use process::Usage;

/// What the command line asked for.
pub(crate) struct Options {
    /// Length of one turn; every case has [`ROUNDS`] turns of each proxy.
    pub seconds: u32,
    /// Only these cases, when any are named.
    pub only: Vec<String>,
    /// The profile that the programs are built in. Any but `dist` is for trying out a
    /// change: the report says so.
    pub profile: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seconds: 5,
            only: Vec::new(),
            profile: PROFILE.to_owned(),
        }
    }
}

/// What the image is built in.
const PROFILE: &str = "dist";

/// Turns of each proxy in every case. The median is reported.
const ROUNDS: usize = 5;

/// Requests at one connection whose time to first byte is taken, of each way to Google.
const TIMED_REQUESTS: usize = 1_000;

/// Connections of the load: enough to keep two cores busy, few enough that queueing in
/// the kernel is not what is measured.
const CONNECTIONS: u32 = 32;

/// Keys of the pool, so that choosing one is a choice.
const KEYS: usize = 20;

/// The client token of the benchmark's server.
const TOKEN: &str = "sk-bench";

/// One kind of request.
struct Case {
    name: &'static str,
    says: &'static str,
    /// How often nginx's CPU time per request ours may be, from the issue that set it.
    target: f64,
    /// What is sent to our server.
    ours: Shape,
    /// What is sent through nginx.
    nginx: Shape,
}

/// A request without its credential.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Native,
    NativeStream,
    Chat,
    ChatStream,
}

const CASES: [Case; 4] = [
    Case {
        name: "native",
        says: "`:generateContent`, a small answer",
        target: 3.0,
        ours: Shape::Native,
        nginx: Shape::Native,
    },
    Case {
        name: "native-stream",
        says: "`:streamGenerateContent`, 20 events",
        target: 5.0,
        ours: Shape::NativeStream,
        nginx: Shape::NativeStream,
    },
    Case {
        name: "chat",
        says: "`/v1/chat/completions`, a small answer",
        target: 5.0,
        ours: Shape::Chat,
        nginx: Shape::Native,
    },
    Case {
        name: "chat-stream",
        says: "`/v1/chat/completions` streamed, 20 events",
        target: 5.0,
        ours: Shape::ChatStream,
        nginx: Shape::NativeStream,
    },
];

impl Shape {
    /// Models of the fake that answer from bytes made once, so that Google is never what is
    /// waited for.
    fn model(self) -> &'static str {
        match self {
            Self::Native | Self::Chat => "bench-small",
            Self::NativeStream | Self::ChatStream => "bench-stream-20",
        }
    }

    fn path(self) -> String {
        let model = self.model();
        match self {
            Self::Native => format!("/v1beta/models/{model}:generateContent"),
            Self::NativeStream => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            Self::Chat | Self::ChatStream => "/v1/chat/completions".to_owned(),
        }
    }

    fn body(self) -> String {
        const QUESTION: &str = "Say in one sentence what a reverse proxy does.";
        match self {
            Self::Native | Self::NativeStream => format!(
                r#"{{"contents":[{{"role":"user","parts":[{{"text":"{QUESTION}"}}]}}],"generationConfig":{{"temperature":0.2}}}}"#
            ),
            Self::Chat | Self::ChatStream => format!(
                r#"{{"model":"{}","messages":[{{"role":"user","content":"{QUESTION}"}}],"temperature":0.2,"stream":{}}}"#,
                self.model(),
                self == Self::ChatStream
            ),
        }
    }
}

/// What one case came to.
struct Measured<'a> {
    case: &'a Case,
    ours: Numbers,
    nginx: Numbers,
    /// Median over the rounds of ours ÷ nginx's CPU time, each pair from the same seconds.
    ratio: f64,
    /// Time to the first byte of the body at one connection.
    first_byte: FirstBytes,
}

/// Medians over the rounds of one proxy.
struct Numbers {
    /// CPU time of the whole process per request, in microseconds.
    cpu_micros: f64,
    /// Requests per second, with the load generator on the same cores.
    per_second: f64,
}

/// Times to the first byte of the answer's body, in microseconds.
struct FirstBytes {
    direct: Spread,
    nginx: Spread,
    ours: Spread,
}

/// A distribution in three numbers, in microseconds.
#[derive(Clone, Copy)]
struct Spread {
    median: f64,
    p99: f64,
    worst: f64,
}

/// Memory of our server in KiB.
struct Memory {
    idle: u64,
    loaded: u64,
    nginx_loaded: u64,
}

/// Builds, measures, writes `bench/report.md` and prints it.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    if !cfg!(target_os = "linux") {
        bail!("the benchmark reads CPU time from /proc, so it runs on Linux only");
    }
    if options.only == [store::NAME] {
        return store::run(workspace, options);
    }
    if options.only == [translation::NAME] {
        return translation::run(workspace, options);
    }
    let cases: Vec<&Case> = CASES
        .iter()
        .filter(|case| options.only.is_empty() || options.only.iter().any(|name| name == case.name))
        .collect();
    if cases.is_empty() {
        bail!(
            "there is no such case; there are {} and, each alone, {} and {}",
            CASES.map(|case| case.name).join(", "),
            store::NAME,
            translation::NAME
        );
    }
    setup::system(workspace, &setup::BENCH)?;
    panel::build(workspace)?;
    println!("Building with all optimisations (about 8 minutes the first time).");
    stages::build_programs(workspace, &options.profile)?;
    // Cargo's folder for the profile `dev` has another name than the profile.
    let built = match options.profile.as_str() {
        "dev" => "debug",
        profile => profile,
    };

    let folder = workspace.cache.join("bench");
    clear(&folder)?;
    let google = Server::start(
        Command::new(workspace.binary(built, "fake-google")).args(["--keys", &keys()]),
    )?;
    let nginx = Nginx::start(workspace, &folder, google.authority())?;
    let ours = start_ours(workspace, built, &folder, &google)?;
    std::thread::sleep(std::time::Duration::from_secs(2));
    let idle = process::resident_kib(ours.pid())?;

    let mut measured = Vec::new();
    for case in cases {
        println!("\n{}: {}", case.name, case.says);
        measured.push(measure(
            workspace, &folder, case, options, &google, &nginx, &ours,
        )?);
    }
    let memory = Memory {
        idle,
        loaded: process::resident_kib(ours.pid())?,
        nginx_loaded: nginx.resident_kib()?,
    };

    let text = report::markdown(workspace, options, &measured, &memory)?;
    let home = workspace.root.join("bench");
    fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    let path = home.join("report.md");
    fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("\n{text}\nThis is in {}.", path.display());
    Ok(ExitCode::SUCCESS)
}

/// A key that the fake Google takes.
fn key(number: usize) -> String {
    format!("AIzaSyBENCH-{number:027}")
}

fn keys() -> String {
    (0..KEYS).map(key).collect::<Vec<_>>().join(",")
}

fn start_ours(
    workspace: &Workspace,
    built: &str,
    folder: &Path,
    google: &Server,
) -> Result<Server> {
    let log = folder.join("server.log");
    let log = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    Server::start(
        Command::new(workspace.binary(built, "gemini-balance"))
            .args(["serve"])
            .stderr(log)
            .env("HOST", "127.0.0.1")
            .env("PORT", "0")
            .env("DATA_DIR", folder.join("data"))
            .env("BASE_URL", format!("{}/v1beta", google.address))
            .env("API_KEYS", keys())
            .env("ALLOWED_TOKENS", TOKEN)
            .env("AUTH_TOKEN", "bench-password"),
    )
}

fn measure<'a>(
    workspace: &Workspace,
    folder: &Path,
    case: &'a Case,
    options: &Options,
    google: &Server,
    nginx: &Nginx,
    ours: &Server,
) -> Result<Measured<'a>> {
    let key = key(0);
    let to_ours = Load::new(
        workspace,
        folder,
        &ours.address,
        case.ours,
        ("authorization", &format!("Bearer {TOKEN}")),
    )?;
    let to_nginx = Load::new(
        workspace,
        folder,
        &nginx.address,
        case.nginx,
        ("x-goog-api-key", &key),
    )?;
    // Connections, caches and allocators settle before anything counts.
    to_ours.run(1)?;
    to_nginx.run(1)?;

    let mut rounds = Vec::new();
    for round in 1..=ROUNDS {
        let turn = |load: &Load, usage: &dyn Fn() -> Result<Usage>| -> Result<Numbers> {
            let before = usage()?;
            let requests = load.run(options.seconds)?;
            let used = usage()?.micros_since(&before);
            Ok(Numbers {
                cpu_micros: used / requests.count,
                per_second: requests.count / requests.seconds,
            })
        };
        let pair = (
            turn(&to_nginx, &|| nginx.usage())?,
            turn(&to_ours, &|| Usage::of(&[ours.pid()]))?,
        );
        println!(
            "  round {round}: nginx {:.1} µs, ours {:.1} µs of CPU per request: {:.2} times",
            pair.0.cpu_micros,
            pair.1.cpu_micros,
            pair.1.cpu_micros / pair.0.cpu_micros
        );
        rounds.push(pair);
    }
    let median_of =
        |value: &dyn Fn(&(Numbers, Numbers)) -> f64| median(rounds.iter().map(value).collect());
    Ok(Measured {
        case,
        nginx: Numbers {
            cpu_micros: median_of(&|pair| pair.0.cpu_micros),
            per_second: median_of(&|pair| pair.0.per_second),
        },
        ours: Numbers {
            cpu_micros: median_of(&|pair| pair.1.cpu_micros),
            per_second: median_of(&|pair| pair.1.per_second),
        },
        ratio: median_of(&|pair| pair.1.cpu_micros / pair.0.cpu_micros),
        first_byte: first_bytes(case, &key, google, nginx, ours)?,
    })
}

/// Times single requests one after the other, the three ways turn and turn about.
fn first_bytes(
    case: &Case,
    key: &str,
    google: &Server,
    nginx: &Nginx,
    ours: &Server,
) -> Result<FirstBytes> {
    let google_key = ("x-goog-api-key", key);
    let bearer = format!("Bearer {TOKEN}");
    let mut ways = [
        (
            wire::Connection::open(google.authority())?,
            case.nginx,
            google_key,
        ),
        (
            wire::Connection::open(nginx.authority())?,
            case.nginx,
            google_key,
        ),
        (
            wire::Connection::open(ours.authority())?,
            case.ours,
            ("authorization", bearer.as_str()),
        ),
    ];
    let mut times: [Vec<f64>; 3] = Default::default();
    for _ in 0..TIMED_REQUESTS {
        for (way, times) in ways.iter_mut().zip(&mut times) {
            let (connection, shape, credential) = way;
            let took = connection.post(&shape.path(), *credential, &shape.body())?;
            times.push(took.as_secs_f64() * 1e6);
        }
    }
    let [direct, nginx, ours] = times.map(Spread::of);
    Ok(FirstBytes {
        direct,
        nginx,
        ours,
    })
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |part: usize| {
            values
                .get(values.len() * part / 100)
                .copied()
                .unwrap_or(f64::NAN)
        };
        Self {
            median: at(50),
            p99: at(99),
            worst: values.last().copied().unwrap_or(f64::NAN),
        }
    }
}

fn median(values: Vec<f64>) -> f64 {
    Spread::of(values).median
}

/// An empty folder at `path`.
fn clear(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot empty {}", path.display()))
        }
        _ => fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display())),
    }
}

/// The first line a program prints about its version.
fn version_of(workspace: &Workspace, program: &str, argument: &str) -> String {
    let shown = shell::program(workspace, program).arg(argument).output();
    shown.map_or_else(
        |_| format!("{program} (unknown version)"),
        |output| {
            // nginx says it on stderr, wrk says it and fails.
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text).into_owned();
            text.lines().next().unwrap_or(program).trim().to_owned()
        },
    )
}
