//! The panel, when it was built before this program.

use axum::Router;

/// Serves the panel's files, compressed and with ETags. A path that does not exist is a 404
/// that shows the panel all the same, for the person who typed it.
#[cfg(panel)]
pub fn router() -> Option<Router> {
    use memory_serve::CacheControl;
    Some(
        memory_serve::load!()
            .index_file(Some("/index.html"))
            .fallback(Some("/index.html"))
            // A new version must be seen at once; an ETag makes asking cheap.
            .html_cache_control(CacheControl::NoCache)
            .cache_control(CacheControl::NoCache)
            .into_router()
            .layer(axum::middleware::map_response(guarded)),
    )
}

/// What the page may do: load and run what this server sends, talk to this server, and be
/// shown in no frame. `wasm-unsafe-eval` lets it compile WebAssembly and allows no `eval`. The
/// other headers come from the core, with everything that the panel's side sends.
#[cfg(panel)]
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
                      img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

#[cfg(panel)]
async fn guarded(mut response: axum::response::Response) -> axum::response::Response {
    use axum::http::{HeaderValue, header};
    response.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    response
}

/// This program was built without the panel.
#[cfg(not(panel))]
pub fn router() -> Option<Router> {
    None
}
