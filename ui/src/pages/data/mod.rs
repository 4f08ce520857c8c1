//! Where everything is kept, and its backups.

use yew::{Html, component, html};

use super::PageHead;
use crate::app::use_lang;

/// The page.
#[component]
pub fn Data() -> Html {
    let lang = use_lang();
    html!(<PageHead title={lang.t("data.title")} subtitle={lang.t("data.subtitle")} />)
}
