use contract::admin::SessionView;
use contract::{ApiError, Millis};
use patternfly_yew::prelude::{Color, Label};
use serde_json::json;
use yew::{Callback, Html, Properties, component, html, use_context, use_state_eq};

use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{Act, Card, Dialog, ErrorNote, Kind, Moment};
use crate::host::Method;
use crate::load::SessionEnded;
use crate::send::use_send;
use crate::text::ago;

#[derive(PartialEq, Properties)]
pub struct SessionsCardProps {
    pub sessions: Vec<SessionView>,
    /// The instance's clock.
    pub now: Millis,
    /// Called when a session was ended.
    pub changed: Callback<()>,
}

/// Where somebody is signed in, and how to end that.
#[component]
pub fn SessionsCard(props: &SessionsCardProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let ended = use_context::<SessionEnded>();
    let asking = use_state_eq(|| false);
    let ending = use_send();
    let everywhere = use_send();
    let end = {
        let (ending, changed) = (ending.clone(), props.changed.clone());
        Callback::from(move |id: String| {
            let (changed, toasts) = (changed.clone(), toasts.clone());
            ending.run(
                async move {
                    let path = format!("/api/account/sessions/{id}");
                    host.admin(Method::Delete, &path, None).await
                },
                move |()| {
                    toasts.success(lang.t("sessions.ended"));
                    changed.emit(());
                },
            );
        })
    };
    let ask = {
        let (asking, everywhere) = (asking.setter(), everywhere.clone());
        Callback::from(move |open: bool| {
            everywhere.forget();
            asking.set(open);
        })
    };
    let end_all = {
        let everywhere = everywhere.clone();
        Callback::from(move |()| {
            let ended = ended.clone();
            everywhere.run(
                async move {
                    host.post("/api/account/logout-everywhere", &json!({}))
                        .await
                },
                move |()| {
                    if let Some(SessionEnded(ended)) = ended {
                        ended.emit(());
                    }
                },
            );
        })
    };
    html!(
        <>
            <SessionsView
                sessions={props.sessions.clone()}
                now={props.now}
                busy={ending.busy}
                error={ending.error.clone()}
                {end}
                everywhere={ask.reform(|()| true)}
            />
            if *asking {
                <Dialog
                    id="everywhere-dialog"
                    title={lang.t("sessions.everywhere_title")}
                    onclose={ask.reform(|()| false)}
                    actions={html!(
                        <>
                            <Act id="everywhere-confirm" kind={Kind::Danger} label={lang.t("sessions.everywhere")} busy={everywhere.busy} onclick={end_all} />
                            <Act id="everywhere-cancel" label={lang.t("common.cancel")} onclick={ask.reform(|()| false)} />
                        </>
                    )}
                >
                    <p>{ lang.t("sessions.everywhere_help") }</p>
                    if let Some(error) = everywhere.error.clone() {
                        <ErrorNote {error} />
                    }
                </Dialog>
            }
        </>
    )
}

#[derive(PartialEq, Properties)]
pub struct SessionsViewProps {
    pub sessions: Vec<SessionView>,
    pub now: Millis,
    pub busy: bool,
    pub error: Option<ApiError>,
    /// Ends the session of that id.
    pub end: Callback<String>,
    /// Asks whether to end all.
    pub everywhere: Callback<()>,
}

/// The list of sessions.
#[component]
pub fn SessionsView(props: &SessionsViewProps) -> Html {
    let lang = use_lang();
    html!(
        <Card
            id="sessions-card"
            title={lang.t("sessions.title")}
            corner={html!(
                <Act id="everywhere" kind={Kind::Secondary} label={lang.t("sessions.everywhere")} onclick={props.everywhere.clone()} />
            )}
        >
            <p class="gb-muted">{ lang.t("sessions.help") }</p>
            if let Some(error) = props.error.clone() {
                <ErrorNote {error} />
            }
            <ul class="gb-entries">
                { for props.sessions.iter().map(|session| {
                    let id = session.id.clone();
                    html!(
                        <li class="gb-entries__one" key={session.id.clone()} data-testid={format!("session-{}", session.id)}>
                            <div class="gb-row">
                                <span class="gb-mono">{ &session.address }</span>
                                if session.current {
                                    <Label compact=true color={Color::Green} label={lang.t("sessions.current").to_string()} />
                                } else {
                                    <span class="gb-push">
                                        <Act
                                            id={format!("session-end-{}", session.id)}
                                            small=true
                                            label={lang.t("sessions.end")}
                                            aria_label={lang.f("sessions.end_which", &[("address", &session.address)])}
                                            disabled={props.busy}
                                            onclick={props.end.reform(move |()| id.clone())}
                                        />
                                    </span>
                                }
                            </div>
                            <p class="gb-small gb-wrap-anywhere">{ &session.user_agent }</p>
                            <p class="gb-muted gb-small">
                                { lang.t("sessions.seen") }{ " " }{ ago(lang, props.now, session.last_seen_at) }
                                { " · " }{ lang.t("sessions.began") }{ " " }<Moment at={session.created_at} />
                                { " · " }{ lang.t("sessions.ends") }{ " " }<Moment at={session.expires_at} />
                            </p>
                        </li>
                    )
                }) }
            </ul>
        </Card>
    )
}
