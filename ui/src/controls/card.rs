use yew::{AttrValue, Html, Properties, component, html};

#[derive(PartialEq, Properties)]
pub struct CardProps {
    pub title: AttrValue,
    /// The `data-testid`.
    #[prop_or_default]
    pub id: Option<AttrValue>,
    /// What stands at the far end of the title.
    #[prop_or_default]
    pub corner: Html,
    #[prop_or_default]
    pub children: Html,
}

/// One part of a page, with its title.
#[component]
pub fn Card(props: &CardProps) -> Html {
    html!(
        <section class="pf-v6-c-card" data-testid={&props.id}>
            <div class="pf-v6-c-card__title gb-row">
                <h2 class="pf-v6-c-card__title-text">{ &props.title }</h2>
                if props.corner != Html::default() {
                    <div class="gb-push gb-row">{ props.corner.clone() }</div>
                }
            </div>
            <div class="pf-v6-c-card__body gb-stack">{ props.children.clone() }</div>
        </section>
    )
}
