use contract::ApiError;
use contract::admin::BackupView;
use patternfly_yew::prelude::Icon;
use serde_json::json;
use yew::{Callback, Html, Properties, component, html, use_state_eq};

use crate::app::{use_host, use_lang, use_toasts};
use crate::controls::{Act, Card, Dialog, ErrorNote, Facts, Kind, Moment};
use crate::host::Method;
use crate::send::use_send;
use crate::text::size;

/// What can be done to one backup, after a question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Doing {
    /// Go back to it.
    Restore,
    /// Remove it.
    Delete,
}

#[derive(PartialEq, Properties)]
pub struct BackupsCardProps {
    pub supported: bool,
    /// The newest first.
    pub backups: Vec<BackupView>,
    /// Called when something was done.
    pub changed: Callback<()>,
}

/// Backups: make one, go back to one, delete one.
#[component]
pub fn BackupsCard(props: &BackupsCardProps) -> Html {
    let host = use_host();
    let lang = use_lang();
    let toasts = use_toasts();
    let asking = use_state_eq(|| None::<(Doing, BackupView)>);
    let making = use_send();
    let doing = use_send();
    let make = {
        let (making, changed, toasts) = (making.clone(), props.changed.clone(), toasts.clone());
        Callback::from(move |()| {
            let (changed, toasts) = (changed.clone(), toasts.clone());
            making.run(
                async move { host.post("/api/data/backups", &json!({})).await },
                move |backup: BackupView| {
                    toasts.success(lang.f("backups.made", &[("name", &backup.name)]));
                    changed.emit(());
                },
            );
        })
    };
    let ask = {
        let (asking, doing) = (asking.setter(), doing.clone());
        Callback::from(move |question: Option<(Doing, BackupView)>| {
            doing.forget();
            asking.set(question);
        })
    };
    let confirm = {
        let (asking, doing, changed) = (asking.setter(), doing.clone(), props.changed.clone());
        Callback::from(move |(what, backup): (Doing, BackupView)| {
            let (asking, changed, toasts) = (asking.clone(), changed.clone(), toasts.clone());
            let name = backup.name.clone();
            let answer = async move {
                let path = format!("/api/data/backups/{name}");
                match what {
                    Doing::Restore => host.post(&format!("{path}/restore"), &json!({})).await,
                    Doing::Delete => host.admin(Method::Delete, &path, None).await,
                }
            };
            doing.run(answer, move |()| {
                asking.set(None);
                let done = match what {
                    Doing::Restore => "backups.restored",
                    Doing::Delete => "backups.deleted",
                };
                toasts.success(lang.f(done, &[("name", &backup.name)]));
                changed.emit(());
            });
        })
    };
    html!(
        <>
            <BackupsView
                supported={props.supported}
                backups={props.backups.clone()}
                busy={making.busy}
                error={making.error.clone()}
                {make}
                ask={ask.reform(Some)}
            />
            if let Some((what, backup)) = (*asking).clone() {
                <BackupDialog
                    {what}
                    backup={backup.clone()}
                    busy={doing.busy}
                    error={doing.error.clone()}
                    confirm={confirm.reform(move |()| (what, backup.clone()))}
                    onclose={ask.reform(|()| None)}
                />
            }
        </>
    )
}

#[derive(PartialEq, Properties)]
pub struct BackupsViewProps {
    pub supported: bool,
    pub backups: Vec<BackupView>,
    pub busy: bool,
    pub error: Option<ApiError>,
    pub make: Callback<()>,
    /// Asks whether to do that.
    pub ask: Callback<(Doing, BackupView)>,
}

