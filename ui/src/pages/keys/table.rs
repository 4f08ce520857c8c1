use std::collections::BTreeSet;
use std::rc::Rc;

use contract::Millis;
use contract::admin::KeyView;
use patternfly_yew::prelude::{EmptyState, Icon};
use web_sys::HtmlInputElement;
use yew::{
    AttrValue, Callback, Html, InputEvent, Properties, TargetCast, component, html, use_state_eq,
};

use super::KeyAction;
use super::check::{CheckRun, CheckRunView};
use super::filter::Filter;
use super::row::KeyRow;
use crate::app::use_lang;
use crate::controls::{Act, Choice, Choices, Skeleton};
use crate::text::{Lang, number};

/// So many keys are drawn at first, and with each press of "more": every countdown is
/// drawn anew each second, and some people have thousands of keys.
const PORTION: usize = 100;

/// The states to filter by, by their names on the wire.
const STATES: [&str; 6] = [
    "ready",
    "limited",
    "unchecked",
    "cooling",
    "rejected",
    "disabled",
];

#[derive(PartialEq, Properties)]
pub struct KeysCardProps {
    /// None while the first answer is on its way.
    pub keys: Option<Rc<Vec<KeyView>>>,
    /// There is an error above instead.
    pub failed: bool,
    pub now: Millis,
    pub busy: BTreeSet<i64>,
    pub run: CheckRun,
    pub act: Callback<KeyAction>,
}

/// All keys, with search and the check of all.
#[component]
pub fn KeysCard(props: &KeysCardProps) -> Html {
    let lang = use_lang();
    let filter = use_state_eq(Filter::default);
    let limit = use_state_eq(|| PORTION);
    let Some(keys) = props.keys.clone() else {
        return if props.failed {
            Html::default()
        } else {
            html!(<div class="pf-v6-c-card"><div class="pf-v6-c-card__body"><Skeleton lines={6} /></div></div>)
        };
    };
    if keys.is_empty() {
        return html!(
            <div class="pf-v6-c-card" data-testid="keys-empty">
                <EmptyState title={lang.t("keys.empty.title").to_string()} icon={Icon::Key}>
                    <p>{ lang.t("keys.empty.body") }</p>
                    <ol class="gb-steps">
                        <li>{ lang.t("keys.empty.step1") }</li>
                        <li>{ lang.t("keys.empty.step2") }</li>
                        <li>{ lang.t("keys.empty.step3") }</li>
                    </ol>
                </EmptyState>
            </div>
        );
    }
    let shown = filter.apply(&keys);
    let hidden = shown.len().saturating_sub(*limit);
    let onmore = {
        let limit = limit.clone();
        Callback::from(move |()| limit.set(*limit + PORTION))
    };
    let onsearch = {
        let filter = filter.clone();
        Callback::from(move |event: InputEvent| {
            if let Some(input) = event.target_dyn_into::<HtmlInputElement>() {
                filter.set(Filter {
                    text: input.value(),
                    ..(*filter).clone()
                });
            }
        })
    };
    let onstate = {
        let filter = filter.clone();
        Callback::from(move |state: String| {
            filter.set(Filter {
                state,
                ..(*filter).clone()
            })
        })
    };
    html!(
        <div class="pf-v6-c-card" data-testid="keys-card">
            <div class="pf-v6-c-card__body gb-stack">
                <div class="gb-toolbar">
                    <span class="pf-v6-c-form-control gb-toolbar__search">
                        <input
                            type="search"
                            data-testid="key-search"
                            aria-label={lang.t("keys.search")}
                            placeholder={lang.t("keys.search")}
                            value={filter.text.clone()}
                            oninput={onsearch}
                        />
                    </span>
                    <div class="gb-toolbar__filter">
                        <Choices
                            id="key-filter"
                            bare=true
                            label={lang.t("keys.filter")}
                            choices={states(lang)}
                            chosen={filter.state.clone()}
                            onchange={onstate}
                        />
                    </div>
                    <span class="gb-muted gb-push" data-testid="key-count" role="status">{ counted(lang, shown.len(), keys.len()) }</span>
                    <Act
                        id="key-check-all"
                        icon={Some(Icon::SyncAlt)}
                        label={lang.t("keys.check.all")}
                        busy={props.run.running}
                        onclick={props.act.reform(|()| KeyAction::CheckAll)}
                    />
                </div>
                <CheckRunView run={props.run.clone()} act={props.act.clone()} />
                if shown.is_empty() {
                    <p class="gb-muted gb-quiet">{ lang.t("keys.none_match") }</p>
                } else {
                    <table class="pf-v6-c-table pf-m-grid-md gb-table" aria-label={lang.t("keys.title")}>
                        <thead class="pf-v6-c-table__thead">
                            <tr class="pf-v6-c-table__tr">
                                { for ["key", "state", "today", "actions"].iter().map(|column| html!(
                                    <th class="pf-v6-c-table__th" scope="col" key={*column}>{ lang.t(&format!("keys.column.{column}")) }</th>
                                )) }
                            </tr>
                        </thead>
                        <tbody class="pf-v6-c-table__tbody">
                            { for shown.into_iter().take(*limit).map(|key| html!(
                                <KeyRow
                                    key={key.id}
                                    key_view={key.clone()}
                                    now={props.now}
                                    busy={props.busy.contains(&key.id)}
                                    act={props.act.clone()}
                                />
                            )) }
                        </tbody>
                    </table>
                    if hidden > 0 {
                        <div class="gb-row">
                            <Act
                                id="key-more"
                                label={lang.f("keys.more", &[("n", &number(hidden.min(PORTION) as u64))])}
                                onclick={onmore}
                            />
                        </div>
                    }
                }
            </div>
        </div>
    )
}

fn states(lang: Lang) -> Vec<Choice> {
    let all = Choice {
        value: AttrValue::default(),
        text: lang.t("keys.all_states"),
    };
    let each = STATES.iter().map(|state| Choice {
        value: (*state).into(),
        text: lang.t(&format!("keys.state.{state}")),
    });
    std::iter::once(all).chain(each).collect()
}

fn counted(lang: Lang, shown: usize, all: usize) -> AttrValue {
    if shown == all {
        lang.n("keys.count", all as u64)
    } else {
        let (shown, all) = (number(shown as u64), number(all as u64));
        lang.f("keys.count_shown", &[("shown", &shown), ("all", &all)])
    }
}
