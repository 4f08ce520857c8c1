use std::collections::BTreeMap;

use contract::ApiError;
use contract::admin::{SettingGroup, SettingView, SettingsView};
use web_sys::HtmlInputElement;
use yew::{AttrValue, Callback, Html, InputEvent, Properties, TargetCast, component, html};

use super::edits::{Edit, Edits};
use super::row::SettingRow;
use super::search::{GROUPS, Only, Search};
use crate::app::use_lang;
use crate::controls::{Act, Card, Choice, Choices, ErrorNote, Kind, Notice, Skeleton, Tone};
use crate::load::LoadResult;
use crate::text::{Lang, number, wire_name};

#[derive(PartialEq, Properties)]
pub struct ValuesViewProps {
    pub settings: LoadResult<SettingsView>,
    pub edits: Edits,
    /// What the server does not accept, by the setting's name.
    pub problems: BTreeMap<String, AttrValue>,
    pub search: Search,
    pub onsearch: Callback<Search>,
    /// What is wanted with a setting, by its name; as saved when none.
    pub put: Callback<(String, Option<Edit>)>,
    /// Somebody else has saved something meanwhile.
    pub overtaken: bool,
    pub busy: bool,
    pub error: Option<ApiError>,
    /// Asks what saving would do.
    pub save: Callback<()>,
    pub discard: Callback<()>,
}

/// All settings by groups, and the bar with what is changed.
#[component]
pub fn ValuesView(props: &ValuesViewProps) -> Html {
    let lang = use_lang();
    let search = &props.search;
    let ontext = props.onsearch.reform({
        let search = search.clone();
        move |event: InputEvent| Search {
            text: event
                .target_dyn_into::<HtmlInputElement>()
                .map(|input| input.value())
                .unwrap_or_default(),
            ..search.clone()
        }
    });
    let ononly = props.onsearch.reform({
        let search = search.clone();
        move |value: String| Search {
            only: only_of(&value),
            ..search.clone()
        }
    });
    let Some(settings) = &props.settings.data else {
        return html!(
            <section class="pf-v6-c-page__main-section gb-stack">
                if let Some(error) = props.settings.error.clone() {
                    <ErrorNote {error} />
                } else {
                    { for (0..3).map(|i| html!(
                        <div key={i} class="pf-v6-c-card"><div class="pf-v6-c-card__body"><Skeleton lines={6} /></div></div>
                    )) }
                }
            </section>
        );
    };
    let found: Vec<&SettingView> = settings
        .settings
        .iter()
        .filter(|setting| search.finds(setting, &props.edits))
        .collect();
    let (shown, all) = (found.len() as u64, settings.settings.len() as u64);
    html!(
        <section class="pf-v6-c-page__main-section gb-stack">
            if let Some(error) = props.settings.error.clone() {
                <ErrorNote {error} />
            }
            <div class="gb-toolbar" role="search">
                <span class="pf-v6-c-form-control gb-toolbar__search">
                    <input
                        type="search"
                        data-testid="settings-search"
                        aria-label={lang.t("settings.search")}
                        placeholder={lang.t("settings.search")}
                        value={search.text.clone()}
                        oninput={ontext}
                    />
                </span>
                <div class="gb-toolbar__filter">
                    <Choices
                        id="settings-only"
                        bare=true
                        label={lang.t("settings.only.label")}
                        choices={choices(lang)}
                        chosen={only_name(search.only)}
                        onchange={ononly}
                    />
                </div>
                <span class="gb-muted gb-push" role="status" data-testid="settings-count">
                    { lang.f("settings.count", &[("shown", &number(shown)), ("all", &number(all))]) }
                </span>
            </div>
            if found.is_empty() {
                <p class="gb-muted gb-quiet">{ lang.t("settings.none_match") }</p>
            }
            { for GROUPS.iter().map(|group| group_card(lang, *group, &found, props)) }
            <Bar
                changes={props.edits.len() as u64}
                problems={props.problems.len() as u64}
                overtaken={props.overtaken}
                busy={props.busy}
                error={props.error.clone()}
                save={props.save.clone()}
                discard={props.discard.clone()}
            />
        </section>
    )
}

