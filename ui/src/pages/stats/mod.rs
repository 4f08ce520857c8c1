//! How much was asked, by day, model, key and token.

use yew::{Html, component, html};

use super::PageHead;
use crate::app::use_lang;

/// The page.
#[component]
pub fn Stats() -> Html {
    let lang = use_lang();
    html!(<PageHead title={lang.t("stats.title")} subtitle={lang.t("stats.subtitle")} />)
}
