//! Whose Kubernetes it is: the names by which its console knows apps, and where apps answer.
//!
//! ClawCloud Run is a fork of Sealos with other names for the same things. They are data here,
//! not code: App Launchpad's `deployYaml2Json.ts` of labring/sealos, and ClawCloud's
//! Run-Template (`template-guidance.md`).

use contract::deploy::Choice;

/// Names of one cloud.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    /// What people call it.
    pub name: &'static str,
    /// The label with an app's name, by which the console lists apps.
    pub app_label: &'static str,
    /// The label of an ingress with the first part of its host.
    pub domain_label: Option<&'static str>,
    /// The label with a database's name.
    pub database_label: &'static str,
    /// Annotations of an app: how many replicas it has at least and at most.
    pub replicas: Option<[&'static str; 2]>,
    /// The annotation of an app that somebody has paused.
    pub pause: &'static str,
    /// The Secret with the certificate for all hosts of the domain.
    pub certificate: Option<&'static str>,
}

/// What the ingress controller of consoles looks after, and what it leaves alone.
pub(super) const INGRESS_CLASS: &str = "nginx";
/// The class by which a console takes a paused app's ingress from its controller.
pub(super) const PAUSED_CLASS: &str = "pause";
/// The annotation with an ingress's class.
pub(super) const CLASS: &str = "kubernetes.io/ingress.class";

/// ClawCloud Run: the group `app.claw.cloud`.
pub(super) static CLAW_CLOUD: Dialect = Dialect {
    name: "ClawCloud Run",
    app_label: "run.claw.cloud/app-deploy-manager",
    domain_label: Some("run.claw.cloud/app-deploy-manager-domain"),
    database_label: "clawcloud-db-provider-cr",
    replicas: Some([
        "deploy.run.claw.cloud/minReplicas",
        "deploy.run.claw.cloud/maxReplicas",
    ]),
    pause: "deploy.run.claw.cloud/pause",
    certificate: Some("wildcard-cert"),
};

/// Sealos: the group `app.sealos.io`.
pub(super) static SEALOS: Dialect = Dialect {
    name: "Sealos",
    app_label: "cloud.sealos.io/app-deploy-manager",
    domain_label: Some("cloud.sealos.io/app-deploy-manager-domain"),
    database_label: "sealos-db-provider-cr",
    replicas: Some([
        "deploy.cloud.sealos.io/minReplicas",
        "deploy.cloud.sealos.io/maxReplicas",
    ]),
    pause: "deploy.cloud.sealos.io/pause",
    certificate: Some("wildcard-cert"),
};

/// A cluster without a console.
pub(super) static PLAIN: Dialect = Dialect {
    name: "Kubernetes",
    app_label: "app.kubernetes.io/instance",
    domain_label: None,
    database_label: "app.kubernetes.io/instance",
    replicas: None,
    pause: "gemini-balance/pause",
    certificate: None,
};

/// Which one it is, by the groups of resources that it has.
pub(super) fn spoken<'a>(groups: impl IntoIterator<Item = &'a str>) -> &'static Dialect {
    let mut found = &PLAIN;
    for group in groups {
        match group {
            "app.claw.cloud" => return &CLAW_CLOUD,
            "app.sealos.io" => found = &SEALOS,
            _ => {}
        }
    }
    found
}

/// What hosts of ClawCloud's apps end in, after the region.
const CLAW_CLOUD_APPS: &str = ".clawcloudrun.com";
/// What hosts of its consoles end in, after the region.
const CLAW_CLOUD_CONSOLES: &str = ".run.claw.cloud";

/// ClawCloud's regions, which are part of hosts; Singapore is what most take.
const REGIONS: [(&str, &str); 5] = [
    ("ap-southeast-1", "Singapore"),
    ("ap-northeast-1", "Japan"),
    ("us-west-1", "US West"),
    ("us-east-1", "US East"),
    ("eu-central-1", "Germany"),
];

/// Regions to choose from where nothing tells which one an account is in.
pub(super) fn regions(dialect: &Dialect) -> Vec<Choice> {
    if *dialect != CLAW_CLOUD {
        return Vec::new();
    }
    REGIONS
        .iter()
        .map(|(id, name)| Choice {
            id: (*id).to_owned(),
            name: format!("{name} ({id})"),
        })
        .collect()
}

