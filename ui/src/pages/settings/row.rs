use contract::admin::{Applies, Provenance, SettingConflict, SettingView};
use patternfly_yew::prelude::{Color, Icon, Label};
use yew::{AttrValue, Callback, Html, Properties, component, html};

use super::control::{Control, control_id, title};
use super::edits::{self, Edit};
use crate::app::use_lang;
use crate::controls::{Act, Kind, Moment};

#[derive(PartialEq, Properties)]
pub struct SettingRowProps {
    pub setting: SettingView,
    pub edit: Option<Edit>,
    /// Why the server does not accept what was typed.
    pub problem: Option<AttrValue>,
    /// What is wanted with a setting, by its name; as saved when none.
    pub put: Callback<(String, Option<Edit>)>,
}

/// One setting: what it is, what it holds, and why it holds that.
#[component]
pub fn SettingRow(props: &SettingRowProps) -> Html {
    let lang = use_lang();
    let setting = &props.setting;
    let name = &setting.name;
    let help = lang.pick(&setting.help);
    let oninput = {
        let setting = setting.clone();
        props
            .put
            .reform(move |text| (setting.name.clone(), edits::typed(&setting, text)))
    };
    html!(
        <div class="gb-setting" data-testid={format!("setting-row-{name}")}>
            <div class="gb-setting__what">
                <div class="gb-row gb-setting__head">
                    <label class="gb-setting__title" for={control_id(name)}>{ title(lang, setting) }</label>
                    if props.edit.is_some() {
                        <Label compact=true color={Color::Blue} label={lang.t("settings.edited").to_string()} />
                    }
                    if setting.pending_restart {
                        <Label compact=true color={Color::Orange} icon={Icon::ExclamationTriangle} label={lang.t("settings.pending_restart").to_string()} />
                    }
                </div>
                <p class="gb-muted">{ help }</p>
                <code class="gb-mono gb-small gb-muted">{ name }</code>
            </div>
            <div class="gb-setting__value">
                if setting.environment_only {
                    <ReadOnly setting={setting.clone()} />
                } else {
                    <Control setting={setting.clone()} edit={props.edit.clone()} problem={props.problem.clone()} {oninput} />
                }
                <Origin setting={setting.clone()} />
                if !setting.environment_only {
                    <Conflict setting={setting.clone()} put={props.put.clone()} />
                    <Back setting={setting.clone()} edit={props.edit.clone()} put={props.put.clone()} />
                }
            </div>
        </div>
    )
}

#[derive(PartialEq, Properties)]
struct OneProps {
    setting: SettingView,
}

/// What only the environment sets, and why.
#[component]
fn ReadOnly(props: &OneProps) -> Html {
    let lang = use_lang();
    let setting = &props.setting;
    let value = edits::shown(setting);
    let (words, plain) = match (setting.secret, setting.is_set) {
        (true, true) => (lang.t("settings.secret_is_set"), true),
        (true, false) => (lang.t("settings.secret_unset"), true),
        (false, _) if value.is_empty() => (lang.t("settings.none"), true),
        (false, _) => (value.into(), false),
    };
    html!(
        <>
            <p
                class={if plain { "gb-muted" } else { "gb-mono gb-lines" }}
                id={control_id(&setting.name)}
                data-testid={control_id(&setting.name)}
            >{ words }</p>
            <p class="gb-muted gb-small">
                { lang.f("settings.environment_only", &[("name", &setting.name)]) }
            </p>
        </>
    )
}

/// Where the value comes from, and when a change takes effect.
#[component]
fn Origin(props: &OneProps) -> Html {
    let lang = use_lang();
    let setting = &props.setting;
    let color = match setting.provenance {
        Provenance::Default => Color::Grey,
        Provenance::Environment => Color::Teal,
        Provenance::Panel { .. } => Color::Purple,
    };
    let default = edits::readable(&setting.kind, &setting.default);
    html!(
        <div class="gb-row gb-setting__origin gb-small gb-muted">
            <span data-testid={format!("setting-from-{}", setting.name)}>
                <Label compact=true {color} label={lang.of("provenance", &setting.provenance).to_string()} />
            </span>
            if let Provenance::Panel { at } = setting.provenance {
                <Moment {at} />
            }
            if setting.applies == Applies::Restart && !setting.environment_only {
                <Label compact=true outline=true label={lang.t("settings.needs_restart").to_string()} />
            }
            if setting.is_set && !setting.secret && !default.is_empty() && !default.contains('\n') {
                <span class="gb-wrap-anywhere">{ lang.f("settings.default_is", &[("value", &default)]) }</span>
            }
        </div>
    )
}

