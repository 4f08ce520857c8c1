//! What an account tells of itself.

use contract::deploy::{AccountFacts, Quota};
use futures_util::future::try_join_all;
use k8s_openapi::api::core::v1::ResourceQuota;

use super::api::{
    ACCOUNTS, CLAIMS, DATABASES, DEPLOYMENTS, EVENTS, INGRESSES, Kind, Namespace, PODS, QUOTAS,
    ROLE_BINDINGS, ROLES, SECRETS, SERVICES, STATEFUL_SETS,
};
use super::{Cloud, dialect, offer};
use crate::kubernetes::kubeconfig::Access;
use crate::provider::{ProviderError, Result};

/// What is done with objects of an app.
const VERBS: [&str; 5] = ["create", "delete", "get", "list", "patch"];

/// Which rights an app needs, and on what.
fn needed() -> impl Iterator<Item = (&'static str, Kind, &'static str)> {
    let objects = [SECRETS, SERVICES, INGRESSES, DEPLOYMENTS]
        .into_iter()
        .flat_map(|kind| VERBS.into_iter().map(move |verb| (verb, kind, "")));
    let seen = [
        ("create", PODS, ""),
        ("list", PODS, ""),
        // A StatefulSet's pod that never got ready is in the way of the next one.
        ("get", PODS, ""),
        ("delete", PODS, ""),
        ("get", PODS, "log"),
        ("list", EVENTS, ""),
    ];
    objects.chain(seen)
}

/// Whether all of it is allowed.
async fn may(place: &Namespace, kinds: &[Kind]) -> Result<bool> {
    let asked = kinds
        .iter()
        .flat_map(|kind| VERBS.into_iter().map(|verb| place.review(verb, *kind, "")));
    let answers = try_join_all(asked).await?;
    Ok(answers.into_iter().all(|allowed| allowed))
}

/// The rights that are missing, in words: `create deployments.apps`.
async fn missing(place: &Namespace) -> Result<Vec<String>> {
    let asked = needed().map(|(verb, kind, subresource)| async move {
        let allowed = place.review(verb, kind, subresource).await?;
        let mut what = kind.plural.to_owned();
        if !subresource.is_empty() {
            what = format!("{what}/{subresource}");
        }
        if !kind.group.is_empty() {
            what = format!("{what}.{}", kind.group);
        }
        Ok::<_, ProviderError>((!allowed).then(|| format!("{verb} {what}")))
    });
    let answers = try_join_all(asked).await?;
    Ok(answers.into_iter().flatten().collect())
}

/// What is left of the namespace's quotas.
pub(super) async fn quotas(place: &Namespace) -> Result<Vec<Quota>> {
    let quotas: Vec<ResourceQuota> = match place.list(QUOTAS, "").await {
        // Nobody needs to see them.
        Err(ProviderError::Forbidden(_)) => Vec::new(),
        quotas => quotas?,
    };
    let mut all = Vec::new();
    for status in quotas.into_iter().filter_map(|quota| quota.status) {
        let used = status.used.unwrap_or_default();
        for (name, limit) in status.hard.unwrap_or_default() {
            all.push(Quota {
                used: used
                    .get(&name)
                    .map_or_else(|| "0".to_owned(), |used| used.0.clone()),
                limit: limit.0,
                name,
            });
        }
    }
    Ok(all)
}

/// Everything about an account.
pub(super) async fn facts(
    place: &Namespace,
    access: &Access,
    cloud: &Cloud,
) -> Result<AccountFacts> {
    let missing_rights = missing(place).await?;
    // One who may do nothing of it has not even the right to look.
    let domain = match missing_rights
        .iter()
        .any(|right| right.starts_with("list ingresses"))
    {
        true => dialect::domain_by_api(cloud.dialect, &access.host),
        false => super::domain(place, access, cloud.dialect).await?,
    };
    let regions = match domain {
        Some(_) => Vec::new(),
        None => dialect::regions(cloud.dialect),
    };
    let has_volumes = may(place, &[STATEFUL_SETS, CLAIMS]).await?;
    let has_databases =
        cloud.has_databases && may(place, &[DATABASES, ACCOUNTS, ROLES, ROLE_BINDINGS]).await?;
    Ok(AccountFacts {
        name: format!("{}/{} @ {}", access.namespace, access.user, access.host),
        regions,
        plans: offer::plans(),
        missing_rights,
        quotas: quotas(place).await?,
        domain,
        has_databases,
        has_volumes,
        expires_at: access.expires_at,
        ..AccountFacts::default()
    })
}
