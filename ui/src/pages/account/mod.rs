//! Who may use the panel.

use yew::{Html, component, html};

use super::PageHead;
use crate::app::use_lang;

/// The page.
#[component]
pub fn Account() -> Html {
    let lang = use_lang();
    html!(<PageHead title={lang.t("account.title")} subtitle={lang.t("account.subtitle")} />)
}