#[derive(PartialEq, Properties)]
struct ConflictProps {
    setting: SettingView,
    put: Callback<(String, Option<Edit>)>,
}

/// Which of two places won, which lost, and how to have it the other way round.
#[component]
fn Conflict(props: &ConflictProps) -> Html {
    let lang = use_lang();
    let setting = &props.setting;
    let name = &setting.name;
    let known = |value: &Option<String>| {
        value
            .as_deref()
            .filter(|_| !setting.secret)
            .map(|value| edits::readable(&setting.kind, value))
    };
    let (words, again) = match &setting.conflict {
        None => return Html::default(),
        Some(SettingConflict::EnvironmentIgnored { environment }) => {
            let words = match known(environment) {
                Some(value) => lang.f(
                    "settings.environment_ignored",
                    &[("name", name), ("value", &value)],
                ),
                None => lang.f("settings.environment_ignored_secret", &[("name", name)]),
            };
            (words, None)
        }
        Some(SettingConflict::PanelReplaced { panel, .. }) => match known(panel) {
            Some(value) => {
                let put = props.put.reform({
                    let (setting, value) = (setting.clone(), value.clone());
                    move |()| (setting.name.clone(), edits::typed(&setting, value.clone()))
                });
                (
                    lang.f(
                        "settings.panel_replaced",
                        &[("name", name), ("value", &value)],
                    ),
                    Some(put),
                )
            }
            None => (
                lang.f("settings.panel_replaced_secret", &[("name", name)]),
                None,
            ),
        },
    };
    html!(
        <div class="gb-setting__conflict gb-small" data-testid={format!("setting-conflict-{name}")}>
            <span class="gb-setting__sign">{ Icon::ExclamationTriangle }</span>
            <div>
                <p>{ words }
                    if let Some(SettingConflict::PanelReplaced { at, .. }) = setting.conflict {
                        { " (" }<Moment {at} />{ ")" }
                    }
                </p>
                if let Some(onclick) = again {
                    <Act id={format!("setting-again-{name}")} kind={Kind::Link} small=true label={lang.t("settings.use_panels")} {onclick} />
                }
            </div>
        </div>
    )
}

#[derive(PartialEq, Properties)]
struct BackProps {
    setting: SettingView,
    edit: Option<Edit>,
    put: Callback<(String, Option<Edit>)>,
}

/// The ways back: to what is saved, and to what holds without the panel.
#[component]
fn Back(props: &BackProps) -> Html {
    let lang = use_lang();
    let setting = &props.setting;
    let name = setting.name.clone();
    if props.edit.is_some() {
        let words = match props.edit {
            Some(Edit::Reset) => Some(lang.t(back_words(setting).1)),
            _ => None,
        };
        return html!(
            <div class="gb-row gb-small">
                if let Some(words) = words {
                    <span>{ words }</span>
                }
                <Act
                    id={format!("setting-keep-{name}")}
                    kind={Kind::Link}
                    small=true
                    label={lang.t("settings.keep")}
                    onclick={props.put.reform(move |()| (name.clone(), None))}
                />
            </div>
        );
    }
    if !matches!(setting.provenance, Provenance::Panel { .. }) {
        return Html::default();
    }
    html!(
        <div class="gb-small">
            <Act
                id={format!("setting-reset-{name}")}
                kind={Kind::Link}
                small=true
                label={lang.t(back_words(setting).0)}
                onclick={props.put.reform(move |()| (name.clone(), Some(Edit::Reset)))}
            />
        </div>
    )
}

/// What going back is called, and what it will have done.
fn back_words(setting: &SettingView) -> (&'static str, &'static str) {
    match setting.conflict {
        Some(SettingConflict::EnvironmentIgnored { .. }) => {
            ("settings.to_environment", "settings.will_environment")
        }
        _ => ("settings.to_default", "settings.will_default"),
    }
}
