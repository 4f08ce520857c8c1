//! A server that tells its environment: what tests of the launcher and of pods start when
//! they want to see what was started, and the gateway would only be in the way.
//!
//! It announces itself as the gateway does, answers `GET /` with its variables as a JSON
//! object, ends with 3 at `GET /crash`, and says on stderr that it was asked to end.

use std::convert::Infallible;
use std::io::Write as _;
use std::process::ExitCode;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<ExitCode> {
    let port = std::env::var("PORT").unwrap_or_default();
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let mut out = std::io::stdout();
    writeln!(out, "listening on http://{}", listener.local_addr()?)?;
    writeln!(out, "hello from {}", variable("HOSTNAME"))?;
    out.flush()?;
    let crash = watch::Sender::new(false);
    let mut crashed = crash.subscribe();
    let mut connections = JoinSet::new();
    #[cfg(unix)]
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    #[cfg(unix)]
    let asked = async move { terminated.recv().await.is_some() };
    #[cfg(not(unix))]
    let asked = std::future::pending::<bool>();
    tokio::pin!(asked);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let crash = crash.clone();
                connections.spawn(async move {
                    let service = service_fn(move |request| answer(request, crash.clone()));
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
                });
            }
            Some(_) = connections.join_next() => {}
            _ = crashed.wait_for(|crashed| *crashed) => return Ok(ExitCode::from(3)),
            _ = &mut asked => {
                writeln!(std::io::stderr(), "asked to end")?;
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

#[expect(clippy::unused_async, reason = "hyper asks for a future")]
async fn answer(
    request: Request<Incoming>,
    crash: watch::Sender<bool>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path();
    if path == "/crash" {
        crash.send_replace(true);
    }
    let told: serde_json::Map<String, serde_json::Value> = std::env::vars()
        .map(|(name, value)| (name, value.into()))
        .chain([(
            "forwarded for".to_owned(),
            request
                .headers()
                .get("x-forwarded-for")
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .into(),
        )])
        .collect();
    let mut response = Response::new(Full::new(Bytes::from(
        serde_json::Value::Object(told).to_string(),
    )));
    if path != "/" && path != "/health" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}
