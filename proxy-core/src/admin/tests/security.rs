//! What an attacker tries on the panel, by the names of OWASP's list: fixation, forged
//! requests, rebinding, guessing, injection; and that no secret is ever told.

use contract::ErrorCode;
use contract::admin::{Account, InstanceState, TokenCreated};
use serde_json::json;

use super::*;

fn code(body: &Value) -> ErrorCode {
    serde_json::from_value(body["code"].clone()).unwrap()
}

fn login(password: &str) -> Option<Value> {
    Some(json!({ "password": password }))
}

/// Method, path and body of a change that would leave a trace.
const CHANGE: (&str, &str) = ("/api/tokens", r#"{"name":"planted"}"#);

impl World {
    fn change(&self) -> Request<Body> {
        let (path, body) = CHANGE;
        self.request(Method::POST, path, serde_json::from_str(body).ok())
    }

    async fn planted(&self) -> usize {
        self.get::<Vec<Value>>("/api/tokens").await.len()
    }
}

#[tokio::test]
async fn a_cookie_that_was_there_before_signing_in_is_worth_nothing_after() {
    let mut world = World::new(&[("AUTH_TOKEN", PASSWORD)]).await;
    let planted = "planted-by-somebody-else";
    world.cookie = Some(planted.to_owned());
    world.sign_in().await;
    let first = world.cookie.clone().unwrap();
    assert_ne!(first, planted);
    world.cookie = Some(planted.to_owned());
    assert_eq!(world.call(Method::GET, "/api/account", None).await.0, 401);

    // Signing in once more ends the session of the cookie that was sent along.
    world.cookie = Some(first.clone());
    world.sign_in().await;
    assert_ne!(world.cookie.as_deref(), Some(&*first));
    world.cookie = Some(first);
    assert_eq!(world.call(Method::GET, "/api/account", None).await.0, 401);
}

#[tokio::test]
async fn a_change_needs_the_token_of_its_own_session() {
    let mut world = World::signed_in(&[]).await;
    let of_another_session = world.cookie.clone().unwrap();
    let other = csrf(&of_another_session.as_str().into());
    world.cookie = None;
    world.sign_in().await;
    let given = world.get::<InstanceState>("/api/state").await.csrf;
    let right = csrf(&world.cookie.as_deref().unwrap().into());
    assert_eq!(given.as_deref(), Some(&*right));

    for wrong in [None, Some(""), Some("x"), Some(&*other), Some(&right[..42])] {
        let mut request = world.change();
        request.headers_mut().remove(CSRF_HEADER);
        if let Some(wrong) = wrong {
            let value = wrong.parse().unwrap();
            request.headers_mut().insert(CSRF_HEADER, value);
        }
        let response = world.send(request).await;
        assert_eq!(response.status(), 403, "{wrong:?}");
        let body = body_of(response).await;
        assert_eq!(code(&body), ErrorCode::ForeignOrigin);
        assert!(body["message"].as_str().unwrap().contains(CSRF_HEADER));
    }
    assert_eq!(world.planted().await, 0);
    assert_eq!(world.send(world.change()).await.status(), 200);

    world.cookie = None;
    let anonymous = world.get::<InstanceState>("/api/state").await;
    assert_eq!(anonymous.csrf, None, "there is nothing to protect");
}

/// Every change of the API wants it, whatever route is added.
#[tokio::test]
async fn no_change_goes_without_it() {
    let world = World::signed_in(&[]).await;
    let api = serde_json::to_value(crate::admin::openapi()).unwrap();
    let mut changes = 0;
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if method == "get" || !operation["security"].is_array() {
                continue;
            }
            changes += 1;
            let path = path.replace("{id}", "1").replace("{name}", "x");
            let method: Method = method.to_uppercase().parse().unwrap();
            let mut request = world.request(method.clone(), &path, Some(json!({})));
            request.headers_mut().remove(CSRF_HEADER);
            let response = world.send(request).await;
            assert_eq!(response.status(), 403, "{method} {path}");
        }
    }
    assert!(changes > 10);
    assert_eq!(
        world.call(Method::GET, "/api/account", None).await.0,
        200,
        "the log-out among them did nothing"
    );
}

