//! A kubeconfig that was pasted: what of it is used, and what is refused.
//!
//! It comes from the clipboard of a person, perhaps on a server, so nothing in it may start a
//! program (`exec`, `auth-provider`), read a file of this machine, or switch the check of the
//! server's certificate off. Only the current context is looked at: what is wrong with others
//! does no harm.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use contract::Millis;
use kube::Config;
use kube::config::{AuthInfo, Cluster, KubeConfigOptions, Kubeconfig};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use vault::Secret;

use crate::http;
use crate::provider::{ProviderError, Result};

/// What of a kubeconfig is used.
#[derive(Clone)]
pub(super) struct Access {
    kubeconfig: Kubeconfig,
    context: String,
    /// The namespace that everything is in.
    pub namespace: String,
    /// What the kubeconfig calls the user.
    pub user: String,
    /// Where the API is, host and port.
    pub host: String,
    /// When the token or certificate ends, where it tells.
    pub expires_at: Option<Millis>,
    /// What must not be told.
    pub secrets: Vec<Secret>,
}

/// The part of a JWT that is looked at. Kubernetes' service account tokens are JWTs.
#[derive(Deserialize)]
struct Claims {
    /// Seconds since 1970-01-01T00:00:00Z.
    exp: Option<i64>,
}

impl Access {
    /// Reads a kubeconfig.
    ///
    /// # Errors
    /// When it is none, or would do what it must not.
    pub fn read(text: &Secret) -> Result<Self> {
        // Not the error's own words: they quote the text, and the token is in it.
        let kubeconfig = Kubeconfig::from_yaml(text.expose()).map_err(|_| {
            refused(
                "it cannot be read. Download it in the console again, and paste the whole text, \
                 from apiVersion to the last line",
            )
        })?;
        let named = match (&kubeconfig.current_context, kubeconfig.contexts.as_slice()) {
            (Some(current), all) if !current.is_empty() => {
                all.iter().find(|one| one.name == *current)
            }
            (_, [only]) => Some(only),
            _ => None,
        };
        let named = named.ok_or_else(|| {
            refused("it does not say which context is in use. Set current-context")
        })?;
        let context = named.context.as_ref();
        let context = context.ok_or_else(|| refused("its current context is empty"))?;
        let namespace = context.namespace.clone().filter(|name| !name.is_empty());
        let namespace = namespace.ok_or_else(|| {
            refused(
                "its current context names no namespace, so it is not known where the app \
                 belongs. Add namespace: to the context, as the consoles do",
            )
        })?;
        let clusters = &kubeconfig.clusters;
        let cluster = clusters.iter().find(|one| one.name == context.cluster);
        let cluster = cluster
            .and_then(|one| one.cluster.as_ref())
            .ok_or_else(|| refused(&format!("it has no cluster {}", context.cluster)))?;
        let user = context.user.clone().unwrap_or_default();
        let known = kubeconfig.auth_infos.iter().find(|one| one.name == user);
        let known = known
            .and_then(|one| one.auth_info.as_ref())
            .ok_or_else(|| refused(&format!("it has no user {user}")))?;
        let server = check_cluster(cluster)?;
        check_user(known)?;
        let host = server.host_str().unwrap_or_default();
        Ok(Self {
            context: named.name.clone(),
            namespace,
            user,
            host: match server.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            },
            expires_at: expires_at(known),
            secrets: secrets(known),
            kubeconfig,
        })
    }

    /// How the API is reached.
    ///
    /// # Errors
    /// When a certificate or a key in it cannot be read.
    pub async fn config(&self) -> Result<Config> {
        let options = KubeConfigOptions {
            context: Some(self.context.clone()),
            ..KubeConfigOptions::default()
        };
        let config = Config::from_custom_kubeconfig(self.kubeconfig.clone(), &options);
        let mut config = config
            .await
            .map_err(|error| refused(&format!("it cannot be used: {error}")))?;
        // The system's proxy settings are never baked in: see DESIGN.md, Libraries.
        config.proxy_url = None;
        // Whoever calls knows what may be done twice, and has the clock.
        config.default_retry = false;
        Ok(config)
    }
}

fn refused(why: &str) -> ProviderError {
    ProviderError::Refused(format!("This kubeconfig cannot be used: {why}."))
}

/// Gives the address.
fn check_cluster(cluster: &Cluster) -> Result<reqwest::Url> {
    if cluster.insecure_skip_tls_verify == Some(true) {
        return Err(refused(
            "insecure-skip-tls-verify would hand the token to anybody on the way. Remove the \
             line, and put the cluster's authority into certificate-authority-data",
        ));
    }
    let has = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    if has(&cluster.certificate_authority) && !has(&cluster.certificate_authority_data) {
        return Err(refused(
            "certificate-authority names a file of another machine. Make a kubeconfig with \
             everything in it: kubectl config view --raw --flatten --minify",
        ));
    }
    if has(&cluster.proxy_url) {
        return Err(refused(
            "it goes through a proxy (proxy-url), which this program does not do. Remove the line",
        ));
    }
    let server = cluster.server.as_deref().unwrap_or_default();
    http::address(server)
}

fn check_user(user: &AuthInfo) -> Result<()> {
    if user.exec.is_some() || user.auth_provider.is_some() {
        return Err(refused(
            "it starts a program to sign in (exec or auth-provider), and nothing that was pasted \
             may do that. Use one with a token: kubectl create token NAME makes one for a service \
             account, and the consoles of ClawCloud and Sealos give such a kubeconfig",
        ));
    }
    let has = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let files = [
        ("tokenFile", has(&user.token_file) && user.token.is_none()),
        (
            "client-certificate",
            has(&user.client_certificate) && !has(&user.client_certificate_data),
        ),
        (
            "client-key",
            has(&user.client_key) && user.client_key_data.is_none(),
        ),
    ];
    if let Some((name, _)) = files.iter().find(|(_, names_file)| *names_file) {
        return Err(refused(&format!(
            "{name} names a file of another machine. Make a kubeconfig with everything in it: \
             kubectl config view --raw --flatten --minify"
        )));
    }
    let signs_in = user.token.is_some()
        || has(&user.client_certificate_data)
        || (has(&user.username) && user.password.is_some());
    match signs_in {
        true => Ok(()),
        false => Err(refused(
            "it holds neither a token nor a certificate to sign in with. If it was shown with \
             REDACTED, use kubectl config view --raw",
        )),
    }
}

fn secrets(user: &AuthInfo) -> Vec<Secret> {
    let all: [&Option<SecretString>; 3] = [&user.token, &user.password, &user.client_key_data];
    let all = all.into_iter().flatten();
    all.map(|secret| Secret::from(secret.expose_secret()))
        .filter(|secret| !secret.expose().is_empty())
        .collect()
}

/// When the token or the certificate ends, whichever is first.
fn expires_at(user: &AuthInfo) -> Option<Millis> {
    let token = secrets(user).into_iter().find_map(|one| token_end(&one));
    let certificate = user
        .client_certificate_data
        .as_deref()
        .and_then(certificate_end);
    token.into_iter().chain(certificate).min()
}

fn token_end(token: &Secret) -> Option<Millis> {
    let mut parts = token.expose().split('.');
    let (_, claims, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
        return None;
    };
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    claims.exp?.checked_mul(1000)
}

fn certificate_end(data: &str) -> Option<Millis> {
    let pem = BASE64_STANDARD.decode(data.trim()).ok()?;
    let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let seconds = certificate.validity().not_after.timestamp();
    seconds.checked_mul(1000)
}
