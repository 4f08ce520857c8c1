//! What every webview has: `fetch`, clipboard, storage, the document.

use std::cell::RefCell;

use contract::admin::CSRF_HEADER;
use contract::{ApiError, ErrorCode, Millis};
use gloo::events::EventListener;
use gloo::file::{Blob, ObjectUrl};
use gloo::net::http::RequestBuilder;
use gloo::timers::callback::Timeout;
use gloo::utils::{document, document_element, window};
use serde_json::Value;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, HtmlTextAreaElement, MediaQueryList, RequestCredentials};

/// How long a GET may take, in milliseconds.
const PATIENCE: u32 = 20_000;

/// How long a browser may take to read a file that it is to save, in milliseconds.
const KEPT_FOR_DOWNLOAD: u32 = 60_000;

thread_local! {
    /// What changes must carry to show that they come from this page. Kept here and not in
    /// the page's storage: another page must not find it.
    static CSRF: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The token of the session, when it is known.
pub fn csrf() -> Option<String> {
    CSRF.with_borrow(Clone::clone)
}

/// Keeps the token of the session for the next change.
pub fn set_csrf(token: Option<String>) {
    CSRF.set(token);
}

/// Calls the page's own origin; answers status and body.
pub async fn fetch(
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Result<(u16, String), ApiError> {
    let method = method.parse().unwrap_or(gloo::net::http::Method::GET);
    // A question that is asked again and again must end, or a lost answer would be the
    // last one. What the user has sent may take as long as it takes.
    let limit = (method == gloo::net::http::Method::GET)
        .then(AbortController::new)
        .and_then(Result::ok);
    let signal = limit.as_ref().map(AbortController::signal);
    let _timeout = limit.map(|limit| Timeout::new(PATIENCE, move || limit.abort()));
    let changes = method != gloo::net::http::Method::GET;
    let mut request = RequestBuilder::new(path)
        .method(method)
        .abort_signal(signal.as_ref())
        .credentials(RequestCredentials::SameOrigin);
    if let Some(token) = csrf().filter(|_| changes) {
        request = request.header(CSRF_HEADER, &token);
    }
    let request = match body {
        Some(body) => request.json(&body),
        None => request.build(),
    };
    let answer = request
        .map_err(unreachable)?
        .send()
        .await
        .map_err(unreachable)?;
    let status = answer.status();
    let text = answer.text().await.map_err(unreachable)?;
    Ok((status, text))
}

fn unreachable(error: gloo::net::Error) -> ApiError {
    ApiError::new(ErrorCode::Unreachable, error.to_string())
}

/// Milliseconds since 1970 by this computer's clock.
pub fn now() -> Millis {
    // A double holds whole milliseconds exactly for the next 280,000 years.
    js_sys::Date::now() as Millis
}

/// `at` as the computer's own clock shows it there and then: moved by its distance from UTC.
#[cfg(target_arch = "wasm32")]
pub fn local(at: Millis) -> Millis {
    let date = js_sys::Date::new(&JsValue::from_f64(at as f64));
    at - date.get_timezone_offset() as Millis * 60_000
}

/// Natively, where only tests render, there is no such clock: UTC.
#[cfg(not(target_arch = "wasm32"))]
pub fn local(at: Millis) -> Millis {
    at
}

/// Whether nobody can see the page, so that asking the server would be a waste.
pub fn document_hidden() -> bool {
    document().hidden()
}

/// The language that browser or system prefer, e.g. `zh-CN`.
pub fn reported_language() -> Option<String> {
    window().navigator().language()
}

/// Tells screen readers and the font selection which language the page is in.
pub fn set_document_language(code: &str) {
    let _ = document_element().set_attribute("lang", code);
}

/// Switches PatternFly's dark theme.
pub fn set_dark(dark: bool) {
    let classes = document_element().class_list();
    let _ = classes.toggle_with_force("pf-v6-theme-dark", dark);
}

fn dark_query() -> Option<MediaQueryList> {
    window().match_media("(prefers-color-scheme: dark)").ok()?
}

/// Whether the system asks for dark colours.
pub fn system_is_dark() -> bool {
    dark_query().is_some_and(|query| query.matches())
}

/// Calls `changed` when the system switches between light and dark, until dropped.
pub fn on_system_theme(changed: impl Fn() + 'static) -> Option<EventListener> {
    let query = dark_query()?;
    Some(EventListener::new(&query, "change", move |_| changed()))
}

/// A choice stored earlier. Storage can be forbidden; then nothing is remembered.
pub fn remembered(name: &str) -> Option<String> {
    window().local_storage().ok()??.get_item(name).ok()?
}

/// Stores a choice for the next visit.
pub fn remember(name: &str, value: &str) {
    if let Ok(Some(storage)) = window().local_storage() {
        let _ = storage.set_item(name, value);
    }
}

/// Puts `text` on the clipboard. `navigator.clipboard` exists only on https and on
/// localhost; a panel on plain http of a home server needs the old way.
pub async fn copy_text(text: &str) -> bool {
    if window().is_secure_context() {
        let promise = window().navigator().clipboard().write_text(text);
        if JsFuture::from(promise).await.is_ok() {
            return true;
        }
    }
    copy_by_selection(text).unwrap_or(false)
}

fn copy_by_selection(text: &str) -> Result<bool, JsValue> {
    let area: HtmlTextAreaElement = document().create_element("textarea")?.unchecked_into();
    area.set_value(text);
    area.set_read_only(true);
    area.set_class_name("gb-offscreen");
    let body = gloo::utils::body();
    body.append_child(&area)?;
    area.select();
    // `execCommand` is deprecated and still the only way without a secure context.
    // It is called by reflection because web-sys puts it on `HtmlDocument`.
    let exec = js_sys::Reflect::get(&document(), &"execCommand".into())?;
    let done = exec
        .dyn_into::<js_sys::Function>()
        .and_then(|exec| exec.call1(&document(), &"copy".into()));
    area.remove();
    Ok(done?.as_bool().unwrap_or(false))
}

/// Selects all text of an input, so that a person can copy it by hand.
pub fn choose(node: &yew::NodeRef) {
    if let Some(input) = node.cast::<web_sys::HtmlInputElement>() {
        input.select();
    }
}

/// Whether PatternFly shows the navigation beside the page instead of over it.
pub fn is_wide() -> bool {
    window()
        .match_media("(min-width: 75rem)")
        .ok()
        .flatten()
        .is_some_and(|query| query.matches())
}

/// Moves the keyboard focus to the element with that id.
pub fn focus(id: &str) {
    let element = document()
        .get_element_by_id(id)
        .and_then(|element| element.dyn_into::<web_sys::HtmlElement>().ok());
    if let Some(element) = element {
        let _ = element.focus();
    }
}

/// Has the browser save `text` as a file.
pub fn download(file_name: &str, text: &str) {
    let blob = Blob::new_with_options(text, Some("text/plain;charset=utf-8"));
    let url = ObjectUrl::from(blob);
    let link = document()
        .create_element("a")
        .ok()
        .and_then(|link| link.dyn_into::<web_sys::HtmlElement>().ok());
    if let Some(link) = link {
        let _ = link.set_attribute("href", &url);
        let _ = link.set_attribute("download", file_name);
        link.click();
    }
    // The browser reads it a moment later.
    Timeout::new(KEPT_FOR_DOWNLOAD, move || drop(url)).forget();
}

/// An SVG image as the address of a picture, the only kind of inline image that the
/// content security policy lets in.
pub fn image(svg: &str) -> yew::AttrValue {
    let escaped = String::from(js_sys::encode_uri_component(svg));
    format!("data:image/svg+xml,{escaped}").into()
}

/// The text of the file that was chosen in a file input, which is ready for the next one.
pub async fn chosen_text(input: &web_sys::HtmlInputElement) -> Option<String> {
    let file = input.files()?.get(0)?;
    input.set_value("");
    JsFuture::from(file.text()).await.ok()?.as_string()
}

/// The text of the file that was dropped on the page.
pub async fn dropped_text(event: &web_sys::DragEvent) -> Option<String> {
    let file = event.data_transfer()?.files()?.get(0)?;
    JsFuture::from(file.text()).await.ok()?.as_string()
}

/// The IANA name of the zone of whoever looks at the page, where the browser tells.
#[cfg(target_arch = "wasm32")]
pub fn zone_name() -> Option<String> {
    let format = js_sys::Intl::DateTimeFormat::new(&js_sys::Array::new(), &js_sys::Object::new());
    js_sys::Reflect::get(&format.resolved_options(), &"timeZone".into())
        .ok()?
        .as_string()
}

/// Natively, where only tests render, nobody tells.
#[cfg(not(target_arch = "wasm32"))]
pub fn zone_name() -> Option<String> {
    None
}

/// Scrolls an element to its end.
pub fn to_end(node: &yew::NodeRef) {
    if let Some(element) = node.cast::<web_sys::Element>() {
        element.set_scroll_top(element.scroll_height());
    }
}
