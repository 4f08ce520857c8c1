//! Certificates for servers of this machine that are asked for TLS.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A server's certificate, with all that it and its clients need.
#[derive(Debug)]
pub(crate) struct Made {
    /// The authority's certificate, for clients.
    pub ca_pem: String,
    pub certificate: rcgen::Certificate,
    pub key: KeyPair,
}

/// A certificate authority of its own.
#[derive(Debug)]
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority
            .distinguished_name
            .push(DnType::CommonName, "Gemini Balance's tests");
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self {
            pem: authority.self_signed(&key)?.pem(),
            issuer: Issuer::new(authority, key),
        })
    }

    /// A certificate for this machine under its usual names.
    pub fn server(&self) -> Result<Made, rcgen::Error> {
        self.server_called(&[])
    }

    /// The same, also under these names, e.g. `*.apps.localhost`.
    pub fn server_called(&self, more: &[String]) -> Result<Made, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        names.extend_from_slice(more);
        let mut server = CertificateParams::new(names)?;
        server
            .distinguished_name
            .push(DnType::CommonName, "localhost");
        server.use_authority_key_identifier_extension = true;
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        Ok(Made {
            ca_pem: self.pem.clone(),
            certificate: server.signed_by(&key, &self.issuer)?,
            key,
        })
    }
}
