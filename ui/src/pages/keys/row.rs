use contract::Millis;
use contract::admin::{KeyState, KeyView, Origin};
use patternfly_yew::prelude::{Color, Icon, Label};
use yew::{AttrValue, Callback, Html, Properties, component, html};

use super::KeyAction;
use super::label::LabelEdit;
use super::state::StateView;
use crate::app::use_lang;
use crate::controls::{Act, Kind, Toggle};
use crate::text::{ago, number};

#[derive(PartialEq, Properties)]
pub struct KeyRowProps {
    pub key_view: KeyView,
    pub now: Millis,
    /// Something is being done to it.
    pub busy: bool,
    pub act: Callback<KeyAction>,
}

/// One key.
#[component]
pub fn KeyRow(props: &KeyRowProps) -> Html {
    let lang = use_lang();
    let key = &props.key_view;
    let id = key.id;
    let enabled = key.state != KeyState::Disabled;
    let of_env = key.origin == Origin::Environment;
    // The time is not kept over a restart, the count is: then the count alone is shown.
    let used = match key.last_used_at {
        Some(at) => lang.f("keys.used", &[("ago", &ago(lang, props.now, at))]),
        None if key.requests_today == 0 => lang.t("keys.never_used"),
        None => AttrValue::default(),
    };
    let named = |text: &str| -> AttrValue {
        let name = if key.label.is_empty() {
            &key.masked
        } else {
            &key.label
        };
        format!("{}: {name}", lang.t(text)).into()
    };
    html!(
        <tr class="pf-v6-c-table__tr" data-testid={format!("key-row-{id}")}>
            <td class="pf-v6-c-table__td" data-label={lang.t("keys.column.key")}>
                <div class="gb-mono gb-key">{ &key.masked }</div>
                <LabelEdit {id} label={key.label.clone()} act={props.act.clone()} />
                if key.express {
                    <div><Label color={Color::Blue} compact=true label={lang.t("keys.express").to_string()} /></div>
                }
                if of_env {
                    <div><Label color={Color::Grey} compact=true label={lang.t("keys.of_environment").to_string()} /></div>
                }
            </td>
            <td class="pf-v6-c-table__td" data-label={lang.t("keys.column.state")}>
                <StateView
                    state={key.state}
                    cooldowns={key.cooldowns.clone()}
                    now={props.now}
                    last_error={key.last_error.clone()}
                />
            </td>
            <td class="pf-v6-c-table__td gb-today" data-label={lang.t("keys.column.today")}>
                <div>{ lang.n("keys.requests", key.requests_today) }</div>
                if key.errors_today > 0 {
                    <div class="gb-small gb-muted">{ lang.f("keys.errors", &[("n", &number(key.errors_today))]) }</div>
                }
                <div class="gb-small gb-muted">{ used }</div>
            </td>
            <td class="pf-v6-c-table__td gb-actions" data-label={lang.t("keys.column.actions")}>
                <div class="gb-row gb-row--tight">
                    <Toggle
                        id={format!("key-toggle-{id}")}
                        label={named(if enabled { "keys.switch_off" } else { "keys.switch_on" })}
                        on={enabled}
                        disabled={props.busy}
                        onchange={props.act.reform(move |on| KeyAction::Enable(id, on))}
                    />
                    <Act
                        id={format!("key-check-{id}")}
                        small=true
                        label={lang.t("keys.check.one")}
                        aria_label={named("keys.check.one")}
                        busy={props.busy}
                        disabled={!enabled}
                        onclick={props.act.reform(move |()| KeyAction::Check(id))}
                    />
                    <Act
                        id={format!("key-delete-{id}")}
                        kind={Kind::Plain}
                        icon={Some(Icon::Trash)}
                        label={if of_env { lang.t("keys.delete_in_environment") } else { lang.t("keys.delete") }}
                        aria_label={named("keys.delete")}
                        disabled={props.busy || of_env}
                        onclick={props.act.reform(move |()| KeyAction::Delete(id))}
                    />
                </div>
            </td>
        </tr>
    )
}
