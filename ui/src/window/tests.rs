// Rendered on the server's side, which needs no browser and has no wasm.
#![cfg(not(target_arch = "wasm32"))]

use contract::desktop::{Passphrase, ProxyState, VaultState};
use contract::{ApiError, ErrorCode};
use yew::Callback;

use super::bar::{ProxyBar, ProxyBarProps};
use super::trouble::{ProxyTrouble, ProxyTroubleProps};
use super::vault::{VaultView, VaultViewProps};
use crate::testing::{in_chinese, render};

fn bar(proxy: ProxyState) -> ProxyBarProps {
    ProxyBarProps {
        proxy,
        run: Callback::noop(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_running_proxy_shows_its_true_address_and_can_be_stopped() {
    let html = render::<ProxyBar>(bar(ProxyState::Running {
        address: "http://127.0.0.1:8003".into(),
    }))
    .await;
    assert!(html.contains("http://127.0.0.1:8003"));
    assert!(html.contains("proxy-stop") && !html.contains("proxy-start"));
}

#[tokio::test(flavor = "current_thread")]
async fn a_stopped_proxy_shows_no_address() {
    let html = render::<ProxyBar>(bar(ProxyState::Stopped)).await;
    assert!(html.contains("proxy-start") && !html.contains("proxy-address"));
}

#[tokio::test(flavor = "current_thread")]
async fn a_taken_port_names_its_owner_and_offers_the_next() {
    let props = ProxyTroubleProps {
        proxy: ProxyState::PortTaken {
            port: 8000,
            owner: Some("python3".into()),
            next_free: 8001,
        },
        run: Callback::noop(),
    };
    let html = render::<ProxyTrouble>(props).await;
    assert!(html.contains("Port 8000 is in use by python3"), "{html}");
    assert!(html.contains("Use port 8001"));
}

#[tokio::test(flavor = "current_thread")]
async fn any_port_can_be_chosen_unless_the_proxy_runs() {
    let shown = async |proxy| {
        let run = Callback::noop();
        let html = render::<ProxyTrouble>(ProxyTroubleProps { proxy, run }).await;
        html.contains("proxy-port-use")
    };
    let error = ApiError::new(ErrorCode::Internal, "");
    assert!(shown(ProxyState::Stopped).await);
    assert!(shown(ProxyState::Failed { error }).await);
    let address = "http://127.0.0.1:8000".into();
    assert!(!shown(ProxyState::Running { address }).await);
}

fn closed(code: ErrorCode, passphrase: Passphrase) -> VaultViewProps {
    VaultViewProps {
        vault: VaultState::Closed {
            error: ApiError::new(code, "detail"),
            passphrase,
        },
        busy: false,
        refused: None,
        unlock: Callback::noop(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_passphrase_is_asked_for_only_where_it_helps() {
    let no = render::<VaultView>(closed(ErrorCode::KeychainLocked, Passphrase::NoUse)).await;
    assert!(!no.contains("vault-passphrase"), "{no}");
    assert!(no.contains("vault-retry"));
    let set = render::<VaultView>(closed(ErrorCode::KeychainMissing, Passphrase::Set)).await;
    assert!(set.contains("vault-passphrase\"") && !set.contains("vault-passphrase2"));
    assert!(
        !set.contains("vault-retry"),
        "the keychain has no say: {set}"
    );
    let choose =
        in_chinese::<VaultView>(closed(ErrorCode::KeychainMissing, Passphrase::CanBeChosen)).await;
    assert!(choose.contains("vault-passphrase2") && choose.contains("使用这个口令"));
}

#[tokio::test(flavor = "current_thread")]
async fn asking_for_the_passphrase_is_no_error() {
    let html = render::<VaultView>(closed(ErrorCode::PassphraseNeeded, Passphrase::Set)).await;
    assert!(html.contains("Type your passphrase"), "{html}");
    assert!(!html.contains("role=\"alert\""), "{html}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_refused_passphrase_replaces_the_first_error() {
    let mut props = closed(ErrorCode::KeychainMissing, Passphrase::Set);
    props.refused = Some(ApiError::new(ErrorCode::WrongPassphrase, ""));
    let html = render::<VaultView>(props).await;
    assert!(html.contains("That passphrase does not open the vault"));
    assert!(!html.contains("This system has no keychain"));
}
