//! Short messages over the page, with an undo where there is one.

use std::rc::Rc;

use contract::ApiError;
use gloo::timers::callback::Timeout;
use patternfly_yew::prelude::Icon;
use yew::{
    AttrValue, Callback, ContextProvider, Html, Properties, Reducible, UseReducerDispatcher,
    component, hook, html, use_context, use_effect_with, use_reducer,
};

use super::use_lang;
use crate::controls::{Act, Kind, Notice, Tone};
use crate::text::Lang;

/// How long a message stays, in milliseconds; with an undo, twice as long.
const STAYS: u32 = 8_000;

/// A short message.
#[derive(Clone, PartialEq)]
pub struct Toast {
    /// What kind of message.
    pub tone: Tone,
    /// The message.
    pub title: AttrValue,
    /// More, if any.
    pub body: Option<AttrValue>,
    /// Takes back what the message tells of.
    pub undo: Option<Callback<()>>,
}

/// Where messages go.
#[derive(Clone, PartialEq, Default)]
pub struct Toasts(Option<UseReducerDispatcher<Shown>>);

impl Toasts {
    /// Shows a message.
    pub fn show(&self, toast: Toast) {
        if let Some(dispatch) = &self.0 {
            dispatch.dispatch(Change::Show(toast));
        }
    }

    /// Shows that something worked.
    pub fn success(&self, title: AttrValue) {
        self.show(Toast {
            tone: Tone::Success,
            title,
            body: None,
            undo: None,
        });
    }

    /// Shows an error with its way out.
    pub fn error(&self, lang: Lang, error: &ApiError) {
        self.show(Toast {
            tone: Tone::Danger,
            title: lang.error_title(error.code),
            body: Some(
                format!(
                    "{} {} {}",
                    lang.error_hint(error),
                    lang.t("error.detail"),
                    error.message
                )
                .into(),
            ),
            undo: None,
        });
    }
}

/// Where messages go.
#[hook]
pub fn use_toasts() -> Toasts {
    use_context::<Toasts>().unwrap_or_default()
}

/// The messages on screen, oldest first.
#[derive(Clone, Default, PartialEq)]
struct Shown {
    next: u32,
    toasts: Vec<(u32, Toast)>,
}

enum Change {
    Show(Toast),
    Close(u32),
}

impl Reducible for Shown {
    type Action = Change;

    fn reduce(self: Rc<Self>, change: Change) -> Rc<Self> {
        let mut shown = (*self).clone();
        match change {
            Change::Show(toast) => {
                // The same message twice is one message.
                shown.toasts.retain(|(_, t)| t.title != toast.title);
                shown.toasts.push((shown.next, toast));
                shown.next += 1;
            }
            Change::Close(id) => shown.toasts.retain(|(i, _)| *i != id),
        }
        shown.into()
    }
}

#[derive(PartialEq, Properties)]
pub struct ToastAreaProps {
    pub children: Html,
}

/// Gives its children somewhere to send messages, and shows them.
#[component]
pub fn ToastArea(props: &ToastAreaProps) -> Html {
    let shown = use_reducer(Shown::default);
    let dispatch = shown.dispatcher();
    let close = {
        let dispatch = dispatch.clone();
        Callback::from(move |id| dispatch.dispatch(Change::Close(id)))
    };
    html!(
        <ContextProvider<Toasts> context={Toasts(Some(dispatch))}>
            { props.children.clone() }
            <ul class="pf-v6-c-alert-group pf-m-toast" role="list">
                { for shown.toasts.iter().map(|(id, toast)| {
                    let id = *id;
                    html!(<OneToast key={id} toast={toast.clone()} close={close.reform(move |()| id)} />)
                }) }
            </ul>
        </ContextProvider<Toasts>>
    )
}

#[derive(PartialEq, Properties)]
struct OneToastProps {
    toast: Toast,
    close: Callback<()>,
}

#[component]
fn OneToast(props: &OneToastProps) -> Html {
    let lang = use_lang();
    let toast = &props.toast;
    use_effect_with((), {
        let close = props.close.clone();
        let stays = if toast.undo.is_some() {
            2 * STAYS
        } else {
            STAYS
        };
        move |()| {
            let timeout = Timeout::new(stays, move || close.emit(()));
            move || drop(timeout)
        }
    });
    let undo = toast.undo.as_ref().map(|undo| {
        let (undo, close) = (undo.clone(), props.close.clone());
        let onclick = Callback::from(move |()| {
            close.emit(());
            undo.emit(());
        });
        html!(<Act id="undo" kind={Kind::Link} label={lang.t("common.undo")} {onclick} />)
    });
    html!(
        <li class="pf-v6-c-alert-group__item">
            <Notice
                tone={toast.tone}
                title={toast.title.clone()}
                floating=true
                id="toast"
                actions={undo.unwrap_or_default()}
                corner={html!(
                    <Act
                        id="toast-close"
                        kind={Kind::Plain}
                        icon={Some(Icon::Times)}
                        label={lang.t("common.close")}
                        onclick={props.close.clone()}
                    />
                )}
            >
                { toast.body.clone().map(|body| html!(<p>{ body }</p>)).unwrap_or_default() }
            </Notice>
        </li>
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toast(title: &'static str) -> Toast {
        Toast {
            tone: Tone::Info,
            title: title.into(),
            body: None,
            undo: None,
        }
    }

    #[test]
    fn a_message_shown_again_does_not_pile_up() {
        let shown = Rc::new(Shown::default())
            .reduce(Change::Show(toast("a")))
            .reduce(Change::Show(toast("b")))
            .reduce(Change::Show(toast("a")));
        let titles: Vec<_> = shown.toasts.iter().map(|(_, t)| t.title.as_str()).collect();
        assert_eq!(titles, ["b", "a"]);
    }

    #[test]
    fn closing_takes_away_that_message_only() {
        let shown = Rc::new(Shown::default())
            .reduce(Change::Show(toast("a")))
            .reduce(Change::Show(toast("b")))
            .reduce(Change::Close(0));
        let titles: Vec<_> = shown.toasts.iter().map(|(_, t)| t.title.as_str()).collect();
        assert_eq!(titles, ["b"]);
    }
}
