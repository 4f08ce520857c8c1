//! The only place that knows whether the panel runs in a browser or in the desktop window.
//!
//! Everything else asks [`Host`]: in the browser the admin API is called with `fetch` on
//! the page's own origin, in the window through the command bridge, where Rust makes the
//! call and no secret comes back.

mod browser;
#[cfg(all(test, target_arch = "wasm32"))]
mod in_browser;
mod tauri;
mod zone;

use contract::admin::InstanceState;
use contract::desktop::{AdminCall, AdminReply, Copy, DesktopState, Link};
use contract::{ApiError, ErrorCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use yew::AttrValue;

use crate::app::again;

/// What the panel runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A browser that loaded the panel from an instance.
    Browser,
    /// The desktop app's window.
    Window,
}

/// What the panel runs in, and which instance it talks to: the one that it came from, or
/// through that one a remote of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    place: Place,
    remote: Option<i64>,
}

/// The methods that the admin API uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates or does something.
    Post,
    /// Puts something in the place of what is there.
    Put,
    /// Changes a part.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// The address of a remote's panel within this one, without `#`; its pages follow.
pub fn panel_of(remote: i64) -> String {
    format!("/instances/{remote}/panel")
}

/// The remote in whose panel an address without `#` is.
pub fn remote_in(path: &str) -> Option<i64> {
    let (id, rest) = path.strip_prefix("/instances/")?.split_once('/')?;
    let inside = rest.strip_prefix("panel")?;
    (inside.is_empty() || inside.starts_with('/'))
        .then(|| id.parse().ok())
        .flatten()
}

/// Where an instance tells what anyone may know of it.
const STATE: &str = "/api/state";

impl Host {
    /// A browser, on the instance that it loaded the panel from.
    pub const BROWSER: Self = Self {
        place: Place::Browser,
        remote: None,
    };

    /// The desktop window, on the app's own core.
    pub const WINDOW: Self = Self {
        place: Place::Window,
        remote: None,
    };

    /// Looks for the window's bridge.
    pub fn detect() -> Self {
        if tauri::present() {
            Self::WINDOW
        } else {
            Self::BROWSER
        }
    }

    /// Whether it is the desktop window.
    pub fn in_window(self) -> bool {
        self.place == Place::Window
    }

    /// Whether it is the desktop window, on the app's own core.
    pub fn in_own_window(self) -> bool {
        self == Self::WINDOW
    }

    /// The remote that is talked to, by its number at the instance that leads there; none
    /// when that instance itself is talked to.
    pub fn remote(self) -> Option<i64> {
        self.remote
    }

    /// The same, but talking to a remote.
    pub fn of_remote(self, id: i64) -> Self {
        Self {
            remote: Some(id),
            ..self
        }
    }

    /// The same, but talking to the instance that the panel came from.
    pub fn own(self) -> Self {
        Self {
            remote: None,
            ..self
        }
    }

    /// The address of a page of the instance that is talked to, e.g. `#/keys`.
    pub fn page(self, page: &'static str) -> AttrValue {
        match self.remote {
            None => page.into(),
            Some(id) => format!("#{}{}", panel_of(id), page.trim_start_matches('#')).into(),
        }
    }

    /// Where the instance that is talked to has `path` of the admin API, seen from here.
    fn path(self, path: &str) -> String {
        match self.remote {
            None => path.to_owned(),
            Some(id) => format!("/api/deploy/remotes/{id}/panel{path}"),
        }
    }

