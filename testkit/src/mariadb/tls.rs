//! The files by which a MariaDB is told to do TLS.

use std::fs;
use std::path::Path;

use crate::tls::Authority;

/// The certificate authority's file, in the server's folder.
pub(super) const CA_FILE: &str = "ca.pem";

/// What a server needs for TLS, and its clients.
pub(super) struct Made {
    pub ca_pem: String,
    pub arguments: Vec<String>,
}

/// Makes an authority and a certificate of its for this machine.
pub(super) fn write_to(folder: &Path) -> Made {
    let made = Authority::new()
        .and_then(|authority| authority.server())
        .expect("a certificate");
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("the folder is ours");
        path.display().to_string()
    };
    let arguments = vec![
        format!("--ssl-ca={}", file(CA_FILE, &made.ca_pem)),
        format!("--ssl-cert={}", file("server.pem", &made.certificate.pem())),
        format!(
            "--ssl-key={}",
            file("server.key", &made.key.serialize_pem())
        ),
    ];
    Made {
        ca_pem: made.ca_pem,
        arguments,
    }
}
