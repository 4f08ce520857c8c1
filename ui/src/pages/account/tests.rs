// Rendered on the server's side, which needs no browser and has no wasm.
#![cfg(not(target_arch = "wasm32"))]

use contract::admin::SessionView;
use contract::{ApiError, ErrorCode};

use super::password::{PasswordView, PasswordViewProps, Typed};
use super::second_factor::{
    SecondFactorView, SecondFactorViewProps, Step, StepDialog, StepDialogProps,
};
use super::*;
use crate::testing::{in_chinese, render};

const NOW: Millis = 1_795_000_000_000;

fn session(id: &str, current: bool) -> SessionView {
    SessionView {
        id: id.into(),
        created_at: NOW - 86_400_000,
        last_seen_at: NOW - 120_000,
        expires_at: NOW + 86_400_000,
        address: "192.0.2.7".into(),
        user_agent: "<script>alert(1)</script>".into(),
        current,
    }
}

#[tokio::test(flavor = "current_thread")]
async fn every_session_but_this_one_can_be_ended_and_none_brings_markup() {
    let account = contract::admin::Account {
        has_password: true,
        has_auth_token: false,
        second_factor: false,
        recovery_codes_left: 0,
        sessions: vec![session("mine", true), session("other", false)],
    };
    let html = render::<AccountView>(AccountViewProps {
        account: LoadResult::default().after(Ok(account)),
        now: NOW,
        changed: Callback::noop(),
    })
    .await;
    assert!(html.contains("session-end-other") && !html.contains("session-end-mine"));
    assert!(
        html.contains("2 min ago") && html.contains("this one"),
        "{html}"
    );
    assert!(!html.contains("<script"), "{html}");
}

fn password(typed: Typed, error: Option<ErrorCode>) -> PasswordViewProps {
    PasswordViewProps {
        has_password: true,
        has_auth_token: false,
        typed,
        ontype: Callback::noop(),
        onsubmit: Callback::noop(),
        busy: false,
        error: error.map(|code| ApiError::new(code, "")),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_password_is_sent_only_when_long_enough_and_typed_twice() {
    let typed = |new: &'static str, again: &'static str| Typed {
        current: "old".into(),
        new: new.into(),
        again: again.into(),
    };
    for (typed, sendable) in [
        (typed("12345678", "12345678"), true),
        (typed("1234567", "1234567"), false),
        (typed("12345678", "12345679"), false),
        (
            Typed {
                current: "".into(),
                ..typed("12345678", "12345678")
            },
            false,
        ),
    ] {
        let html = render::<PasswordView>(password(typed, None)).await;
        let button = html
            .split("<button")
            .find(|b| b.contains("password-submit"));
        assert_eq!(
            button.is_some_and(|b| !b.contains("disabled")),
            sendable,
            "{html}"
        );
    }
    let html =
        render::<PasswordView>(password(Typed::default(), Some(ErrorCode::WrongPassword))).await;
    let field = html
        .split("<div id=\"password-current-beneath\"")
        .nth(1)
        .unwrap();
    assert!(field.contains("That password is not right"), "{html}");
}

#[tokio::test(flavor = "current_thread")]
async fn few_recovery_codes_are_warned_of() {
    let card = |codes_left| SecondFactorViewProps {
        on: true,
        codes_left,
        go: Callback::noop(),
    };
    let html = render::<SecondFactorView>(card(1)).await;
    assert!(html.contains("totp-few") && html.contains("1 recovery code is left"));
    let html = render::<SecondFactorView>(card(10)).await;
    assert!(
        !html.contains("totp-few") && html.contains("totp-off"),
        "{html}"
    );
}

fn step(step: Step, error: Option<ErrorCode>) -> StepDialogProps {
    StepDialogProps {
        step,
        typed: "x".into(),
        ontype: Callback::noop(),
        onsubmit: Callback::noop(),
        busy: false,
        error: error.map(|code| ApiError::new(code, "")),
        onclose: Callback::noop(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_second_factor_is_set_up_step_by_step() {
    let html = render::<StepDialog>(step(Step::Password { on: false }, None)).await;
    assert!(html.contains("recovery codes stop working"), "{html}");
    let scan = Step::Scan {
        secret: "JBSWY3DP".into(),
        picture: "data:image/svg+xml,x".into(),
    };
    let html = render::<StepDialog>(step(scan, Some(ErrorCode::WrongSecondFactor))).await;
    assert!(html.contains("src=\"data:image/svg+xml,x\"") && html.contains("JBSWY3DP"));
    let field = html.split("<div id=\"totp-code-beneath\"").nth(1).unwrap();
    assert!(field.contains("That code is not right"), "{html}");
    let codes = Step::Codes(vec!["k3f9-7xq0".into(), "k3f9-7xq1".into()]);
    let html = in_chinese::<StepDialog>(step(codes, None)).await;
    assert!(
        html.contains("k3f9-7xq1") && html.contains("只显示这一次"),
        "{html}"
    );
}
