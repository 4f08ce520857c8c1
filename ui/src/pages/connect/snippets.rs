use contract::admin::{ConnectInfo, Surface};
use yew::{AttrValue, Callback, Html, Properties, component, html, use_state_eq};

use super::{TOKEN_PLACEHOLDER, base_url};
use crate::app::use_lang;
use crate::controls::{Choice, CopyButton, Picks};

/// An example for programmers.
#[derive(Clone, Debug, PartialEq)]
pub struct Snippet {
    /// Its test id.
    pub id: &'static str,
    /// What it is for; a proper name, the same in every language.
    pub name: &'static str,
    /// The example.
    pub code: String,
}

/// The examples of the protocols that this instance speaks.
pub fn snippets(info: &ConnectInfo, token: &str) -> Vec<Snippet> {
    let model = &info.example_model;
    let mut all = Vec::new();
    if let Some(url) = base_url(&info.endpoints, Surface::Openai) {
        all.push(Snippet {
            id: "openai-python",
            name: "Python · openai",
            code: format!(
                "from openai import OpenAI\n\n\
                 client = OpenAI(base_url=\"{url}\", api_key=\"{token}\")\n\
                 answer = client.chat.completions.create(\n    \
                     model=\"{model}\",\n    \
                     messages=[{{\"role\": \"user\", \"content\": \"Hello!\"}}],\n\
                 )\n\
                 print(answer.choices[0].message.content)\n"
            ),
        });
    }
    if let Some(url) = base_url(&info.endpoints, Surface::Gemini) {
        let root = url
            .trim_end_matches('/')
            .trim_end_matches("/v1beta")
            .to_owned();
        all.push(Snippet {
            id: "google-genai",
            name: "Python · google-genai",
            code: format!(
                "from google import genai\nfrom google.genai import types\n\n\
                 client = genai.Client(\n    \
                     api_key=\"{token}\",\n    \
                     http_options=types.HttpOptions(base_url=\"{root}\", api_version=\"v1beta\"),\n\
                 )\n\
                 answer = client.models.generate_content(model=\"{model}\", contents=\"Hello!\")\n\
                 print(answer.text)\n"
            ),
        });
    }
    if let Some(url) = base_url(&info.endpoints, Surface::Anthropic) {
        all.push(Snippet {
            id: "anthropic-python",
            name: "Python · anthropic",
            code: format!(
                "from anthropic import Anthropic\n\n\
                 client = Anthropic(base_url=\"{url}\", api_key=\"{token}\")\n\
                 answer = client.messages.create(\n    \
                     model=\"{model}\",\n    \
                     max_tokens=1024,\n    \
                     messages=[{{\"role\": \"user\", \"content\": \"Hello!\"}}],\n\
                 )\n\
                 print(answer.content[0].text)\n"
            ),
        });
    }
    if let Some(url) = base_url(&info.endpoints, Surface::Openai) {
        let url = url.trim_end_matches('/');
        all.push(Snippet {
            id: "curl",
            name: "curl",
            code: format!(
                "curl {url}/chat/completions \\\n  \
                   -H \"Authorization: Bearer {token}\" \\\n  \
                   -H \"Content-Type: application/json\" \\\n  \
                   -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello!\"}}]}}'\n"
            ),
        });
    }
    all
}

#[derive(PartialEq, Properties)]
pub struct SnippetsCardProps {
    pub info: ConnectInfo,
    /// The token just made (browser).
    pub token: Option<AttrValue>,
}

/// The examples, one at a time.
#[component]
pub fn SnippetsCard(props: &SnippetsCardProps) -> Html {
    let lang = use_lang();
    let chosen = use_state_eq(AttrValue::default);
    let token = props.token.as_deref().unwrap_or(TOKEN_PLACEHOLDER);
    let all = snippets(&props.info, token);
    let found = all.iter().find(|one| one.id == chosen.as_str());
    let Some(snippet) = found.or_else(|| all.first()) else {
        return Html::default();
    };
    let onchange = {
        let chosen = chosen.setter();
        Callback::from(move |id: AttrValue| chosen.set(id))
    };
    html!(
        <div class="pf-v6-c-card" data-testid="snippets-card">
            <div class="pf-v6-c-card__title">
                <h2 class="pf-v6-c-card__title-text">{ lang.t("snippets.title") }</h2>
            </div>
            <div class="pf-v6-c-card__body gb-stack">
                <p class="gb-muted">
                    { lang.t("snippets.help") }
                    if props.token.is_none() { { " " }{ lang.f("snippets.placeholder", &[("token", &TOKEN_PLACEHOLDER)]) } }
                </p>
                <Picks
                    id="snippet"
                    label={lang.t("snippets.title")}
                    choices={all.iter().map(|one| Choice { value: one.id.into(), text: one.name.into() }).collect::<Vec<_>>()}
                    chosen={snippet.id}
                    {onchange}
                />
                <div class="pf-v6-c-code-block gb-code">
                    <div class="pf-v6-c-code-block__header">
                        <div class="pf-v6-c-code-block__actions">
                            <CopyButton id="snippet-copy" text={snippet.code.clone()} what={snippet.name} />
                        </div>
                    </div>
                    <div class="pf-v6-c-code-block__content">
                        <pre class="pf-v6-c-code-block__pre" tabindex="0"><code class="pf-v6-c-code-block__code" data-testid="snippet-code">{ &snippet.code }</code></pre>
                    </div>
                </div>
            </div>
        </div>
    )
}
