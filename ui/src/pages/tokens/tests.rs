// Rendered on the server's side, which needs no browser and has no wasm.
#![cfg(not(target_arch = "wasm32"))]

use contract::admin::{Origin, ThoughtStyle, TokenRules, TokenUsage};
use contract::{ApiError, ErrorCode};

use super::edit::{EditView, EditViewProps};
use super::new::{NewTokenView, NewTokenViewProps};
use super::rules::Draft;
use super::*;
use crate::testing::{in_chinese, render};
use crate::text::Zone;

const NOW: Millis = 1_800_000_000_000;

fn token(id: i64) -> TokenView {
    TokenView {
        id,
        name: format!("program {id}"),
        masked: "sk-a…x3Fq".into(),
        origin: Origin::Panel,
        created_at: NOW - 86_400_000,
        last_used_at: None,
        rules: TokenRules::default(),
        usage: TokenUsage::default(),
    }
}

fn props(tokens: Vec<TokenView>) -> TokensViewProps {
    TokensViewProps {
        tokens: LoadResult::default().after(Ok(tokens)),
        now: NOW,
        maker: Html::default(),
        changed: Callback::noop(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_token_tells_its_limits_its_use_and_its_end() {
    let mut limited = token(1);
    limited.last_used_at = Some(NOW - 300_000);
    limited.rules = TokenRules {
        expires_at: Some(NOW + 3 * 3_600_000),
        rpm: Some(60),
        tokens_per_day: Some(2_000_000),
        models: vec!["gemini-2.5-*".into()],
        thoughts: ThoughtStyle::Hidden,
        ..TokenRules::default()
    };
    limited.usage = TokenUsage {
        requests_today: 1_234,
        errors_today: 5,
        tokens_today: 98_765,
        running: 2,
    };
    let html = render::<TokensView>(props(vec![limited, token(2)])).await;
    for text in [
        "60 requests a minute",
        "2,000,000 tokens a day",
        "only gemini-2.5-*",
        "thoughts left out",
        "expires in 3 h",
        "1,234 requests",
        "98,765 tokens",
        "2 running now",
        "5 min ago",
        "no limits",
        "no client has used it yet",
        "href=\"#/requests?token=1\"",
    ] {
        assert!(html.contains(text), "no {text} in {html}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_token_whose_time_is_over_says_so_in_both_languages() {
    let mut over = token(1);
    over.rules.expires_at = Some(NOW);
    let html = render::<TokensView>(props(vec![over.clone()])).await;
    assert!(
        html.contains("expired") && !html.contains("expires in"),
        "{html}"
    );
    assert!(
        in_chinese::<TokensView>(props(vec![over]))
            .await
            .contains("已过期")
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_token_of_the_environment_gets_limits_here_and_cannot_be_revoked() {
    let mut env = token(-1);
    env.origin = Origin::Environment;
    let html = render::<TokensView>(props(vec![env, token(2)])).await;
    assert!(html.contains("from ALLOWED_TOKENS"), "{html}");
    assert!(!html.contains("token-revoke--1") && html.contains("token-edit--1"));
    assert!(html.contains("token-revoke-2") && html.contains("token-edit-2"));
}

#[tokio::test(flavor = "current_thread")]
async fn names_and_models_are_text_and_nothing_else() {
    let mut bad = token(1);
    bad.name = "<img src=x onerror=alert(1)>".into();
    bad.rules.models = vec!["<script>alert(2)</script>".into()];
    let html = render::<TokensView>(props(vec![bad])).await;
    assert!(
        !html.contains("<img") && !html.contains("<script"),
        "{html}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_new_token_is_shown_beside_the_form_that_made_it() {
    let html = render::<NewTokenView>(NewTokenViewProps {
        name: "x".into(),
        draft: None,
        ready: true,
        busy: false,
        error: None,
        fresh: Some("sk-secret-once".into()),
        note: AttrValue::default(),
        onname: Callback::noop(),
        onrules: Callback::noop(),
        create: Callback::noop(),
    })
    .await;
    assert!(
        html.contains("sk-secret-once") && html.contains("only this once"),
        "{html}"
    );
    assert!(!html.contains("token-rpm"), "rules are not asked for here");
}

#[tokio::test(flavor = "current_thread")]
async fn the_form_holds_the_rules_and_keeps_what_the_server_refused() {
    let rules = TokenRules {
        rpd: Some(500),
        models: vec!["gemini-3-pro".into()],
        ..TokenRules::default()
    };
    let html = render::<EditView>(EditViewProps {
        named: true,
        name: "laptop".into(),
        draft: Draft::of(&rules, &Zone::new(|at| at)),
        ready: true,
        busy: false,
        error: Some(ApiError::new(ErrorCode::InvalidInput, "No such model.")),
        onname: Callback::noop(),
        onrules: Callback::noop(),
        save: Callback::noop(),
        onclose: Callback::noop(),
    })
    .await;
    for text in [
        "value=\"laptop\"",
        "value=\"500\"",
        "value=\"gemini-3-pro\"",
        "No such model.",
    ] {
        assert!(html.contains(text), "no {text} in {html}");
    }
}
