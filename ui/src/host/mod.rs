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

use crate::app::again;

/// What the panel runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// A browser that loaded the panel from an instance.
    Browser,
    /// The desktop app's window.
    Window,
}

/// The methods that the admin API uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates or does something.
    Post,
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
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Where an instance tells what anyone may know of it.
const STATE: &str = "/api/state";

impl Host {
    /// Looks for the window's bridge.
    pub fn detect() -> Self {
        if tauri::present() {
            Self::Window
        } else {
            Self::Browser
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
        match self {
            Self::Browser => {
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
            Self::Window => {
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

    /// Runs a command of the window, e.g. `proxy_start`.
    pub async fn command<T: DeserializeOwned>(
        self,
        name: &str,
        args: Value,
    ) -> Result<T, ApiError> {
        match self {
            Self::Window => tauri::invoke(name, &args).await,
            Self::Browser => Err(ApiError::new(
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
        match self {
            Self::Window => tauri::listen(contract::desktop::STATE_CHANGED, listener).await,
            Self::Browser => Ok(()),
        }
    }
}

pub use browser::{
    choose, chosen_text, copy_text, document_hidden, download, focus, image, is_wide, local, now,
    on_system_theme, remember, remembered, reported_language, set_dark, set_document_language,
    system_is_dark,
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
