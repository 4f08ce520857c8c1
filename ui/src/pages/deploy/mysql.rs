use contract::ApiError;
use contract::deploy::{DatabaseReport, DatabaseWish, FoundDatabase};
use contract::links::Page;
use yew::{AttrValue, Callback, Html, Properties, component, html, use_state_eq};

use super::draft::{Change, Draft, MysqlForm, change};
use crate::app::{use_host, use_lang};
use crate::controls::{
    Act, Card, Choice, Choices, ErrorNote, FileArea, Kind, Notice, Out, Picks, Place, TextField,
    Tone,
};
use crate::send::use_send;
use crate::text::{Lang, size, wire_name};

/// How a connection can be encrypted, the safest first.
const SSL_MODES: [&str; 5] = [
    "VERIFY_IDENTITY",
    "VERIFY_CA",
    "REQUIRED",
    "PREFERRED",
    "DISABLED",
];

#[derive(PartialEq, Properties)]
pub struct MysqlCardProps {
    pub draft: Draft,
    pub edit: Callback<Change>,
}

/// A MySQL server: how to get one, its data, and a test of it.
#[component]
pub fn MysqlCard(props: &MysqlCardProps) -> Html {
    let host = use_host();
    let sending = use_send();
    let test = {
        let (wish, edit, sending) = (
            props.draft.mysql.wish(),
            props.edit.clone(),
            sending.clone(),
        );
        Callback::from(move |()| {
            let Some(wish) = wish.clone().map(DatabaseWish::Mysql) else {
                return;
            };
            let edit = edit.clone();
            sending.run(
                async move { host.post("/api/deploy/database", &wish).await },
                move |report: DatabaseReport| {
                    edit.emit(change(move |draft| draft.report = Some(report)));
                },
            );
        })
    };
    html!(
        <MysqlView
            draft={props.draft.clone()}
            edit={props.edit.clone()}
            busy={sending.busy}
            error={sending.error.clone()}
            {test}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct MysqlViewProps {
    pub draft: Draft,
    pub edit: Callback<Change>,
    pub busy: bool,
    pub error: Option<ApiError>,
    pub test: Callback<()>,
}

/// The form as a function of what was typed and found.
#[component]
pub fn MysqlView(props: &MysqlViewProps) -> Html {
    let lang = use_lang();
    let form = &props.draft.mysql;
    let from = use_state_eq(|| AttrValue::from("own"));
    let put = |how: fn(&mut MysqlForm, String)| {
        props.edit.reform(move |text: String| {
            change(move |draft| {
                how(&mut draft.mysql, text);
                // What was found belongs to what was typed before.
                draft.report = None;
            })
        })
    };
    let onfrom = {
        let (from, edit) = (from.setter(), props.edit.clone());
        Callback::from(move |chosen: AttrValue| {
            // What each provider needs, so that nobody has to know it.
            let (port, mode) = match chosen.as_str() {
                "aiven" => (None, "VERIFY_CA"),
                "tidb" => (Some("4000"), "VERIFY_IDENTITY"),
                _ => (Some("3306"), "REQUIRED"),
            };
            edit.emit(change(move |draft| {
                if let Some(port) = port {
                    draft.mysql.port = port.to_owned();
                }
                draft.mysql.ssl_mode = mode.to_owned();
                draft.report = None;
            }));
            from.set(chosen);
        })
    };
    let sources = ["aiven", "tidb", "own"]
        .map(|name| Choice {
            value: name.into(),
            text: lang.t(&format!("deploy.mysql.from.{name}")),
        })
        .to_vec();
    let modes = SSL_MODES
        .map(|mode| Choice {
            value: mode.into(),
            text: lang.t(&format!("deploy.mysql.ssl.{}", mode.to_ascii_lowercase())),
        })
        .to_vec();
    let complete = form.wish().is_some();
    html!(
        <Card id="mysql-card" title={lang.t("deploy.mysql.title")}>
            <Picks id="mysql-from" label={lang.t("deploy.mysql.from_label")} choices={sources} chosen={(*from).clone()} onchange={onfrom} />
            { guide(lang, &from) }
            <div class="gb-fields">
                <TextField id="mysql-host" label={lang.t("deploy.mysql.host")} value={form.host.clone()} placeholder="mysql.example.com" oninput={put(|form, text| form.host = text)} />
                <TextField id="mysql-port" kind="number" range={(1, 65_535)} label={lang.t("deploy.mysql.port")} value={form.port.clone()} oninput={put(|form, text| form.port = text)} />
                <TextField id="mysql-user" label={lang.t("deploy.mysql.user")} value={form.user.clone()} oninput={put(|form, text| form.user = text)} />
                <TextField
                    id="mysql-password" kind="password" label={lang.t("deploy.mysql.password")} value={form.password.clone()}
                    hint={props.draft.password_kept.then(|| lang.t("deploy.mysql.password_kept"))}
                    oninput={put(|form, text| form.password = text)}
                />
                <TextField id="mysql-database" label={lang.t("deploy.mysql.database")} hint={lang.t("deploy.mysql.database_hint")} value={form.database.clone()} oninput={put(|form, text| form.database = text)} />
                <Choices id="mysql-ssl" label={lang.t("deploy.mysql.ssl_label")} choices={modes} chosen={form.ssl_mode.clone()} onchange={put(|form, text| form.ssl_mode = text)} />
            </div>
            if form.ssl_mode.starts_with("VERIFY") {
                <details class="gb-details" open={form.ssl_mode == "VERIFY_CA"}>
                    <summary>{ lang.t("deploy.mysql.ca") }</summary>
                    <FileArea
                        id="mysql-ca" label={lang.t("deploy.mysql.ca")} value={form.ssl_ca.clone()} rows=4
                        placeholder="-----BEGIN CERTIFICATE-----" hint={lang.t("deploy.mysql.ca_hint")}
                        accept=".pem,.crt,.cer,text/plain"
                        oninput={put(|form, text| form.ssl_ca = text)}
                    />
                </details>
            }
            <div>
                <Act id="mysql-test" kind={Kind::Primary} label={lang.t("deploy.mysql.test")} busy={props.busy} disabled={!complete} onclick={props.test.clone()} />
            </div>
            <div aria-live="polite">
                if let Some(error) = props.error.clone() {
                    <ErrorNote {error} />
                } else if let Some(report) = props.draft.report.clone() {
                    <Report {report} ssl_mode={form.ssl_mode.clone()} />
                }
            </div>
        </Card>
    )
}

/// How one gets a database there, by the names of the fields in the provider's console.
fn guide(lang: Lang, from: &str) -> Html {
    let (page, steps) = match from {
        "aiven" => (Some(Page::Aiven), 4),
        "tidb" => (Some(Page::TidbCloud), 4),
        _ => return html!(<p class="gb-muted">{ lang.t("deploy.mysql.own_help") }</p>),
    };
    html!(
        <>
            <p class="gb-muted">{ lang.t(&format!("deploy.mysql.guide.{from}.what")) }</p>
            <ol class="gb-steps" data-testid={format!("mysql-guide-{from}")}>
                { for (1..=steps).map(|i| html!(
                    <li key={i}>
                        { lang.t(&format!("deploy.mysql.guide.{from}.step{i}")) }
                        if let (1, Some(page)) = (i, page) {
                            { " " }<Out id="mysql-open" label={lang.t("deploy.account.open")} to={Place::Page(page)} />
                        }
                    </li>
                )) }
            </ol>
        </>
    )
}

#[derive(PartialEq, Properties)]
pub struct ReportProps {
    pub report: DatabaseReport,
    pub ssl_mode: AttrValue,
}

/// What was found at the server, and what that means.
#[component]
pub fn Report(props: &ReportProps) -> Html {
    let lang = use_lang();
    let report = &props.report;
    if let Some(error) = report.problem.clone().filter(|_| !report.ok) {
        return html!(<div data-testid="mysql-report" data-ok="false"><ErrorNote {error} /></div>);
    }
    let yes = |on: bool, yes: &'static str, no: &'static str| lang.t(if on { yes } else { no });
    let mut facts: Vec<AttrValue> = Vec::new();
    if let Some(version) = &report.version {
        facts.push(lang.f("deploy.mysql.report.version", &[("version", version)]));
    }
    if let Some(ms) = report.latency_ms {
        facts.push(lang.f("deploy.mysql.report.latency", &[("ms", &ms)]));
    }
    facts.push(yes(
        report.exists,
        "deploy.mysql.report.exists",
        "deploy.mysql.report.will_exist",
    ));
    if let Some(bytes) = report.used_bytes {
        facts.push(lang.f("deploy.mysql.report.used", &[("size", &size(bytes))]));
    }
    if !report.may_create {
        facts.push(lang.t("deploy.mysql.report.no_rights"));
    }
    let found = report.found.filter(|found| *found != FoundDatabase::Empty);
    html!(
        <div class="gb-stack" data-testid="mysql-report" data-ok={report.ok.to_string()}>
            <Notice
                tone={if report.ok { Tone::Success } else { Tone::Danger }}
                title={yes(report.ok, "deploy.mysql.report.ok", "deploy.mysql.report.not_ok")}
            >
                <ul class="gb-plain-list">
                    { for facts.iter().map(|fact| html!(<li>{ fact }</li>)) }
                </ul>
            </Notice>
            if !report.encrypted {
                <Notice tone={Tone::Warning} id="mysql-not-verified" title={lang.t("deploy.mysql.report.not_encrypted")} />
            }
            if let Some(found) = found {
                <Notice
                    id="mysql-found"
                    tone={if found == FoundDatabase::Newer { Tone::Warning } else { Tone::Info }}
                    title={lang.of("deploy.mysql.found", &found)}
                >
                    <p>{ lang.t(&format!("deploy.mysql.found_help.{}", wire_name(&found))) }</p>
                </Notice>
            }
        </div>
    )
}
