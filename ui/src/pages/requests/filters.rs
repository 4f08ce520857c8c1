use std::rc::Rc;

use contract::Millis;
use contract::admin::{KeyView, RequestQuery, Stats, StatsRow, Surface, TokenView};
use web_sys::HtmlInputElement;
use yew::{
    AttrValue, Callback, Event, Html, Properties, SubmitEvent, TargetCast, component, html,
    use_effect_with, use_state_eq,
};

use crate::app::use_lang;
use crate::controls::{Act, Choice, Choices, Kind};
use crate::host::{now, zone_here};
use crate::text::{Lang, wire_name};

/// The protocols, in the order in which they are offered.
pub const SURFACES: [Surface; 3] = [Surface::Openai, Surface::Gemini, Surface::Anthropic];

const HOUR: Millis = 3_600_000;

/// Stretches of time that end now: name, how long.
const SPANS: [(&str, Millis); 4] = [
    ("hour", HOUR),
    ("day", 24 * HOUR),
    ("week", 7 * 24 * HOUR),
    ("month", 30 * 24 * HOUR),
];

/// What requests can be filtered by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// Client tokens by number and name.
    pub tokens: Vec<(i64, String)>,
    /// Keys by number and label.
    pub keys: Vec<(i64, String)>,
    pub models: Vec<String>,
    pub statuses: Vec<u16>,
}

impl Known {
    /// All tokens and keys that exist now, and everything that was used lately, also when
    /// it was deleted since.
    pub fn of(
        tokens: Option<&Vec<TokenView>>,
        keys: Option<&Vec<KeyView>>,
        used: Option<&Stats>,
    ) -> Self {
        let tokens = tokens
            .into_iter()
            .flatten()
            .map(|token| (token.id, token.name.clone()))
            .collect();
        let keys = keys.into_iter().flatten().map(|key| {
            let name = if key.label.is_empty() {
                &key.masked
            } else {
                &key.label
            };
            (key.id, name.clone())
        });
        let mut known = Self {
            tokens,
            keys: keys.collect(),
            ..Self::default()
        };
        if let Some(used) = used {
            add(&mut known.tokens, &used.tokens);
            add(&mut known.keys, &used.keys);
            let models = used.models.iter().map(|row| row.name.clone());
            known.models = models.filter(|name| !name.is_empty()).collect();
            known.models.sort();
            let statuses = used.statuses.iter().filter_map(|row| row.name.parse().ok());
            known.statuses = statuses.collect();
            known.statuses.sort_unstable();
        }
        known
    }
}

fn add(names: &mut Vec<(i64, String)>, used: &[StatsRow]) {
    for row in used {
        if let Some(id) = row.id
            && !names.iter().any(|(other, _)| *other == id)
        {
            names.push((id, row.name.clone()));
        }
    }
}

/// Whether a query leaves anything out but by how requests ended, which the tabs show.
pub fn narrowed(query: &RequestQuery) -> bool {
    *query
        != RequestQuery {
            result: query.result,
            after: query.after.clone(),
            limit: query.limit,
            ..RequestQuery::default()
        }
}

#[derive(PartialEq, Properties)]
pub struct FiltersProps {
    pub query: RequestQuery,
    pub known: Rc<Known>,
    pub say: Callback<RequestQuery>,
}

/// One filter among the others: test id, label, what can be chosen, what is chosen, and
/// what choosing does to the query.
type Filter = (
    &'static str,
    AttrValue,
    Vec<Choice>,
    String,
    fn(&mut RequestQuery, &str),
);

/// Which requests to show.
#[component]
pub fn Filters(props: &FiltersProps) -> Html {
    let lang = use_lang();
    let (query, known) = (&props.query, &props.known);
    let change = {
        let (query, say) = (query.clone(), props.say.clone());
        move |set: fn(&mut RequestQuery, &str)| {
            let (query, say) = (query.clone(), say.clone());
            Callback::from(move |text: String| {
                // Another question begins at its first page.
                let mut query = RequestQuery {
                    after: None,
                    ..query.clone()
                };
                set(&mut query, &text);
                say.emit(query);
            })
        }
    };
    let filters: [Filter; 6] = [
        (
            "filter-token",
            lang.t("requests.column.token"),
            named(&known.tokens, query.token),
            number(query.token),
            |query, text| query.token = text.parse().ok(),
        ),
        (
            "filter-key",
            lang.t("requests.column.key"),
            named(&known.keys, query.key),
            number(query.key),
            |query, text| query.key = text.parse().ok(),
        ),
        (
            "filter-model",
            lang.t("requests.column.model"),
            with_chosen(known.models.clone(), query.model.clone()),
            query.model.clone().unwrap_or_default(),
            |query, text| query.model = (!text.is_empty()).then(|| text.to_owned()),
        ),
        (
            "filter-surface",
            lang.t("requests.column.surface"),
            surfaces(lang),
            query.surface.map(|s| wire_name(&s)).unwrap_or_default(),
            |query, text| query.surface = surface_of(text),
        ),
        (
            "filter-status",
            lang.t("requests.column.status"),
            with_chosen(
                known.statuses.iter().map(u16::to_string).collect(),
                query.status.map(|status| status.to_string()),
            ),
            query.status.map(|s| s.to_string()).unwrap_or_default(),
            |query, text| query.status = text.parse().ok(),
        ),
        (
            "filter-time",
            lang.t("requests.column.time"),
            spans(lang),
            if query.from.is_some() || query.to.is_some() {
                "chosen".to_owned()
            } else {
                String::new()
            },
            since,
        ),
    ];
    let ranged = query.from.is_some() || query.to.is_some();
    let clear = props.say.reform({
        let result = query.result;
        move |()| RequestQuery {
            result,
            ..RequestQuery::default()
        }
    });
    html!(
        <div class="gb-filters">
            <Search text={query.search.clone().unwrap_or_default()} onsearch={change(|query, text| {
                query.search = (!text.is_empty()).then(|| text.to_owned());
            })} />
            { for filters.into_iter().map(|(id, label, mut choices, chosen, set)| {
                let any = lang.f("requests.any", &[("what", &label)]);
                choices.insert(0, Choice { value: AttrValue::default(), text: any });
                html!(<Choices key={id} {id} {label} bare=true {choices} {chosen} onchange={change(set)} />)
            }) }
            if ranged {
                <When id="filter-from" label={lang.t("requests.from")} at={query.from} onchange={change(|query, text| {
                    query.from = zone_here().of_input(text);
                })} />
                <When id="filter-to" label={lang.t("requests.until")} at={query.to} onchange={change(|query, text| {
                    query.to = zone_here().of_input(text);
                })} />
            }
            if narrowed(query) {
                <Act id="filter-clear" kind={Kind::Link} label={lang.t("requests.clear")} onclick={clear} />
            }
        </div>
    )
}

