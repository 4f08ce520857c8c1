use yew::{Callback, Html, MouseEvent, Properties, classes, component, html};

use super::At;
use super::account::NameCard;
use super::draft::{Change, DataKind, Draft, change};
use super::mysql::MysqlCard;
use super::place::Door;
use crate::app::use_lang;
use crate::controls::{Card, TextField};
use crate::text::wire_name;

#[derive(PartialEq, Properties)]
pub struct DataStepProps {
    pub at: At,
    pub door: Door,
    pub draft: Draft,
    pub edit: Callback<Change>,
}

/// Where its data are: the choices, what each means, and what it needs.
#[component]
pub fn DataStep(props: &DataStepProps) -> Html {
    let lang = use_lang();
    let draft = &props.draft;
    let chosen = draft.data_or_default(props.door);
    let kinds = [
        DataKind::None,
        DataKind::Volume,
        DataKind::InCluster,
        DataKind::Mysql,
    ];
    html!(
        <>
            if props.door.provider().is_none() {
                <NameCard name={draft.name.clone()} door={props.door} edit={props.edit.clone()} />
            }
            <Card id="data-card" title={lang.t("deploy.data_title")}>
                <p class="gb-muted">{ lang.t("deploy.data_intro") }</p>
                <div class="gb-options" role="radiogroup" aria-label={lang.t("deploy.data_title")}>
                    { for kinds.into_iter().map(|kind| {
                        let name = wire_name(&kind);
                        let offered = draft.offers(props.at, kind);
                        let here = kind == chosen;
                        html!(
                            <label
                                class={classes!("gb-option", here.then_some("gb-option--here"), (!offered).then_some("gb-option--off"))}
                                key={name.clone()}
                            >
                                <input
                                    type="radio" name="data" data-testid={format!("data-{name}")}
                                    checked={here} disabled={!offered}
                                    onclick={props.edit.reform(move |_: MouseEvent| change(move |draft| {
                                        draft.data = Some(kind);
                                    }))}
                                />
                                <span>
                                    <strong>{ lang.t(&format!("deploy.data.{name}")) }</strong>
                                    <span class="gb-option__help">{ lang.t(&format!("deploy.data_help.{name}")) }</span>
                                    <span class="gb-option__help gb-muted">{ lang.t(&format!("deploy.data_lost.{name}")) }</span>
                                    if !offered {
                                        <span class="gb-option__help gb-muted">{ lang.t("deploy.data_not_here") }</span>
                                    }
                                </span>
                            </label>
                        )
                    }) }
                </div>
                if matches!(chosen, DataKind::Volume | DataKind::InCluster) {
                    <div class="gb-setting__number">
                        <TextField
                            id="data-gib" kind="number" range={(1, 1_000)} label={lang.t("deploy.data_size")}
                            value={draft.gib.clone()}
                            oninput={props.edit.reform(|text: String| change(move |draft| draft.gib = text))}
                        />
                    </div>
                }
            </Card>
            if chosen == DataKind::Mysql {
                <MysqlCard draft={draft.clone()} edit={props.edit.clone()} />
            }
        </>
    )
}
