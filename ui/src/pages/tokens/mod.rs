//! Client tokens: who may ask, within which limits.

use yew::{Html, component, html};

use super::PageHead;
use crate::app::use_lang;

/// The page.
#[component]
pub fn Tokens() -> Html {
    let lang = use_lang();
    html!(<PageHead title={lang.t("tokens.title")} subtitle={lang.t("tokens.subtitle")} />)
}