fn group_card(
    lang: Lang,
    group: SettingGroup,
    found: &[&SettingView],
    props: &ValuesViewProps,
) -> Html {
    let name = wire_name(&group);
    let mut rows = found.iter().filter(|s| s.group == group).peekable();
    if rows.peek().is_none() {
        return Html::default();
    }
    html!(
        <Card key={name.clone()} id={format!("settings-{name}")} title={lang.t(&format!("setting_group.{name}"))}>
            <div class="gb-settings">
                { for rows.map(|setting| html!(
                    <SettingRow
                        key={setting.name.clone()}
                        setting={(*setting).clone()}
                        edit={props.edits.get(&setting.name).cloned()}
                        problem={props.problems.get(&setting.name).cloned()}
                        put={props.put.clone()}
                    />
                )) }
            </div>
        </Card>
    )
}

/// What may be chosen to be shown, and its name in the list.
const ONLY: [(Only, &str); 5] = [
    (Only::All, "all"),
    (Only::Set, "set"),
    (Only::Panel, "panel"),
    (Only::Attention, "attention"),
    (Only::Edited, "edited"),
];

fn only_name(only: Only) -> String {
    match only {
        Only::Group(group) => wire_name(&group),
        other => ONLY
            .iter()
            .find(|(only, _)| *only == other)
            .map(|(_, name)| (*name).to_owned())
            .unwrap_or_default(),
    }
}

fn only_of(name: &str) -> Only {
    let plain = ONLY.iter().find(|(_, n)| *n == name).map(|(only, _)| *only);
    let group = || GROUPS.into_iter().find(|group| wire_name(group) == name);
    plain
        .or_else(|| group().map(Only::Group))
        .unwrap_or_default()
}

fn choices(lang: Lang) -> Vec<Choice> {
    let plain = ONLY.iter().map(|(_, name)| Choice {
        value: (*name).into(),
        text: lang.t(&format!("settings.only.{name}")),
    });
    let groups = GROUPS.iter().map(|group| Choice {
        value: wire_name(group).into(),
        text: lang.of("setting_group", group),
    });
    plain.chain(groups).collect()
}

#[derive(PartialEq, Properties)]
struct BarProps {
    changes: u64,
    problems: u64,
    overtaken: bool,
    busy: bool,
    error: Option<ApiError>,
    save: Callback<()>,
    discard: Callback<()>,
}

/// How much is changed and not saved, always in sight.
#[component]
fn Bar(props: &BarProps) -> Html {
    let lang = use_lang();
    if props.changes == 0 {
        return Html::default();
    }
    html!(
        <div class="gb-savebar gb-stack" role="region" aria-label={lang.t("settings.unsaved")} data-testid="settings-bar">
            if props.overtaken {
                <Notice tone={Tone::Warning} id="settings-overtaken" title={lang.t("settings.overtaken")}>
                    <p>{ lang.t("settings.overtaken_help") }</p>
                </Notice>
            }
            if let Some(error) = props.error.clone() {
                <ErrorNote {error} />
            }
            <div class="gb-row">
                <strong role="status">{ lang.n("settings.edits", props.changes) }</strong>
                if props.problems > 0 {
                    <span class="gb-bad" role="alert">{ lang.n("settings.problems", props.problems) }</span>
                }
                <span class="gb-push gb-row">
                    <Act id="settings-discard" kind={Kind::Link} label={lang.t("settings.discard")} onclick={props.discard.clone()} />
                    <Act
                        id="settings-save"
                        kind={Kind::Primary}
                        label={lang.t("settings.review")}
                        busy={props.busy}
                        onclick={props.save.clone()}
                    />
                </span>
            </div>
        </div>
    )
}