#[tokio::test]
async fn other_sites_get_nothing_by_any_header_they_can_send() {
    for host in ["127.0.0.1", "0.0.0.0"] {
        let world = World::signed_in(&[("HOST", host)]).await;
        for (name, value) in [
            ("origin", "null"),
            ("origin", "http://evil.example"),
            ("origin", "http://127.0.0.1:8001"),
            ("origin", "http://127.0.0.1:8000.evil.example"),
            ("origin", "http://user@127.0.0.1:8000"),
            ("origin", ""),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("host", ""),
            ("host", "a b"),
        ] {
            for mut request in [
                world.change(),
                world.request(Method::GET, "/api/keys", None),
            ] {
                request.headers_mut().insert(name, value.parse().unwrap());
                let response = world.send(request).await;
                assert_eq!(response.status(), 403, "{host}: {name}: {value}");
                assert!(
                    response
                        .headers()
                        .get(header::ACCESS_CONTROL_ALLOW_ORIGIN)
                        .is_none()
                );
            }
        }
        let mut own = world.change();
        own.headers_mut()
            .insert("sec-fetch-site", "same-origin".parse().unwrap());
        assert_eq!(world.send(own).await.status(), 200);
        let preflight = world
            .send(world.request(Method::OPTIONS, "/api/keys", None))
            .await;
        assert!(
            preflight
                .headers()
                .get(header::ACCESS_CONTROL_ALLOW_METHODS)
                .is_none()
        );
        assert_eq!(world.planted().await, 1);
    }
}

#[tokio::test]
async fn a_rebound_name_is_refused_on_this_machine_and_has_no_session_elsewhere() {
    let rebound = |world: &World, method: Method, path: &str, body| {
        let mut request = world.request(method, path, body);
        let headers = request.headers_mut();
        headers.insert("host", "evil.example:8000".parse().unwrap());
        headers.insert("origin", "http://evil.example:8000".parse().unwrap());
        headers.insert("x-forwarded-host", "evil.example:8000".parse().unwrap());
        headers.insert("sec-fetch-site", "same-origin".parse().unwrap());
        request
    };
    let local = World::signed_in(&[]).await;
    for path in ["/api/state", "/api/keys"] {
        let response = local.send(rebound(&local, Method::GET, path, None)).await;
        assert_eq!(response.status(), 403, "{path}");
    }
    // On a network a browser sends no cookie of ours to a name that is not ours.
    let mut open = World::signed_in(&[("HOST", "0.0.0.0")]).await;
    open.cookie = None;
    let response = open
        .send(rebound(&open, Method::GET, "/api/keys", None))
        .await;
    assert_eq!(response.status(), 401);
    let state = open
        .send(rebound(&open, Method::GET, "/api/state", None))
        .await;
    let state: InstanceState = serde_json::from_value(body_of(state).await).unwrap();
    assert!(!state.signed_in && state.csrf.is_none());
}

#[tokio::test]
async fn guessing_becomes_slower_and_the_right_password_waits_as_well() {
    let world = World::new(&[("AUTH_TOKEN", PASSWORD)]).await;
    let mut waits = Vec::new();
    for _ in 0..12 {
        let (status, body) = world.call(Method::POST, "/api/login", login("guess")).await;
        if status == 429 {
            let wait = body["retry_after_seconds"].as_u64().unwrap();
            let (status, _) = world
                .call(Method::POST, "/api/login", login(PASSWORD))
                .await;
            assert_eq!(status, 429, "or a guesser would see that it is right");
            waits.push(wait);
            world.advance(Duration::from_secs(wait));
            assert_eq!(
                world
                    .call(Method::POST, "/api/login", login("guess"))
                    .await
                    .0,
                403
            );
        }
    }
    assert!(waits.len() > 5, "{waits:?}");
    assert!(waits.is_sorted_by(|a, b| a < b), "{waits:?}");
    world.advance(Duration::from_secs(15 * 60));
    assert_eq!(
        world
            .call(Method::POST, "/api/login", login(PASSWORD))
            .await
            .0,
        204
    );
}

#[tokio::test]
async fn markup_stays_text_and_text_stays_json() {
    const EVIL: &str = "<img src=x onerror=\"alert(1)\">";
    let world = World::signed_in(&[]).await;
    let imported = json!({ "text": KEY });
    let _: Value = world.post("/api/keys/import", imported).await;
    let label = json!({ "label": EVIL });
    let (status, _) = world.call(Method::PATCH, "/api/keys/1", Some(label)).await;
    assert_eq!(status, 200);
    let asked = json!({"surface": "openai", "model": EVIL});
    let answer: Value = world.post("/api/test", asked).await;
    assert!(answer["status"].as_u64().unwrap() >= 400);
    let _: Value = world.post("/api/tokens", json!({ "name": EVIL })).await;
    for path in ["/api/keys", "/api/tokens", "/api/overview"] {
        let response = world.send(world.request(Method::GET, path, None)).await;
        let headers = response.headers().clone();
        assert_eq!(headers[header::CONTENT_TYPE], "application/json");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        if path != "/api/overview" {
            let shown = body_of(response).await;
            let name = shown[0]["label"].as_str().or(shown[0]["name"].as_str());
            assert_eq!(name, Some(EVIL), "as it was typed, for the page to escape");
        }
    }
}

