//! The health checks of a cloud.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Looks at a container as a cloud's health check does: 2xx and 3xx are healthy. Without a
/// path, that it listens is enough.
pub(crate) async fn is_healthy(address: SocketAddr, path: &str) -> Result<(), String> {
    let failed = |why: String| format!("HTTP health check failed ({why})");
    if path.is_empty() {
        return match TcpStream::connect(address).await {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("no open port ({error})")),
        };
    }
    let look = async {
        let mut stream = TcpStream::connect(address).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        // `HTTP/1.1 200`
        let mut head = [0; 12];
        stream.read_exact(&mut head).await?;
        std::io::Result::Ok(head)
    };
    let head = tokio::time::timeout(Duration::from_secs(5), look)
        .await
        .map_err(|_| failed("timed out after 5 seconds".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    let head = String::from_utf8_lossy(&head);
    let status: u16 = head
        .rsplit(' ')
        .next()
        .and_then(|status| status.parse().ok())
        .unwrap_or_default();
    if (200..400).contains(&status) {
        Ok(())
    } else {
        Err(failed(format!("status {status}")))
    }
}
