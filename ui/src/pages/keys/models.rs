use std::rc::Rc;

use contract::Millis;
use contract::admin::{PoolModel, PoolView};
use patternfly_yew::prelude::Icon;
use yew::{AttrValue, Callback, Html, Properties, component, html};

use super::KeyAction;
use crate::app::use_lang;
use crate::controls::{Act, Kind};
use crate::text::{Lang, duration, number};

const COLUMNS: [&str; 5] = ["model", "ready", "minute", "today", "actions"];

#[derive(PartialEq, Properties)]
pub struct ModelsCardProps {
    /// None while the first answer is on its way.
    pub pool: Option<Rc<PoolView>>,
    pub now: Millis,
    pub act: Callback<KeyAction>,
}

/// What the pool can still do of each model that was asked for today.
#[component]
pub fn ModelsCard(props: &ModelsCardProps) -> Html {
    let lang = use_lang();
    let Some(pool) = props.pool.clone().filter(|pool| !pool.models.is_empty()) else {
        return Html::default();
    };
    html!(
        <div class="pf-v6-c-card" data-testid="pool-models">
            <div class="pf-v6-c-card__title">
                <h2 class="pf-v6-c-card__title-text">{ lang.t("keys.models.title") }</h2>
            </div>
            <div class="pf-v6-c-card__body gb-stack">
                <p class="gb-muted">{ lang.t("keys.models.help") }</p>
                <table class="pf-v6-c-table pf-m-grid-md gb-table" aria-label={lang.t("keys.models.title")}>
                    <thead class="pf-v6-c-table__thead">
                        <tr class="pf-v6-c-table__tr">
                            { for COLUMNS.iter().map(|column| html!(
                                <th class="pf-v6-c-table__th" scope="col" key={*column}>{ lang.t(&format!("keys.models.{column}")) }</th>
                            )) }
                        </tr>
                    </thead>
                    <tbody class="pf-v6-c-table__tbody">
                        { for pool.models.iter().map(|model| row(lang, model, props)) }
                    </tbody>
                </table>
            </div>
        </div>
    )
}

fn row(lang: Lang, model: &PoolModel, props: &ModelsCardProps) -> Html {
    let name = model.model.clone();
    let clear = props
        .act
        .reform(move |()| KeyAction::Clear(None, Some(name.clone())));
    let column = |name: &str| lang.t(&format!("keys.models.{name}"));
    html!(
        <tr class="pf-v6-c-table__tr" key={model.model.clone()} data-testid={format!("pool-model-{}", model.model)}>
            <td class="pf-v6-c-table__td gb-mono" data-label={column("model")}>{ &model.model }</td>
            <td class="pf-v6-c-table__td" data-label={column("ready")}>
                <div>{ lang.f("keys.models.of", &[("ready", &number(model.ready.into())), ("all", &number(model.projects.into()))]) }</div>
                if let Some(at) = model.next_ready_at.filter(|at| *at > props.now) {
                    <div class="gb-small gb-muted">{ lang.f("keys.again_in", &[("in", &duration(lang, at - props.now))]) }</div>
                }
                if model.waiting > 0 {
                    <div class="gb-small gb-muted">{ lang.f("keys.models.waiting", &[("n", &number(model.waiting.into()))]) }</div>
                }
            </td>
            <td class="pf-v6-c-table__td" data-label={column("minute")}>
                { used(lang, model.requests_minute, model.left_minute) }
                <div class="gb-small gb-muted">{ lang.f("keys.models.tokens", &[("n", &number(model.tokens_minute))]) }</div>
            </td>
            <td class="pf-v6-c-table__td" data-label={column("today")}>{ used(lang, model.requests_today, model.left_today) }</td>
            <td class="pf-v6-c-table__td gb-actions" data-label={column("actions")}>
                <Act
                    id={format!("pool-clear-{}", model.model)}
                    kind={Kind::Plain}
                    icon={Some(Icon::Redo)}
                    label={lang.t("keys.clear.model")}
                    aria_label={AttrValue::from(format!("{}: {}", lang.t("keys.clear.model"), model.model))}
                    onclick={clear}
                />
            </td>
        </tr>
    )
}

/// What was sent, and what is left as far as that is known.
fn used(lang: Lang, used: u64, left: Option<u64>) -> Html {
    let left = match left {
        Some(left) => lang.f("keys.models.left", &[("n", &number(left))]),
        None => lang.t("keys.models.left_unknown"),
    };
    html!(
        <>
            <div>{ lang.f("keys.models.sent", &[("n", &number(used))]) }</div>
            <div class="gb-small gb-muted">{ left }</div>
        </>
    )
}
