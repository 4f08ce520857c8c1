use std::rc::Rc;

use contract::ApiError;
use contract::deploy::{Difference, DriftView, PushReport, PushWish, RemoteView};
use yew::{AttrValue, Callback, Html, Properties, component, html, use_state_eq};

use super::{Part, inner_link, page_of};
use crate::app::{use_host, use_lang};
use crate::controls::{Act, Card, Confirm, ErrorNote, Kind, Notice, Skeleton, Tone};
use crate::load::{LoadResult, use_load};
use crate::send::use_send;
use crate::text::Lang;

/// How often the difference is asked for, in milliseconds.
const DRIFT_EVERY: u32 = 30_000;

#[derive(PartialEq, Properties)]
pub struct DriftProps {
    pub remote: RemoteView,
    /// Called when something was done.
    pub changed: Callback<()>,
}

/// Which way something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From here to the remote.
    Push,
    /// From the remote to here.
    Take,
}

impl Way {
    fn path(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Take => "take",
        }
    }
}

/// Where a remote differs from this instance, and both ways to make them alike.
#[component]
pub fn Drift(props: &DriftProps) -> Html {
    let host = use_host();
    let sending = use_send();
    let id = props.remote.id;
    let path = format!("/api/deploy/remotes/{id}/drift");
    let drift = use_load::<DriftView>(host, path, Some(DRIFT_EVERY));
    let asked = use_state_eq(|| None::<(Way, PushWish)>);
    let report = use_state_eq(|| None::<(Way, PushReport)>);
    let ask = {
        let asked = asked.setter();
        Callback::from(move |wish: Option<(Way, PushWish)>| asked.set(wish))
    };
    let confirm = {
        let (sending, report, ask) = (sending.clone(), report.setter(), ask.clone());
        let (reload, changed) = (drift.reload.clone(), props.changed.clone());
        let asked = *asked;
        Callback::from(move |()| {
            let Some((way, wish)) = asked else { return };
            let path = format!("/api/deploy/remotes/{id}/{}", way.path());
            let (report, ask) = (report.clone(), ask.clone());
            let (reload, changed) = (reload.clone(), changed.clone());
            sending.run(
                async move { host.post(&path, &wish).await },
                move |done: PushReport| {
                    report.set(Some((way, done)));
                    ask.emit(None);
                    reload.emit(());
                    changed.emit(());
                },
            );
        })
    };
    html!(
        <DriftPage
            {id}
            name={props.remote.name.clone()}
            drift={drift.result}
            asked={*asked}
            {ask}
            {confirm}
            busy={sending.busy}
            error={sending.error.clone()}
            report={(*report).clone()}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct DriftPageProps {
    pub id: i64,
    pub name: AttrValue,
    pub drift: LoadResult<DriftView>,
    /// What is about to be done.
    pub asked: Option<(Way, PushWish)>,
    pub ask: Callback<Option<(Way, PushWish)>>,
    pub confirm: Callback<()>,
    pub busy: bool,
    pub error: Option<ApiError>,
    /// What was done last.
    pub report: Option<(Way, PushReport)>,
}

/// The difference as a function of what is known.
#[component]
pub fn DriftPage(props: &DriftPageProps) -> Html {
    let lang = use_lang();
    html!(
        <>
            if let Some((way, report)) = &props.report {
                { reported(lang, *way, report) }
            }
            if let Some(error) = props.drift.error.clone() {
                <ErrorNote {error} />
            }
            if let Some(drift) = props.drift.data.clone() {
                <Groups {drift} id={props.id} ask={props.ask.clone()} />
            } else if props.drift.error.is_none() {
                <Skeleton lines={6} />
            }
            if let Some((way, _)) = props.asked {
                <Confirm
                    id="drift-ask"
                    title={lang.f(match way {
                        Way::Push => "instances.drift.push_title",
                        Way::Take => "instances.drift.take_title",
                    }, &[("name", &props.name)])}
                    label={lang.t(match way {
                        Way::Push => "instances.drift.push",
                        Way::Take => "instances.drift.take",
                    })}
                    busy={props.busy}
                    error={props.error.clone()}
                    onclose={props.ask.reform(|()| None)}
                    confirm={props.confirm.clone()}
                >
                    <p>{ lang.t(match way {
                        Way::Push => "instances.drift.push_help",
                        Way::Take => "instances.drift.take_help",
                    }) }</p>
                </Confirm>
            }
        </>
    )
}

#[derive(PartialEq, Properties)]
struct GroupsProps {
    drift: Rc<DriftView>,
    id: i64,
    ask: Callback<Option<(Way, PushWish)>>,
}

#[component]
fn Groups(props: &GroupsProps) -> Html {
    let lang = use_lang();
    let drift = &props.drift;
    let image: Vec<Difference> = drift.image.clone().into_iter().collect();
    let none = PushWish::default();
    let groups: [(&str, &[Difference], Option<PushWish>); 5] = [
        ("keys", &drift.keys, Some(PushWish { keys: true, ..none })),
        (
            "tokens",
            &drift.tokens,
            Some(PushWish {
                tokens: true,
                ..none
            }),
        ),
        (
            "settings",
            &drift.settings,
            Some(PushWish {
                settings: true,
                ..none
            }),
        ),
        ("variables", &drift.variables, None),
        ("image", &image, None),
    ];
    let nothing = groups
        .iter()
        .all(|(_, differences, _)| differences.is_empty());
    html!(
        <>
            if nothing && drift.problems.is_empty() {
                <Notice tone={Tone::Success} id="drift-none" title={lang.t("instances.drift.none")} />
            }
            { for drift.problems.iter().enumerate().map(|(i, error)| html!(<ErrorNote key={i} error={error.clone()} />)) }
            { for groups.into_iter().filter(|(_, differences, _)| !differences.is_empty()).map(|(name, differences, wish)| html!(
                <Card key={name} id={format!("drift-{name}")} title={lang.t(&format!("instances.drift.group.{name}"))}>
                    <p class="gb-muted">{ lang.t(&format!("instances.drift.group_help.{name}")) }</p>
                    <Differences differences={differences.to_vec()} there={lang.t("instances.drift.there")} here={lang.t("instances.drift.here")} />
                    <div class="gb-row">
                        if let Some(wish) = wish {
                            <Act id={format!("drift-push-{name}")} kind={Kind::Primary} label={lang.t("instances.drift.push")} onclick={props.ask.reform(move |()| Some((Way::Push, wish)))} />
                            <Act id={format!("drift-take-{name}")} label={lang.t("instances.drift.take")} onclick={props.ask.reform(move |()| Some((Way::Take, wish)))} />
                        } else {
                            { inner_link(
                                page_of(props.id, if name == "image" { Part::Deploys } else { Part::App }),
                                lang.t("instances.drift.apply"),
                                format!("drift-apply-{name}").into(),
                            ) }
                        }
                    </div>
                </Card>
            )) }
        </>
    )
}

fn reported(lang: Lang, way: Way, report: &PushReport) -> Html {
    let title = lang.f(
        match way {
            Way::Push => "instances.drift.pushed",
            Way::Take => "instances.drift.taken",
        },
        &[
            ("added", &report.added),
            ("changed", &report.changed),
            ("removed", &report.removed),
        ],
    );
    html!(
        <>
            <Notice
                id="drift-report"
                tone={if report.problems.is_empty() { Tone::Success } else { Tone::Warning }}
                {title}
            />
            if report.variables_wait {
                <Notice id="drift-variables-wait" tone={Tone::Info} title={lang.t("instances.drift.variables_wait")} />
            }
            { for report.problems.iter().enumerate().map(|(i, error)| html!(<ErrorNote key={i} error={error.clone()} />)) }
        </>
    )
}

#[derive(PartialEq, Properties)]
pub struct DifferencesProps {
    pub differences: Vec<Difference>,
    /// What stands over the old values.
    pub there: AttrValue,
    /// What stands over the new ones.
    pub here: AttrValue,
}

/// Differences, each with its name, what is there and what should be.
#[component]
pub fn Differences(props: &DifferencesProps) -> Html {
    let lang = use_lang();
    let value = |text: &Option<String>, sign: &'static str, class: &'static str| match text {
        Some(text) if text.is_empty() => {
            html!(<span class="gb-muted">{ lang.t("instances.drift.empty") }</span>)
        }
        Some(text) => {
            html!(<span class="gb-mono gb-wrap-anywhere"><span class={class} aria-hidden="true">{ sign }{ " " }</span>{ text }</span>)
        }
        None => html!(<span class="gb-muted">{ lang.t("instances.drift.absent") }</span>),
    };
    html!(
        <table class="pf-v6-c-table pf-m-compact pf-m-grid-md gb-table">
            <thead class="pf-v6-c-table__thead">
                <tr class="pf-v6-c-table__tr">
                    <th class="pf-v6-c-table__th" scope="col">{ lang.t("variables.column.name") }</th>
                    <th class="pf-v6-c-table__th" scope="col">{ &props.there }</th>
                    <th class="pf-v6-c-table__th" scope="col">{ &props.here }</th>
                </tr>
            </thead>
            <tbody class="pf-v6-c-table__tbody">
                { for props.differences.iter().map(|one| html!(
                    <tr class="pf-v6-c-table__tr" key={one.name.clone()} data-testid={format!("difference-{}", one.name)}>
                        <td class="pf-v6-c-table__td gb-wrap-anywhere" data-label={lang.t("variables.column.name")}>{ &one.name }</td>
                        <td class="pf-v6-c-table__td" data-label={&props.there}>{ value(&one.from, "−", "gb-bad") }</td>
                        <td class="pf-v6-c-table__td" data-label={&props.here}>{ value(&one.to, "+", "gb-good") }</td>
                    </tr>
                )) }
            </tbody>
        </table>
    )
}
