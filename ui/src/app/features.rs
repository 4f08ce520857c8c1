//! What the instance's deployer can do with remotes; the panel shows nothing of the rest.

use contract::deploy::DeployFeature;
use yew::{Html, Properties, component, hook, html, use_context};

/// What the deployer can do.
#[derive(Clone, Debug, PartialEq)]
pub struct Features(pub Vec<DeployFeature>);

/// Whether the deployer can do that. Where nobody says (a page rendered alone), it can.
#[hook]
pub fn use_feature(feature: DeployFeature) -> bool {
    use_context::<Features>().is_none_or(|features| features.0.contains(&feature))
}

#[derive(PartialEq, Properties)]
pub struct CanProps {
    pub feature: DeployFeature,
    pub children: Html,
}

/// Shows what is in it where the deployer can do that.
#[component]
pub fn Can(props: &CanProps) -> Html {
    match use_feature(props.feature) {
        true => html!(<>{ props.children.clone() }</>),
        false => Html::default(),
    }
}
