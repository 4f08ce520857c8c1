use contract::Millis;
use contract::admin::{DataView, DatabaseState, Engine};
use patternfly_yew::prelude::{Color, Icon, Label};
use yew::{AttrValue, Html, Properties, component, html};

use crate::app::use_lang;
use crate::controls::{Card, Facts, Moment, Notice, Tone};
use crate::text::{ago, number, size, wire_name};

#[derive(PartialEq, Properties)]
pub struct DatabaseCardProps {
    pub data: DataView,
    /// The instance's clock.
    pub now: Millis,
}

/// Which database, whether it works, and how much is in it.
#[component]
pub fn DatabaseCard(props: &DatabaseCardProps) -> Html {
    let lang = use_lang();
    let data = &props.data;
    let name = wire_name(&data.state);
    let (color, icon) = match data.state {
        DatabaseState::Ready => (Color::Green, Icon::CheckCircle),
        DatabaseState::Unreachable { .. } => (Color::Red, Icon::ExclamationCircle),
        DatabaseState::ReadOnly { .. } => (Color::Orange, Icon::ExclamationTriangle),
    };
    let trouble = match &data.state {
        DatabaseState::Ready => None,
        DatabaseState::Unreachable { since, message }
        | DatabaseState::ReadOnly { since, message } => Some((*since, message)),
    };
    let plain = |text: AttrValue| html!({ text });
    let mut facts: Vec<(AttrValue, Html)> = vec![(
        lang.t("database.status"),
        html!(
            <span data-testid="database-state" data-state={name.clone()}>
                <Label {color} {icon} label={lang.t(&format!("database.state.{name}")).to_string()} />
            </span>
        ),
    )];
    match &data.engine {
        Engine::Sqlite { path } => {
            facts.push((
                lang.t("database.kind"),
                plain(lang.of("database.engine", &data.engine)),
            ));
            facts.push((lang.t("database.file"), mono(path)));
        }
        Engine::Mysql {
            server,
            database,
            version,
            tls,
        } => {
            let kind = if version.is_empty() {
                lang.t("database.never_reached")
            } else {
                format!("{} {version}", lang.of("database.engine", &data.engine)).into()
            };
            facts.push((lang.t("database.kind"), plain(kind)));
            facts.push((lang.t("database.server"), mono(server)));
            facts.push((lang.t("database.name"), mono(database)));
            let tls = if *tls {
                "database.tls_on"
            } else {
                "database.tls_off"
            };
            facts.push((lang.t("database.tls"), plain(lang.t(tls))));
        }
    }
    facts.push((
        lang.t("database.size"),
        plain(
            data.size_bytes
                .map_or_else(|| lang.t("database.unknown"), |bytes| size(bytes).into()),
        ),
    ));
    let rows = number(data.request_rows);
    facts.push((
        lang.t("database.requests"),
        match data.oldest_request {
            Some(at) => html!(<>{ lang.f("database.requests_since", &[("n", &rows)]) }{ " " }<Moment {at} /></>),
            None => plain(rows.into()),
        },
    ));
    let mut counted = |name: &str, help: &str, n: u64, always: bool| {
        if n > 0 || always {
            facts.push((
                lang.t(name),
                html!(
                    <>
                        { number(n) }
                        if n > 0 {
                            <div class="gb-muted gb-small">{ lang.t(help) }</div>
                        }
                    </>
                ),
            ));
        }
    };
    counted(
        "database.spooled",
        "database.spooled_help",
        data.spooled_records,
        trouble.is_some(),
    );
    counted(
        "database.dropped",
        "database.dropped_help",
        data.dropped_records,
        false,
    );
    facts.push((
        lang.t("database.schema"),
        plain(data.schema.to_string().into()),
    ));
    html!(
        <Card id="database-card" title={lang.t("database.title")}>
            if let Some((since, message)) = trouble {
                <Notice
                    tone={if matches!(data.state, DatabaseState::ReadOnly { .. }) { Tone::Warning } else { Tone::Danger }}
                    id="database-trouble"
                    title={lang.t(&format!("database.state.{name}"))}
                >
                    <p>{ lang.t(&format!("database.state_help.{name}")) }</p>
                    <p class="gb-muted gb-small">{ lang.t("database.since") }{ " " }<Moment at={since} />{ " (" }{ ago(lang, props.now, since) }{ ")" }</p>
                    <p class="gb-detail">{ message }</p>
                </Notice>
            }
            <Facts {facts} />
        </Card>
    )
}

fn mono(text: &str) -> Html {
    html!(<span class="gb-mono">{ text }</span>)
}