/// The list of backups.
#[component]
pub fn BackupsView(props: &BackupsViewProps) -> Html {
    let lang = use_lang();
    if !props.supported {
        return html!(
            <Card id="backups-card" title={lang.t("backups.title")}>
                <p class="gb-muted">{ lang.t("backups.unsupported") }</p>
            </Card>
        );
    }
    html!(
        <Card
            id="backups-card"
            title={lang.t("backups.title")}
            corner={html!(
                <Act id="backup-make" icon={Some(Icon::Plus)} label={lang.t("backups.make")} busy={props.busy} onclick={props.make.clone()} />
            )}
        >
            <p class="gb-muted">{ lang.t("backups.help") }</p>
            if let Some(error) = props.error.clone() {
                <ErrorNote {error} />
            }
            if props.backups.is_empty() {
                <p class="gb-muted gb-quiet">{ lang.t("backups.empty") }</p>
            } else {
                <table class="pf-v6-c-table pf-m-grid-md gb-table" aria-label={lang.t("backups.title")}>
                    <thead class="pf-v6-c-table__thead">
                        <tr class="pf-v6-c-table__tr">
                            { for ["backups.when", "backups.why", "backups.size", "backups.actions"].iter().map(|column| html!(
                                <th class="pf-v6-c-table__th" scope="col" key={*column}>{ lang.t(column) }</th>
                            )) }
                        </tr>
                    </thead>
                    <tbody class="pf-v6-c-table__tbody">
                        { for props.backups.iter().map(|backup| {
                            let does = |what: Doing| {
                                let backup = backup.clone();
                                props.ask.reform(move |()| (what, backup.clone()))
                            };
                            html!(
                                <tr class="pf-v6-c-table__tr" key={backup.name.clone()} data-testid={format!("backup-{}", backup.name)}>
                                    <td class="pf-v6-c-table__td" data-label={lang.t("backups.when")}>
                                        <div>
                                            <Moment at={backup.at} />
                                            <div class="gb-mono gb-small gb-muted">{ &backup.name }</div>
                                        </div>
                                    </td>
                                    <td class="pf-v6-c-table__td" data-label={lang.t("backups.why")}>{ lang.of("backup_reason", &backup.reason) }</td>
                                    <td class="pf-v6-c-table__td gb-today" data-label={lang.t("backups.size")}>{ size(backup.size_bytes) }</td>
                                    <td class="pf-v6-c-table__td gb-actions" data-label={lang.t("backups.actions")}>
                                        <div class="gb-row gb-row--tight">
                                            <Act id={format!("backup-restore-{}", backup.name)} small=true label={lang.t("backups.restore")} onclick={does(Doing::Restore)} />
                                            <Act id={format!("backup-delete-{}", backup.name)} kind={Kind::Plain} icon={Some(Icon::Trash)} label={lang.t("backups.delete")} onclick={does(Doing::Delete)} />
                                        </div>
                                    </td>
                                </tr>
                            )
                        }) }
                    </tbody>
                </table>
            }
        </Card>
    )
}

#[derive(PartialEq, Properties)]
struct BackupDialogProps {
    what: Doing,
    backup: BackupView,
    busy: bool,
    error: Option<ApiError>,
    confirm: Callback<()>,
    onclose: Callback<()>,
}

/// What restoring or deleting means, to be agreed to.
#[component]
fn BackupDialog(props: &BackupDialogProps) -> Html {
    let lang = use_lang();
    let backup = &props.backup;
    let (title, help, button) = match props.what {
        Doing::Restore => (
            lang.t("backups.restore_title"),
            lang.t("backups.restore_help"),
            lang.t("backups.restore_confirm"),
        ),
        Doing::Delete => (
            lang.t("backups.delete_title"),
            lang.t("backups.delete_help"),
            lang.t("backups.delete_confirm"),
        ),
    };
    let facts = vec![
        (
            lang.t("backups.name"),
            html!(<span class="gb-mono">{ &backup.name }</span>),
        ),
        (lang.t("backups.when"), html!(<Moment at={backup.at} />)),
        (lang.t("backups.size"), html!({ size(backup.size_bytes) })),
    ];
    html!(
        <Dialog
            id="backup-dialog"
            {title}
            onclose={props.onclose.clone()}
            actions={html!(
                <>
                    <Act id="backup-confirm" kind={Kind::Danger} label={button} busy={props.busy} onclick={props.confirm.clone()} />
                    <Act id="backup-cancel" label={lang.t("common.cancel")} onclick={props.onclose.clone()} />
                </>
            )}
        >
            <p>{ help }</p>
            <Facts {facts} />
            if let Some(error) = props.error.clone() {
                <ErrorNote {error} />
            }
        </Dialog>
    )
}
