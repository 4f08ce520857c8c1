use yew::{AttrValue, Html, Properties, component, html};

#[derive(PartialEq, Properties)]
pub struct FactsProps {
    /// What each is called, and what it is.
    pub facts: Vec<(AttrValue, Html)>,
}

/// Names and values under one another; beside one another where there is room.
#[component]
pub fn Facts(props: &FactsProps) -> Html {
    html!(
        <dl class="pf-v6-c-description-list pf-m-horizontal gb-facts">
            { for props.facts.iter().map(|(name, value)| html!(
                <div class="pf-v6-c-description-list__group" key={name.to_string()}>
                    <dt class="pf-v6-c-description-list__term">
                        <span class="pf-v6-c-description-list__text">{ name }</span>
                    </dt>
                    <dd class="pf-v6-c-description-list__description">
                        <div class="pf-v6-c-description-list__text">{ value.clone() }</div>
                    </dd>
                </div>
            )) }
        </dl>
    )
}
