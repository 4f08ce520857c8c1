use contract::ErrorCode;
use contract::admin::InstanceState;
use serde_json::json;

use super::*;

/// The path of a call that needs a session.
const CLOSED: &str = "/api/keys";

fn login(password: &str) -> Option<Value> {
    Some(json!({ "password": password }))
}

fn code(body: &Value) -> ErrorCode {
    serde_json::from_value(body["code"].clone()).unwrap()
}

#[tokio::test]
async fn the_panel_token_signs_in_and_the_cookie_lets_in() {
    let mut world = World::new(&[("AUTH_TOKEN", PASSWORD)]).await;
    let (status, body) = world.call(Method::GET, CLOSED, None).await;
    assert_eq!((status, code(&body)), (401, ErrorCode::NotSignedIn));
    assert!(!world.get::<InstanceState>("/api/state").await.signed_in);

    let (status, body) = world.call(Method::POST, "/api/login", login("wrong")).await;
    assert_eq!((status, code(&body)), (403, ErrorCode::WrongPassword));

    let response = world
        .send(world.request(Method::POST, "/api/login", login(PASSWORD)))
        .await;
    assert_eq!(response.status(), 204);
    let cookie = response.headers()[header::SET_COOKIE]
        .to_str()
        .unwrap()
        .to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=604800"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(
        !cookie.contains("Secure"),
        "plain http would lose it: {cookie}"
    );
    assert!(!cookie.contains(PASSWORD), "the cookie is not the password");
    world.cookie = cookie_of(&response);
    assert_eq!(world.call(Method::GET, CLOSED, None).await.0, 200);
    assert!(world.get::<InstanceState>("/api/state").await.signed_in);

    let mut over_https = world.request(Method::POST, "/api/login", login(PASSWORD));
    over_https
        .headers_mut()
        .insert("x-forwarded-proto", "https".parse().unwrap());
    let response = world.send(over_https).await;
    assert!(
        response.headers()[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .ends_with("; Secure")
    );
}

#[tokio::test]
async fn without_auth_token_the_first_allowed_token_signs_in() {
    let world = World::new(&[("ALLOWED_TOKENS", "sk-first,sk-second")]).await;
    assert!(world.running.core().setup_code().is_none());
    assert_eq!(
        world
            .call(Method::POST, "/api/login", login("sk-second"))
            .await
            .0,
        403
    );
    assert_eq!(
        world
            .call(Method::POST, "/api/login", login("sk-first"))
            .await
            .0,
        204
    );
}

#[tokio::test]
async fn logging_out_ends_the_session_itself() {
    let world = World::signed_in(&[]).await;
    let response = world
        .send(world.request(Method::POST, "/api/logout", None))
        .await;
    assert_eq!(response.status(), 204);
    let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(
        cookie.starts_with("gb_session=;") && cookie.contains("Max-Age=0"),
        "{cookie}"
    );
    let (status, body) = world.call(Method::GET, CLOSED, None).await;
    assert_eq!(
        (status, code(&body)),
        (401, ErrorCode::NotSignedIn),
        "a kept cookie is worth nothing"
    );
}

#[tokio::test]
async fn a_session_lasts_seven_days_after_its_last_use() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let world = World::signed_in(&[]).await;
    for _ in 0..3 {
        world.advance(DAY * 6);
        let response = world.send(world.request(Method::GET, CLOSED, None)).await;
        assert_eq!(response.status(), 200);
        assert_eq!(
            cookie_of(&response),
            world.cookie,
            "the browser's copy is prolonged as well"
        );
    }
    let again = world.send(world.request(Method::GET, CLOSED, None)).await;
    assert!(
        again.headers().get(header::SET_COOKIE).is_none(),
        "not at every click"
    );
    world.advance(DAY * 7);
    assert_eq!(world.call(Method::GET, CLOSED, None).await.0, 401);
}

