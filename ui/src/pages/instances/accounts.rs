use std::rc::Rc;

use contract::Millis;
use contract::deploy::{AccountView, ProviderKind};
use serde_json::json;
use yew::{Callback, Html, Properties, component, html, use_state_eq};

use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{Act, Card, Confirm, Dialog};
use crate::host::{Method, zone_here};
use crate::pages::deploy::NewAccount;
use crate::send::use_send;
use crate::text::ago;

#[derive(PartialEq, Properties)]
pub struct AccountsCardProps {
    pub accounts: Rc<Vec<AccountView>>,
    pub now: Millis,
    /// Called when one was checked or removed.
    pub changed: Callback<()>,
}

/// The accounts at cloud providers.
#[component]
pub fn AccountsCard(props: &AccountsCardProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let toasts_added = toasts.clone();
    let sending = use_send();
    let asked = use_state_eq(|| None::<AccountView>);
    let ask = {
        let asked = asked.setter();
        Callback::from(move |account: Option<AccountView>| asked.set(account))
    };
    // A new key for the provider of this account.
    let renewing = use_state_eq(|| None::<ProviderKind>);
    let renew = {
        let renewing = renewing.setter();
        Callback::from(move |provider: Option<ProviderKind>| renewing.set(provider))
    };
    let onadded = {
        let (renew, changed) = (renew.clone(), props.changed.clone());
        Callback::from(move |_: AccountView| {
            toasts_added.success(lang.t("instances.accounts.added"));
            renew.emit(None);
            changed.emit(());
        })
    };
    let check = {
        let (sending, changed, toasts) = (sending.clone(), props.changed.clone(), toasts.clone());
        Callback::from(move |id: i64| {
            let path = format!("/api/deploy/accounts/{id}/check");
            let (changed, toasts) = (changed.clone(), toasts.clone());
            sending.run(
                async move { host.post(&path, &json!({})).await },
                move |account: AccountView| {
                    match &account.problem {
                        Some(error) => toasts.error(lang, error),
                        None => toasts.success(lang.t("instances.accounts.works")),
                    }
                    changed.emit(());
                },
            );
        })
    };
    let remove = {
        let (sending, changed, ask) = (sending.clone(), props.changed.clone(), ask.clone());
        let asked = (*asked).clone();
        Callback::from(move |()| {
            let Some(account) = asked.clone() else { return };
            let path = format!("/api/deploy/accounts/{}", account.id);
            let (changed, ask) = (changed.clone(), ask.clone());
            sending.run(
                async move { host.admin::<()>(Method::Delete, &path, None).await },
                move |()| {
                    ask.emit(None);
                    changed.emit(());
                },
            );
        })
    };
    html!(
        <Card
            id="accounts-card"
            title={lang.t("instances.accounts.title")}
        >
            <p class="gb-muted">{ lang.t("instances.accounts.help") }</p>
            <ul class="gb-entries">
                { for props.accounts.iter().map(|account| {
                    let (id, gone, provider) = (account.id, account.clone(), account.provider);
                    html!(
                        <li class="gb-entries__one" key={id} data-testid={format!("account-{id}")}>
                            <div class="gb-row">
                                <strong>{ lang.of("provider", &account.provider) }</strong>
                                <span class="gb-wrap-anywhere">{ &account.facts.name }</span>
                                <span class="gb-small gb-muted">{ lang.f("instances.accounts.checked", &[("ago", &ago(lang, props.now, account.checked_at))]) }</span>
                                if let Some(at) = account.facts.expires_at {
                                    <span class="gb-small gb-muted">{ lang.f("deploy.account.expires", &[("date", &zone_here().date(at))]) }</span>
                                }
                                <div class="gb-push gb-row">
                                    <Act id={format!("account-check-{id}")} small=true label={lang.t("instances.accounts.check")} busy={sending.busy} onclick={check.reform(move |()| id)} />
                                    <Act id={format!("account-renew-{id}")} small=true label={lang.t("instances.accounts.renew")} onclick={renew.reform(move |()| Some(provider))} />
                                    <Act id={format!("account-remove-{id}")} small=true label={lang.t("instances.accounts.remove")} onclick={ask.reform(move |()| Some(gone.clone()))} />
                                </div>
                            </div>
                            if let Some(error) = &account.problem {
                                <div class="gb-bad">{ lang.error_title(error.code) }{ " " }{ lang.error_hint(error) }</div>
                                <div class="gb-detail">{ &error.message }</div>
                            }
                        </li>
                    )
                }) }
            </ul>
            if let Some(provider) = *renewing {
                <Dialog
                    id="account-renew"
                    title={lang.t("instances.accounts.renew_title")}
                    wide=true
                    onclose={renew.reform(|()| None)}
                    actions={html!(<Act id="account-renew-cancel" label={lang.t("common.cancel")} onclick={renew.reform(|()| None)} />)}
                >
                    <p>{ lang.t("instances.accounts.renew_help") }</p>
                    <NewAccount {provider} {onadded} />
                </Dialog>
            }
            if let Some(account) = (*asked).clone() {
                <Confirm
                    id="account-remove"
                    title={lang.f("instances.accounts.remove_title", &[("name", &account.facts.name)])}
                    label={lang.t("instances.accounts.remove")}
                    danger=true
                    busy={sending.busy}
                    error={sending.error.clone()}
                    onclose={ask.reform(|()| None)}
                    confirm={remove}
                >
                    <p>{ lang.t("instances.accounts.remove_help") }</p>
                </Confirm>
            }
        </Card>
    )
}
