use contract::Millis;
use contract::admin::{KeyState, KeyView, Origin, Tier};
use patternfly_yew::prelude::{Color, Icon, Label};
use yew::{AttrValue, Callback, Html, Properties, component, html, use_state_eq};

use super::KeyAction;
use super::label::LabelEdit;
use super::replace::ReplaceDialog;
use super::rules::RulesDialog;
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

/// A dialog about a key.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    Rules,
    Replace,
}

/// One key.
#[component]
pub fn KeyRow(props: &KeyRowProps) -> Html {
    let lang = use_lang();
    let key = &props.key_view;
    let id = key.id;
    let enabled = key.state != KeyState::Disabled;
    let of_env = key.origin == Origin::Environment;
    let open = use_state_eq(|| None::<Open>);
    let show = |which: Open| {
        let open = open.setter();
        Callback::from(move |()| open.set(Some(which)))
    };
    let close = {
        let open = open.setter();
        Callback::from(move |()| open.set(None))
    };
    // Both kinds were once like this; the new ones begin with AQ.
    let is_old = key.masked.starts_with("AIza") && enabled;
    let rests = key.cooldowns.iter().any(|rest| rest.until > props.now);
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
                if let Some(project) = key.project.as_ref().or(key.rules.project.as_ref()) {
                    <div class="gb-small gb-muted">{ lang.f("keys.in_project", &[("project", project)]) }</div>
                }
                if is_old {
                    <div data-testid={format!("key-old-{id}")}><Label color={Color::Orange} compact=true label={lang.t("keys.replace.old_kind").to_string()} /></div>
                }
                if key.rules.tier == Tier::Paid {
                    <div><Label color={Color::Blue} compact=true label={lang.t("keys.rules.paid").to_string()} /></div>
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
                    if rests {
                        <Act
                            id={format!("key-clear-{id}")}
                            kind={Kind::Plain}
                            icon={Some(Icon::Redo)}
                            label={lang.t("keys.clear.one")}
                            aria_label={named("keys.clear.one")}
                            onclick={props.act.reform(move |()| KeyAction::Clear(Some(id), None))}
                        />
                    }
                    <Act
                        id={format!("key-rules-{id}")}
                        kind={Kind::Plain}
                        icon={Some(Icon::Cog)}
                        label={lang.t("keys.rules.edit")}
                        aria_label={named("keys.rules.edit")}
                        onclick={show(Open::Rules)}
                    />
                    if !of_env {
                        <Act
                            id={format!("key-replace-{id}")}
                            kind={Kind::Plain}
                            icon={Some(Icon::Key)}
                            label={lang.t("keys.replace.act")}
                            aria_label={named("keys.replace.act")}
                            onclick={show(Open::Replace)}
                        />
                    }
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
                { match *open {
                    Some(Open::Rules) => html!(<RulesDialog key_view={key.clone()} act={props.act.clone()} onclose={close} />),
                    Some(Open::Replace) => html!(<ReplaceDialog key_view={key.clone()} act={props.act.clone()} onclose={close} />),
                    None => Html::default(),
                } }
            </td>
        </tr>
    )
}
