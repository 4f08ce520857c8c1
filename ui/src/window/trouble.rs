use contract::desktop::ProxyState;
use serde_json::{Value, json};
use yew::{AttrValue, Callback, Html, Properties, SubmitEvent, component, html, use_state_eq};

use crate::app::use_lang;
use crate::controls::{Act, ErrorNote, Kind, Notice, TextField, Tone};

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
    html!(
        <section class="pf-v6-c-page__main-section gb-trouble gb-stack">
            { notice }
            <PortForm run={props.run.clone()} />
        </section>
    )
}

#[derive(PartialEq, Properties)]
struct PortFormProps {
    run: Callback<(&'static str, Value)>,
}

/// Any other port, e.g. the usual one again after another was accepted for a while.
#[component]
fn PortForm(props: &PortFormProps) -> Html {
    let lang = use_lang();
    let typed = use_state_eq(AttrValue::default);
    let oninput = {
        let typed = typed.setter();
        Callback::from(move |text: String| typed.set(text.into()))
    };
    let port = port_in(&typed);
    let onsubmit = props.run.reform(move |event: SubmitEvent| {
        event.prevent_default();
        // The button that sends this is off without a port; 0 is refused.
        (
            "proxy_use_port",
            json!({ "port": port.unwrap_or_default() }),
        )
    });
    html!(
        <details class="gb-details">
            <summary data-testid="proxy-port-other">{ lang.t("proxy.other_port") }</summary>
            <form class="pf-v6-c-form" {onsubmit}>
                <TextField
                    id="proxy-port"
                    label={lang.t("proxy.port")}
                    hint={lang.t("proxy.port_hint")}
                    problem={(port.is_none() && !typed.is_empty()).then(|| lang.t("proxy.port_bad"))}
                    value={(*typed).clone()}
                    max_length={5}
                    {oninput}
                />
                <div>
                    <Act id="proxy-port-use" label={lang.t("proxy.port_use")} submit=true disabled={port.is_none()} />
                </div>
            </form>
        </details>
    )
}

/// The port that was typed, if it is one.
fn port_in(typed: &str) -> Option<u16> {
    typed.trim().parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::port_in;

    #[test]
    fn a_port_is_a_number_from_1_to_65535() {
        for (typed, port) in [
            ("8000", Some(8000)),
            (" 65535 ", Some(65535)),
            ("0", None),
            ("65536", None),
            ("-1", None),
            ("eight", None),
            ("", None),
        ] {
            assert_eq!(port_in(typed), port, "{typed:?}");
        }
    }
}
