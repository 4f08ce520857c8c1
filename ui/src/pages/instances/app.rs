use std::rc::Rc;

use contract::deploy::{
    AccountView, Choice as Offered, DeployFeature, RemoteAction, RemoteView, RemoteWish,
};
use yew::{AttrValue, Callback, Html, Properties, component, html, use_state_eq};

use super::actions::send;
use super::secrets::SecretsCard;
use crate::app::{Can, use_feature, use_host, use_lang, use_toasts};
use crate::controls::{Act, Card, Choice, Choices, Confirm, ErrorNote, Kind, TextField};
use crate::load::use_load;
use crate::pages::deploy::PlanCard;
use crate::send::use_send;

#[derive(PartialEq, Properties)]
pub struct AppPartProps {
    pub remote: RemoteView,
    /// Called when something was done.
    pub changed: Callback<()>,
}

/// What a remote runs on and from, its secrets, and its end.
#[component]
pub fn AppPart(props: &AppPartProps) -> Html {
    let lang = use_lang();
    let can_move = use_feature(DeployFeature::Move);
    let remote = &props.remote;
    html!(
        <>
            if let Some(wish) = remote.wish.clone().filter(|wish| wish.account.is_some()) {
                <WishCard id={remote.id} {wish} changed={props.changed.clone()} />
            }
            <Can feature={DeployFeature::Rotate}>
                <SecretsCard remote={remote.clone()} changed={props.changed.clone()} />
            </Can>
            if remote.wish.is_some() && can_move {
                <Card id="move-card" title={lang.t("instances.move.title")}>
                    <p>{ lang.t("instances.move.help") }</p>
                    <div>
                        <a class="pf-v6-c-button pf-m-secondary" href={format!("#/deploy?from={}", remote.id)} data-testid="remote-move">
                            <span class="pf-v6-c-button__text">{ lang.t("instances.move.open") }</span>
                        </a>
                    </div>
                </Card>
            }
            <EndCard remote={remote.clone()} />
        </>
    )
}

#[derive(PartialEq, Properties)]
struct WishCardProps {
    id: i64,
    wish: RemoteWish,
    changed: Callback<()>,
}

/// Plan, region, image and account. A change is saved, shown as a plan, and then applied.
#[component]
fn WishCard(props: &WishCardProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let sending = use_send();
    let accounts = use_load::<Vec<AccountView>>(host, "/api/deploy/accounts", None);
    let wish = use_state_eq(|| props.wish.clone());
    // The plan of what was saved is shown.
    let saved = use_state_eq(|| 0_u32);
    let save = {
        let (now, saved, sending) = ((*wish).clone(), saved.clone(), sending.clone());
        let (id, changed) = (props.id, props.changed.clone());
        Callback::from(move |()| {
            let (now, changed) = (now.clone(), changed.clone());
            let next = *saved + 1;
            let saved = saved.setter();
            let path = format!("/api/deploy/remotes/{id}/wish");
            sending.run(
                async move { host.put(&path, &now).await },
                move |_: RemoteView| {
                    saved.set(next);
                    changed.emit(());
                },
            );
        })
    };
    let set = {
        let wish = wish.clone();
        Callback::from(move |now: RemoteWish| wish.set(now))
    };
    // From here on the run is shown, at the top of the page.
    let started = {
        let (saved, changed) = (saved.setter(), props.changed.clone());
        Callback::from(move |()| {
            saved.set(0);
            changed.emit(());
        })
    };
    html!(
        <>
            <Card id="app-card" title={lang.t("instances.app.title")}>
                <p class="gb-muted">{ lang.t("instances.app.help") }</p>
                if let Some(error) = accounts.result.error.clone() {
                    <ErrorNote {error} />
                }
                <WishFields
                    wish={(*wish).clone()}
                    accounts={accounts.result.data.clone().unwrap_or_default()}
                    {set}
                />
                if let Some(error) = sending.error.clone() {
                    <ErrorNote {error} />
                }
                <div>
                    <Act id="app-save" kind={Kind::Primary} label={lang.t("instances.app.save")} busy={sending.busy} onclick={save} />
                </div>
            </Card>
            if *saved > 0 {
                <PlanCard key={*saved} id={props.id} {started} />
            }
        </>
    )
}

#[derive(PartialEq, Properties)]
pub struct WishFieldsProps {
    pub wish: RemoteWish,
    pub accounts: Rc<Vec<AccountView>>,
    pub set: Callback<RemoteWish>,
}

