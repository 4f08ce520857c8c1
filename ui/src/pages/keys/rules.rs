use contract::admin::{EgressView, EgressWay, KeyRules, KeyView, Tier};
use yew::{AttrValue, Callback, Html, Properties, component, html, use_state_eq};

use super::KeyAction;
use crate::app::{use_host, use_lang};
use crate::controls::{Act, Choice, Choices, Dialog, Kind, TextField};
use crate::load::use_load;
use crate::text::Lang;

/// Rules as they stand in the fields: unfinished, perhaps wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    project: String,
    paid: bool,
    weight: String,
    models: String,
    not_models: String,
    /// Empty: the program chooses.
    proxy: String,
}

impl Draft {
    /// The fields for these rules.
    pub fn of(rules: &KeyRules) -> Self {
        Self {
            project: rules.project.clone().unwrap_or_default(),
            paid: rules.tier == Tier::Paid,
            weight: rules.weight.to_string(),
            models: rules.models.join(", "),
            not_models: rules.not_models.join(", "),
            proxy: rules.proxy.clone().unwrap_or_default(),
        }
    }

    /// The rules; none while the weight is wrong.
    pub fn read(&self) -> Option<KeyRules> {
        let names = |text: &str| {
            text.split([',', '，', ';', ' ', '\n'])
                .map(|name| name.trim().trim_start_matches("models/"))
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let weight = self.weight.trim().parse().ok();
        let project = self.project.trim();
        Some(KeyRules {
            project: (!project.is_empty()).then(|| project.to_owned()),
            tier: match self.paid {
                true => Tier::Paid,
                false => Tier::Free,
            },
            weight: weight.filter(|weight| (1..=100).contains(weight))?,
            models: names(&self.models),
            not_models: names(&self.not_models),
            proxy: (!self.proxy.is_empty()).then(|| self.proxy.clone()),
        })
    }
}

#[derive(PartialEq, Properties)]
pub struct RulesDialogProps {
    pub key_view: KeyView,
    pub act: Callback<KeyAction>,
    pub onclose: Callback<()>,
}

/// The proxies to choose from; only the program's own choice where there are none.
fn proxies_of(lang: Lang, egress: &[EgressView], chosen: &str) -> Vec<Choice> {
    const DIRECT: &str = "direct";
    let choice = |value: &str, text: AttrValue| Choice {
        value: AttrValue::from(value.to_owned()),
        text,
    };
    let mut choices = vec![choice("", lang.t("keys.rules.proxy_auto"))];
    let listed = egress.iter().filter(|way| way.way == EgressWay::Proxy);
    let listed: Vec<&str> = listed.map(|way| way.address.as_str()).collect();
    let is_gone = !chosen.is_empty() && chosen != DIRECT && !listed.contains(&chosen);
    if listed.is_empty() && chosen.is_empty() {
        return choices;
    }
    choices.push(choice(DIRECT, lang.t("keys.rules.proxy_direct")));
    for proxy in listed {
        choices.push(choice(proxy, AttrValue::from(proxy.to_owned())));
    }
    if is_gone {
        choices.push(choice(
            chosen,
            lang.f("keys.rules.proxy_gone", &[("proxy", &chosen)]),
        ));
    }
    choices
}

/// What the user chooses about a key besides its name.
#[component]
pub fn RulesDialog(props: &RulesDialogProps) -> Html {
    let lang = use_lang();
    let draft = use_state_eq(|| Draft::of(&props.key_view.rules));
    let host = use_host();
    let egress = use_load::<Vec<EgressView>>(host, "/api/egress", None);
    let egress = egress.result.data.unwrap_or_default();
    let field = |write: fn(&mut Draft, String)| {
        let draft = draft.clone();
        Callback::from(move |text: String| {
            let mut changed = (*draft).clone();
            write(&mut changed, text);
            draft.set(changed);
        })
    };
    let rules = draft.read();
    let id = props.key_view.id;
    let save = {
        let (act, close, rules) = (props.act.clone(), props.onclose.clone(), rules.clone());
        Callback::from(move |()| {
            if let Some(rules) = rules.clone() {
                act.emit(KeyAction::Rules(id, Box::new(rules)));
                close.emit(());
            }
        })
    };
    let problem = rules.is_none().then(|| lang.t("keys.rules.weight_problem"));
    let project_hint = match &props.key_view.project {
        Some(number) => lang.f("keys.rules.project_told", &[("number", number)]),
        None => lang.t("keys.rules.project_hint"),
    };
    let tier = |value: &'static str, text: AttrValue| Choice {
        value: AttrValue::Static(value),
        text,
    };
    let proxies = proxies_of(lang, &egress, &draft.proxy);
    let tiers = vec![
        tier("free", lang.t("keys.rules.free")),
        tier("paid", lang.t("keys.rules.paid")),
    ];
    html!(
        <Dialog
            id="key-rules"
            title={lang.f("keys.rules.title", &[("key", &props.key_view.masked)])}
            onclose={props.onclose.clone()}
            actions={html!(
                <>
                    <Act id="key-rules-save" kind={Kind::Primary} label={lang.t("common.save")} disabled={rules.is_none()} onclick={save} />
                    <Act id="key-rules-cancel" label={lang.t("common.cancel")} onclick={props.onclose.clone()} />
                </>
            )}
        >
            <TextField
                id="key-rules-project"
                label={lang.t("keys.rules.project")}
                value={draft.project.clone()}
                hint={Some(project_hint)}
                max_length={Some(100)}
                oninput={field(|draft, text| draft.project = text)}
            />
            <Choices
                id="key-rules-tier"
                label={lang.t("keys.rules.tier")}
                choices={tiers}
                chosen={if draft.paid { "paid" } else { "free" }}
                onchange={field(|draft, text| draft.paid = text == "paid")}
            />
            <TextField
                id="key-rules-weight"
                kind="number"
                range={Some((1, 100))}
                label={lang.t("keys.rules.weight")}
                value={draft.weight.clone()}
                hint={Some(lang.t("keys.rules.weight_hint"))}
                {problem}
                oninput={field(|draft, text| draft.weight = text)}
            />
            <TextField
                id="key-rules-models"
                label={lang.t("keys.rules.models")}
                value={draft.models.clone()}
                hint={Some(lang.t("keys.rules.models_hint"))}
                oninput={field(|draft, text| draft.models = text)}
            />
            <TextField
                id="key-rules-not-models"
                label={lang.t("keys.rules.not_models")}
                value={draft.not_models.clone()}
                oninput={field(|draft, text| draft.not_models = text)}
            />
            if proxies.len() > 1 {
                <Choices
                    id="key-rules-proxy"
                    label={lang.t("keys.rules.proxy")}
                    choices={proxies}
                    chosen={draft.proxy.clone()}
                    onchange={field(|draft, text| draft.proxy = text)}
                />
            }
        </Dialog>
    )
}