#[tokio::test]
async fn the_set_up_code_chooses_the_first_password_once() {
    let mut world = World::new(&[]).await;
    let setup = |code: &str, password: &str| Some(json!({"code": code, "password": password}));
    assert!(
        world
            .get::<InstanceState>("/api/state")
            .await
            .setup_required
    );
    let (status, body) = world
        .call(Method::POST, "/api/login", login("anything"))
        .await;
    assert_eq!((status, code(&body)), (409, ErrorCode::SetupRequired));

    let right = world.running.core().setup_code().unwrap().expose().clone();
    let (status, body) = world
        .call(Method::POST, "/api/setup", setup("wrong", "long enough"))
        .await;
    assert_eq!((status, code(&body)), (403, ErrorCode::WrongSetupCode));
    let (status, body) = world
        .call(Method::POST, "/api/setup", setup(&right, "short"))
        .await;
    assert_eq!((status, code(&body)), (400, ErrorCode::WeakPassword));
    let response = world
        .send(world.request(Method::POST, "/api/setup", setup(&right, "long enough")))
        .await;
    assert_eq!(response.status(), 204);
    world.cookie = cookie_of(&response);
    assert_eq!(
        world.call(Method::GET, CLOSED, None).await.0,
        200,
        "whoever set it up is signed in"
    );

    let (status, body) = world
        .call(Method::POST, "/api/setup", setup(&right, "another one"))
        .await;
    assert_eq!((status, code(&body)), (403, ErrorCode::WrongSetupCode));
    assert!(world.running.core().setup_code().is_none());
    assert!(
        !world
            .get::<InstanceState>("/api/state")
            .await
            .setup_required
    );
    assert_eq!(
        world
            .call(Method::POST, "/api/login", login("another one"))
            .await
            .0,
        403
    );
    assert_eq!(
        world
            .call(Method::POST, "/api/login", login("long enough"))
            .await
            .0,
        204
    );
}

#[tokio::test]
async fn guessing_is_slowed_down_and_the_answer_says_how_long() {
    let world = World::new(&[("AUTH_TOKEN", PASSWORD)]).await;
    for _ in 0..5 {
        assert_eq!(
            world
                .call(Method::POST, "/api/login", login("wrong"))
                .await
                .0,
            403
        );
    }
    let response = world
        .send(world.request(Method::POST, "/api/login", login(PASSWORD)))
        .await;
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    let body = body_of(response).await;
    assert_eq!(code(&body), ErrorCode::TooManyAttempts);
    assert_eq!(body["retry_after_seconds"], 1);

    let mut from_elsewhere = world.request(Method::POST, "/api/login", login(PASSWORD));
    let peer: SocketAddr = "198.51.100.7:1".parse().unwrap();
    from_elsewhere.extensions_mut().insert(ConnectInfo(peer));
    assert_eq!(
        world.send(from_elsewhere).await.status(),
        204,
        "others are not shut out"
    );
    let mut spoofed = world.request(Method::POST, "/api/login", login(PASSWORD));
    spoofed
        .headers_mut()
        .insert("x-forwarded-for", "198.51.100.8".parse().unwrap());
    assert_eq!(
        world.send(spoofed).await.status(),
        429,
        "a stranger's header is not believed"
    );

    world.advance(Duration::from_secs(1));
    assert_eq!(
        world
            .call(Method::POST, "/api/login", login(PASSWORD))
            .await
            .0,
        204
    );
}

#[tokio::test]
async fn another_sites_page_gets_nothing() {
    let world = World::signed_in(&[]).await;
    let with = |name: &'static str, value: &str| {
        let mut request = world.request(Method::GET, CLOSED, None);
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    let mut refused = vec![
        with("origin", "http://evil.example"),
        with("origin", "http://127.0.0.1:9000"),
        with("origin", "null"),
        with("host", "evil.example"),
        with("host", "127.0.0.1.evil.example:8000"),
    ];
    let mut no_host = world.request(Method::GET, CLOSED, None);
    no_host.headers_mut().remove(header::HOST);
    let mut forwarded = with("origin", "http://evil.example");
    forwarded
        .headers_mut()
        .insert("x-forwarded-host", "evil.example".parse().unwrap());
    refused.extend([no_host, forwarded]);
    for request in refused {
        let headers = format!("{:?}", request.headers());
        let response = world.send(request).await;
        assert_eq!(response.status(), 403, "{headers}");
        assert_eq!(code(&body_of(response).await), ErrorCode::ForeignOrigin);
    }
    for host in ["localhost:8000", "[::1]:8000", "127.0.0.1:8000"] {
        let mut request = with("host", host);
        let origin = format!("https://{host}").parse().unwrap();
        request.headers_mut().insert("origin", origin);
        assert_eq!(world.send(request).await.status(), 200, "{host}");
    }
    let mut no_page = world.request(Method::GET, CLOSED, None);
    no_page.headers_mut().remove(header::ORIGIN);
    assert_eq!(
        world.send(no_page).await.status(),
        200,
        "a program that has the cookie"
    );
}

