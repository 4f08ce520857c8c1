use contract::deploy::{DatabaseWish, RemoteView, Rotation, RunView};
use yew::{AttrValue, Callback, Html, Properties, component, html, use_state_eq};

use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{Act, Card, Confirm, TextField};
use crate::send::use_send;

#[derive(PartialEq, Properties)]
pub struct SecretsCardProps {
    pub remote: RemoteView,
    /// Called when a rotation has begun.
    pub changed: Callback<()>,
}

/// A secret that can be replaced.
#[derive(Clone, Copy, PartialEq)]
enum Which {
    Auth,
    Client,
    Database,
}

impl Which {
    fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth_token",
            Self::Client => "client_token",
            Self::Database => "database_password",
        }
    }
}

/// Replaces secrets of a remote, each in the order in which nothing stops working.
#[component]
pub fn SecretsCard(props: &SecretsCardProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let sending = use_send();
    let asked = use_state_eq(|| None::<Which>);
    let password = use_state_eq(AttrValue::default);
    let id = props.remote.id;
    let has_mysql = props
        .remote
        .wish
        .as_ref()
        .is_some_and(|wish| matches!(wish.database, DatabaseWish::Mysql(_)));
    let all = if has_mysql {
        &[Which::Auth, Which::Client, Which::Database][..]
    } else {
        &[Which::Auth, Which::Client][..]
    };
    let ask = {
        let asked = asked.setter();
        Callback::from(move |which: Option<Which>| asked.set(which))
    };
    let confirm = {
        let (asked, typed, set) = (*asked, (*password).clone(), password.setter());
        let (sending, ask, changed) = (sending.clone(), ask.clone(), props.changed.clone());
        Callback::from(move |()| {
            let rotation = match asked {
                Some(Which::Auth) => Rotation::AuthToken,
                Some(Which::Client) => Rotation::ClientToken,
                Some(Which::Database) => Rotation::DatabasePassword {
                    password: typed.to_string(),
                },
                None => return,
            };
            let path = format!("/api/deploy/remotes/{id}/rotate");
            let (set, ask, changed, toasts) =
                (set.clone(), ask.clone(), changed.clone(), toasts.clone());
            sending.run(
                async move { host.post(&path, &rotation).await },
                move |_: RunView| {
                    set.set(AttrValue::default());
                    toasts.success(lang.t("instances.rotate.begun"));
                    ask.emit(None);
                    changed.emit(());
                },
            );
        })
    };
    let onpassword = {
        let password = password.setter();
        Callback::from(move |text: String| password.set(text.into()))
    };
    html!(
        <Card id="secrets-card" title={lang.t("instances.rotate.title")}>
            <p class="gb-muted">{ lang.t("instances.rotate.help") }</p>
            { for all.iter().map(|which| {
                let (which, name) = (*which, which.name());
                html!(
                    <div class="gb-format" key={name}>
                        <div>
                            <strong>{ lang.t(&format!("instances.rotate.what.{name}")) }</strong>
                            <div class="gb-muted gb-small">{ lang.t(&format!("instances.rotate.what_help.{name}")) }</div>
                        </div>
                        <div><Act id={format!("rotate-{name}")} label={lang.t("instances.rotate.open")} onclick={ask.reform(move |()| Some(which))} /></div>
                    </div>
                )
            }) }
            if let Some(which) = *asked {
                <Confirm
                    id="rotate"
                    title={lang.t(&format!("instances.rotate.what.{}", which.name()))}
                    label={lang.t("instances.rotate.open")}
                    busy={sending.busy}
                    error={sending.error.clone()}
                    onclose={ask.reform(|()| None)}
                    {confirm}
                >
                    <p>{ lang.t(&format!("instances.rotate.what_help.{}", which.name())) }</p>
                    if which == Which::Database {
                        <TextField
                            id="rotate-password" kind="password" autocomplete="off"
                            label={lang.t("instances.rotate.new_password")}
                            value={(*password).clone()}
                            oninput={onpassword}
                        />
                    }
                </Confirm>
            }
        </Card>
    )
}
