//! The panel, when it was built before this program.

use axum::Router;

/// Serves the panel's files, compressed and with ETags; every other path shows its start
/// page, because the panel's own pages have paths of their own.
#[cfg(panel)]
pub fn router() -> Option<Router> {
    use axum::http::StatusCode;
    use memory_serve::CacheControl;
    Some(
        memory_serve::load!()
            .index_file(Some("/index.html"))
            .fallback(Some("/index.html"))
            .fallback_status(StatusCode::OK)
            // A new version must be seen at once; an ETag makes asking cheap.
            .html_cache_control(CacheControl::NoCache)
            .cache_control(CacheControl::NoCache)
            .into_router(),
    )
}

/// This program was built without the panel.
#[cfg(not(panel))]
pub fn router() -> Option<Router> {
    None
}
