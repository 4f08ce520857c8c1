use contract::admin::Takeover;
use yew::{Html, Properties, component, html};

use crate::app::use_lang;
use crate::controls::{Card, Facts, Moment};
use crate::pages::settings::Reasons;
use crate::text::number;

#[derive(PartialEq, Properties)]
pub struct TakeoverCardProps {
    pub takeover: Takeover,
}

/// What the original program's database brought.
#[component]
pub fn TakeoverCard(props: &TakeoverCardProps) -> Html {
    let lang = use_lang();
    let takeover = &props.takeover;
    let counted = |n: u32| html!({ number(u64::from(n)) });
    let auth_token = if takeover.auth_token {
        "takeover.auth_token_yes"
    } else {
        "takeover.auth_token_no"
    };
    let facts = vec![
        (lang.t("takeover.at"), html!(<Moment at={takeover.at} />)),
        (lang.t("takeover.keys"), counted(takeover.keys)),
        (lang.t("takeover.tokens"), counted(takeover.tokens)),
        (lang.t("takeover.auth_token"), html!({ lang.t(auth_token) })),
        (lang.t("takeover.files"), counted(takeover.files)),
        (lang.t("takeover.log_days"), counted(takeover.log_days)),
        (
            lang.t("takeover.settings"),
            html!(
                <>
                    { number(takeover.settings.len() as u64) }
                    if !takeover.settings.is_empty() {
                        <div class="gb-mono gb-small gb-muted">{ takeover.settings.join(", ") }</div>
                    }
                </>
            ),
        ),
    ];
    html!(
        <Card id="takeover-card" title={lang.t("takeover.title")}>
            <p class="gb-muted">{ lang.t("takeover.help") }</p>
            <Facts {facts} />
            if !takeover.ignored.is_empty() {
                <details class="gb-details">
                    <summary>{ lang.n("takeover.ignored", takeover.ignored.len() as u64) }</summary>
                    <Reasons of={takeover.ignored.clone()} />
                </details>
            }
        </Card>
    )
}