/// What an account lets one choose, and the image.
#[component]
pub fn WishFields(props: &WishFieldsProps) -> Html {
    let lang = use_lang();
    let wish = &props.wish;
    let account = props
        .accounts
        .iter()
        .find(|account| Some(account.id) == wish.account);
    let put = |change: fn(&mut RemoteWish, String)| {
        let wish = wish.clone();
        props.set.reform(move |text: String| {
            let mut now = wish.clone();
            change(&mut now, text);
            now
        })
    };
    let facts = account.map(|account| &account.facts);
    let pick = |id: &'static str,
                label: AttrValue,
                all: Option<&Vec<Offered>>,
                now: &Option<String>,
                onchange| {
        match all {
            Some(all) if !all.is_empty() => html!(
                <Choices {id} {label} choices={choices(all, now)} chosen={now.clone().unwrap_or_default()} {onchange} />
            ),
            _ => Html::default(),
        }
    };
    // Another account of the same provider: a new key, say.
    let same: Vec<Choice> = props
        .accounts
        .iter()
        .filter(|other| account.is_none_or(|account| account.provider == other.provider))
        .map(|other| Choice {
            value: other.id.to_string().into(),
            text: format!("{} (#{})", other.facts.name, other.id).into(),
        })
        .collect();
    html!(
        <div class="gb-fields">
            if same.len() > 1 {
                <Choices
                    id="app-account" label={lang.t("deploy.account.title")}
                    choices={same} chosen={wish.account.map(|id| id.to_string()).unwrap_or_default()}
                    onchange={put(|wish, id| wish.account = id.parse().ok())}
                />
            }
            { pick("app-plan", lang.t("deploy.account.plan"), facts.map(|f| &f.plans), &wish.plan, put(|wish, id| wish.plan = Some(id))) }
            { pick("app-region", lang.t("deploy.account.region"), facts.map(|f| &f.regions), &wish.region, put(|wish, id| wish.region = Some(id))) }
            <TextField
                id="app-image" label={lang.t("instances.fact.image")} hint={lang.t("instances.app.image_hint")}
                value={wish.image.clone().unwrap_or_default()}
                oninput={put(|wish, text| wish.image = Some(text.trim().to_owned()).filter(|text| !text.is_empty()))}
            />
        </div>
    )
}

/// What may be chosen; what is in force is among it, whether or not it is offered now.
pub fn choices(all: &[Offered], now: &Option<String>) -> Vec<Choice> {
    let mut choices: Vec<Choice> = all
        .iter()
        .map(|choice| Choice {
            value: choice.id.clone().into(),
            text: choice.name.clone().into(),
        })
        .collect();
    let now = now.clone().unwrap_or_default();
    if !choices.iter().any(|choice| *choice.value == *now) {
        let text = if now.is_empty() {
            "–".to_owned()
        } else {
            now.clone()
        };
        choices.insert(
            0,
            Choice {
                value: now.into(),
                text: text.into(),
            },
        );
    }
    choices
}

#[derive(PartialEq, Properties)]
pub struct EndCardProps {
    pub remote: RemoteView,
}

/// Forgets or deletes a remote.
#[component]
pub fn EndCard(props: &EndCardProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let sending = use_send();
    let navigator = yew_router::hooks::use_navigator();
    // Whether it is to be deleted, rather than forgotten.
    let asked = use_state_eq(|| None::<bool>);
    let (id, name) = (props.remote.id, AttrValue::from(props.remote.name.clone()));
    let has_provider = props.remote.provider.is_some();
    let ask = {
        let asked = asked.setter();
        Callback::from(move |what: Option<bool>| asked.set(what))
    };
    let confirm = {
        let (asked, name, sending) = (*asked, name.clone(), sending.clone());
        Callback::from(move |()| {
            let action = match asked {
                Some(true) => RemoteAction::Delete {
                    name: name.to_string(),
                },
                Some(false) => RemoteAction::Forget,
                None => return,
            };
            let deletes = asked == Some(true);
            let (toasts, name, navigator) = (toasts.clone(), name.clone(), navigator.clone());
            send(host, &sending, id, action, move |_| {
                let text = if deletes {
                    "instances.end.deleted"
                } else {
                    "instances.end.forgotten"
                };
                toasts.success(lang.f(text, &[("name", &name)]));
                if let Some(navigator) = navigator {
                    navigator.push(&crate::app::Route::Instances);
                }
            });
        })
    };
    let deletes = *asked == Some(true);
    html!(
        <Card id="end-card" title={lang.t("instances.end.title")}>
            <div class="gb-format">
                <div class="gb-muted">{ lang.t("instances.end.forget_help") }</div>
                <div><Act id="remote-forget" label={lang.t("instances.end.forget")} onclick={ask.reform(|()| Some(false))} /></div>
            </div>
            if has_provider {
                <div class="gb-format">
                    <div class="gb-muted">{ lang.t("instances.end.delete_help") }</div>
                    <div><Act id="remote-delete" kind={Kind::Danger} label={lang.t("instances.end.delete")} onclick={ask.reform(|()| Some(true))} /></div>
                </div>
            }
            if asked.is_some() {
                <Confirm
                    id="end"
                    title={lang.f(if deletes { "instances.end.delete_title" } else { "instances.end.forget_title" }, &[("name", &name)])}
                    label={lang.t(if deletes { "instances.end.delete" } else { "instances.end.forget" })}
                    danger={deletes}
                    typed={deletes.then(|| name.clone())}
                    busy={sending.busy}
                    error={sending.error.clone()}
                    onclose={ask.reform(|()| None)}
                    {confirm}
                >
                    <p>{ lang.t(if deletes { "instances.end.delete_help" } else { "instances.end.forget_help" }) }</p>
                </Confirm>
            }
        </Card>
    )
}