#[tokio::test]
async fn line_breaks_and_paths_get_nowhere() {
    let world = World::signed_in(&[]).await;
    for name in ["a\r\nSet-Cookie: x=1", "a\0b", "a\u{7f}"] {
        let (status, _) = world
            .call(Method::POST, "/api/tokens", Some(json!({ "name": name })))
            .await;
        assert_eq!(status, 400, "{name:?}");
    }
    for path in [
        "/api/../keys",
        "/api/keys/..%2f..%2fetc%2fpasswd/check",
        "/api/account/sessions/..%2F..%2Fx",
        "/api/account/sessions/%0d%0aSet-Cookie:x=1",
        "/api/keys/1%00",
    ] {
        let response = world.send(world.request(Method::DELETE, path, None)).await;
        let status = response.status().as_u16();
        assert!([404, 405].contains(&status), "{path}: {status}");
        assert!(response.headers().get(header::SET_COOKIE).is_none());
        let said = body_of(response).await.to_string();
        assert!(
            !said.contains("passwd") && !said.contains("Set-Cookie"),
            "{said}"
        );
    }
    let mut request = world.request(Method::POST, "/api/login", login(PASSWORD));
    let agent = http::HeaderValue::from_bytes(b"Mozilla\t\xff<b>").unwrap();
    request.headers_mut().insert(header::USER_AGENT, agent);
    assert_eq!(world.send(request).await.status(), 204, "signing in again");
}