    /// Calls the admin API and reads its answer as `T` (`()` for 204). Where the instance
    /// wants the password once more, asks for it and calls again.
    pub async fn admin<T: DeserializeOwned>(
        self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<T, ApiError> {
        let path = &self.path(path);
        let answer = self.call(method, path, body.clone()).await;
        match &answer {
            Err(error) if error.code == ErrorCode::PasswordAgain && again::ask().await => {
                self.call(method, path, body).await
            }
            _ => answer,
        }
    }

    async fn call<T: DeserializeOwned>(
        self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<T, ApiError> {
        match self.place {
            Place::Browser => {
                let answer = in_browser_call(method, path, body.clone()).await;
                // The token belongs to the session. Signing in in another tab begins a new
                // session in this one, too: its token is asked for, once.
                let stale = matches!(&answer, Err(error) if error.code == ErrorCode::ForeignOrigin);
                if method == Method::Get || !stale {
                    return answer;
                }
                let before = browser::csrf();
                let state: InstanceState = in_browser_call(Method::Get, STATE, None).await?;
                if state.csrf.is_none() || state.csrf == before {
                    return answer;
                }
                browser::set_csrf(state.csrf);
                in_browser_call(method, path, body).await
            }
            Place::Window => {
                let call = AdminCall {
                    method: method.as_str().to_owned(),
                    path: path.to_owned(),
                    body,
                };
                let reply: AdminReply =
                    tauri::invoke("admin_call", &json!({ "call": call })).await?;
                interpret(reply.status, Some(reply.body))
            }
        }
    }

    /// What anyone may know of the instance. In the browser it brings the token that
    /// changes must carry, which is kept for them. (The window needs none: nobody but the
    /// panel reaches its bridge.)
    pub async fn instance(self) -> Result<InstanceState, ApiError> {
        let state: InstanceState = self.get(STATE).await?;
        browser::set_csrf(state.csrf.clone());
        Ok(state)
    }

    /// Reads `path` of the admin API.
    pub async fn get<T: DeserializeOwned>(self, path: &str) -> Result<T, ApiError> {
        self.admin(Method::Get, path, None).await
    }

    /// Posts `body` to `path` of the admin API.
    pub async fn post<T: DeserializeOwned>(
        self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        let body = serde_json::to_value(body).map_err(|e| internal(&e))?;
        self.admin(Method::Post, path, Some(body)).await
    }

    /// Puts `body` at `path` of the admin API.
    pub async fn put<T: DeserializeOwned>(
        self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        let body = serde_json::to_value(body).map_err(|e| internal(&e))?;
        self.admin(Method::Put, path, Some(body)).await
    }

    /// Runs a command of the window, e.g. `proxy_start`.
    pub async fn command<T: DeserializeOwned>(
        self,
        name: &str,
        args: Value,
    ) -> Result<T, ApiError> {
        match self.place {
            Place::Window => tauri::invoke(name, &args).await,
            Place::Browser => Err(ApiError::new(
                ErrorCode::Internal,
                format!("{name} exists only in the desktop window"),
            )),
        }
    }

    /// Has Rust put something on the clipboard that must not pass the webview.
    pub async fn copy_in_rust(self, what: Copy) -> Result<(), ApiError> {
        self.command("copy", json!({ "what": what })).await
    }

    /// Has the operating system open a link that Rust builds.
    pub async fn open_link(self, link: Link) -> Result<(), ApiError> {
        self.command("open_link", json!({ "link": link })).await
    }

    /// Tells `listener` of every new state of the desktop, for as long as the window lives.
    pub async fn on_desktop_state(
        self,
        listener: impl Fn(DesktopState) + 'static,
    ) -> Result<(), ApiError> {
        match self.place {
            Place::Window => tauri::listen(contract::desktop::STATE_CHANGED, listener).await,
            Place::Browser => Ok(()),
        }
    }
}

pub use browser::{
    choose, chosen_text, copy_text, document_hidden, download, dropped_text, focus, image, is_wide,
    local, now, on_system_theme, remember, remembered, reported_language, set_dark,
    set_document_language, system_is_dark, to_end, zone_name,
};

pub use zone::{zone_here, zone_of};

async fn in_browser_call<T: DeserializeOwned>(
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<T, ApiError> {
    let (status, text) = browser::fetch(method.as_str(), path, body).await?;
    interpret(status, parse(&text))
}

/// Parses a body that should be JSON; `None` when it is not.
fn parse(text: &str) -> Option<Value> {
    if text.trim().is_empty() {
        Some(Value::Null)
    } else {
        serde_json::from_str(text).ok()
    }
}

/// Reads status and body of an answer.
///
/// A failure that does not carry our error shape comes from something between us and
/// the instance (a reverse proxy, a login page of a hotel), and is told so.
fn interpret<T: DeserializeOwned>(status: u16, body: Option<Value>) -> Result<T, ApiError> {
    if (200..300).contains(&status) {
        let body = body.ok_or_else(|| {
            ApiError::new(
                ErrorCode::Internal,
                "The answer is not JSON. Is something between the browser and the server changing it?",
            )
        })?;
        return serde_json::from_value(body).map_err(|e| internal(&e));
    }
    let told = body.and_then(|body| serde_json::from_value::<ApiError>(body).ok());
    Err(told.unwrap_or_else(|| {
        let code = if status == 502 || status == 503 || status == 504 {
            ErrorCode::Unreachable
        } else {
            ErrorCode::Internal
        };
        ApiError::new(code, format!("HTTP status {status}"))
    }))
}

fn internal(error: &serde_json::Error) -> ApiError {
    ApiError::new(ErrorCode::Internal, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_is_asked_through_the_instance_that_leads_there() {
        let host = Host::BROWSER.of_remote(3);
        assert_eq!(
            host.path("/api/keys?a=b"),
            "/api/deploy/remotes/3/panel/api/keys?a=b"
        );
        assert_eq!(host.page("#/keys"), "#/instances/3/panel/keys");
        assert_eq!(host.own().path("/api/keys"), "/api/keys");
        assert_eq!(Host::WINDOW.page("#/keys"), "#/keys");
    }

    #[test]
    fn an_address_tells_whose_panel_it_is_in() {
        assert_eq!(remote_in(&panel_of(12)), Some(12));
        assert_eq!(remote_in("/instances/12/panel/settings/history"), Some(12));
        for other in [
            "/instances/12",
            "/instances/12/log",
            "/instances/12/panels",
            "/instances/x/panel",
            "/keys",
        ] {
            assert_eq!(remote_in(other), None, "{other}");
        }
    }

    #[test]
    fn an_empty_answer_is_unit() {
        assert_eq!(interpret::<()>(204, parse("")), Ok(()));
    }

    #[test]
    fn our_error_comes_through_whole() {
        let body =
            parse(r#"{"code":"too_many_attempts","message":"wait","retry_after_seconds":30}"#);
        let error = interpret::<()>(429, body).unwrap_err();
        assert_eq!(error.code, ErrorCode::TooManyAttempts);
        assert_eq!(error.retry_after_seconds, Some(30));
    }

    #[test]
    fn an_error_page_of_a_reverse_proxy_is_unreachable() {
        let error = interpret::<()>(502, parse("<html>Bad Gateway</html>")).unwrap_err();
        assert_eq!(error.code, ErrorCode::Unreachable);
    }

    #[test]
    fn a_page_instead_of_json_is_an_error_and_not_a_panic() {
        let error = interpret::<Vec<u8>>(200, parse("<html>")).unwrap_err();
        assert_eq!(error.code, ErrorCode::Internal);
    }
}
