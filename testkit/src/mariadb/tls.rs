//! Certificates for a server that is asked for TLS.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// The certificate authority's file, in the server's folder.
pub(super) const CA_FILE: &str = "ca.pem";

/// What a server needs for TLS, and its clients.
pub(super) struct Made {
    pub ca_pem: String,
    pub arguments: Vec<String>,
}

/// Makes an authority and a certificate of its for this machine.
pub(super) fn write_to(folder: &Path) -> Made {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "Gemini Balance's tests");
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_pem = authority
        .self_signed(&authority_key)
        .expect("a certificate")
        .pem();
    let issuer = Issuer::new(authority, authority_key);

    let key = KeyPair::generate().expect("a key");
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut server = CertificateParams::new(names).expect("names");
    server
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = server.signed_by(&key, &issuer).expect("a certificate");

    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("the folder is ours");
        path.display().to_string()
    };
    let arguments = vec![
        format!("--ssl-ca={}", file(CA_FILE, &ca_pem)),
        format!("--ssl-cert={}", file("server.pem", &certificate.pem())),
        format!("--ssl-key={}", file("server.key", &key.serialize_pem())),
    ];
    Made { ca_pem, arguments }
}
