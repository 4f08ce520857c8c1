//! The log of requests, and of those that failed.

use yew::{Html, component, html};

use super::PageHead;
use crate::app::use_lang;

/// The page.
#[component]
pub fn Requests() -> Html {
    let lang = use_lang();
    html!(<PageHead title={lang.t("requests.title")} subtitle={lang.t("requests.subtitle")} />)
}
