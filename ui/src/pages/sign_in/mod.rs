//! What a browser sees before the panel: set-up and login.

mod login;
mod setup;

use yew::{AttrValue, Html, Properties, component, html};

use crate::app::Switches;

pub use login::Login;
pub use setup::Setup;

#[derive(PartialEq, Properties)]
pub struct FrameProps {
    /// What is asked of the user here.
    pub title: AttrValue,
    /// Why, in a sentence.
    #[prop_or_default]
    pub subtitle: AttrValue,
    #[prop_or_default]
    pub children: Html,
}

/// One card in the middle of the page, with logo and switches.
#[component]
pub fn Frame(props: &FrameProps) -> Html {
    html!(
        <div class="gb-frame">
            <div class="gb-frame__switches"><Switches /></div>
            <main class="gb-frame__main">
                <div class="gb-brand gb-frame__brand">
                    <img src="logo.svg" alt="" width="44" height="44" />
                    <span class="gb-brand__name">{ "Gemini Balance" }</span>
                </div>
                <div class="pf-v6-c-card gb-frame__card">
                    <div class="pf-v6-c-card__body">
                        <h1 class="pf-v6-c-title pf-m-xl">{ &props.title }</h1>
                        if !props.subtitle.is_empty() {
                            <p class="gb-frame__subtitle">{ &props.subtitle }</p>
                        }
                        { props.children.clone() }
                    </div>
                </div>
            </main>
        </div>
    )
}
