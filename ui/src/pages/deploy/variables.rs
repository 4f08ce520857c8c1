use std::collections::BTreeSet;
use std::rc::Rc;

use contract::ApiError;
use contract::admin::{KeyState, KeyView, SettingView, SettingsView};
use contract::deploy::{DeployFeature, RemoteView, VariableView};
use gloo::timers::callback::Timeout;
use wasm_bindgen_futures::spawn_local;
use yew::{
    AttrValue, Callback, Html, Properties, component, html, use_effect_with, use_mut_ref,
    use_state_eq,
};

use super::At;
use super::draft::{Change, Draft, Setting, change};
use super::image::ImageCard;
use crate::app::{use_feature, use_host, use_lang};
use crate::controls::{
    Act, Card, Check, Choice, Choices, ErrorNote, Kind, Skeleton, TextField, Toggle,
};
use crate::load::{LoadResult, use_load};
use crate::pages::instances::{Quiet, VariableTable};
use crate::pages::settings::{Control, Edit, title};
use crate::text::{Lang, number};

/// How long nothing may be typed before the preview is made anew, in milliseconds.
const PAUSE: u32 = 700;

/// What the deployer sets itself, and what would break a remote.
const TAKEN: [&str; 9] = [
    "API_KEYS",
    "ALLOWED_TOKENS",
    "AUTH_TOKEN",
    "SECRET_KEY",
    "PORT",
    "HOST",
    "TZ",
    "DATA_DIR",
    "DATABASE_TYPE",
];

#[derive(PartialEq, Properties)]
pub struct VariablesStepProps {
    pub at: At,
    pub draft: Draft,
    pub edit: Callback<Change>,
    pub default_image: AttrValue,
}

/// What it is given by its environment: image, keys, further settings, and all of it in a
/// preview that the instance makes from the kept draft.
#[component]
pub fn VariablesStep(props: &VariablesStepProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let keys = use_load::<Vec<KeyView>>(host, "/api/keys", None);
    let settings = use_load::<SettingsView>(host, "/api/settings", None);
    let id = props.at.remote.unwrap_or_default();
    let preview =
        use_load::<Vec<VariableView>>(host, format!("/api/deploy/remotes/{id}/variables"), None);
    let refused = use_state_eq(|| None::<ApiError>);
    // All keys that are switched on, unless the user says otherwise.
    use_effect_with((keys.result.data.clone(), props.draft.keys.is_some()), {
        let edit = props.edit.clone();
        move |(keys, chosen): &(Option<Rc<Vec<KeyView>>>, bool)| {
            if let Some(keys) = keys.as_ref().filter(|_| !chosen) {
                let all = switched_on(keys);
                edit.emit(change(move |draft| draft.keys = Some(all)));
            }
        }
    });
    let kept = use_mut_ref(|| None);
    use_effect_with(props.draft.wish(props.at), {
        let (reload, refused) = (preview.reload.clone(), refused.setter());
        move |wish| {
            let first = kept.borrow_mut().replace(wish.clone()).is_none();
            let wish = wish.clone();
            let timeout = (!first).then(|| {
                Timeout::new(PAUSE, move || {
                    spawn_local(async move {
                        let path = format!("/api/deploy/remotes/{id}/wish");
                        match host.put::<RemoteView>(&path, &wish).await {
                            Ok(_) => {
                                refused.set(None);
                                reload.emit(());
                            }
                            Err(error) => refused.set(Some(error)),
                        }
                    });
                })
            });
            move || drop(timeout)
        }
    });
    let kept_awake = use_feature(DeployFeature::KeepAlive);
    let draft = &props.draft;
    let onkeep = props
        .edit
        .reform(|on: bool| change(move |draft| draft.keep_alive.enabled = on));
    html!(
        <>
            <ImageCard image={draft.image.clone()} default_image={props.default_image.clone()} edit={props.edit.clone()} mysql_tls={uses_tls(draft)} />
            <KeysCard keys={keys.result.clone()} chosen={draft.keys.clone().unwrap_or_default()} edit={props.edit.clone()} />
            <Card id="more-card" title={lang.t("deploy.more.title")}>
                <div class="gb-narrow">
                    <TextField
                        id="deploy-zone" label={lang.t("deploy.more.zone")} hint={lang.t("deploy.more.zone_hint")}
                        value={draft.time_zone.clone()}
                        oninput={props.edit.reform(|text: String| change(move |draft| draft.time_zone = text))}
                    />
                </div>
                if kept_awake && props.at.door.is_some_and(super::Door::sleeps) {
                    <div class="gb-row gb-row--tight">
                        <Toggle id="deploy-keep-alive" at_once=true label={lang.t("keep_alive.switch")} on={draft.keep_alive.enabled} onchange={onkeep} />
                        <span>{ lang.t("keep_alive.switch") }</span>
                    </div>
                    <p class="gb-muted gb-small">{ lang.t("keep_alive.why") }</p>
                    if draft.keep_alive.enabled {
                        <Quiet
                            quiet={draft.keep_alive.quiet}
                            onquiet={props.edit.reform(|quiet| change(move |draft: &mut Draft| draft.keep_alive.quiet = quiet))}
                        />
                    }
                }
                <Further settings={settings.result.clone()} draft={draft.clone()} edit={props.edit.clone()} />
            </Card>
            <Card id="preview-card" title={lang.t("deploy.preview.title")}>
                <p class="gb-muted">{ lang.t("deploy.preview.help") }</p>
                if let Some(error) = (*refused).clone() {
                    <ErrorNote {error} />
                }
                <VariableTable variables={preview.result} />
            </Card>
        </>
    )
}

