//! What has to be done so that what is there becomes what should be. Pure.

use std::collections::BTreeSet;

use contract::deploy::{Difference, StepKind, StepView};
use proxy_core::settings::DECLARATIONS;

use crate::provider::MARK;
use crate::provider::{Data, Desired, Observed, ProviderState, Value};
use crate::variables::{masked, seen};

/// What a plan comes from, besides what should be and what is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// What the app was called by the provider when it was made here.
    pub made: Option<&'a str>,
    /// The user takes what is there for their own.
    pub adopted: bool,
    /// The data are in a MySQL that can be asked from here.
    pub checks_database: bool,
    /// There is a key to try a request with.
    pub has_keys: bool,
    /// It is deployed also when nothing differs: the user wants it so.
    pub again: bool,
    /// Its panel cannot be signed in to from here: it is the original program's.
    pub is_original: bool,
    /// Secrets that take the place of others.
    pub replaces: Replaced,
}

/// Which secrets are being replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replaced {
    /// Any.
    pub any: bool,
    /// The password of its panel.
    pub password: bool,
    /// The client token.
    pub token: bool,
}

/// What has to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order; empty when all is as it should be.
    pub steps: Vec<StepView>,
    /// What is there and stays as it is.
    pub stays: Vec<String>,
    /// An app of this name that is somebody else's.
    pub foreign: Option<String>,
}

/// The steps from what is there to what should be. A new secret is made known to the app that
/// runs before it comes with the variables of the next deploy, and the old one goes last, so
/// that one of the two is right at any time. The image's digest is known by then only
/// where the caller has asked the registry; `CheckImage` asks again in any case.
pub fn plan(desired: &Desired, observed: Option<&Observed>, context: &Context<'_>) -> Plan {
    let mut plan = Plan::default();
    let step = |kind, subject: &str, changes| StepView {
        kind,
        subject: subject.to_owned(),
        changes,
    };
    let name = desired.name.as_str();
    let mut first = vec![step(StepKind::CheckImage, &desired.image_tag, Vec::new())];
    if context.checks_database {
        let host = desired.variables.get("MYSQL_HOST").map(seen);
        let host = host.unwrap_or_default();
        first.push(step(StepKind::CheckDatabase, &host, Vec::new()));
    }
    if let Data::InCluster { .. } = desired.data {
        first.push(step(StepKind::CreateDatabase, name, Vec::new()));
    }
    let mut middle = Vec::new();
    // Parts that an attempt left are no app: making it makes the rest.
    match observed.filter(|there| there.state != ProviderState::Partial) {
        None => {
            let changes = variable_changes(desired, None);
            middle.push(step(StepKind::CreateApp, name, changes));
        }
        Some(there)
            if !there.is_ours && !context.adopted && context.made != Some(there.id.as_str()) =>
        {
            plan.foreign = Some(there.name.clone());
            return plan;
        }
        Some(there) => {
            let variables = variable_changes(desired, Some(there));
            let others = other_changes(desired, there);
            let image = image_change(desired, there);
            let again = context.again || context.replaces.any;
            if variables.is_empty() && others.is_empty() && image.is_none() && !again {
                plan.stays = vec![there.name.clone()];
                return plan;
            }
            if context.replaces.password {
                middle.push(step(StepKind::ChangePassword, name, Vec::new()));
            }
            if context.replaces.token {
                middle.push(step(StepKind::CreateToken, name, Vec::new()));
            }
            match variables.is_empty() {
                true => plan.stays.push("variables".to_owned()),
                false => middle.push(step(StepKind::SetVariables, name, variables)),
            }
            match others.is_empty() {
                true => plan.stays.push(there.name.clone()),
                false => middle.push(step(StepKind::ChangeApp, name, others)),
            }
            let image = image.into_iter().collect();
            middle.push(step(StepKind::Deploy, &desired.image_tag, image));
        }
    }
    let last = [
        (StepKind::WaitLive, true),
        (StepKind::WaitHealthy, true),
        (StepKind::SignIn, !context.is_original),
        (StepKind::TryRequest, context.has_keys),
        (StepKind::RevokeOld, context.replaces.any),
    ];
    let last = last.into_iter().filter(|(_, is_needed)| *is_needed);
    let last = last.map(|(kind, _)| step(kind, name, Vec::new()));
    plan.steps = first.into_iter().chain(middle).chain(last).collect();
    plan
}

pub(crate) fn variable_changes(desired: &Desired, observed: Option<&Observed>) -> Vec<Difference> {
    let names: BTreeSet<&String> = desired
        .variables
        .keys()
        .chain(observed.iter().flat_map(|there| there.variables.keys()))
        .collect();
    let change = |name: &String| {
        let there = observed.and_then(|there| there.variables.get(name));
        let wanted = desired.variables.get(name);
        let same = match (there, wanted) {
            (Some(Some(there)), Some(Value::Plain(wanted))) => there.expose() == wanted,
            (Some(Some(there)), Some(Value::Secret(wanted))) => there == wanted,
            // The provider does not tell; it is its own doing.
            (Some(None), Some(Value::FromDatabase(_))) => true,
            (None, None) => true,
            _ => false,
        };
        // What is there may be a secret even where what is wanted is none.
        let shown = |secret: &vault::Secret| match is_public(name) {
            true => secret.expose().clone(),
            false => masked(secret),
        };
        (!same).then(|| Difference {
            name: name.clone(),
            from: there.map(|there| there.as_ref().map_or_else(|| "…".to_owned(), shown)),
            to: wanted.map(seen),
        })
    };
    names.into_iter().filter_map(change).collect()
}

