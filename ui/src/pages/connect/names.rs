use contract::ApiError;
use contract::admin::{ModelName, Surface, TestAnswer, TestRequest};
use patternfly_yew::prelude::Icon;
use wasm_bindgen_futures::spawn_local;
use yew::{
    AttrValue, Callback, Html, Properties, SubmitEvent, component, html, use_callback, use_state_eq,
};

use super::test_request::answered;
use crate::app::{use_host, use_lang};
use crate::controls::{Act, Card, Kind, TextField};

#[derive(PartialEq, Properties)]
pub struct NamesCardProps {
    pub names: Vec<ModelName>,
}

/// Which Gemini model answers for another vendor's name, and a try of any name.
#[component]
pub fn NamesCard(props: &NamesCardProps) -> Html {
    let host = use_host();
    let name = use_state_eq(|| AttrValue::Static("gpt-4o"));
    let busy = use_state_eq(|| false);
    let answer = use_state_eq(|| None::<Result<TestAnswer, ApiError>>);
    let oninput = {
        let name = name.setter();
        use_callback((), move |typed: String, ()| name.set(typed.into()))
    };
    let send = {
        let (busy, answer) = (busy.setter(), answer.setter());
        use_callback((*name).clone(), move |(), name| {
            let request = TestRequest {
                surface: Surface::Openai,
                model: name.trim().to_owned(),
                prompt: None,
            };
            let (busy, answer) = (busy.clone(), answer.clone());
            busy.set(true);
            spawn_local(async move {
                answer.set(Some(host.post("/api/test", &request).await));
                busy.set(false);
            });
        })
    };
    html!(
        <NamesView
            names={props.names.clone()}
            name={(*name).clone()}
            busy={*busy}
            answer={(*answer).clone()}
            edit={host.page("#/settings")}
            {oninput}
            {send}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct NamesViewProps {
    pub names: Vec<ModelName>,
    /// The name to try.
    pub name: AttrValue,
    pub busy: bool,
    pub answer: Option<Result<TestAnswer, ApiError>>,
    /// Where the table is edited.
    pub edit: AttrValue,
    pub oninput: Callback<String>,
    pub send: Callback<()>,
}

/// The table and the try as a function of what was typed and answered.
#[component]
pub fn NamesView(props: &NamesViewProps) -> Html {
    let lang = use_lang();
    let onsubmit = props
        .send
        .reform(|event: SubmitEvent| event.prevent_default());
    html!(
        <Card
            id="names-card"
            title={lang.t("connect.names.title")}
            corner={html!(
                <a class="pf-v6-c-button pf-m-link pf-m-inline" href={props.edit.clone()} data-testid="names-edit">
                    { lang.t("connect.names.edit") }
                </a>
            )}
        >
            <p class="gb-muted">{ lang.t("connect.names.help") }</p>
            if props.names.is_empty() {
                <p data-testid="names-none">{ lang.t("connect.names.none") }</p>
            } else {
                <table class="pf-v6-c-table pf-m-compact" data-testid="names">
                    <thead class="pf-v6-c-table__thead">
                        <tr class="pf-v6-c-table__tr">
                            <th class="pf-v6-c-table__th" scope="col">{ lang.t("connect.names.name") }</th>
                            <th class="pf-v6-c-table__th" scope="col">{ lang.t("connect.names.model") }</th>
                        </tr>
                    </thead>
                    <tbody class="pf-v6-c-table__tbody">
                        { for props.names.iter().map(|row| html!(
                            <tr class="pf-v6-c-table__tr" key={row.name.clone()}>
                                <td class="pf-v6-c-table__td gb-mono">{ &row.name }</td>
                                <td class="pf-v6-c-table__td gb-mono">{ &row.model }</td>
                            </tr>
                        )) }
                    </tbody>
                </table>
            }
            <form class="gb-test-form" {onsubmit}>
                <TextField
                    id="names-try"
                    label={lang.t("connect.names.try")}
                    value={props.name.clone()}
                    max_length={200}
                    oninput={props.oninput.clone()}
                />
                <Act
                    id="names-send"
                    kind={Kind::Secondary}
                    icon={Some(Icon::Play)}
                    label={lang.t("test.send")}
                    submit=true
                    busy={props.busy}
                />
            </form>
            { answered(lang, props.answer.as_ref()) }
        </Card>
    )
}
