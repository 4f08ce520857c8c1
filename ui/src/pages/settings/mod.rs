//! How this instance behaves.

use yew::{Html, component, html};

use super::PageHead;
use crate::app::use_lang;

/// The page.
#[component]
pub fn Settings() -> Html {
    let lang = use_lang();
    html!(<PageHead title={lang.t("settings.title")} subtitle={lang.t("settings.subtitle")} />)
}
