use contract::ApiError;
use contract::admin::{RecordsDelete, RecordsDeleted};
use yew::{AttrValue, Callback, Html, Properties, component, html, use_state_eq};

use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{Act, Choice, Choices, Dialog, ErrorNote, Kind, TextField};
use crate::host::zone_here;
use crate::send::use_send;
use crate::text::Zone;

/// What the user has chosen so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Only those before this day, as its field gives it; all when none.
    pub before: Option<String>,
    pub failed_only: bool,
}

impl Wish {
    /// What to ask of the server; none while the day is missing.
    pub fn read(&self, zone: &Zone) -> Option<RecordsDelete> {
        let before = match &self.before {
            None => None,
            Some(day) => Some(zone.of_input(day)?),
        };
        Some(RecordsDelete {
            before,
            failed_only: self.failed_only,
        })
    }
}

#[derive(PartialEq, Properties)]
pub struct DeleteRecordsProps {
    /// What to begin with: only failed requests.
    pub failed_only: bool,
    pub onclose: Callback<()>,
    pub deleted: Callback<()>,
}

/// Asks which records to delete, and deletes them.
#[component]
pub fn DeleteRecords(props: &DeleteRecordsProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let sending = use_send();
    // All is never what stands there at first.
    let wish = use_state_eq(|| Wish {
        before: Some(String::new()),
        failed_only: props.failed_only,
    });
    let request = wish.read(&zone_here());
    let confirm = {
        let sending = sending.clone();
        let (onclose, deleted) = (props.onclose.clone(), props.deleted.clone());
        Callback::from(move |()| {
            let Some(request) = request else { return };
            let (onclose, deleted, toasts) = (onclose.clone(), deleted.clone(), toasts.clone());
            sending.run(
                async move { host.post("/api/requests/delete", &request).await },
                move |answer: RecordsDeleted| {
                    toasts.success(lang.n("requests.delete.done", answer.deleted));
                    onclose.emit(());
                    deleted.emit(());
                },
            );
        })
    };
    let onchange = {
        let wish = wish.setter();
        Callback::from(move |now: Wish| wish.set(now))
    };
    html!(
        <DeleteView
            wish={(*wish).clone()}
            ready={request.is_some()}
            busy={sending.busy}
            error={sending.error.clone()}
            {onchange}
            {confirm}
            onclose={props.onclose.clone()}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct DeleteViewProps {
    pub wish: Wish,
    /// Everything is chosen.
    pub ready: bool,
    pub busy: bool,
    pub error: Option<ApiError>,
    pub onchange: Callback<Wish>,
    pub confirm: Callback<()>,
    pub onclose: Callback<()>,
}

/// The question, as a function of what was chosen.
#[component]
pub fn DeleteView(props: &DeleteViewProps) -> Html {
    let lang = use_lang();
    let wish = &props.wish;
    let choice = |value: &'static str, text: &'static str| Choice {
        value: value.into(),
        text: lang.t(text),
    };
    let onwhich = {
        let wish = wish.clone();
        props.onchange.reform(move |value: String| Wish {
            failed_only: value == "failed",
            ..wish.clone()
        })
    };
    let onages = {
        let wish = wish.clone();
        props.onchange.reform(move |value: String| Wish {
            before: (value == "before").then(String::new),
            ..wish.clone()
        })
    };
    let onday = {
        let wish = wish.clone();
        props.onchange.reform(move |day: String| Wish {
            before: Some(day),
            ..wish.clone()
        })
    };
    html!(
        <Dialog
            id="delete-dialog"
            title={lang.t("requests.delete.title")}
            onclose={props.onclose.clone()}
            actions={html!(
                <>
                    <Act
                        id="delete-confirm"
                        kind={Kind::Danger}
                        label={lang.t("requests.delete.confirm")}
                        busy={props.busy}
                        disabled={!props.ready}
                        onclick={props.confirm.clone()}
                    />
                    <Act id="delete-cancel" label={lang.t("common.cancel")} onclick={props.onclose.clone()} />
                </>
            )}
        >
            <Choices
                id="delete-which"
                label={lang.t("requests.delete.which")}
                choices={vec![
                    choice("all", "requests.delete.every"),
                    choice("failed", "requests.delete.failed"),
                ]}
                chosen={if wish.failed_only { "failed" } else { "all" }}
                onchange={onwhich}
            />
            <Choices
                id="delete-ages"
                label={lang.t("requests.delete.ages")}
                choices={vec![
                    choice("before", "requests.delete.before"),
                    choice("all", "requests.delete.any_age"),
                ]}
                chosen={if wish.before.is_some() { "before" } else { "all" }}
                onchange={onages}
            />
            if let Some(day) = &wish.before {
                <TextField
                    id="delete-day"
                    kind="date"
                    label={lang.t("requests.delete.day")}
                    value={AttrValue::from(day.clone())}
                    oninput={onday}
                />
            }
            <p>{ lang.t("requests.delete.help") }</p>
            if let Some(error) = props.error.clone() {
                <ErrorNote {error} />
            }
        </Dialog>
    )
}
