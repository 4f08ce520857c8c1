//! Who may use the panel: password, second factor, sessions.
//!
//! None of it concerns the desktop window, which has no session: whoever uses the computer
//! uses the app.

mod password;
mod second_factor;
mod sessions;

#[cfg(test)]
mod tests;

use contract::Millis;
use yew::{Callback, Html, Properties, component, html};

use super::PageHead;
use crate::app::{use_host, use_lang, use_now};
use crate::controls::{Card, ErrorNote, Skeleton};
use crate::load::{LoadResult, use_load};

/// The page of the account.
#[component]
pub fn Account() -> Html {
    let host = use_host();
    let lang = use_lang();
    html!(
        <>
            <PageHead title={lang.t("account.title")} subtitle={lang.t("account.subtitle")} />
            <section class="pf-v6-c-page__main-section gb-stack">
                if host.in_own_window() {
                    <Card id="account-window" title={lang.t("account.window_title")}>
                        <p class="gb-muted">{ lang.t("account.window_help") }</p>
                    </Card>
                } else {
                    <InBrowser />
                }
            </section>
        </>
    )
}

#[component]
fn InBrowser() -> Html {
    let host = use_host();
    let load = use_load::<contract::admin::Account>(host, "/api/account", None);
    let now = use_now();
    html!(<AccountView account={load.result.clone()} {now} changed={load.reload.clone()} />)
}

#[derive(PartialEq, Properties)]
pub struct AccountViewProps {
    pub account: LoadResult<contract::admin::Account>,
    /// The instance's clock.
    pub now: Millis,
    /// Called when something was changed.
    pub changed: Callback<()>,
}

/// The cards as a function of what is known.
#[component]
pub fn AccountView(props: &AccountViewProps) -> Html {
    html!(
        <>
            if let Some(error) = props.account.error.clone() {
                <ErrorNote {error} />
            }
            if let Some(account) = props.account.data.clone() {
                <password::PasswordCard
                    has_password={account.has_password}
                    has_auth_token={account.has_auth_token}
                    changed={props.changed.clone()}
                />
                <second_factor::SecondFactorCard
                    on={account.second_factor}
                    codes_left={account.recovery_codes_left}
                    changed={props.changed.clone()}
                />
                <sessions::SessionsCard
                    sessions={account.sessions.clone()}
                    now={props.now}
                    changed={props.changed.clone()}
                />
            } else if props.account.error.is_none() {
                { for (0..3).map(|i| html!(
                    <div key={i} class="pf-v6-c-card"><div class="pf-v6-c-card__body"><Skeleton lines={4} /></div></div>
                )) }
            }
        </>
    )
}
