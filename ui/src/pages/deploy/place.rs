use std::ops::RangeInclusive;

use contract::deploy::ProviderKind;
use patternfly_yew::prelude::{Color, Label};
use serde::{Deserialize, Serialize};
use yew::{AttrValue, Callback, Html, MouseEvent, Properties, component, html};

use crate::app::use_lang;
use crate::text::wire_name;

/// A place to put an instance at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// render.com.
    Render,
    /// ClawCloud Run.
    ClawCloud,
    /// Sealos or any other Kubernetes.
    Kubernetes,
    /// koyeb.com.
    Koyeb,
    /// A computer of one's own with Docker.
    Docker,
    /// Anywhere: only the variables are wanted.
    Variables,
}

impl Door {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::Render,
        Self::ClawCloud,
        Self::Koyeb,
        Self::Kubernetes,
        Self::Docker,
        Self::Variables,
    ];

    /// Whose account it needs.
    pub fn provider(self) -> Option<ProviderKind> {
        match self {
            Self::Render => Some(ProviderKind::Render),
            Self::ClawCloud => Some(ProviderKind::ClawCloud),
            Self::Kubernetes => Some(ProviderKind::Kubernetes),
            Self::Koyeb => Some(ProviderKind::Koyeb),
            Self::Docker | Self::Variables => None,
        }
    }

    /// The place where an account is.
    pub fn of(provider: ProviderKind) -> Self {
        match provider {
            ProviderKind::Render => Self::Render,
            ProviderKind::ClawCloud => Self::ClawCloud,
            ProviderKind::Kubernetes => Self::Kubernetes,
            ProviderKind::Koyeb => Self::Koyeb,
        }
    }

    /// How many characters the name of an app has there.
    pub fn name_length(self) -> RangeInclusive<usize> {
        match self {
            Self::Koyeb => 3..=23,
            // ClawCloud's and Sealos' launchpad; the others take more.
            _ => 1..=25,
        }
    }

    /// Without an account that could tell: it can keep a volume.
    pub fn has_volumes(self) -> bool {
        !matches!(self, Self::Render | Self::Koyeb)
    }

    /// The program may sleep there.
    pub fn sleeps(self) -> bool {
        matches!(self, Self::Render | Self::Koyeb)
    }
}

/// What a person wants to know of a place before choosing it. (Source: the providers'
/// documentation as of 2026-11; what is not known for certain says so.)
const FACTS: [&str; 5] = ["free", "sleep", "region", "disk", "card"];

#[derive(PartialEq, Properties)]
pub struct PlacesProps {
    pub chosen: Option<Door>,
    pub onchoose: Callback<Door>,
}

/// The places, each with what it offers.
#[component]
pub fn Places(props: &PlacesProps) -> Html {
    let lang = use_lang();
    html!(
        <>
            <div class="gb-places">
                { for Door::ALL.into_iter().map(|door| {
                    let name = wire_name(&door);
                    let text = |what: &str| lang.t(&format!("deploy.door.{name}.{what}"));
                    let label: AttrValue = lang.f("deploy.choose", &[("name", &text("name"))]);
                    html!(
                        <section class="pf-v6-c-card gb-place" key={name.clone()} data-testid={format!("door-{name}")}>
                            <div class="pf-v6-c-card__title gb-row">
                                <h2 class="pf-v6-c-card__title-text">{ text("name") }</h2>
                                if door == Door::Render {
                                    <Label compact=true color={Color::Green} label={lang.t("deploy.easiest").to_string()} />
                                }
                                if props.chosen == Some(door) {
                                    <Label compact=true color={Color::Blue} label={lang.t("deploy.chosen").to_string()} />
                                }
                            </div>
                            <div class="pf-v6-c-card__body gb-stack">
                                <p>{ text("what") }</p>
                                <dl class="gb-place__facts gb-small">
                                    { for FACTS.into_iter().map(|fact| html!(
                                        <div key={fact}>
                                            <dt class="gb-muted">{ lang.t(&format!("deploy.fact.{fact}")) }</dt>
                                            <dd>{ text(fact) }</dd>
                                        </div>
                                    )) }
                                </dl>
                                <button
                                    type="button"
                                    class="pf-v6-c-button pf-m-secondary pf-m-block gb-place__choose"
                                    data-testid={format!("choose-{name}")}
                                    onclick={props.onchoose.reform(move |_: MouseEvent| door)}
                                >
                                    <span class="pf-v6-c-button__text">{ label }</span>
                                </button>
                            </div>
                        </section>
                    )
                }) }
            </div>
            <p class="gb-muted gb-small">{ lang.t("deploy.facts_of") }</p>
        </>
    )
}