/// The database is one that the original program cannot reach.
fn uses_tls(draft: &Draft) -> bool {
    draft.data == Some(super::DataKind::Mysql)
        && !matches!(&*draft.mysql.ssl_mode, "DISABLED" | "PREFERRED")
}

/// The keys that are switched on.
fn switched_on(keys: &[KeyView]) -> BTreeSet<i64> {
    keys.iter()
        .filter(|key| key.state != KeyState::Disabled)
        .map(|key| key.id)
        .collect()
}

#[derive(PartialEq, Properties)]
pub struct KeysCardProps {
    pub keys: LoadResult<Vec<KeyView>>,
    pub chosen: BTreeSet<i64>,
    pub edit: Callback<Change>,
}

/// Which keys it gets.
#[component]
pub fn KeysCard(props: &KeysCardProps) -> Html {
    let lang = use_lang();
    let pick = |ids: BTreeSet<i64>| {
        props.edit.reform(move |()| {
            let ids = ids.clone();
            change(move |draft| draft.keys = Some(ids))
        })
    };
    let Some(keys) = props.keys.data.clone() else {
        return html!(
            <Card id="deploy-keys" title={lang.t("deploy.keys.title")}>
                if let Some(error) = props.keys.error.clone() { <ErrorNote {error} /> } else { <Skeleton lines={3} /> }
            </Card>
        );
    };
    html!(
        <Card id="deploy-keys" title={lang.t("deploy.keys.title")}>
            <p class="gb-muted">{ lang.t("deploy.keys.help") }</p>
            if keys.is_empty() {
                <p data-testid="deploy-keys-none">
                    { lang.t("deploy.keys.none") }{ " " }
                    <a href="#/keys">{ lang.t("warning.go_keys") }</a>
                </p>
            } else {
                <div class="gb-row">
                    <span data-testid="deploy-keys-count">{ lang.f("deploy.keys.count", &[("n", &number(props.chosen.len() as u64)), ("all", &number(keys.len() as u64))]) }</span>
                    <Act id="deploy-keys-all" kind={Kind::Link} label={lang.t("deploy.keys.all")} onclick={pick(switched_on(&keys))} />
                    <Act id="deploy-keys-clear" kind={Kind::Link} label={lang.t("deploy.keys.clear")} onclick={pick(BTreeSet::new())} />
                </div>
                <div class="gb-checks">
                    { for keys.iter().map(|key| {
                        let id = key.id;
                        let label = if key.label.is_empty() {
                            key.masked.clone()
                        } else {
                            format!("{} · {}", key.label, key.masked)
                        };
                        html!(
                            <Check
                                key={id} id={format!("deploy-key-{id}")} {label} on={props.chosen.contains(&id)}
                                hint={(key.state == KeyState::Disabled).then(|| lang.t("keys.state.disabled"))}
                                onchange={props.edit.reform(move |on: bool| change(move |draft| {
                                    let keys = draft.keys.get_or_insert_default();
                                    if on { keys.insert(id); } else { keys.remove(&id); }
                                }))}
                            />
                        )
                    }) }
                </div>
            }
        </Card>
    )
}

