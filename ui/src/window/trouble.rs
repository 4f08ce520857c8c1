use contract::desktop::ProxyState;
use serde_json::{Value, json};
use yew::{Callback, Html, Properties, component, html};

use crate::app::use_lang;
use crate::controls::{Act, ErrorNote, Kind, Notice, Tone};

#[derive(PartialEq, Properties)]
pub struct ProxyTroubleProps {
    pub proxy: ProxyState,
    /// Runs a command that answers with a new state.
    pub run: Callback<(&'static str, Value)>,
}

/// Why the local proxy does not run, and the ways out.
#[component]
pub fn ProxyTrouble(props: &ProxyTroubleProps) -> Html {
    let lang = use_lang();
    let again = props.run.reform(|()| ("proxy_start", json!({})));
    let notice = match &props.proxy {
        ProxyState::PortTaken {
            port,
            owner,
            next_free,
        } => {
            let title = match owner {
                Some(owner) => lang.f("proxy.taken_by", &[("port", port), ("owner", owner)]),
                None => lang.f("proxy.taken", &[("port", port)]),
            };
            let other = *next_free;
            html!(
                <Notice
                    tone={Tone::Danger}
                    id="port-taken"
                    {title}
                    actions={html!(
                        <>
                            <Act
                                id="proxy-use-port"
                                kind={Kind::Primary}
                                label={lang.f("proxy.use_port", &[("port", next_free)])}
                                onclick={props.run.reform(move |()| ("proxy_use_port", json!({ "port": other })))}
                            />
                            <Act id="proxy-retry" label={lang.t("common.try_again")} onclick={again} />
                        </>
                    )}
                >
                    <p>{ lang.f("proxy.taken_help", &[("port", port), ("next", next_free)]) }</p>
                </Notice>
            )
        }
        ProxyState::Failed { error } => html!(
            <ErrorNote
                error={error.clone()}
                actions={html!(<Act id="proxy-retry" label={lang.t("common.try_again")} onclick={again} />)}
            />
        ),
        ProxyState::Stopped => html!(
            <Notice tone={Tone::Info} id="proxy-stopped" title={lang.t("proxy.stopped_title")}>
                <p>{ lang.t("proxy.stopped_help") }</p>
            </Notice>
        ),
        ProxyState::Starting | ProxyState::Running { .. } | ProxyState::Stopping => {
            return Html::default();
        }
    };
    html!(<section class="pf-v6-c-page__main-section gb-trouble">{ notice }</section>)
}
