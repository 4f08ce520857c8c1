//! Controls that every page uses: PatternFly's markup with a test id and a label each.
//!
//! patternfly-yew draws what needs neither (cards, labels, empty states, spinners). Its
//! buttons and inputs take no `data-testid`, some carry English words for screen
//! readers, and its menus position themselves by `style` attributes, which the panel's
//! content security policy forbids; hence these.

mod act;
mod area;
mod card;
mod chart;
mod check;
mod confirm;
mod copy;
mod dialog;
mod facts;
mod field;
mod file;
mod moment;
mod notice;
mod out;
mod picks;
mod spinner;
mod switch;
mod tabs;

pub use act::{Act, Kind};
pub use area::TextArea;
pub use card::Card;
pub use chart::{Bar, BarChart, Unit};
pub use check::Check;
pub use confirm::Confirm;
pub use copy::{CopyButton, CopyField};
pub use dialog::Dialog;
pub use facts::Facts;
pub use field::{Choice, Choices, TextField};
pub use file::FileArea;
pub use moment::Moment;
pub use notice::{ErrorNote, Notice, Tone};
pub use out::{Out, Place};
pub use picks::Picks;
pub use spinner::Spinner;
pub use switch::Toggle;
pub use tabs::{Tab, Tabs};

use yew::{Html, Properties, component, html};

#[derive(PartialEq, Properties)]
pub struct SkeletonProps {
    /// How many lines of text will stand here.
    pub lines: usize,
}

/// Grey lines where text will be, of the height that the text will have.
#[component]
pub fn Skeleton(props: &SkeletonProps) -> Html {
    html!(
        <div class="gb-skeleton" aria-hidden="true">
            { for (0..props.lines).map(|_| html!(<div class="pf-v6-c-skeleton gb-skeleton__line" />)) }
        </div>
    )
}