#[derive(PartialEq, Properties)]
struct FurtherProps {
    settings: LoadResult<SettingsView>,
    draft: Draft,
    edit: Callback<Change>,
}

/// Settings that it shall have from the start.
#[component]
fn Further(props: &FurtherProps) -> Html {
    let lang = use_lang();
    let Some(view) = props.settings.data.clone() else {
        return match props.settings.error.clone() {
            Some(error) => html!(<ErrorNote {error} />),
            None => html!(<Skeleton lines={2} />),
        };
    };
    let draft = &props.draft;
    let mut offered: Vec<Choice> = vec![Choice {
        value: AttrValue::default(),
        text: lang.t("deploy.more.add"),
    }];
    offered.extend(
        view.settings
            .iter()
            .filter(|setting| {
                may_be_set(&setting.name) && !draft.settings.contains_key(&setting.name)
            })
            .map(|setting| Choice {
                value: setting.name.clone().into(),
                text: format!("{} ({})", title(lang, setting), setting.name).into(),
            }),
    );
    let onadd = {
        let (edit, view) = (props.edit.clone(), view.clone());
        Callback::from(move |name: String| {
            let Some(setting) = view.settings.iter().find(|setting| setting.name == name) else {
                return;
            };
            // As it is here, which is what most people want there, too.
            let text = setting.value.clone().unwrap_or_default();
            edit.emit(change(move |draft| {
                draft.settings.insert(
                    name,
                    Setting {
                        kind: None,
                        text: Some(text),
                    },
                );
            }));
        })
    };
    html!(
        <>
            <h3 class="gb-label">{ lang.t("deploy.more.settings") }</h3>
            <p class="gb-muted gb-small">{ lang.t("deploy.more.settings_help") }</p>
            { for draft.settings.iter().map(|(name, value)| further(lang, &view.settings, name, value, &props.edit)) }
            <div class="gb-narrow">
                <Choices id="deploy-setting-add" label={lang.t("deploy.more.add")} bare=true choices={offered} chosen={AttrValue::default()} onchange={onadd} />
            </div>
        </>
    )
}

/// Whether a remote can be given a variable of that name by the user.
fn may_be_set(name: &str) -> bool {
    !TAKEN.contains(&name) && !name.starts_with("MYSQL_")
}

fn further(
    lang: Lang,
    all: &[SettingView],
    name: &str,
    value: &Setting,
    edit: &Callback<Change>,
) -> Html {
    let remove = {
        let name = name.to_owned();
        edit.reform(move |()| {
            let name = name.clone();
            change(move |draft| {
                draft.settings.remove(&name);
            })
        })
    };
    let Some(setting) = all.iter().find(|setting| setting.name == name).cloned() else {
        return html!(
            <div class="gb-row" key={name.to_owned()}>
                <code class="gb-mono">{ name }</code>
                <Act id={format!("deploy-setting-remove-{name}")} small=true label={lang.t("deploy.more.remove")} onclick={remove} />
            </div>
        );
    };
    let help = lang.pick(&setting.help);
    let oninput = {
        let (name, kind) = (name.to_owned(), setting.kind.clone());
        edit.reform(move |text: String| {
            let (name, kind) = (name.clone(), kind.clone());
            change(move |draft| {
                draft.settings.insert(
                    name,
                    Setting {
                        kind: Some(kind),
                        text: Some(text),
                    },
                );
            })
        })
    };
    let typed = Some(Edit::Typed(value.shown(&setting.kind)));
    html!(
        <div class="gb-setting" key={name.to_owned()} data-testid={format!("deploy-setting-{name}")}>
            <div class="gb-setting__what">
                <strong>{ title(lang, &setting) }</strong>
                <p class="gb-muted">{ help }</p>
                <code class="gb-mono gb-small gb-muted">{ name }</code>
            </div>
            <div class="gb-setting__value">
                <Control {setting} edit={typed} problem={None::<AttrValue>} {oninput} />
                <div><Act id={format!("deploy-setting-remove-{name}")} small=true label={lang.t("deploy.more.remove")} onclick={remove} /></div>
            </div>
        </div>
    )
}