fn number(id: Option<i64>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

/// Choices by number; one that is not known, as in an old link, goes by its number.
fn named(names: &[(i64, String)], chosen: Option<i64>) -> Vec<Choice> {
    let choice = |id: i64, name: &str| Choice {
        value: id.to_string().into(),
        text: if name.is_empty() {
            format!("#{id}").into()
        } else {
            name.to_owned().into()
        },
    };
    let unknown = chosen.filter(|id| !names.iter().any(|(other, _)| other == id));
    names
        .iter()
        .map(|(id, name)| choice(*id, name))
        .chain(unknown.map(|id| choice(id, "")))
        .collect()
}

fn with_chosen(mut texts: Vec<String>, chosen: Option<String>) -> Vec<Choice> {
    if let Some(chosen) = chosen
        && !texts.contains(&chosen)
    {
        texts.push(chosen);
    }
    texts
        .into_iter()
        .map(|text| Choice {
            value: text.clone().into(),
            text: text.into(),
        })
        .collect()
}

fn surfaces(lang: Lang) -> Vec<Choice> {
    SURFACES
        .iter()
        .map(|surface| Choice {
            value: wire_name(surface).into(),
            text: lang.of("surface", surface),
        })
        .collect()
}

/// The protocol of that name on the wire.
pub fn surface_of(name: &str) -> Option<Surface> {
    SURFACES
        .into_iter()
        .find(|surface| wire_name(surface) == name)
}

fn spans(lang: Lang) -> Vec<Choice> {
    SPANS
        .iter()
        .map(|(name, _)| *name)
        .chain(["chosen"])
        .map(|name| Choice {
            value: name.into(),
            text: lang.t(&format!("requests.span.{name}")),
        })
        .collect()
}

/// Sets the beginning to a stretch of time ago. A stretch of the user's own begins as the
/// last day, to be changed.
fn since(query: &mut RequestQuery, span: &str) {
    if span == "chosen" && query.from.is_some() {
        return;
    }
    let span = if span == "chosen" { "day" } else { span };
    let long = SPANS.iter().find(|(name, _)| *name == span);
    // To the minute, as the field shows it.
    query.from = long.map(|(_, long)| (now() - long).div_euclid(60_000) * 60_000);
    query.to = None;
}

#[derive(PartialEq, Properties)]
struct SearchProps {
    text: String,
    onsearch: Callback<String>,
}

/// What to look for; it is looked for at Enter, or when the field is left.
#[component]
fn Search(props: &SearchProps) -> Html {
    let lang = use_lang();
    let draft = use_state_eq(|| props.text.clone());
    use_effect_with(props.text.clone(), {
        let draft = draft.setter();
        move |text| draft.set(text.clone())
    });
    let oninput = {
        let draft = draft.setter();
        Callback::from(move |event: yew::InputEvent| {
            if let Some(input) = event.target_dyn_into::<HtmlInputElement>() {
                draft.set(input.value());
            }
        })
    };
    let find = {
        let (draft, said) = ((*draft).clone(), props.text.clone());
        let onsearch = props.onsearch.clone();
        move || {
            let text = draft.trim();
            if text != said {
                onsearch.emit(text.to_owned());
            }
        }
    };
    let onsubmit = {
        let find = find.clone();
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            find();
        })
    };
    let onblur = Callback::from(move |_: yew::FocusEvent| find());
    html!(
        <form class="gb-filters__search" {onsubmit}>
            <span class="pf-v6-c-form-control">
                <input
                    type="search"
                    data-testid="filter-search"
                    aria-label={lang.t("requests.search")}
                    placeholder={lang.t("requests.search")}
                    value={(*draft).clone()}
                    {oninput}
                    {onblur}
                />
            </span>
        </form>
    )
}

#[derive(PartialEq, Properties)]
struct WhenProps {
    id: AttrValue,
    label: AttrValue,
    at: Option<Millis>,
    onchange: Callback<String>,
}

/// One end of a stretch of time.
#[component]
fn When(props: &WhenProps) -> Html {
    let onchange = props.onchange.reform(|event: Event| {
        event
            .target_dyn_into::<HtmlInputElement>()
            .map(|input| input.value())
            .unwrap_or_default()
    });
    let value = props.at.map(|at| zone_here().to_input(at));
    html!(
        <div>
            <label class="gb-caption" for={&props.id}>{ &props.label }</label>
            <span class="pf-v6-c-form-control">
                <input
                    id={&props.id}
                    data-testid={&props.id}
                    type="datetime-local"
                    value={value.unwrap_or_default()}
                    {onchange}
                />
            </span>
        </div>
    )
}
