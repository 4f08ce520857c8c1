use super::*;
use crate::testing::{in_chinese, render};

fn props(findings: Vec<Finding>) -> DoctorViewProps {
    DoctorViewProps {
        report: Some(DoctorReport { at: 0, findings }),
        busy: false,
        error: None,
        now: 5_000,
        run: Callback::noop(),
    }
}

fn found(code: FindingCode, state: FindingState) -> Finding {
    Finding {
        code,
        state,
        subject: "socks5h://host:1080".to_owned(),
        detail: "connection refused <b>".to_owned(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_bad_says_what_to_do_and_where() {
    let all = vec![
        found(FindingCode::PortAnswers, FindingState::Good),
        found(FindingCode::GoogleUnreachable, FindingState::Bad),
        found(FindingCode::KeyNone, FindingState::Bad),
    ];
    let html = render::<DoctorView>(props(all.clone())).await;
    assert!(html.contains("Something does not work"), "{html}");
    assert!(html.contains("start your VPN program") && html.contains("#/settings"));
    assert!(
        html.contains("socks5h://host:1080 · connection refused &lt;b&gt;"),
        "{html}"
    );
    assert!(html.contains("#/keys"));
    let html = in_chinese::<DoctorView>(props(all)).await;
    assert!(html.contains("请启动代理软件"), "{html}");
}

#[tokio::test(flavor = "current_thread")]
async fn when_all_is_well_it_says_so() {
    let all = vec![found(FindingCode::PortAnswers, FindingState::Good)];
    let html = render::<DoctorView>(props(all)).await;
    assert!(html.contains("Everything is as it should be"), "{html}");
    let all = vec![found(FindingCode::ProxyIgnored, FindingState::Good)];
    let html = render::<DoctorView>(props(all)).await;
    assert!(
        html.contains("switch “Follow the system's proxy” on"),
        "{html}"
    );
}
