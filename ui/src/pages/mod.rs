//! The pages, a folder each.

pub mod account;
pub mod connect;
pub mod dashboard;
pub mod data;
pub mod deploy;
pub mod doctor;
pub mod instances;
pub mod keys;
pub mod requests;
pub mod settings;
pub mod sign_in;
pub mod stats;
pub mod tokens;

use yew::{AttrValue, Html, Properties, component, html};

#[derive(PartialEq, Properties)]
pub struct PageHeadProps {
    /// What the page is called.
    pub title: AttrValue,
    /// What it is for, in a sentence.
    pub subtitle: AttrValue,
    /// What stands at the far end of the title.
    #[prop_or_default]
    pub children: Html,
}

/// The title of a page, and what the page is for.
#[component]
pub fn PageHead(props: &PageHeadProps) -> Html {
    html!(
        <section class="pf-v6-c-page__main-section gb-page-head">
            <div class="gb-row">
                <h1 class="pf-v6-c-title pf-m-2xl">{ &props.title }</h1>
                if props.children != Html::default() {
                    <div class="gb-push gb-row">{ props.children.clone() }</div>
                }
            </div>
            <p class="gb-muted">{ &props.subtitle }</p>
        </section>
    )
}
