//! The check of all keys, one after the other: many at once from one address look to
//! Google like an attack.

use std::rc::Rc;

use contract::ApiError;
use contract::admin::{KeyState, KeyView};
use yew::{Callback, Html, Properties, Reducible, component, html};

use super::KeyAction;
use crate::app::use_lang;
use crate::controls::{Act, ErrorNote, Kind, Notice, Tone};
use crate::text::number;

/// How far the check of all keys has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckRun {
    /// Still going.
    pub running: bool,
    /// Keys to check.
    pub total: usize,
    /// Keys that Google accepts.
    pub accepted: usize,
    /// Keys that it does not.
    pub failed: usize,
    /// What ended the run early.
    pub broken: Option<ApiError>,
}

/// What happens to a run.
pub enum Step {
    /// It begins, with so many keys.
    Start(usize),
    /// One key was checked, well or not.
    Checked(bool),
    /// A check could not be made at all.
    Broken(ApiError),
    /// It is over.
    End,
}

impl CheckRun {
    /// Keys checked so far.
    pub fn done(&self) -> usize {
        self.accepted + self.failed
    }
}

impl Reducible for CheckRun {
    type Action = Step;

    fn reduce(self: Rc<Self>, step: Step) -> Rc<Self> {
        let mut run = (*self).clone();
        match step {
            Step::Start(total) => {
                run = Self {
                    running: true,
                    total,
                    ..Self::default()
                };
            }
            Step::Checked(true) => run.accepted += 1,
            Step::Checked(false) => run.failed += 1,
            Step::Broken(error) => run.broken = Some(error),
            Step::End => run.running = false,
        }
        run.into()
    }
}

/// The keys to check, in the order shown: all but those the user switched off.
pub fn in_turn(keys: &[KeyView]) -> Vec<i64> {
    keys.iter()
        .filter(|key| key.state != KeyState::Disabled)
        .map(|key| key.id)
        .collect()
}

#[derive(PartialEq, Properties)]
pub struct CheckRunViewProps {
    pub run: CheckRun,
    pub act: Callback<KeyAction>,
}

/// How far the check has come, and how it ended.
#[component]
pub fn CheckRunView(props: &CheckRunViewProps) -> Html {
    let lang = use_lang();
    let run = &props.run;
    if run.total == 0 {
        return Html::default();
    }
    if let Some(error) = run.broken.clone() {
        return html!(<ErrorNote {error} />);
    }
    let (done, total) = (number(run.done() as u64), number(run.total as u64));
    if run.running {
        return html!(
            <div class="gb-progress" data-testid="check-progress">
                <div class="gb-progress__head">
                    <span role="status">{ lang.f("keys.check.progress", &[("done", &done), ("total", &total)]) }</span>
                    <Act
                        id="check-stop"
                        kind={Kind::Link}
                        label={lang.t("common.stop")}
                        onclick={props.act.reform(|()| KeyAction::StopChecking)}
                    />
                </div>
                <progress class="gb-progress__bar" max={run.total.to_string()} value={run.done().to_string()} />
            </div>
        );
    }
    let tone = if run.failed > 0 {
        Tone::Warning
    } else {
        Tone::Success
    };
    let title = lang.f(
        "keys.check.summary",
        &[("accepted", &run.accepted), ("failed", &run.failed)],
    );
    html!(<Notice {tone} {title} id="check-summary" />)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_counts_and_ends() {
        let run = Rc::new(CheckRun::default())
            .reduce(Step::Start(3))
            .reduce(Step::Checked(true))
            .reduce(Step::Checked(false));
        assert!(run.running);
        assert_eq!((run.done(), run.total), (2, 3));
        let run = run.reduce(Step::End);
        assert!(!run.running);
        assert_eq!((run.accepted, run.failed), (1, 1));
    }

    #[test]
    fn a_new_run_forgets_the_last_one() {
        let run = Rc::new(CheckRun::default())
            .reduce(Step::Start(1))
            .reduce(Step::Checked(false))
            .reduce(Step::End)
            .reduce(Step::Start(2));
        assert_eq!((run.done(), run.total), (0, 2));
    }
}
