use contract::ApiError;
use contract::admin::{ConnectInfo, ModelView, Surface, TestAnswer, TestRequest};
use patternfly_yew::prelude::Icon;
use wasm_bindgen_futures::spawn_local;
use yew::{
    AttrValue, Callback, Html, Properties, SubmitEvent, component, html, use_callback, use_state_eq,
};

use crate::app::{use_host, use_lang};
use crate::controls::{Act, Choice, Choices, ErrorNote, Kind, Notice, Tone};
use crate::load::{LoadResult, use_load};
use crate::text::{Lang, number, wire_name};

#[derive(PartialEq, Properties)]
pub struct TestCardProps {
    pub info: ConnectInfo,
}

/// Sends one real request through the pool.
#[component]
pub fn TestCard(props: &TestCardProps) -> Html {
    let host = use_host();
    let models = use_load::<Vec<ModelView>>(host, "/api/models", None);
    let first = props
        .info
        .endpoints
        .first()
        .map_or(Surface::Openai, |e| e.surface);
    let surface = use_state_eq(|| first);
    let model = use_state_eq(|| AttrValue::from(props.info.example_model.clone()));
    let busy = use_state_eq(|| false);
    let answer = use_state_eq(|| None::<Result<TestAnswer, ApiError>>);
    let onsurface = {
        let surface = surface.setter();
        let all: Vec<Surface> = props.info.endpoints.iter().map(|e| e.surface).collect();
        use_callback(all, move |name: String, all| {
            if let Some(chosen) = all.iter().find(|s| wire_name(*s) == name) {
                surface.set(*chosen);
            }
        })
    };
    let onmodel = {
        let model = model.setter();
        use_callback((), move |name: String, ()| model.set(name.into()))
    };
    let send = {
        let (busy, answer) = (busy.setter(), answer.setter());
        let reload = models.reload.clone();
        let unknown = models.result.error.is_some();
        use_callback(
            (*surface, (*model).clone(), unknown),
            move |(), (surface, model, unknown)| {
                let request = TestRequest {
                    surface: *surface,
                    model: model.to_string(),
                    prompt: None,
                };
                if *unknown {
                    reload.emit(());
                }
                let (busy, answer) = (busy.clone(), answer.clone());
                busy.set(true);
                spawn_local(async move {
                    answer.set(Some(host.post("/api/test", &request).await));
                    busy.set(false);
                });
            },
        )
    };
    html!(
        <TestView
            info={props.info.clone()}
            models={models.result.clone()}
            surface={*surface}
            model={(*model).clone()}
            busy={*busy}
            answer={(*answer).clone()}
            {onsurface}
            {onmodel}
            {send}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct TestViewProps {
    pub info: ConnectInfo,
    pub models: LoadResult<Vec<ModelView>>,
    pub surface: Surface,
    pub model: AttrValue,
    pub busy: bool,
    pub answer: Option<Result<TestAnswer, ApiError>>,
    pub onsurface: Callback<String>,
    pub onmodel: Callback<String>,
    pub send: Callback<()>,
}

/// The test request as a function of what was chosen and answered.
#[component]
pub fn TestView(props: &TestViewProps) -> Html {
    let lang = use_lang();
    let onsubmit = props
        .send
        .reform(|event: SubmitEvent| event.prevent_default());
    let surfaces = props
        .info
        .endpoints
        .iter()
        .map(|endpoint| Choice {
            value: wire_name(&endpoint.surface).into(),
            text: lang.of("surface", &endpoint.surface),
        })
        .collect::<Vec<_>>();
    html!(
        <div class="pf-v6-c-card" data-testid="test-card">
            <div class="pf-v6-c-card__title">
                <h2 class="pf-v6-c-card__title-text">{ lang.t("test.title") }</h2>
            </div>
            <div class="pf-v6-c-card__body gb-stack">
                <p class="gb-muted">{ lang.t("test.help") }</p>
                <form class="gb-test-form" {onsubmit}>
                    <Choices
                        id="test-surface"
                        label={lang.t("test.surface")}
                        choices={surfaces}
                        chosen={wire_name(&props.surface)}
                        onchange={props.onsurface.clone()}
                    />
                    <Choices
                        id="test-model"
                        label={lang.t("test.model")}
                        choices={models(&props.models, &props.info.example_model)}
                        chosen={props.model.clone()}
                        onchange={props.onmodel.clone()}
                    />
                    <Act
                        id="test-send"
                        kind={Kind::Primary}
                        icon={Some(Icon::Play)}
                        label={lang.t("test.send")}
                        submit=true
                        busy={props.busy}
                    />
                </form>
                { answered(lang, props.answer.as_ref()) }
            </div>
        </div>
    )
}

/// The models that generate text; the example model alone until the list has come.
fn models(known: &LoadResult<Vec<ModelView>>, example: &str) -> Vec<Choice> {
    let mut choices: Vec<Choice> = known
        .data
        .iter()
        .flat_map(|models| models.iter())
        .filter(|model| model.generates)
        .map(|model| Choice {
            value: model.id.clone().into(),
            text: model.id.clone().into(),
        })
        .collect();
    if !choices.iter().any(|choice| choice.value == example) {
        let example = AttrValue::from(example.to_owned());
        choices.insert(
            0,
            Choice {
                value: example.clone(),
                text: example,
            },
        );
    }
    choices
}

/// What came back of a test, once there is something; screen readers say it then.
pub fn answered(lang: Lang, answer: Option<&Result<TestAnswer, ApiError>>) -> Html {
    html!(
        <div aria-live="polite">
            { match answer {
                None => Html::default(),
                Some(Err(error)) => html!(<ErrorNote error={error.clone()} />),
                Some(Ok(answer)) => shown(lang, answer),
            } }
        </div>
    )
}

fn shown(lang: Lang, answer: &TestAnswer) -> Html {
    let good = (200..300).contains(&answer.status);
    let (tone, title) = if good {
        (Tone::Success, lang.t("test.works"))
    } else {
        (
            Tone::Danger,
            lang.f("test.fails", &[("status", &answer.status)]),
        )
    };
    html!(
        <Notice {tone} {title}>
            <p class="gb-answer" data-testid="test-answer" data-status={answer.status.to_string()}>{ &answer.text }</p>
            <p class="gb-small gb-muted">
                { lang.f("test.took", &[("ms", &number(answer.latency_ms))]) }
                if let Some(model) = &answer.model {
                    { " · " }<span class="gb-mono" data-testid="test-answered-by">{ model }</span>
                }
                if let Some(key) = &answer.key {
                    { " · " }{ lang.t("test.key") }{ " " }<span class="gb-mono">{ key }</span>
                }
            </p>
        </Notice>
    )
}