#[tokio::test]
async fn an_instance_for_everybody_answers_to_its_own_names() {
    let world = World::signed_in(&[("HOST", "0.0.0.0")]).await;
    let with = |host: &str, origin: &str, forwarded: Option<&str>| {
        let mut request = world.request(Method::GET, CLOSED, None);
        let headers = request.headers_mut();
        headers.insert("host", host.parse().unwrap());
        headers.insert("origin", origin.parse().unwrap());
        if let Some(name) = forwarded {
            headers.insert("x-forwarded-host", name.parse().unwrap());
        }
        request
    };
    let direct = with("gb.example", "https://gb.example", None);
    assert_eq!(world.send(direct).await.status(), 200);
    let behind_a_proxy = with("10.0.0.5:8000", "https://gb.example", Some("gb.example"));
    assert_eq!(world.send(behind_a_proxy).await.status(), 200);
    let foreign = with("gb.example", "https://evil.example", None);
    assert_eq!(world.send(foreign).await.status(), 403);
}

#[tokio::test]
async fn a_body_that_a_form_could_send_is_refused() {
    let world = World::signed_in(&[]).await;
    for (path, kind) in [
        ("/api/keys/import", "text/plain"),
        ("/api/keys/import", "application/x-www-form-urlencoded"),
        ("/api/logout", "text/plain"),
    ] {
        let mut request = world.request(Method::POST, path, Some(json!({"text": KEY})));
        request
            .headers_mut()
            .insert("content-type", kind.parse().unwrap());
        request
            .headers_mut()
            .insert("content-length", "9".parse().unwrap());
        let response = world.send(request).await;
        assert_eq!(response.status(), 400, "{path} {kind}");
        assert_eq!(code(&body_of(response).await), ErrorCode::InvalidInput);
    }
    assert_eq!(world.call(Method::GET, CLOSED, None).await.1, json!([]));
}

#[tokio::test]
async fn wrong_bodies_are_explained_without_quoting_them() {
    let world = World::signed_in(&[]).await;
    for body in [
        "{\"password\": hunter2",
        "{\"password\": [\"hunter2\"]}",
        "{\"hunter2\": 1}",
        "",
    ] {
        let mut request = world.request(Method::POST, "/api/login", Some(Value::Null));
        *request.body_mut() = Body::from(body);
        let response = world.send(request).await;
        assert_eq!(response.status(), 400, "{body}");
        let said = body_of(response).await;
        assert_eq!(code(&said), ErrorCode::InvalidInput);
        assert!(!said.to_string().contains("hunter2"), "{said}");
    }
    let huge = json!({"text": "x".repeat(5_000_000)});
    let (status, said) = world
        .call(Method::POST, "/api/keys/import", Some(huge))
        .await;
    assert_eq!(status, 400, "{said}");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_said_in_json_and_nothing_is_cached() {
    let world = World::signed_in(&[]).await;
    for (method, path, status) in [
        (Method::GET, "/api/nothing", 404),
        (Method::GET, "/api", 404),
        (Method::POST, "/api/keys/1/dance", 404),
        (Method::PATCH, "/api/keys/abc", 404),
        (Method::PUT, "/api/keys", 405),
    ] {
        let body = (method == Method::PATCH).then(|| json!({}));
        let response = world.send(world.request(method, path, body)).await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(
            response.headers()[header::X_CONTENT_TYPE_OPTIONS],
            "nosniff"
        );
        assert!(
            response
                .headers()
                .get(header::ACCESS_CONTROL_ALLOW_ORIGIN)
                .is_none()
        );
        assert!(body_of(response).await["message"].is_string());
    }
}

#[tokio::test]
async fn the_process_itself_needs_no_session() {
    let mut world = World::new(&[]).await;
    world.access = Access::Trusted;
    let bare = Request::get(CLOSED).body(Body::empty()).unwrap();
    assert_eq!(world.send(bare).await.status(), 200);
    let state = world.get::<InstanceState>("/api/state").await;
    assert!(state.signed_in && !state.setup_required);
}

#[tokio::test]
async fn the_workers_serve_it_over_http() {
    let world = World::new(&[("AUTH_TOKEN", PASSWORD)]).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |path: &str| format!("{}{path}", world.running.address());
    let mut cookies = Vec::new();
    // More connections than workers, so that several of them use the one database.
    for _ in 0..4 {
        let response = http
            .post(url("/api/login"))
            .header("connection", "close")
            .header("content-type", "application/json")
            .body(login(PASSWORD).unwrap().to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 204);
        let cookie = response.headers()["set-cookie"].to_str().unwrap();
        cookies.push(cookie.split(';').next().unwrap().to_owned());
    }
    for cookie in cookies {
        let response = http
            .get(url("/api/overview"))
            .header("connection", "close")
            .header("cookie", cookie)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
    }
    let rebound = http
        .get(url("/api/state"))
        .header("host", "evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(rebound.status(), 403);
    world.running.shutdown(Duration::ZERO).await;
}
