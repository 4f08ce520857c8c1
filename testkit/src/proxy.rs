//! A proxy as VPN programs have them: HTTP and SOCKS5 on one port. It knows the names that a
//! test gives it and no others, so what comes out of it was looked up there.
//!
//! Of HTTP it only reads the beginning of a connection: a `CONNECT`, or a request in absolute
//! form for the server that all plain names lead to.

#![expect(
    clippy::expect_used,
    reason = "it belongs to tests: what it cannot do fails the test"
)]

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The longest head of a request that it reads, in bytes.
const HEAD: usize = 16 * 1024;

/// A proxy. It ends when it is dropped.
#[derive(Debug)]
pub struct FakeProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    names: HashMap<String, SocketAddr>,
    /// User and password, when it wants them.
    credential: Option<(String, String)>,
    asked: Mutex<Vec<String>>,
}

impl FakeProxy {
    /// One that knows these names, and lets everybody in.
    pub async fn knowing(names: &[(&str, SocketAddr)]) -> Self {
        Self::start(names, None).await
    }

    /// One that lets in who has this user and password.
    pub async fn guarded(names: &[(&str, SocketAddr)], user: &str, password: &str) -> Self {
        Self::start(names, Some((user.to_owned(), password.to_owned()))).await
    }

    async fn start(names: &[(&str, SocketAddr)], credential: Option<(String, String)>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let names = names.iter();
        let shared = Arc::new(Shared {
            names: names.map(|(name, to)| ((*name).to_owned(), *to)).collect(),
            credential,
            asked: Mutex::default(),
        });
        let mut serving = JoinSet::new();
        let theirs = shared.clone();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let shared = theirs.clone();
                connections.spawn(async move {
                    // A connection that breaks is the client's affair.
                    let _ = serve(client, &shared).await;
                });
            }
        });
        Self {
            address,
            shared,
            _serving: serving,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The hosts that it was asked for, one for each connection.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().clone()
    }
}

async fn serve(client: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut first = [0];
    client.peek(&mut first).await?;
    match first {
        [5] => socks(client, shared).await,
        _ => http(client, shared).await,
    }
}

async fn relay(mut client: TcpStream, to: SocketAddr, sent: &[u8]) -> io::Result<()> {
    let mut server = TcpStream::connect(to).await?;
    server.write_all(sent).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn http(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > HEAD || client.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let wanted = shared.credential.as_ref().map(|(user, password)| {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        format!("proxy-authorization: Basic {encoded}\r\n").to_lowercase()
    });
    if wanted.is_some_and(|wanted| !text.to_lowercase().contains(&wanted)) {
        let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        return client.write_all(refusal).await;
    }
    let mut words = text.split_whitespace();
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let place = target.split_once("://").map_or(target, |(_, rest)| rest);
    let place = place.split('/').next().unwrap_or_default();
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    shared.asked.lock().push(host.to_owned());
    let Some(to) = shared.names.get(host) else {
        let refusal = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n";
        return client.write_all(refusal).await;
    };
    match method {
        "CONNECT" => {
            client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
            relay(client, *to, &[]).await
        }
        _ => relay(client, *to, &head).await,
    }
}

/// RFC 1928 and 1929, as far as clients of HTTP need them.
async fn socks(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    let [_, methods] = read(&mut client).await?;
    let mut offered = vec![0; usize::from(methods)];
    client.read_exact(&mut offered).await?;
    let method = if shared.credential.is_some() { 2 } else { 0 };
    if !offered.contains(&method) {
        return client.write_all(&[5, 0xff]).await;
    }
    client.write_all(&[5, method]).await?;
    if let Some((user, password)) = &shared.credential {
        let [_, length] = read(&mut client).await?;
        let given_user = text(&mut client, length).await?;
        let [length] = read(&mut client).await?;
        let given_password = text(&mut client, length).await?;
        let is_right = given_user == *user && given_password == *password;
        client.write_all(&[1, u8::from(!is_right)]).await?;
        if !is_right {
            return Ok(());
        }
    }
    let [_, _, _, kind] = read(&mut client).await?;
    let host = match kind {
        1 => std::net::Ipv4Addr::from(read::<4>(&mut client).await?).to_string(),
        3 => {
            let [length] = read(&mut client).await?;
            text(&mut client, length).await?
        }
        _ => std::net::Ipv6Addr::from(read::<16>(&mut client).await?).to_string(),
    };
    let [_, _] = read(&mut client).await?;
    shared.asked.lock().push(host.clone());
    let to = shared.names.get(&host);
    // "Host unreachable" for names that it does not know.
    let reply = [5, if to.is_some() { 0 } else { 4 }, 0, 1, 0, 0, 0, 0, 0, 0];
    client.write_all(&reply).await?;
    match to {
        Some(to) => relay(client, *to, &[]).await,
        None => Ok(()),
    }
}

async fn read<const N: usize>(client: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn text(client: &mut TcpStream, length: u8) -> io::Result<String> {
    let mut bytes = vec![0; usize::from(length)];
    client.read_exact(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
