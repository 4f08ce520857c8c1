use contract::deploy::{VariableView, VariablesFormat};
use yew::{Html, Properties, component, html};

use super::texts::VariableTexts;
use crate::app::{use_host, use_lang};
use crate::controls::{Card, ErrorNote, Skeleton};
use crate::load::{LoadResult, use_load};

/// The forms, the most used first.
pub const FORMATS: [VariablesFormat; 6] = [
    VariablesFormat::Env,
    VariablesFormat::Lines,
    VariablesFormat::Json,
    VariablesFormat::Compose,
    VariablesFormat::RenderYaml,
    VariablesFormat::Template,
];

#[derive(PartialEq, Properties)]
pub struct VariablesProps {
    /// The remote.
    pub id: i64,
}

/// The variables of a remote.
#[component]
pub fn Variables(props: &VariablesProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let path = format!("/api/deploy/remotes/{}/variables", props.id);
    let variables = use_load::<Vec<VariableView>>(host, path, None);
    html!(
        <>
            <Card id="variables-card" title={lang.t("variables.title")}>
                <p class="gb-muted">{ lang.t("variables.help") }</p>
                <VariableTable variables={variables.result} />
            </Card>
            <Card id="variables-take" title={lang.t("variables.take")}>
                <p class="gb-muted">{ lang.t("variables.take_help") }</p>
                <VariableTexts id={props.id} formats={FORMATS.to_vec()} />
            </Card>
        </>
    )
}

#[derive(PartialEq, Properties)]
pub struct VariableTableProps {
    pub variables: LoadResult<Vec<VariableView>>,
}

/// Variables with their meaning and where each value comes from; secrets masked.
#[component]
pub fn VariableTable(props: &VariableTableProps) -> Html {
    let lang = use_lang();
    let error = props.variables.error.clone();
    let Some(variables) = props.variables.data.clone() else {
        return match error {
            Some(error) => html!(<ErrorNote {error} />),
            None => html!(<Skeleton lines={5} />),
        };
    };
    html!(
        <>
            if let Some(error) = error {
                <ErrorNote {error} />
            }
            <table class="pf-v6-c-table pf-m-compact pf-m-grid-md gb-table" aria-label={lang.t("variables.title")} data-testid="variables">
                <thead class="pf-v6-c-table__thead">
                    <tr class="pf-v6-c-table__tr">
                        { for ["name", "value", "source"].iter().map(|column| html!(
                            <th class="pf-v6-c-table__th" scope="col" key={*column}>{ lang.t(&format!("variables.column.{column}")) }</th>
                        )) }
                    </tr>
                </thead>
                <tbody class="pf-v6-c-table__tbody">
                    { for variables.iter().map(|variable| html!(
                        <tr class="pf-v6-c-table__tr" key={variable.name.clone()} data-testid={format!("variable-{}", variable.name)}>
                            <td class="pf-v6-c-table__td" data-label={lang.t("variables.column.name")}>
                                <span class="gb-mono">{ &variable.name }</span>
                                if let Some(text) = meaning(&variable.name) {
                                    <div class="gb-small gb-muted">{ lang.t(text) }</div>
                                }
                            </td>
                            <td class="pf-v6-c-table__td" data-label={lang.t("variables.column.value")}>
                                <span class="gb-mono gb-wrap-anywhere">{ &variable.value }</span>
                                if variable.secret { <span class="gb-small gb-muted">{ " " }{ lang.t("variables.masked") }</span> }
                            </td>
                            <td class="pf-v6-c-table__td" data-label={lang.t("variables.column.source")}>{ lang.of("variables.source", &variable.source) }</td>
                        </tr>
                    )) }
                </tbody>
            </table>
        </>
    )
}

/// What a variable is for, for the ones that every remote has; the others are settings with
/// texts of their own.
fn meaning(name: &str) -> Option<&'static str> {
    Some(match name {
        "API_KEYS" => "variables.meaning.api_keys",
        "ALLOWED_TOKENS" => "variables.meaning.allowed_tokens",
        "AUTH_TOKEN" => "variables.meaning.auth_token",
        "SECRET_KEY" => "variables.meaning.secret_key",
        "PORT" => "variables.meaning.port",
        "TZ" => "variables.meaning.tz",
        "DATABASE_TYPE" => "variables.meaning.database_type",
        "DATA_DIR" => "variables.meaning.data_dir",
        name if name.starts_with("MYSQL_") => "variables.meaning.mysql",
        _ => return None,
    })
}