/// Whether a variable of this name never holds a secret.
fn is_public(name: &str) -> bool {
    let declared = DECLARATIONS.iter().find(|one| one.name == name);
    declared.is_some_and(|one| !one.secret) || name == MARK
}

fn other_changes(desired: &Desired, there: &Observed) -> Vec<Difference> {
    let data = |data: Data| match data {
        Data::Elsewhere => String::new(),
        Data::Volume { gib } | Data::InCluster { gib } => format!("{gib} GiB"),
    };
    [
        ("plan", desired.plan.clone(), there.plan.clone()),
        ("region", desired.region.clone(), there.region.clone()),
        ("data", Some(data(desired.data)), Some(data(there.data))),
    ]
    .into_iter()
    .filter(|(_, wanted, is)| wanted.is_some() && wanted != is)
    .map(|(name, to, from)| Difference {
        name: name.to_owned(),
        from: from.filter(|from| !from.is_empty()),
        to: to.filter(|to| !to.is_empty()),
    })
    .collect()
}

/// Images differ by their digest where both have one, else by their names.
pub(crate) fn image_change(desired: &Desired, there: &Observed) -> Option<Difference> {
    let is = there.image.as_deref()?;
    let digest = |image: &str| image.rsplit_once('@').map(|(_, digest)| digest.to_owned());
    let same = match (digest(is), digest(&desired.image)) {
        (Some(is), Some(wanted)) => is == wanted,
        // By tag only: which content that was is not known.
        _ => is == desired.image || is == desired.image_tag,
    };
    (!same).then(|| Difference {
        name: "image".to_owned(),
        from: Some(is.to_owned()),
        to: Some(desired.image.clone()),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use vault::Secret;

    use super::*;

    const IMAGE: &str = "ghcr.io/o/n@sha256:1111";

    fn desired(variables: BTreeMap<String, Value>, plan: Option<String>) -> Desired {
        Desired {
            name: "gb".to_owned(),
            workspace: None,
            region: Some("singapore".to_owned()),
            plan,
            image: IMAGE.to_owned(),
            image_tag: "ghcr.io/o/n:latest".to_owned(),
            variables,
            data: Data::Elsewhere,
            over: false,
        }
    }

    fn there(variables: BTreeMap<String, Option<Secret>>, image: &str) -> Observed {
        Observed {
            id: "srv-1".to_owned(),
            name: "gb".to_owned(),
            is_ours: true,
            url: None,
            console_url: None,
            image: Some(image.to_owned()),
            variables,
            region: Some("singapore".to_owned()),
            plan: Some("free".to_owned()),
            data: Data::Elsewhere,
            state: ProviderState::Running,
            deploy: None,
        }
    }

    /// What is there when everything of a plan has been done.
    fn done(desired: &Desired) -> Observed {
        let variables = desired.variables.iter().map(|(name, value)| {
            let value = match value {
                Value::Plain(text) => Some(Secret::from(text.as_str())),
                Value::Secret(secret) => Some(secret.clone()),
                Value::FromDatabase(_) => None,
            };
            (name.clone(), value)
        });
        let mut done = there(variables.collect(), &desired.image);
        done.plan.clone_from(&desired.plan);
        done
    }

    fn kinds(plan: &Plan) -> Vec<StepKind> {
        plan.steps.iter().map(|step| step.kind).collect()
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            "[a-z]{0,3}".prop_map(Value::Plain),
            "SECRET[a-z]{14}".prop_map(|text| Value::Secret(Secret::new(text))),
        ]
    }

    fn values() -> impl Strategy<Value = BTreeMap<String, Value>> {
        proptest::collection::btree_map("[A-C]", value(), 0..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_was_done_need_not_be_done_again(variables in values()) {
            let desired = desired(variables, Some("free".to_owned()));
            let again = plan(&desired, Some(&done(&desired)), &Context::default());
            prop_assert_eq!(again.steps, []);
        }

        #[test]
        fn it_names_exactly_what_differs_and_no_secret(was in values(), wanted in values()) {
            let before = done(&desired(was.clone(), Some("free".to_owned())));
            let desired = desired(wanted.clone(), Some("free".to_owned()));
            let made = plan(&desired, Some(&before), &Context::default());
            let text = |value: Option<&Value>| value.map(|value| match value {
                Value::Plain(text) => text.clone(),
                Value::Secret(secret) => secret.expose().clone(),
                Value::FromDatabase(_) => String::new(),
            });
            let differs = |name: &&str| text(was.get(*name)) != text(wanted.get(*name));
            let expected: Vec<&str> = ["A", "B", "C"].iter().filter(|name| differs(name)).copied().collect();
            let changes = made.steps.iter().find(|step| step.kind == StepKind::SetVariables);
            let changed: Vec<&str> = changes.iter()
                .flat_map(|step| step.changes.iter().map(|change| change.name.as_str()))
                .collect();
            prop_assert_eq!(changed, expected);
            let shown = format!("{made:?}");
            for value in was.values().chain(wanted.values()) {
                if let Value::Secret(secret) = value {
                    prop_assert!(!shown.contains(secret.expose().as_str()), "{}", shown);
                }
            }
        }
    }

    #[test]
    fn a_new_app_is_checked_made_awaited_and_tried() {
        use StepKind as K;
        let context = Context {
            checks_database: true,
            has_keys: true,
            ..Context::default()
        };
        let desired = desired(BTreeMap::new(), None);
        let made = plan(&desired, None, &context);
        let expected = [
            K::CheckImage,
            K::CheckDatabase,
            K::CreateApp,
            K::WaitLive,
            K::WaitHealthy,
            K::SignIn,
            K::TryRequest,
        ];
        assert_eq!(kinds(&made), expected);
    }

    #[test]
    fn another_image_or_plan_is_deployed_and_variables_stay() {
        use StepKind as K;
        let desired = desired(BTreeMap::new(), Some("starter".to_owned()));
        let before = there(BTreeMap::new(), "ghcr.io/o/n@sha256:0000");
        let made = plan(&desired, Some(&before), &Context::default());
        let expected = [
            K::CheckImage,
            K::ChangeApp,
            K::Deploy,
            K::WaitLive,
            K::WaitHealthy,
            K::SignIn,
        ];
        assert_eq!(kinds(&made), expected);
        assert_eq!(made.stays, ["variables"]);
        assert_eq!(made.steps[1].changes[0].name, "plan");
        assert_eq!(made.steps[2].changes[0].to.as_deref(), Some(IMAGE));
    }

    #[test]
    fn a_new_secret_is_known_there_before_it_is_deployed_and_the_old_one_goes_last() {
        use StepKind as K;
        let desired = desired(BTreeMap::new(), None);
        let before = there(BTreeMap::new(), IMAGE);
        let context = Context {
            has_keys: true,
            replaces: Replaced {
                any: true,
                password: true,
                token: true,
            },
            ..Context::default()
        };
        let made = plan(&desired, Some(&before), &context);
        let expected = [
            K::CheckImage,
            K::ChangePassword,
            K::CreateToken,
            K::Deploy,
            K::WaitLive,
            K::WaitHealthy,
            K::SignIn,
            K::TryRequest,
            K::RevokeOld,
        ];
        assert_eq!(kinds(&made), expected);
        // Where nothing is, there is nobody to tell first.
        let anew = plan(&desired, None, &context);
        assert!(!kinds(&anew).contains(&K::CreateToken), "{anew:?}");
        assert_eq!(kinds(&anew).last(), Some(&K::RevokeOld));
    }

    #[test]
    fn nobody_signs_in_to_the_original() {
        let context = Context {
            is_original: true,
            ..Context::default()
        };
        let made = plan(&desired(BTreeMap::new(), None), None, &context);
        assert!(!kinds(&made).contains(&StepKind::SignIn), "{made:?}");
        assert_eq!(kinds(&made).last(), Some(&StepKind::WaitHealthy));
    }

    #[test]
    fn what_is_no_secret_is_shown_as_it_was_and_will_be() {
        let name = "MAX_RETRIES".to_owned();
        let plain = |text: &str| [(name.clone(), Value::Plain(text.to_owned()))].into();
        let before = done(&desired(plain("3"), Some("free".to_owned())));
        let desired = desired(plain("5"), Some("free".to_owned()));
        let made = plan(&desired, Some(&before), &Context::default());
        let change = &made.steps[1].changes[0];
        assert_eq!(change.from.as_deref(), Some("3"));
        assert_eq!(change.to.as_deref(), Some("5"));
    }

    #[test]
    fn what_an_attempt_left_is_made_whole_and_not_changed() {
        let mut parts = there(BTreeMap::new(), IMAGE);
        parts.state = ProviderState::Partial;
        let made = plan(
            &desired(BTreeMap::new(), None),
            Some(&parts),
            &Context::default(),
        );
        assert!(kinds(&made).contains(&StepKind::CreateApp), "{made:?}");
    }

    #[test]
    fn somebody_elses_app_is_not_touched_unless_the_user_says_so() {
        let desired = desired(BTreeMap::new(), None);
        let mut foreign = there(BTreeMap::new(), "nginx:latest");
        foreign.is_ours = false;
        let made = plan(&desired, Some(&foreign), &Context::default());
        assert_eq!((made.foreign.as_deref(), made.steps.len()), (Some("gb"), 0));
        let adopted = Context {
            adopted: true,
            ..Context::default()
        };
        assert!(!plan(&desired, Some(&foreign), &adopted).steps.is_empty());
        let made_here = Context {
            made: Some("srv-1"),
            ..Context::default()
        };
        assert!(plan(&desired, Some(&foreign), &made_here).foreign.is_none());
    }
}
