//! Images and files that requests name by address, against a web site on this machine.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use serde_json::{Value, json};

use crate::world::{TOKEN, World, json as body};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and the rest of it";

/// A web site; it ends with the runtime of the test.
async fn site() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route(
            "/cat.png",
            get(|| async { ([("content-type", "image/png")], PNG) }),
        )
        .route("/note.txt", get(|| async { "A note." }))
        .route(
            "/page",
            get(|| async { ([("content-type", "text/html")], "<p>A page.").into_response() }),
        )
        .route("/gone", get(|| async { http::StatusCode::GONE }))
        .route("/moved", get(|| async { Redirect::temporary("/cat.png") }))
        .route(
            "/metadata",
            get(|| async { Redirect::temporary("http://169.254.169.254/latest/meta-data") }),
        )
        .route("/round", get(|| async { Redirect::temporary("/round") }))
        .route("/large", get(|| async { vec![b'x'; 1024 * 1024 + 1] }))
        .route(
            "/endless",
            get(|| async {
                // Without a length, so that only counting tells.
                let piece = bytes::Bytes::from(vec![b'x'; 64 * 1024]);
                Body::from_stream(futures_util::stream::repeat_with(move || {
                    Ok::<_, std::io::Error>(piece.clone())
                }))
            }),
        );
    #[expect(
        clippy::disallowed_methods,
        reason = "it ends with the runtime of the test"
    )]
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn world(media_urls: &str) -> World {
    let settings = [("MEDIA_URLS", media_urls), ("MEDIA_URL_MB", "1")];
    World::start(1, |google| google, &settings).await
}

fn with_image(url: &str) -> Value {
    json!({
        "model": "gemini-2.5-flash",
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": url}},
        ]}],
    })
}

/// The second part that Google was sent last.
fn part_sent(world: &World) -> Value {
    world.google.requests().last().unwrap().json()["contents"][0]["parts"][1].clone()
}

/// What is said of an address that is not fetched; Google must not have been asked.
async fn refusal(world: &World, url: &str) -> String {
    let asked = world.google.requests().len();
    let response = world.chat(with_image(url)).await;
    assert_eq!(response.status(), 400, "{url}");
    let answer = body(response).await;
    assert_eq!(answer["error"]["param"], "messages[0].content[1].image_url");
    assert_eq!(answer["error"]["code"], "invalid_image_url");
    assert_eq!(world.google.requests().len(), asked);
    answer["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_image_is_fetched_and_sent_to_google_inline() {
    let (world, site) = (world("private").await, site().await);
    for path in ["cat.png", "moved"] {
        let response = world
            .chat(with_image(&format!("http://{site}/{path}")))
            .await;
        assert_eq!(response.status(), 200);
        assert_eq!(
            part_sent(&world)["inlineData"],
            json!({"mimeType": "image/png", "data": "iVBORw0KGgogYW5kIHRoZSByZXN0IG9mIGl0"}),
        );
    }
    let port = site.port();
    let response = world
        .chat(with_image(&format!("http://localhost:{port}/cat.png")))
        .await;
    assert_eq!(response.status(), 200, "by name, too");
}

#[tokio::test]
async fn the_other_protocols_fetch_as_well() {
    let (world, site) = (world("private").await, site().await);
    let responses = json!({"model": "gemini-2.5-flash", "input": [{"role": "user", "content": [
        {"type": "input_text", "text": "Read it."},
        {"type": "input_file", "file_url": format!("http://{site}/note.txt")},
    ]}]});
    let messages = json!({"model": "claude-sonnet-4-5", "max_tokens": 64, "messages": [
        {"role": "user", "content": [
            {"type": "text", "text": "Read it."},
            {"type": "document", "source": {"type": "url", "url": format!("http://{site}/note.txt")}},
        ]},
    ]});
    let note = json!({"mimeType": "text/plain", "data": "QSBub3RlLg=="});
    for (path, asked) in [
        ("/v1/responses", responses),
        ("/v1/messages", messages.clone()),
    ] {
        let response = world
            .http
            .post(world.url(path))
            .bearer_auth(TOKEN)
            .body(asked.to_string());
        assert_eq!(response.send().await.unwrap().status(), 200, "{path}");
        assert_eq!(part_sent(&world)["inlineData"], note, "{path}");
    }
    let count = world
        .http
        .post(world.url("/v1/messages/count_tokens"))
        .bearer_auth(TOKEN);
    let response = count.body(messages.to_string()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let sent = world.google.requests().last().unwrap().json();
    let part = &sent["generateContentRequest"]["contents"][0]["parts"][1];
    assert_eq!(part["inlineData"], note);

    let asked = json!({"model": "claude-sonnet-4-5", "max_tokens": 64, "messages": [
        {"role": "user", "content": [
            {"type": "image", "source": {"type": "url", "url": format!("http://{site}/gone")}},
        ]},
    ]});
    let response = world
        .http
        .post(world.url("/v1/messages"))
        .bearer_auth(TOKEN);
    let response = response.body(asked.to_string()).send().await.unwrap();
    assert_eq!(response.status(), 400);
    let answer = body(response).await;
    assert_eq!(answer["error"]["type"], "invalid_request_error");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("status 410"), "{message}");
}

#[tokio::test]
async fn a_server_does_not_fetch_from_its_own_network() {
    let (world, site) = (world("public").await, site().await);
    let port = site.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "2130706433",
        "0x7f.1",
        "[::ffff:7f00:1]",
    ] {
        let message = refusal(&world, &format!("http://{host}:{port}/cat.png")).await;
        assert!(message.contains("MEDIA_URLS"), "{host}: {message}");
    }
}

#[tokio::test]
async fn a_redirect_is_checked_like_any_address() {
    let (world, site) = (world("private").await, site().await);
    let message = refusal(&world, &format!("http://{site}/metadata")).await;
    assert!(message.contains("private or reserved network"), "{message}");
    let message = refusal(&world, &format!("http://{site}/round")).await;
    assert!(message.contains("redirects more than 5 times"), "{message}");
}

#[tokio::test]
async fn what_is_too_large_or_nothing_to_see_is_refused() {
    let (world, site) = (world("private").await, site().await);
    for (path, says) in [
        ("large", "larger than 1 MB"),
        ("endless", "larger than 1 MB"),
        ("page", "text/html"),
        ("gone", "status 410"),
    ] {
        let message = refusal(&world, &format!("http://{site}/{path}")).await;
        assert!(message.contains(says), "{path}: {message}");
    }
    let message = refusal(&world, "http://user:secret@example.com/a.png").await;
    assert!(message.contains("user name or password"), "{message}");
}

#[tokio::test]
async fn fetching_can_be_left_to_google_or_switched_off() {
    let world = world("google").await;
    let url = "https://example.com/cat.jpg";
    assert_eq!(world.chat(with_image(url)).await.status(), 200);
    assert_eq!(
        part_sent(&world)["fileData"],
        json!({"mimeType": "image/jpeg", "fileUri": url})
    );
    world.set(&[("MEDIA_URLS", "off")]);
    let message = refusal(&world, url).await;
    assert!(
        message.contains("fetches nothing (MEDIA_URLS)"),
        "{message}"
    );
    let youtube = "https://www.youtube.com/watch?v=9hE5-98ZeCg";
    assert_eq!(world.chat(with_image(youtube)).await.status(), 200);
    assert_eq!(part_sent(&world)["fileData"], json!({"fileUri": youtube}));
}
