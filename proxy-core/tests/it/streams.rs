use testkit::google::{Cut, Empty, Fault};

use crate::world::{World, ask, events};

const STREAM: &str = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse";

#[tokio::test]
async fn what_goes_wrong_before_the_first_content_is_tried_again_unseen() {
    for fault in [
        Fault::Empty(Empty::NoParts),
        Fault::Empty(Empty::NoBody),
        Fault::ThoughtOnly,
        Fault::ErrorInStream {
            after: 0,
            code: 503,
        },
        Fault::CutAfter {
            events: 0,
            cut: Cut::Reset,
        },
        Fault::Status(503),
        Fault::Malformed { after: 0 },
    ] {
        let name = format!("{fault:?}");
        let world = World::with_keys(2).await;
        world.google.fault_next(fault);
        let response = world.gemini(STREAM, ask("hi")).await;
        assert_eq!(response.status(), 200, "{name}");
        let text = response.text().await.unwrap();
        assert!(text.contains("\"finishReason\""), "{name}: {text}");
        assert!(!text.contains("\"error\""), "{name}: {text}");
        assert_eq!(world.google.requests().len(), 2, "{name}");
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_later_ends_with_an_error_and_is_not_repeated() {
    for fault in [
        Fault::CutAfter {
            events: 1,
            cut: Cut::Reset,
        },
        Fault::CutAfter {
            events: 1,
            cut: Cut::Close,
        },
        Fault::CutAfter {
            events: 1,
            cut: Cut::End,
        },
        Fault::Malformed { after: 1 },
    ] {
        let name = format!("{fault:?}");
        let world = World::with_keys(2).await;
        world.google.fault_next(fault);
        let text = world
            .gemini(STREAM, ask("tell me a story"))
            .await
            .text()
            .await
            .unwrap();
        let events = events(&text);
        assert!(events.len() >= 2, "{name}: {text}");
        let last: serde_json::Value = serde_json::from_str(events.last().unwrap()).unwrap();
        assert_eq!(last["error"]["code"], 502, "{name}: {text}");
        assert_eq!(world.google.requests().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn an_error_of_googles_inside_a_stream_reaches_the_client() {
    let world = World::with_keys(2).await;
    world.google.fault_next(Fault::ErrorInStream {
        after: 1,
        code: 503,
    });
    let text = world
        .gemini(STREAM, ask("tell me a story"))
        .await
        .text()
        .await
        .unwrap();
    let last: serde_json::Value = serde_json::from_str(events(&text).last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], 503, "{text}");
    assert_eq!(text.matches("\"error\"").count(), 1, "said once: {text}");
}

#[tokio::test]
async fn a_chat_stream_that_is_cut_says_so_and_does_not_pretend_to_be_done() {
    let world = World::with_keys(2).await;
    world.google.fault_next(Fault::CutAfter {
        events: 1,
        cut: Cut::Reset,
    });
    let response = world
        .chat(serde_json::json!({
            "model": "gemini-2.5-flash", "stream": true,
            "messages": [{"role": "user", "content": "tell me a story"}],
        }))
        .await;
    let text = response.text().await.unwrap();
    assert!(text.contains("\"error\""), "{text}");
    assert!(!text.contains("\"finish_reason\":\"stop\""), "{text}");
}

#[tokio::test]
async fn a_client_that_leaves_ends_googles_stream_too() {
    let world = World::with_keys(1).await;
    world.google.fault_next(Fault::StallAfter { events: 1 });
    let mut response = world.gemini(STREAM, ask("tell me a story")).await;
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    assert!(world.google.wait_for_disconnects(1).await);
}

#[tokio::test]
async fn content_is_not_held_back_while_the_stream_goes_on() {
    let world = World::with_keys(1).await;
    world.google.fault_next(Fault::StallAfter { events: 1 });
    let mut response = world.gemini(STREAM, ask("tell me a story")).await;
    let first = response.chunk().await.unwrap().unwrap();
    assert!(
        first.starts_with(b"data: "),
        "the first event arrives although the second does not"
    );
}

/// An event stream of Google's that quotes the key in an error.
fn leak() -> Fault {
    let error = format!(
        "data: {{\"error\":{{\"code\":403,\"message\":\"Consumer 'api_key:{}' has been suspended.\",\
         \"status\":\"PERMISSION_DENIED\",\"details\":[{{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\",\
         \"reason\":\"CONSUMER_SUSPENDED\",\"domain\":\"googleapis.com\"}}]}}}}\r\n\r\n",
        crate::world::KEYS[0]
    );
    Fault::Raw {
        status: 200,
        content_type: "text/event-stream".into(),
        body: error,
    }
}

#[tokio::test]
async fn a_key_quoted_inside_a_stream_reaches_neither_client_nor_panel() {
    let world = World::with_keys(1).await;
    world.google.fault_next(leak());
    let response = world.gemini(STREAM, ask("hi")).await;
    assert_eq!(response.status(), 502);
    let said = response.text().await.unwrap();
    let view = world.key(crate::world::KEYS[0]).await;
    let shown = format!("{said} {view:?}");
    assert!(shown.contains("has been suspended"), "{shown}");
    assert!(!shown.contains(crate::world::KEYS[0]), "{shown}");
}

#[tokio::test]
async fn a_key_quoted_after_the_first_event_is_hidden_too_and_the_key_is_taken_out() {
    let world = World::with_keys(1).await;
    let Fault::Raw {
        status,
        content_type,
        body,
    } = leak()
    else {
        panic!("leak() is raw");
    };
    let first = "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"Hi\"}]}}]}\r\n\r\n";
    // Comments between the two, more than is ever read at once: so the first event is on its
    // way to the client when the error comes.
    let body = format!("{first}{}{body}", ": wait\r\n".repeat(150_000));
    world.google.fault_next(Fault::Raw {
        status,
        content_type,
        body,
    });
    let text = world.gemini(STREAM, ask("hi")).await.text().await.unwrap();
    assert!(
        text.starts_with(first) && text.contains("has been suspended"),
        "{} bytes",
        text.len()
    );
    assert!(!text.contains(crate::world::KEYS[0]), "the key is quoted");
    let view = world.key(crate::world::KEYS[0]).await;
    assert_eq!(
        view.state,
        contract::admin::KeyState::Rejected {
            reason: contract::admin::RejectReason::Suspended
        }
    );
}

#[tokio::test]
async fn a_stream_may_end_when_the_server_stops() {
    let world = World::with_keys(1).await;
    world.google.fault_next(Fault::StallAfter { events: 1 });
    let mut response = world.gemini(STREAM, ask("tell me a story")).await;
    let mut text = response.chunk().await.unwrap().unwrap().to_vec();
    let World {
        google, core, http, ..
    } = world;
    let address = core.address();
    let stopping = core.shutdown(std::time::Duration::from_secs(60));
    let reading = async {
        // Nothing new is let in once it stops; that is how the test knows that it does.
        while http.get(format!("{address}/health")).send().await.is_ok() {}
        google.release();
        while let Some(chunk) = response.chunk().await.unwrap() {
            text.extend_from_slice(&chunk);
        }
    };
    tokio::join!(stopping, reading);
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains("\"finishReason\"") && !text.contains("\"error\""),
        "{text}"
    );
}