#[tokio::test]
async fn every_answer_has_the_headers_and_https_its_own() {
    let world = World::signed_in(&[]).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for path in [
        "/",
        "/index.html",
        "/api/state",
        "/api/keys",
        "/api/nothing",
    ] {
        let url = format!("{}{path}", world.running.address());
        let plain = http.get(&url).send().await.unwrap();
        let headers = plain.headers();
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(headers[name], value, "{path}");
        }
        assert!(headers.contains_key("permissions-policy"), "{path}");
        assert!(headers.contains_key("content-security-policy"), "{path}");
        assert!(
            !headers.contains_key("access-control-allow-origin"),
            "{path}"
        );
        assert!(!headers.contains_key("strict-transport-security"), "{path}");
        let secure = http.get(&url).header("x-forwarded-proto", "https");
        let secure = secure.send().await.unwrap();
        assert!(
            secure.headers().contains_key("strict-transport-security"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn no_answer_tells_a_secret() {
    let world = World::signed_in(&[("ALLOWED_TOKENS", "sk-of-the-environment-1234")]).await;
    let _: Value = world.post("/api/keys/import", json!({ "text": KEY })).await;
    let made: TokenCreated = world.post("/api/tokens", json!({"name": "once"})).await;
    let cookie = world.cookie.clone().unwrap();
    let api = serde_json::to_value(crate::admin::openapi()).unwrap();
    for (path, item) in api["paths"].as_object().unwrap() {
        if item.get("get").is_none() {
            continue;
        }
        let path = path.replace("{id}", "1");
        let (_, said) = world.call(Method::GET, &path, None).await;
        let said = said.to_string();
        for secret in [
            KEY,
            &*made.secret,
            "sk-of-the-environment-1234",
            PASSWORD,
            &*cookie,
        ] {
            assert!(!said.contains(secret), "{path} tells {secret}");
        }
    }
}

#[tokio::test]
async fn sessions_are_listed_and_can_be_ended_one_by_one_and_all() {
    let mut world = World::signed_in(&[]).await;
    let first = world.cookie.take();
    world.advance(Duration::from_secs(1));
    world.sign_in().await;
    let account: Account = world.get("/api/account").await;
    assert!(account.has_auth_token && !account.has_password && !account.second_factor);
    let [second, older] = &account.sessions[..] else {
        panic!("{:?}", account.sessions)
    };
    assert!(second.current && !older.current);
    assert_eq!(older.address, "203.0.113.9");
    assert_eq!(older.created_at, NOON);

    // Seen: to within a minute.
    world.advance(Duration::from_secs(59));
    let account: Account = world.get("/api/account").await;
    assert_eq!(account.sessions[0].last_seen_at, NOON + 1_000);
    world.advance(Duration::from_secs(1));
    let account: Account = world.get("/api/account").await;
    assert_eq!(account.sessions[0].last_seen_at, NOON + 61_000);

    let path = format!("/api/account/sessions/{}", older.id);
    assert_eq!(world.call(Method::DELETE, &path, None).await.0, 204);
    assert_eq!(world.call(Method::DELETE, &path, None).await.0, 404);
    let second = std::mem::replace(&mut world.cookie, first);
    assert_eq!(world.call(Method::GET, "/api/account", None).await.0, 401);
    world.cookie = None;
    world.sign_in().await;
    let path = "/api/account/logout-everywhere";
    assert_eq!(world.call(Method::POST, path, None).await.0, 204);
    for cookie in [second, world.cookie.clone()] {
        world.cookie = cookie;
        assert_eq!(world.call(Method::GET, "/api/account", None).await.0, 401);
    }
}

#[tokio::test]
async fn another_password_needs_the_old_one_and_ends_the_other_sessions() {
    let mut world = World::signed_in(&[]).await;
    let other = world.cookie.take();
    world.sign_in().await;
    let path = "/api/account/password";
    let wish = |current: &str, new: &str| Some(json!({"current": current, "new": new}));
    for (current, new, expected) in [
        ("wrong", "long enough", ErrorCode::WrongPassword),
        (PASSWORD, "short", ErrorCode::WeakPassword),
    ] {
        let (_, body) = world.call(Method::POST, path, wish(current, new)).await;
        assert_eq!(code(&body), expected);
    }
    let (status, _) = world
        .call(Method::POST, path, wish(PASSWORD, "long enough"))
        .await;
    assert_eq!(status, 204);
    assert_eq!(world.call(Method::GET, "/api/account", None).await.0, 200);
    let (status, _) = world
        .call(Method::POST, "/api/login", login("long enough"))
        .await;
    assert_eq!(status, 204);
    world.cookie = other;
    assert_eq!(world.call(Method::GET, "/api/account", None).await.0, 401);
}

#[tokio::test]
async fn a_new_auth_token_signs_in_and_ends_all_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let clock = VirtualClock::at(NOON);
    let google = FakeGoogle::builder().clock(&clock).start().await;
    let run = async |token| {
        let running = World::run(&folder, &google, &clock, &[("AUTH_TOKEN", token)]).await;
        (running.core().clone(), running)
    };
    let ask = async |core: Arc<crate::Core>, request: Request<Body>| {
        router(core, Access::Session)
            .oneshot(request)
            .await
            .unwrap()
    };
    let request = |method, path: &str, cookie: &str| {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::COOKIE, format!("gb_session={cookie}"))
    };
    let sign_in = |password: &str| {
        request(Method::POST, "/api/login", "")
            .body(Body::from(json!({ "password": password }).to_string()))
            .unwrap()
    };
    let (core, running) = run("the first token").await;
    let response = ask(core, sign_in("the first token")).await;
    let cookie = cookie_of(&response).unwrap();
    running.shutdown(Duration::ZERO).await;

    let account = |cookie: &str| {
        request(Method::GET, "/api/account", cookie)
            .body(Body::empty())
            .unwrap()
    };
    let (core, running) = run("the first token").await;
    let response = ask(core, account(&cookie)).await;
    assert_eq!(response.status(), 200, "sessions outlive a restart");
    running.shutdown(Duration::ZERO).await;

    let (core, running) = run("another token").await;
    assert_eq!(ask(core.clone(), account(&cookie)).await.status(), 401);
    let old = ask(core.clone(), sign_in("the first token")).await;
    assert_eq!(old.status(), 403);
    let response = ask(core.clone(), sign_in("another token")).await;
    let response = ask(core, account(&cookie_of(&response).unwrap())).await;
    let account: Account = serde_json::from_value(body_of(response).await).unwrap();
    assert_eq!(account.sessions.len(), 1, "the ended one is not listed");
    running.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn without_the_database_sessions_go_on_and_auth_token_signs_in() {
    let mut world = World::signed_in(&[]).await;
    world.get::<Account>("/api/account").await;
    core(&world).store.close().await;
    assert_eq!(world.get::<Account>("/api/account").await.sessions.len(), 1);
    assert!(world.get::<InstanceState>("/api/state").await.signed_in);
    let known = world.cookie.replace("unknown".to_owned());
    assert_eq!(world.call(Method::GET, "/api/account", None).await.0, 401);
    assert!(!world.get::<InstanceState>("/api/state").await.signed_in);

    world.cookie = None;
    let (status, _) = world.call(Method::POST, "/api/login", login("wrong")).await;
    assert_eq!(status, 403);
    world.sign_in().await;
    assert_eq!(world.get::<Account>("/api/account").await.sessions.len(), 2);
    world.cookie = known;
    assert_eq!(world.call(Method::POST, "/api/logout", None).await.0, 204);
    assert_eq!(world.call(Method::GET, "/api/account", None).await.0, 401);
}
