use std::rc::Rc;

use contract::ApiError;
use contract::deploy::{AccountNew, AccountView, ProviderKind};
use contract::links::Page;
use yew::{
    AttrValue, Callback, Html, Properties, SubmitEvent, component, html, use_effect_with,
    use_state_eq,
};

use super::draft::{Change, Draft, change, name_is_good};
use super::place::Door;
use crate::app::{use_host, use_lang};
use crate::controls::{
    Act, Card, Choice, Choices, ErrorNote, FileArea, Kind, Notice, Out, Picks, Place, TextField,
    Tone,
};
use crate::host::zone_here;
use crate::load::use_load;
use crate::pages::instances::{Quotas, choices};
use crate::send::use_send;
use crate::text::{Lang, wire_name};

#[derive(PartialEq, Properties)]
pub struct AccountStepProps {
    pub door: Door,
    pub draft: Draft,
    pub edit: Callback<Change>,
    /// The instance can use an account there.
    pub automatic: bool,
    pub by_hand: bool,
    pub onby_hand: Callback<bool>,
}

/// With which account, or by hand without one.
#[component]
pub fn AccountStep(props: &AccountStepProps) -> Html {
    let host = use_host();
    let accounts = use_load::<Vec<AccountView>>(host, "/api/deploy/accounts", None);
    let provider = props.door.provider();
    let mine: Vec<AccountView> = accounts
        .result
        .data
        .iter()
        .flat_map(|all| all.iter())
        .filter(|account| Some(account.provider) == provider)
        .cloned()
        .collect();
    // A kept draft knows only the number; and the only account there is needs no choosing.
    use_effect_with((mine.clone(), props.draft.account_id, provider), {
        let edit = props.edit.clone();
        let known = props.draft.account.as_ref().map(|account| account.id);
        let elsewhere = props
            .draft
            .account
            .as_ref()
            .is_some_and(|account| Some(account.provider) != provider);
        move |(mine, id, _): &(Vec<AccountView>, Option<i64>, _)| {
            if elsewhere {
                edit.emit(change(Draft::leave));
                return;
            }
            let wanted = match id {
                Some(id) => mine.iter().find(|account| account.id == *id),
                None if mine.len() == 1 => mine.first(),
                None => None,
            };
            if let Some(account) = wanted.filter(|account| Some(account.id) != known).cloned() {
                edit.emit(change(move |draft| draft.take(account)));
            }
        }
    });
    html!(
        <AccountStepView
            door={props.door}
            draft={props.draft.clone()}
            edit={props.edit.clone()}
            automatic={props.automatic}
            by_hand={props.by_hand}
            onby_hand={props.onby_hand.clone()}
            accounts={Rc::new(mine)}
            error={accounts.result.error.clone()}
            reload={accounts.reload.clone()}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct AccountStepViewProps {
    pub door: Door,
    pub draft: Draft,
    pub edit: Callback<Change>,
    /// The instance can use an account there.
    #[prop_or(true)]
    pub automatic: bool,
    pub by_hand: bool,
    pub onby_hand: Callback<bool>,
    /// The provider's accounts that are known already.
    pub accounts: Rc<Vec<AccountView>>,
    pub error: Option<ApiError>,
    pub reload: Callback<()>,
}

/// The step as a function of what is known.
#[component]
pub fn AccountStepView(props: &AccountStepViewProps) -> Html {
    let lang = use_lang();
    let Some(provider) = props.door.provider() else {
        return Html::default();
    };
    let adding = use_state_eq(|| false);
    let draft = &props.draft;
    let account = draft
        .account
        .clone()
        .filter(|account| account.provider == provider);
    let onaccount = {
        let (edit, accounts) = (props.edit.clone(), props.accounts.clone());
        Callback::from(move |id: String| {
            if let Some(account) = accounts
                .iter()
                .find(|one| one.id.to_string() == id)
                .cloned()
            {
                edit.emit(change(move |draft| draft.take(account)));
            }
        })
    };
    let onadded = {
        let (edit, reload, adding) = (props.edit.clone(), props.reload.clone(), adding.setter());
        Callback::from(move |account: AccountView| {
            edit.emit(change(move |draft| draft.take(account)));
            reload.emit(());
            adding.set(false);
        })
    };
    let onadd = {
        let adding = adding.setter();
        Callback::from(move |()| adding.set(true))
    };
    let known: Vec<Choice> = props
        .accounts
        .iter()
        .map(|account| Choice {
            value: account.id.to_string().into(),
            text: account.facts.name.clone().into(),
        })
        .collect();
    let ways = vec![
        Choice {
            value: "key".into(),
            text: lang.t("deploy.account.with_key"),
        },
        Choice {
            value: "hand".into(),
            text: lang.t("deploy.account.by_hand"),
        },
    ];
    html!(
        <>
            <NameCard name={draft.name.clone()} door={props.door} edit={props.edit.clone()} />
            <Card id="account-card" title={lang.t("deploy.account.title")}>
                if props.automatic {
                    <Picks
                        id="account-way" label={lang.t("deploy.account.title")} choices={ways}
                        chosen={if props.by_hand { "hand" } else { "key" }}
                        onchange={props.onby_hand.reform(|way: AttrValue| way == "hand")}
                    />
                }
                if props.by_hand {
                    <p>{ lang.t("deploy.account.by_hand_help") }</p>
                } else {
                    <p class="gb-muted">{ lang.t("deploy.account.key_help") }</p>
                    if let Some(error) = props.error.clone() {
                        <ErrorNote {error} />
                    }
                    if !known.is_empty() {
                        <div class="gb-row">
                            <div class="gb-narrow">
                                <Choices
                                    id="account-known" label={lang.t("deploy.account.known")} choices={known}
                                    chosen={account.as_ref().map(|account| account.id.to_string()).unwrap_or_default()}
                                    onchange={onaccount}
                                />
                            </div>
                            if !*adding {
                                <Act id="account-other" kind={Kind::Link} label={lang.t("deploy.account.other")} onclick={onadd} />
                            }
                        </div>
                    }
                    if props.accounts.is_empty() || *adding {
                        <NewAccount {provider} {onadded} />
                    }
                    if let Some(account) = account {
                        <Chosen {account} draft={draft.clone()} edit={props.edit.clone()} />
                    }
                }
            </Card>
        </>
    )
}

#[derive(PartialEq, Properties)]
pub struct NameCardProps {
    pub name: AttrValue,
    /// Where it will be.
    pub door: Door,
    pub edit: Callback<Change>,
}

/// What it is called.
#[component]
pub fn NameCard(props: &NameCardProps) -> Html {
    let lang = use_lang();
    let wrong = !props.name.is_empty() && !name_is_good(&props.name, props.door);
    let (least, most) = props.door.name_length().into_inner();
    let oninput = props
        .edit
        .reform(|text: String| change(move |draft| draft.name = text));
    html!(
        <Card id="name-card" title={lang.t("deploy.name.title")}>
            <div class="gb-narrow">
                <TextField
                    id="deploy-name" label={lang.t("deploy.name.label")} value={&props.name}
                    max_length={u32::try_from(most).ok()}
                    hint={lang.f("deploy.name.hint", &[("least", &least), ("most", &most)])}
                    problem={wrong.then(|| lang.t("deploy.name.wrong"))}
                    {oninput}
                />
            </div>
        </Card>
    )
}

#[derive(PartialEq, Properties)]
pub struct NewAccountProps {
    pub provider: ProviderKind,
    pub onadded: Callback<AccountView>,
}

/// Takes in a key or a kubeconfig, which is checked before it is kept.
#[component]
pub fn NewAccount(props: &NewAccountProps) -> Html {
    let host = use_host();
    let sending = use_send();
    let secret = use_state_eq(AttrValue::default);
    let api = use_state_eq(AttrValue::default);
    let add = {
        let wish = AccountNew {
            provider: props.provider,
            secret: secret.trim().to_owned(),
            api: Some(api.trim().to_owned()).filter(|api| !api.is_empty()),
        };
        let (sending, set, onadded) = (sending.clone(), secret.setter(), props.onadded.clone());
        Callback::from(move |()| {
            let wish = wish.clone();
            let (set, onadded) = (set.clone(), onadded.clone());
            sending.run(
                async move { host.post("/api/deploy/accounts", &wish).await },
                move |account: AccountView| {
                    // It is kept now, and nobody else should find it here.
                    set.set(AttrValue::default());
                    onadded.emit(account);
                },
            );
        })
    };
    let onsecret = {
        let (secret, sending) = (secret.setter(), sending.clone());
        Callback::from(move |text: String| {
            secret.set(text.into());
            sending.forget();
        })
    };
    let onapi = {
        let api = api.setter();
        Callback::from(move |text: String| api.set(text.into()))
    };
    html!(
        <NewAccountView
            provider={props.provider}
            secret={(*secret).clone()}
            api={(*api).clone()}
            busy={sending.busy}
            error={sending.error.clone()}
            {onsecret}
            {onapi}
            {add}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct NewAccountViewProps {
    pub provider: ProviderKind,
    pub secret: AttrValue,
    pub api: AttrValue,
    pub busy: bool,
    pub error: Option<ApiError>,
    pub onsecret: Callback<String>,
    pub onapi: Callback<String>,
    pub add: Callback<()>,
}

/// How to get the key, and where to put it.
#[component]
pub fn NewAccountView(props: &NewAccountViewProps) -> Html {
    let lang = use_lang();
    let name = wire_name(&props.provider);
    let page = match props.provider {
        ProviderKind::Render => Some((Page::RenderKeys, 3)),
        ProviderKind::ClawCloud => Some((Page::ClawCloud, 3)),
        ProviderKind::Koyeb => Some((Page::KoyebKeys, 3)),
        ProviderKind::Kubernetes => None,
    };
    let is_file = matches!(
        props.provider,
        ProviderKind::ClawCloud | ProviderKind::Kubernetes
    );
    let onsubmit = props
        .add
        .reform(|event: SubmitEvent| event.prevent_default());
    let label = lang.t(if is_file {
        "deploy.account.kubeconfig"
    } else {
        "deploy.account.api_key"
    });
    html!(
        <form class="gb-stack" {onsubmit} data-testid="account-new">
            <ol class="gb-steps">
                { for (1..=page.map_or(2, |(_, steps)| steps)).map(|i| html!(
                    <li key={i}>
                        { lang.t(&format!("deploy.account.guide.{name}.step{i}")) }
                        if let (1, Some((page, _))) = (i, page) {
                            { " " }<Out id="account-open" label={lang.t("deploy.account.open")} to={Place::Page(page)} />
                        }
                    </li>
                )) }
            </ol>
            if is_file {
                <FileArea
                    id="account-secret" {label} value={&props.secret} oninput={props.onsecret.clone()}
                    placeholder={"apiVersion: v1\nkind: Config\n…"}
                    hint={lang.t("deploy.account.kubeconfig_hint")}
                    accept=".yaml,.yml,.conf,.txt,text/plain"
                />
            } else {
                <div class="gb-narrow">
                    <TextField
                        id="account-secret" kind="password" {label} value={&props.secret} oninput={props.onsecret.clone()}
                        hint={lang.t("deploy.account.kept")}
                    />
                </div>
                <details class="gb-details">
                    <summary data-testid="account-more">{ lang.t("deploy.account.more") }</summary>
                    <div class="gb-narrow">
                        <TextField
                            id="account-api" label={lang.t("deploy.account.api")} hint={lang.t("deploy.account.api_hint")}
                            value={&props.api} oninput={props.onapi.clone()}
                        />
                    </div>
                </details>
            }
            if let Some(error) = props.error.clone() {
                <ErrorNote {error} />
            }
            <div>
                <Act
                    id="account-add" kind={Kind::Primary} submit=true
                    label={lang.t("deploy.account.check")}
                    busy={props.busy} disabled={props.secret.trim().is_empty()}
                />
            </div>
        </form>
    )
}

#[derive(PartialEq, Properties)]
pub struct ChosenProps {
    pub account: AccountView,
    pub draft: Draft,
    pub edit: Callback<Change>,
}

/// What the provider tells of an account, and what can be chosen there.
#[component]
pub fn Chosen(props: &ChosenProps) -> Html {
    let lang = use_lang();
    let facts = &props.account.facts;
    let draft = &props.draft;
    let edit = &props.edit;
    html!(
        <div class="gb-stack" data-testid="account-chosen">
            { problems(lang, &props.account) }
            <div class="gb-fields">
                if !facts.workspaces.is_empty() {
                    <Choices
                        id="account-workspace" label={lang.t("deploy.account.workspace")}
                        choices={choices(&facts.workspaces, &draft.workspace)} chosen={draft.workspace.clone().unwrap_or_default()}
                        onchange={edit.reform(|id: String| change(move |draft| draft.workspace = Some(id)))}
                    />
                }
                if !facts.regions.is_empty() {
                    <Choices
                        id="account-region" label={lang.t("deploy.account.region")}
                        choices={choices(&facts.regions, &draft.region)} chosen={draft.region.clone().unwrap_or_default()}
                        onchange={edit.reform(|id: String| change(move |draft| draft.region = Some(id)))}
                    />
                }
                if !facts.plans.is_empty() {
                    <Choices
                        id="account-plan" label={lang.t("deploy.account.plan")}
                        choices={choices(&facts.plans, &draft.plan)} chosen={draft.plan.clone().unwrap_or_default()}
                        onchange={edit.reform(|id: String| change(move |draft| draft.plan = Some(id)))}
                    />
                }
            </div>
            if !facts.regions.is_empty() {
                <p class="gb-muted gb-small">{ lang.t("deploy.account.region_help") }</p>
            }
            if !facts.quotas.is_empty() {
                <div>
                    <h3 class="gb-label">{ lang.t("instances.usage.quotas") }</h3>
                    <Quotas quotas={facts.quotas.clone()} />
                </div>
            }
        </div>
    )
}

/// That the account works, or why it does not.
fn problems(lang: Lang, account: &AccountView) -> Html {
    let facts = &account.facts;
    if let Some(error) = account.problem.clone() {
        return html!(<ErrorNote {error} />);
    }
    if !facts.missing_rights.is_empty() {
        return html!(
            <Notice tone={Tone::Warning} id="account-rights" title={lang.t("deploy.account.rights")}>
                <p>{ lang.t("deploy.account.rights_help") }</p>
                <ul class="gb-plain-list gb-mono gb-small">
                    { for facts.missing_rights.iter().map(|right| html!(<li>{ right }</li>)) }
                </ul>
            </Notice>
        );
    }
    let ends = facts.expires_at.map(
        |at| html!(<p>{ lang.f("deploy.account.expires", &[("date", &zone_here().date(at))]) }</p>),
    );
    html!(
        <Notice tone={Tone::Success} id="account-works" title={lang.f("deploy.account.works", &[("name", &facts.name)])}>
            { ends.unwrap_or_default() }
            if let Some(domain) = &facts.domain {
                <p class="gb-small">{ lang.f("deploy.account.domain", &[("domain", domain)]) }</p>
            } else if account.provider == ProviderKind::Kubernetes {
                <p class="gb-small" data-testid="account-no-domain">{ lang.t("deploy.account.no_domain") }</p>
            }
        </Notice>
    )
}
