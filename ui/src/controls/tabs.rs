use yew::{AttrValue, Html, Properties, classes, component, html};

/// One of the tabs of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Tab {
    /// Where it leads.
    pub href: AttrValue,
    /// The `data-testid`.
    pub id: AttrValue,
    pub text: AttrValue,
    /// It is the one that is shown.
    pub here: bool,
}

#[derive(PartialEq, Properties)]
pub struct TabsProps {
    /// What they are the tabs of, for screen readers.
    pub label: AttrValue,
    pub tabs: Vec<Tab>,
}

/// The tabs of a page. They are links, so each can be opened, sent and gone back from.
#[component]
pub fn Tabs(props: &TabsProps) -> Html {
    html!(
        <section class="pf-v6-c-page__main-section gb-tabs">
            <nav class="pf-v6-c-tabs" aria-label={&props.label}>
                <ul class="pf-v6-c-tabs__list" role="list">
                    { for props.tabs.iter().map(|tab| html!(
                        <li class={classes!("pf-v6-c-tabs__item", tab.here.then_some("pf-m-current"))} key={tab.id.to_string()}>
                            <a
                                class="pf-v6-c-tabs__link"
                                href={&tab.href}
                                data-testid={&tab.id}
                                aria-current={tab.here.then_some("page")}
                            >
                                <span class="pf-v6-c-tabs__item-text">{ &tab.text }</span>
                            </a>
                        </li>
                    )) }
                </ul>
            </nav>
        </section>
    )
}
