use super::Spinner;
use patternfly_yew::prelude::Icon;
use yew::{AttrValue, Callback, Classes, Html, MouseEvent, Properties, classes, component, html};

/// How much a button stands out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// The one thing most people want on this card.
    Primary,
    /// An equal choice.
    #[default]
    Secondary,
    /// Destroys something.
    Danger,
    /// A word within or beside text.
    Link,
    /// An icon only.
    Plain,
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Self::Primary => "pf-m-primary",
            Self::Secondary => "pf-m-secondary",
            Self::Danger => "pf-m-danger",
            Self::Link => "pf-m-link pf-m-inline",
            Self::Plain => "pf-m-plain",
        }
    }
}

#[derive(PartialEq, Properties)]
pub struct ActProps {
    /// What the button says; a plain one says it to screen readers and on hover.
    pub label: AttrValue,
    /// The `data-testid`.
    pub id: AttrValue,
    #[prop_or_default]
    pub kind: Kind,
    #[prop_or_default]
    pub icon: Option<Icon>,
    #[prop_or_default]
    pub disabled: bool,
    /// Shows a spinner and takes no clicks.
    #[prop_or_default]
    pub busy: bool,
    /// Sends the form it stands in.
    #[prop_or_default]
    pub submit: bool,
    /// The id of the form that it sends, when it does not stand in it.
    #[prop_or_default]
    pub form: Option<AttrValue>,
    #[prop_or_default]
    pub small: bool,
    #[prop_or_default]
    pub block: bool,
    /// For screen readers, when the label alone does not say of what.
    #[prop_or_default]
    pub aria_label: Option<AttrValue>,
    #[prop_or_default]
    pub aria_expanded: Option<AttrValue>,
    #[prop_or_default]
    pub onclick: Callback<()>,
}

/// A button.
#[component]
pub fn Act(props: &ActProps) -> Html {
    let plain = props.kind == Kind::Plain;
    let class: Classes = classes!(
        "pf-v6-c-button",
        props.kind.class(),
        props.small.then_some("pf-m-small"),
        props.block.then_some("pf-m-block"),
        props.busy.then_some("pf-m-progress pf-m-in-progress"),
    );
    let onclick = props.onclick.reform(|_: MouseEvent| ());
    let spoken = props
        .aria_label
        .clone()
        .or_else(|| plain.then(|| props.label.clone()));
    html!(
        <button
            {class}
            type={if props.submit { "submit" } else { "button" }}
            form={&props.form}
            data-testid={&props.id}
            disabled={props.disabled || props.busy}
            aria-label={spoken}
            aria-expanded={&props.aria_expanded}
            title={plain.then(|| props.label.clone())}
            {onclick}
        >
            if props.busy {
                <span class="pf-v6-c-button__progress">
                    <Spinner size="pf-m-md" />
                </span>
            }
            if let Some(icon) = props.icon {
                <span class={classes!("pf-v6-c-button__icon", (!plain).then_some("pf-m-start"))}>{ icon }</span>
            }
            if !plain {
                <span class="pf-v6-c-button__text">{ &props.label }</span>
            }
        </button>
    )
}
