//! Going back to a backup while clients are answered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use contract::admin::{BackupReason, BackupView, DataView};
use http::StatusCode;
use proxy_core::admin::Access;
use serde_json::json;
use tower::ServiceExt as _;

use crate::world::World;

/// Asks the admin API for a change; gives status and body.
async fn post(world: &World, path: &str) -> (StatusCode, Vec<u8>) {
    let router = proxy_core::admin::router(world.core.core().clone(), Access::Trusted);
    let request = http::Request::post(path).body(axum::body::Body::empty());
    let response = router.oneshot(request.unwrap()).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    (status, body.unwrap().to_vec())
}

async fn rows(world: &World) -> u64 {
    // The overview waits for what is on its way to the database.
    let _: serde_json::Value = world.admin("/api/overview").await;
    let data: DataView = world.admin("/api/data").await;
    assert_eq!((data.spooled_records, data.dropped_records), (0, 0));
    data.request_rows
}

async fn restore(world: &World, name: &str) {
    let path = format!("/api/data/backups/{name}/restore");
    let (status, said) = post(world, &path).await;
    assert_eq!(status, 204, "{}", String::from_utf8_lossy(&said));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_notices_and_every_answer_leaves_one_record() {
    let world = World::with_keys(2).await;
    let hello =
        || json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(world.chat(hello()).await.status(), 200);
    let before = rows(&world).await;
    let (status, body) = post(&world, "/api/data/backups").await;
    assert_eq!(status, 200);
    let backup: BackupView = serde_json::from_slice(&body).unwrap();

    let done = AtomicBool::new(false);
    let answered = AtomicU64::new(0);
    let client = async || {
        while !done.load(Ordering::Relaxed) {
            let response = world.chat(hello()).await;
            let status = response.status();
            let said = response.text().await.unwrap();
            assert_eq!(status, 200, "{said}");
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    let going_back = async {
        let mut kept = Vec::new();
        for _ in 0..3 {
            // There is something to lose each time.
            let now = answered.load(Ordering::Relaxed);
            while answered.load(Ordering::Relaxed) < now + 5 {
                tokio::task::yield_now().await;
            }
            restore(&world, &backup.name).await;
            let data: DataView = world.admin("/api/data").await;
            let newest = data.backups.into_iter().filter(|one| {
                one.reason == BackupReason::BeforeRestore && !kept.contains(&one.name)
            });
            kept.extend(newest.map(|one| one.name).collect::<Vec<_>>());
        }
        done.store(true, Ordering::Relaxed);
        kept
    };
    let (kept, ..) = tokio::join!(going_back, client(), client(), client(), client());
    assert_eq!(kept.len(), 3);

    // What was answered is in what there is now, or in what was kept on the way.
    let mut records = rows(&world).await - before;
    for name in kept {
        restore(&world, &name).await;
        records += rows(&world).await - before;
    }
    assert_eq!(records, answered.load(Ordering::Relaxed));
}
