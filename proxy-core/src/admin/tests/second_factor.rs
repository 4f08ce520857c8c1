use contract::ErrorCode;
use contract::admin::{Account, TotpEnabled, TotpSetup};
use serde_json::json;
use totp_rs::Builder;

use super::*;

const STEP: Duration = Duration::from_secs(30);

fn code(body: &Value) -> ErrorCode {
    serde_json::from_value(body["code"].clone()).unwrap()
}

/// What an authenticator app shows.
fn shown(secret: &str, at: Millis) -> String {
    let app = Builder::new()
        .with_secret(totp_rs::Secret::try_from_base32(secret).unwrap())
        .build()
        .unwrap();
    app.generate(u64::try_from(at).unwrap() / 1000).to_string()
}

impl World {
    /// Adds an authenticator app; gives its secret and the recovery codes.
    async fn with_app(&self) -> (String, Vec<String>) {
        let confirm = json!({ "password": PASSWORD });
        let setup: TotpSetup = self.post("/api/account/totp", confirm).await;
        let code = json!({ "code": shown(&setup.secret, self.clock.now()) });
        let enabled: TotpEnabled = self.post("/api/account/totp/confirm", code).await;
        self.advance(STEP);
        (setup.secret, enabled.recovery_codes)
    }

    async fn log_in(&self, code: Option<&str>) -> (u16, Value) {
        let body = json!({ "password": PASSWORD, "code": code });
        let mut request = self.request(Method::POST, "/api/login", Some(body));
        // From another browser, whose sign-in does not end the session here.
        request.headers_mut().remove(header::COOKIE);
        let response = self.send(request).await;
        (response.status().as_u16(), body_of(response).await)
    }
}

#[tokio::test]
async fn signing_in_needs_a_code_once_the_app_has_proved_itself() {
    let world = World::signed_in(&[]).await;
    let confirm = json!({ "password": PASSWORD });
    let setup: TotpSetup = world.post("/api/account/totp", confirm).await;
    assert!(setup.link.contains(&setup.secret) && setup.qr_svg.contains("<svg"));
    let path = "/api/account/totp/confirm";
    let wrong = Some(json!({ "code": "000000" }));
    let (_, body) = world.call(Method::POST, path, wrong).await;
    assert_eq!(code(&body), ErrorCode::WrongSecondFactor);
    assert_eq!(world.log_in(None).await.0, 204, "not in force yet");

    let right = json!({ "code": shown(&setup.secret, world.clock.now()) });
    let enabled: TotpEnabled = world.post(path, right.clone()).await;
    assert_eq!(enabled.recovery_codes.len(), 10);
    let account: Account = world.get("/api/account").await;
    assert!(account.second_factor);
    assert_eq!(account.recovery_codes_left, 10);
    assert_eq!(account.sessions.len(), 1, "those without a code have ended");
    let (status, _) = world.call(Method::POST, path, Some(right)).await;
    assert_eq!(status, 400, "nothing is being added any more");

    let (status, body) = world.log_in(None).await;
    assert_eq!((status, code(&body)), (403, ErrorCode::SecondFactorNeeded));
    let now = shown(&setup.secret, world.clock.now());
    let (_, body) = world.log_in(Some(&now)).await;
    assert_eq!(code(&body), ErrorCode::WrongSecondFactor, "used to confirm");
    world.advance(STEP);
    let now = shown(&setup.secret, world.clock.now());
    assert_eq!(world.log_in(Some(&now)).await.0, 204);
    assert_eq!(world.log_in(Some(&now)).await.0, 403, "once");
}

#[tokio::test]
async fn a_recovery_code_signs_in_once() {
    let world = World::signed_in(&[]).await;
    let (_, codes) = world.with_app().await;
    let typed = codes[3].to_uppercase().replace('-', " ");
    assert_eq!(world.log_in(Some(&typed)).await.0, 204);
    assert_eq!(world.log_in(Some(&codes[3])).await.0, 403);
    let account: Account = world.get("/api/account").await;
    assert_eq!(account.recovery_codes_left, 9);
}

#[tokio::test]
async fn guessing_codes_is_slow_from_everywhere_together() {
    let world = World::signed_in(&[]).await;
    let (secret, _) = world.with_app().await;
    let mut refused = 0;
    for n in 0..9_u8 {
        let body = json!({ "password": PASSWORD, "code": "000000" });
        let mut request = world.request(Method::POST, "/api/login", Some(body));
        let peer = SocketAddr::from(([198, 51, 100, n], 1));
        request.extensions_mut().insert(ConnectInfo(peer));
        refused += u8::from(world.send(request).await.status() == 429);
    }
    assert_eq!(refused, 4, "five are free, whoever asks");
    // Asking without a code does not make up for wrong ones.
    assert_eq!(world.log_in(None).await.0, 403);
    let right = shown(&secret, world.clock.now());
    assert_eq!(world.log_in(Some(&right)).await.0, 429);
    world.advance(Duration::from_secs(60));
    let right = shown(&secret, world.clock.now());
    assert_eq!(world.log_in(Some(&right)).await.0, 204);
}

#[tokio::test]
async fn it_is_switched_off_with_the_password_only() {
    let world = World::signed_in(&[]).await;
    world.with_app().await;
    let off = |password: &str| Some(json!({ "password": password }));
    let path = "/api/account/totp/off";
    assert_eq!(world.call(Method::POST, path, off("wrong")).await.0, 403);
    assert_eq!(world.log_in(None).await.0, 403);
    assert_eq!(world.call(Method::POST, path, off(PASSWORD)).await.0, 204);
    assert_eq!(world.log_in(None).await.0, 204);
}

#[tokio::test]
async fn it_holds_while_the_database_is_away() {
    let mut world = World::signed_in(&[]).await;
    let (secret, codes) = world.with_app().await;
    world.get::<Account>("/api/account").await;
    core(&world).store.close().await;
    world.cookie = None;
    assert_eq!(world.log_in(None).await.0, 403);
    assert_eq!(world.log_in(Some(&codes[0])).await.0, 503, "they are there");
    let right = shown(&secret, world.clock.now());
    assert_eq!(world.log_in(Some(&right)).await.0, 204);
    assert_eq!(world.log_in(Some(&right)).await.0, 403, "once");
}

#[tokio::test]
async fn an_app_proves_itself_in_ten_minutes_in_the_session_that_asked() {
    let mut world = World::signed_in(&[]).await;
    let confirm = json!({ "password": PASSWORD });
    let setup: TotpSetup = world.post("/api/account/totp", confirm.clone()).await;
    let first = world.cookie.take();
    world.sign_in().await;
    let path = "/api/account/totp/confirm";
    let right = |world: &World| Some(json!({ "code": shown(&setup.secret, world.clock.now()) }));
    assert_eq!(world.call(Method::POST, path, right(&world)).await.0, 400);
    world.cookie = first;
    world.advance(Duration::from_secs(600));
    assert_eq!(world.call(Method::POST, path, right(&world)).await.0, 400);
    assert!(!world.get::<Account>("/api/account").await.second_factor);
}
