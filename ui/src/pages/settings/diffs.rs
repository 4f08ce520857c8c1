use std::rc::Rc;

use contract::admin::{Applies, SettingDiff, SettingsView};
use patternfly_yew::prelude::Label;
use yew::{AttrValue, Html, Properties, component, html};

use super::control::title;
use super::edits::readable;
use crate::app::use_lang;
use crate::text::Lang;

#[derive(PartialEq, Properties)]
pub struct DiffsProps {
    pub diffs: Vec<SettingDiff>,
    /// The declarations, for titles; without them the names must do.
    pub settings: Option<Rc<SettingsView>>,
    /// Says where a change takes effect only at the next start.
    #[prop_or_default]
    pub ahead: bool,
}

/// Settings before and after.
#[component]
pub fn Diffs(props: &DiffsProps) -> Html {
    let lang = use_lang();
    let (before, after) = (lang.t("settings.before"), lang.t("settings.after"));
    html!(
        <table class="pf-v6-c-table pf-m-compact pf-m-grid-md gb-table" aria-label={lang.t("settings.changes")} data-testid="diffs">
            <thead class="pf-v6-c-table__thead">
                <tr class="pf-v6-c-table__tr">
                    <th class="pf-v6-c-table__th" scope="col">{ lang.t("settings.setting") }</th>
                    <th class="pf-v6-c-table__th" scope="col">{ before.clone() }</th>
                    <th class="pf-v6-c-table__th" scope="col">{ after.clone() }</th>
                </tr>
            </thead>
            <tbody class="pf-v6-c-table__tbody">
                { for props.diffs.iter().map(|diff| {
                    let setting = props.settings.iter().flat_map(|s| &s.settings).find(|s| s.name == diff.name);
                    let shown = |value: &Option<String>| value.as_deref().map(|value| match setting {
                        Some(setting) => readable(&setting.kind, value),
                        None => value.to_owned(),
                    });
                    html!(
                        <tr class="pf-v6-c-table__tr" key={diff.name.clone()} data-testid={format!("diff-{}", diff.name)}>
                            <td class="pf-v6-c-table__td" data-label={lang.t("settings.setting")}>
                                <div>
                                    if let Some(setting) = setting {
                                        <div>{ title(lang, setting) }</div>
                                    }
                                    <code class="gb-mono gb-small gb-muted">{ &diff.name }</code>
                                    if props.ahead && diff.applies == Applies::Restart {
                                        <div><Label compact=true outline=true label={lang.t("settings.needs_restart").to_string()} /></div>
                                    }
                                </div>
                            </td>
                            if diff.secret {
                                <td class="pf-v6-c-table__td gb-muted" colspan="2" data-label={after.clone()}>{ lang.t("settings.secret_changed") }</td>
                            } else {
                                <td class="pf-v6-c-table__td" data-label={before.clone()}>{ value(lang, shown(&diff.before)) }</td>
                                <td class="pf-v6-c-table__td" data-label={after.clone()}>{ value(lang, shown(&diff.after)) }</td>
                            }
                        </tr>
                    )
                }) }
            </tbody>
        </table>
    )
}

fn value(lang: Lang, shown: Option<String>) -> Html {
    match shown.filter(|shown| !shown.is_empty()) {
        Some(shown) => html!(<span class="gb-mono gb-lines">{ AttrValue::from(shown) }</span>),
        None => html!(<span class="gb-muted">{ lang.t("settings.none") }</span>),
    }
}