/// The domain of a region's apps.
pub(super) fn domain_of(dialect: &Dialect, region: &str) -> Option<String> {
    let known = REGIONS.iter().any(|(id, _)| *id == region);
    (known && *dialect == CLAW_CLOUD).then(|| format!("{region}{CLAW_CLOUD_APPS}"))
}

/// The region of a host of ClawCloud's, whether of an app or of the API.
pub(super) fn region_of(host: &str) -> Option<&'static str> {
    let host = host.split(':').next().unwrap_or(host);
    let front = host
        .strip_suffix(CLAW_CLOUD_APPS)
        .or(host.strip_suffix(CLAW_CLOUD_CONSOLES))?;
    let last = front.rsplit('.').next().unwrap_or(front);
    REGIONS
        .iter()
        .map(|(id, _)| *id)
        .find(|region| *region == last)
}

/// What hosts of apps end in, as far as the API's own host tells: Sealos serves both in one
/// domain.
pub(super) fn domain_by_api(dialect: &Dialect, host: &str) -> Option<String> {
    if *dialect == CLAW_CLOUD {
        return domain_of(dialect, region_of(host)?);
    }
    let host = host.split(':').next().unwrap_or(host);
    let is_name = host.contains('.') && host.parse::<std::net::IpAddr>().is_err();
    (*dialect == SEALOS && is_name).then(|| host.to_owned())
}

/// The console's page.
pub(super) fn console(dialect: &Dialect, host: &str) -> Option<String> {
    if *dialect == CLAW_CLOUD {
        let region = region_of(host)?;
        return Some(format!("https://{region}{CLAW_CLOUD_CONSOLES}/"));
    }
    let (_, domain) = host.split_once('.')?;
    (*dialect == SEALOS).then(|| format!("https://{domain}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_that_kept_the_others_group_is_still_itself() {
        let groups = ["apps", "app.sealos.io"];
        assert_eq!(spoken(groups), &SEALOS);
        assert_eq!(spoken(["app.sealos.io", "app.claw.cloud"]), &CLAW_CLOUD);
        assert_eq!(spoken(["apps", "batch"]), &PLAIN);
    }

    #[test]
    fn where_apps_answer_is_found_or_asked_for_and_never_guessed() {
        let region = "abcdefghijkl.ap-southeast-1.clawcloudrun.com";
        assert_eq!(region_of(region), Some("ap-southeast-1"));
        assert_eq!(
            region_of("us-west-1.run.claw.cloud:6443"),
            Some("us-west-1")
        );
        assert_eq!(region_of("mars-1.run.claw.cloud"), None);
        assert_eq!(region_of("evil.example"), None);
        let by_api = |dialect, host| domain_by_api(dialect, host);
        assert_eq!(
            by_api(&CLAW_CLOUD, "eu-central-1.run.claw.cloud:6443").as_deref(),
            Some("eu-central-1.clawcloudrun.com")
        );
        assert_eq!(by_api(&CLAW_CLOUD, "10.0.0.1:6443"), None);
        assert_eq!(
            by_api(&SEALOS, "usw.sealos.io:6443").as_deref(),
            Some("usw.sealos.io")
        );
        assert_eq!(by_api(&SEALOS, "192.0.2.1:6443"), None);
        assert_eq!(by_api(&PLAIN, "k8s.example.com"), None);
        assert_eq!(regions(&CLAW_CLOUD).len(), REGIONS.len());
        assert!(regions(&SEALOS).is_empty());
        assert_eq!(domain_of(&CLAW_CLOUD, "mars-1"), None);
        assert_eq!(
            console(&CLAW_CLOUD, region).as_deref(),
            Some("https://ap-southeast-1.run.claw.cloud/")
        );
        assert_eq!(
            console(&SEALOS, "abc.usw.sealos.io").as_deref(),
            Some("https://usw.sealos.io/")
        );
        assert_eq!(console(&PLAIN, "abc.example.com"), None);
    }
}
