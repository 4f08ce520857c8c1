use contract::admin::{SettingKind, SettingView};
use yew::{AttrValue, Callback, Html, Properties, component, html};

use super::edits::{self, Edit, Wrong};
use crate::app::use_lang;
use crate::controls::{Choice, Choices, TextArea, TextField, Toggle};
use crate::text::Lang;

#[derive(PartialEq, Properties)]
pub struct ControlProps {
    pub setting: SettingView,
    pub edit: Option<Edit>,
    /// Why the server does not accept what was typed.
    pub problem: Option<AttrValue>,
    pub oninput: Callback<String>,
}

/// The control by which a value of that kind is given.
#[component]
pub fn Control(props: &ControlProps) -> Html {
    let lang = use_lang();
    let setting = &props.setting;
    let id: AttrValue = control_id(&setting.name).into();
    let label = title(lang, setting);
    let value: AttrValue = match &props.edit {
        Some(Edit::Typed(text)) => text.clone().into(),
        Some(Edit::Reset) => edits::readable(&setting.kind, &edits::without_panel(setting)).into(),
        None => edits::shown(setting).into(),
    };
    let problem = props
        .problem
        .clone()
        .or_else(|| edits::wrong(&setting.kind, &value).map(|wrong| explained(lang, wrong)));
    let oninput = props.oninput.clone();
    let placeholder = if setting.secret {
        lang.t(if setting.is_set {
            "settings.secret_set"
        } else {
            "settings.secret_unset"
        })
    } else if value.is_empty() && setting.default.is_empty() {
        lang.t("settings.none")
    } else {
        AttrValue::default()
    };
    match &setting.kind {
        SettingKind::Boolean => {
            let on = value == "true";
            html!(
                <>
                    <div class="gb-row gb-row--tight">
                        <Toggle {id} {label} {on} at_once=true onchange={oninput.reform(|on: bool| on.to_string())} />
                        <span aria-hidden="true">{ lang.t(if on { "settings.on" } else { "settings.off" }) }</span>
                    </div>
                    if let Some(problem) = problem {
                        <p class="gb-bad">{ problem }</p>
                    }
                </>
            )
        }
        SettingKind::Choice { words } => {
            let mut choices: Vec<Choice> = words
                .iter()
                .map(|word| Choice {
                    value: word.clone().into(),
                    text: word.clone().into(),
                })
                .collect();
            if !words.iter().any(|word| *word == *value) {
                let text = if value.is_empty() {
                    lang.t("settings.none")
                } else {
                    value.clone()
                };
                choices.insert(
                    0,
                    Choice {
                        value: value.clone(),
                        text,
                    },
                );
            }
            html!(
                <>
                    <Choices {id} {label} {choices} chosen={value} bare=true onchange={oninput} />
                    if let Some(problem) = problem {
                        <p class="gb-bad">{ problem }</p>
                    }
                </>
            )
        }
        SettingKind::Integer { min, max } => html!(
            <div class="gb-setting__number">
                <TextField
                    {id}
                    {label}
                    {value}
                    {oninput}
                    {problem}
                    bare=true
                    kind="number"
                    range={(*min, *max)}
                    hint={lang.f("settings.range", &[("min", min), ("max", max)])}
                    {placeholder}
                />
            </div>
        ),
        SettingKind::List if !setting.secret => html!(
            <TextArea
                {id}
                {label}
                {oninput}
                {problem}
                bare=true
                rows={lines(&value)}
                {value}
                hint={lang.t("settings.one_per_line")}
                {placeholder}
            />
        ),
        SettingKind::Map if !setting.secret => html!(
            <TextArea
                {id}
                {label}
                {oninput}
                {problem}
                bare=true
                rows={lines(&value)}
                {value}
                hint={lang.t("settings.map_hint")}
                placeholder={r#"{"gemini-2.5-pro": "…"}"#}
            />
        ),
        SettingKind::File => html!(
            <TextArea {id} {label} {oninput} {problem} bare=true rows={lines(&value)} {value} {placeholder} />
        ),
        _ => html!(
            <TextField
                {id}
                {label}
                {value}
                {oninput}
                {problem}
                bare=true
                kind={if setting.secret { "password" } else { "text" }}
                // The panel's password is not to be filled in here.
                autocomplete={if setting.secret { "new-password" } else { "off" }}
                {placeholder}
            />
        ),
    }
}

/// The `data-testid` and the `id` of a setting's control.
pub fn control_id(name: &str) -> String {
    format!("setting-{name}")
}

/// A setting's short name.
pub fn title(lang: Lang, setting: &SettingView) -> AttrValue {
    lang.pick(&setting.title)
}

fn lines(value: &str) -> u32 {
    u32::try_from(value.lines().count()).map_or(8, |lines| lines.clamp(2, 8))
}

fn explained(lang: Lang, wrong: Wrong) -> AttrValue {
    match wrong {
        Wrong::Number(min, max) => lang.f("settings.bad_number", &[("min", &min), ("max", &max)]),
        Wrong::Map => lang.t("settings.bad_map"),
    }
}
