//! Renders components natively, without a browser: views are functions of their
//! properties, and effects do not run here.

#![cfg(not(target_arch = "wasm32"))]

use yew::{
    BaseComponent, Callback, ContextProvider, Html, LocalServerRenderer, Properties, component,
    html,
};

use crate::app::{Prefs, Theme};
use crate::text::Lang;

/// The HTML of a component in English.
pub async fn render<C>(props: C::Properties) -> String
where
    C: BaseComponent,
{
    in_language::<C>(Lang::En, props).await
}

/// The HTML of a component in Chinese.
pub async fn in_chinese<C>(props: C::Properties) -> String
where
    C: BaseComponent,
{
    in_language::<C>(Lang::Zh, props).await
}

#[derive(Clone, PartialEq, Properties)]
struct FrameProps {
    lang: Lang,
    child: Html,
}

#[component]
fn Frame(props: &FrameProps) -> Html {
    let prefs = Prefs {
        lang: props.lang,
        theme: Theme::System,
        set_lang: Callback::noop(),
        set_theme: Callback::noop(),
    };
    html!(<ContextProvider<Prefs> context={prefs}>{ props.child.clone() }</ContextProvider<Prefs>>)
}

async fn in_language<C: BaseComponent>(lang: Lang, props: C::Properties) -> String {
    let child = yew::virtual_dom::VComp::new::<C>(std::rc::Rc::new(props), None).into();
    LocalServerRenderer::<Frame>::with_props(FrameProps { lang, child })
        .hydratable(false)
        .render()
        .await
}
