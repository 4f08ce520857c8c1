use contract::desktop::{Copy, ProxyState};
use patternfly_yew::prelude::{Color, Icon, Label};
use serde_json::{Value, json};
use wasm_bindgen_futures::spawn_local;
use yew::{Callback, Html, Properties, component, html};

use crate::app::{use_host, use_lang};
use crate::controls::{Act, CopyButton, Kind};
use crate::text::wire_name;

#[derive(PartialEq, Properties)]
pub struct ProxyBarProps {
    pub proxy: ProxyState,
    /// Runs a command that answers with a new state.
    pub run: Callback<(&'static str, Value)>,
}

/// The local proxy in one line: state, true address, start or stop.
#[component]
pub fn ProxyBar(props: &ProxyBarProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let proxy = &props.proxy;
    let name = wire_name(proxy);
    let (color, icon) = match proxy {
        ProxyState::Running { .. } => (Color::Green, Icon::CheckCircle),
        ProxyState::Stopped => (Color::Grey, Icon::PauseCircle),
        ProxyState::Starting | ProxyState::Stopping => (Color::Blue, Icon::InProgress),
        ProxyState::PortTaken { .. } | ProxyState::Failed { .. } => {
            (Color::Red, Icon::ExclamationCircle)
        }
    };
    let copy = Callback::from(move |done: Callback<bool>| {
        spawn_local(async move { done.emit(host.copy_in_rust(Copy::Address).await.is_ok()) });
    });
    let button = match proxy {
        ProxyState::Running { .. } | ProxyState::Stopping => html!(
            <Act
                id="proxy-stop"
                icon={Some(Icon::PowerOff)}
                label={lang.t("proxy.stop")}
                busy={matches!(proxy, ProxyState::Stopping)}
                onclick={props.run.reform(|()| ("proxy_stop", json!({})))}
            />
        ),
        _ => html!(
            <Act
                id="proxy-start"
                kind={Kind::Primary}
                icon={Some(Icon::Play)}
                label={lang.t("proxy.start")}
                busy={matches!(proxy, ProxyState::Starting)}
                onclick={props.run.reform(|()| ("proxy_start", json!({})))}
            />
        ),
    };
    html!(
        <section class="gb-proxy-bar" aria-label={lang.t("proxy.label")} data-testid="proxy-bar" data-state={name.clone()}>
            <span class="gb-proxy-bar__name">{ lang.t("proxy.label") }</span>
            <span role="status"><Label {color} {icon} label={lang.t(&format!("proxy.state.{name}")).to_string()} /></span>
            if let ProxyState::Running { address } = proxy {
                <span class="gb-mono" data-testid="proxy-address">{ address }</span>
                <CopyButton id="proxy-address-copy" text={address.clone()} what={lang.t("dashboard.address")} instead={copy} />
            }
            <span class="gb-push">{ button }</span>
        </section>
    )
}
