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
    core(&world).store.close().await;
    world.cookie = None;
    assert_eq!(world.log_in(None).await.0, 403);
    assert_eq!(world.log_in(Some(&codes[0])).await.0, 503, "they are there");
    let right = shown(&secret, world.clock.now());
    assert_eq!(world.log_in(Some(&right)).await.0, 204);
    assert_eq!(world.log_in(Some(&right)).await.0, 403, "once");
    core(&world).store.tend().await;
    assert_eq!(world.log_in(Some(&right)).await.0, 403, "once for good");
}

/// A sign-in while the database is away goes by what was last read, and does not outlast what
/// another server has changed since.
#[tokio::test]
async fn a_session_begun_by_old_knowledge_ends_when_it_turns_out_to_be_old() {
    const OLD: &str = "the old password";
    let mut world = World::signed_in(&[]).await;
    let store = core(&world).store.clone();
    let hash = |password: &str| crate::admin::hash_password(&password.into()).unwrap();
    store
        .change_password(&hash(OLD), None, false)
        .await
        .unwrap();
    let log_in = |world: &World| {
        let body = Some(json!({ "password": OLD }));
        world.request(Method::POST, "/api/login", body)
    };
    world.cookie = None;
    assert_eq!(
        world.send(log_in(&world)).await.status(),
        204,
        "it is known here now"
    );
    for elsewhere in ["another password", "a second factor"] {
        store.close().await;
        world.cookie = None;
        let signed_in = world.send(log_in(&world)).await;
        assert_eq!(signed_in.status(), 204);
        world.cookie = cookie_of(&signed_in);
        assert_eq!(world.call(Method::GET, "/api/account", None).await.0, 200);
        // The keeper may be connecting already.
        while store.tend().await == crate::store::Tended::Away {
            tokio::task::yield_now().await;
        }
        match elsewhere {
            "a second factor" => {
                let secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP".into();
                store
                    .set_second_factor(&secret, 0, &[], None)
                    .await
                    .unwrap();
            }
            _ => {
                let new = hash("the new password");
                store.change_password(&new, None, true).await.unwrap();
            }
        }
        let (status, _) = world.call(Method::GET, "/api/account", None).await;
        assert_eq!(status, 401, "{elsewhere}");
        if elsewhere != "a second factor" {
            store.change_password(&hash(OLD), None, true).await.unwrap();
            world.cookie = None;
            assert_eq!(world.send(log_in(&world)).await.status(), 204);
        }
    }
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

/// A browser left open is not enough to take the secrets, or the way in, along.
#[tokio::test]
async fn what_gives_out_secrets_or_changes_the_way_in_wants_the_password_once_more() {
    let world = World::signed_in(&[]).await;
    let settings: contract::admin::SettingsView = world.get("/api/settings").await;
    let export = json!({ "passphrase": "a long passphrase" });
    let token = json!({
        "values": { "AUTH_TOKEN": "a token of a stranger" }, "revision": settings.revision,
    });
    let import = json!({ "text": "AUTH_TOKEN='a token of a stranger'" });
    // All keys would be sent there.
    let address = json!({
        "values": { "BASE_URL": "https://evil.example/v1beta" }, "revision": settings.revision,
    });
    let guarded = [
        (Method::POST, "/api/transfer/export", export.clone()),
        (Method::PATCH, "/api/settings", token),
        (Method::POST, "/api/transfer/import", import),
    ];
    world.advance(Duration::from_secs(10 * 60));
    let refused = |(status, body): (u16, Value)| {
        assert_eq!((status, code(&body)), (403, ErrorCode::PasswordAgain));
    };
    for (method, path, body) in guarded.clone() {
        refused(world.call(method, path, Some(body)).await);
    }
    refused(
        world
            .call(Method::PATCH, "/api/settings", Some(address))
            .await,
    );
    // What gives out no secret goes on.
    let plain: contract::admin::ExportFile = world.post("/api/transfer/export", json!({})).await;
    assert!(!plain.text.contains(PASSWORD));

    let confirm = "/api/account/confirm";
    let (status, body) = world
        .call(
            Method::POST,
            confirm,
            Some(json!({ "password": "guessed" })),
        )
        .await;
    assert_eq!((status, code(&body)), (403, ErrorCode::WrongPassword));
    refused(
        world
            .call(Method::POST, guarded[0].1, Some(export.clone()))
            .await,
    );
    let right = Some(json!({ "password": PASSWORD }));
    assert_eq!(world.call(Method::POST, confirm, right).await.0, 204);
    // The other token ends the session, too.
    let [exported, changed, imported] = guarded;
    for ((method, path, body), status) in [(exported, 200), (changed, 200), (imported, 401)] {
        assert_eq!(
            world.call(method, path, Some(body)).await.0,
            status,
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_environment_switches_it_off_when_everything_is_lost() {
    let mut world = World::signed_in(&[]).await;
    world.with_app().await;
    assert_eq!(world.log_in(None).await.0, 403);
    let drop = [("AUTH_TOKEN", PASSWORD), ("RESET_SECOND_FACTOR", "true")];
    world.restart(&drop).await;
    assert_eq!(world.log_in(None).await.0, 204);
}

#[tokio::test]
async fn who_is_not_a_trusted_proxy_cannot_choose_the_address_that_is_slowed_down() {
    for (trusted, peer, shown) in [
        ("private", "10.1.2.3:99", "198.51.100.7"),
        ("loopback", "10.1.2.3:99", "10.1.2.3"),
        ("loopback", "127.0.0.1:99", "198.51.100.7"),
        ("never", "127.0.0.1:99", "127.0.0.1"),
        ("private", "203.0.113.9:99", "203.0.113.9"),
    ] {
        let mut world =
            World::new(&[("AUTH_TOKEN", PASSWORD), ("TRUST_FORWARDED_FOR", trusted)]).await;
        let body = json!({ "password": PASSWORD });
        let mut request = world.request(Method::POST, "/api/login", Some(body));
        let peer: SocketAddr = peer.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        let forwarded = http::HeaderValue::from_static("192.0.2.1, 198.51.100.7");
        request.headers_mut().insert("x-forwarded-for", forwarded);
        world.cookie = cookie_of(&world.send(request).await);
        let account: Account = world.get("/api/account").await;
        assert_eq!(account.sessions[0].address, shown, "{trusted} {peer}");
    }
}
