use contract::admin::Endpoint;
use contract::desktop::Copy;
use wasm_bindgen_futures::spawn_local;
use yew::{Callback, Html, Properties, component, html};

use crate::app::{use_host, use_lang};
use crate::controls::CopyField;
use crate::text::wire_name;

#[derive(PartialEq, Properties)]
pub struct EndpointsCardProps {
    pub endpoints: Vec<Endpoint>,
}

/// The base URL of every protocol that this instance speaks.
#[component]
pub fn EndpointsCard(props: &EndpointsCardProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    html!(
        <div class="pf-v6-c-card" data-testid="endpoints-card">
            <div class="pf-v6-c-card__title">
                <h2 class="pf-v6-c-card__title-text">{ lang.t("connect.urls.title") }</h2>
            </div>
            <div class="pf-v6-c-card__body gb-stack">
                <p class="gb-muted">{ lang.t("connect.urls.help") }</p>
                { for props.endpoints.iter().map(|endpoint| {
                    let surface = endpoint.surface;
                    let name = wire_name(&surface);
                    let instead = host.in_own_window().then(|| Callback::from(move |done: Callback<bool>| {
                        spawn_local(async move {
                            done.emit(host.copy_in_rust(Copy::BaseUrl { surface }).await.is_ok());
                        });
                    }));
                    html!(
                        <div class="gb-endpoint">
                            <div>
                                <strong>{ lang.of("surface", &surface) }</strong>
                                <div class="gb-muted gb-small">{ lang.of("surface_for", &surface) }</div>
                            </div>
                            <CopyField
                                id={format!("base-url-{name}")}
                                label={lang.of("surface", &surface)}
                                text={endpoint.base_url.clone()}
                                {instead}
                            />
                        </div>
                    )
                }) }
            </div>
        </div>
    )
}
