//! The commands of [`contract::desktop`], and the event that tells of a new state. Each
//! command reads its arguments, calls [`Desktop`], and answers.

#![expect(
    clippy::unreachable,
    reason = "Tauri's macro writes one into each asynchronous command"
)]

use std::sync::Arc;

use contract::admin::{ConnectInfo, Surface, TokenCreate, TokenRules, TokenView};
use contract::deploy::{RemoteAccess, RemoteView, VariablesQuestion, VariablesText};
use contract::desktop::{AdminCall, AdminReply, Copy, DesktopState, Link, STATE_CHANGED};
use contract::{ApiError, ErrorCode};
use http::Method;
use tauri::ipc::Invoke;
use tauri::{AppHandle, Emitter as _, State, Wry};
use vault::Secret;

use crate::app_token::read;
use crate::clipboard::Clipboard;
use crate::desktop::Desktop;
use crate::{links, tray, window};

type Shared<'a> = State<'a, Arc<Desktop>>;
type Answer<T> = Result<T, ApiError>;

/// All commands, by name. `build.rs` declares the same names to the access control; a
/// test compares.
pub fn handler() -> impl Fn(Invoke<Wry>) -> bool + Send + Sync + 'static {
    tauri::generate_handler![
        desktop_state,
        proxy_start,
        proxy_stop,
        proxy_use_port,
        vault_unlock,
        admin_call,
        token_create,
        copy,
        open_link,
        set_language,
    ]
}

/// Tells the window and the tray of each new state, until the app ends.
pub fn announce(app: &AppHandle, desktop: &Arc<Desktop>) {
    let (app, desktop) = (app.clone(), desktop.clone());
    tauri::async_runtime::spawn(async move {
        desktop
            .for_each_state(|state| {
                tray::follow(&app, &state);
                if let Err(error) = app.emit_to(window::MAIN, STATE_CHANGED, &state) {
                    tracing::warn!(%error, "the window was not told of a new state");
                }
            })
            .await;
    });
}

#[tauri::command]
async fn desktop_state(desktop: Shared<'_>) -> Answer<DesktopState> {
    Ok(desktop.state())
}

#[tauri::command]
async fn proxy_start(desktop: Shared<'_>) -> Answer<DesktopState> {
    Box::pin(desktop.start()).await?;
    Ok(desktop.state())
}

#[tauri::command]
async fn proxy_stop(desktop: Shared<'_>) -> Answer<DesktopState> {
    Box::pin(desktop.local.stop()).await;
    Ok(desktop.state())
}

#[tauri::command]
async fn proxy_use_port(desktop: Shared<'_>, port: u16) -> Answer<DesktopState> {
    Box::pin(desktop.use_port(port)).await?;
    Ok(desktop.state())
}

#[tauri::command]
async fn vault_unlock(desktop: Shared<'_>, passphrase: Option<String>) -> Answer<DesktopState> {
    Box::pin(desktop.open(passphrase.map(Secret::new))).await?;
    Ok(desktop.state())
}

#[tauri::command]
async fn admin_call(desktop: Shared<'_>, call: AdminCall) -> Answer<AdminReply> {
    Box::pin(desktop.admin_call(call)).await
}

#[tauri::command]
async fn token_create(
    desktop: Shared<'_>,
    clipboard: State<'_, Clipboard>,
    name: String,
    rules: Option<TokenRules>,
    remote: Option<i64>,
) -> Answer<TokenView> {
    let wish = TokenCreate {
        name,
        rules: rules.unwrap_or_default(),
    };
    let created = Box::pin(desktop.create_token(&wish, remote)).await?;
    let copied = clipboard.copy_secret(&Secret::new(created.secret));
    if let Err(mut error) = copied {
        // Nobody would ever see it, so it must not exist.
        if let Err(left) = Box::pin(desktop.delete_token(created.token.id, remote)).await {
            tracing::warn!(error = %left, "a token that nobody has was not deleted");
            error.message.push_str(&format!(
                " The token {} was made all the same and nobody has it: delete it in the list.",
                wish.name
            ));
        }
        return Err(error);
    }
    Ok(created.token)
}

#[tauri::command]
async fn copy(desktop: Shared<'_>, clipboard: State<'_, Clipboard>, what: Copy) -> Answer<()> {
    match what {
        Copy::Token => clipboard.copy_secret(&Box::pin(desktop.own_token()).await?),
        Copy::Address => clipboard.copy(&desktop.address()?),
        Copy::BaseUrl { surface } => clipboard.copy(&Box::pin(base_url(&desktop, surface)).await?),
        Copy::Variables { remote, format } => {
            let wish = serde_json::to_value(VariablesQuestion { format }).unwrap_or_default();
            let path = format!("/api/deploy/remotes/{remote}/variables");
            let answer = Box::pin(desktop.ask(Method::POST, &path, Some(wish))).await?;
            let variables: VariablesText = read(answer)?;
            clipboard.copy_secret(&Secret::new(variables.text))
        }
        Copy::RemoteToken { remote } => {
            let access = Box::pin(access(&desktop, remote)).await?;
            clipboard.copy_secret(&access.token.map(Secret::new).ok_or_else(no_secret)?)
        }
        Copy::RemotePassword { remote } => {
            let access = Box::pin(access(&desktop, remote)).await?;
            clipboard.copy_secret(&access.password.map(Secret::new).ok_or_else(no_secret)?)
        }
    }
}

/// What a remote is used with.
async fn access(desktop: &Desktop, remote: i64) -> Answer<RemoteAccess> {
    let path = format!("/api/deploy/remotes/{remote}/access");
    read(desktop.ask(Method::POST, &path, None).await?)
}

fn no_secret() -> ApiError {
    ApiError::new(
        ErrorCode::NotFound,
        "That is not known here of this remote. Deploy it first.",
    )
}

#[tauri::command]
async fn open_link(desktop: Shared<'_>, link: Link) -> Answer<()> {
    match link {
        Link::CherryStudio => {
            let base_url = Box::pin(base_url(&desktop, Surface::Openai)).await?;
            let token = Box::pin(desktop.own_token()).await?;
            let name = tray::language(&desktop).text("Gemini Balance", "Gemini Balance 本机");
            let link = contract::links::cherry_studio(&name, &base_url, token.expose());
            links::open(&Secret::new(link), "Cherry Studio")
        }
        Link::GoogleKeys => links::open(&links::GOOGLE_KEYS.into(), "a browser"),
        Link::Project => links::open(&links::PROJECT.into(), "a browser"),
        Link::CherryStudioOf { remote } => {
            let access = Box::pin(access(&desktop, remote)).await?;
            let token = access.token.ok_or_else(no_secret)?;
            let base_url = format!("{}/v1", access.url.trim_end_matches('/'));
            let path = format!("/api/deploy/remotes/{remote}");
            let view: RemoteView = read(desktop.ask(Method::GET, &path, None).await?)?;
            let name = format!("Gemini Balance {}", view.name);
            let link = contract::links::cherry_studio(&name, &base_url, &token);
            links::open(&Secret::new(link), "Cherry Studio")
        }
        Link::Remote { remote, console } => {
            let path = format!("/api/deploy/remotes/{remote}");
            let view: RemoteView = read(desktop.ask(Method::GET, &path, None).await?)?;
            let address = if console { view.console_url } else { view.url };
            // Whatever an API answered, only a web page is opened.
            let address = address.filter(|address| {
                address.starts_with("https://") || address.starts_with("http://")
            });
            let address = address.ok_or_else(|| {
                ApiError::new(ErrorCode::NotFound, "This remote has no such page.")
            })?;
            links::open(&Secret::new(address), "a browser")
        }
        Link::Page { page } => links::open(&page.url().into(), "a browser"),
        Link::NewApp { form } => links::open(&Secret::new(form.url()), "a browser"),
    }
}

#[tauri::command]
async fn set_language(app: AppHandle, desktop: Shared<'_>, language: String) -> Answer<()> {
    if !["zh", "en"].contains(&language.as_str()) {
        return Err(ApiError::new(
            ErrorCode::InvalidInput,
            "The languages are zh and en.",
        ));
    }
    desktop.prefs.change(|kept| kept.language = Some(language));
    tray::follow(&app, &desktop.state());
    Ok(())
}

/// What the "base URL" field of a client wants.
async fn base_url(desktop: &Desktop, surface: Surface) -> Answer<String> {
    let info: ConnectInfo = read(desktop.ask(Method::GET, "/api/connect", None).await?)?;
    info.endpoints
        .into_iter()
        .find(|endpoint| endpoint.surface == surface)
        .map(|endpoint| endpoint.base_url)
        .ok_or_else(|| {
            ApiError::new(
                ErrorCode::NotFound,
                "This version does not speak that protocol.",
            )
        })
}

#[cfg(test)]
mod tests {
    use contract::desktop::COMMANDS;

    /// The handler's macro takes no list, so its list is read from the source.
    #[test]
    fn exactly_the_commands_of_the_contract_exist_and_are_granted() {
        let source = include_str!("bridge.rs");
        let list = source
            .split("generate_handler![")
            .nth(1)
            .unwrap()
            .split(']')
            .next()
            .unwrap();
        let handled: Vec<_> = list
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .collect();
        assert_eq!(handled, COMMANDS);

        let capability: serde_json::Value =
            serde_json::from_str(include_str!("../capabilities/main.json")).unwrap();
        let granted: Vec<_> = capability["permissions"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|it| it.as_str())
            .collect();
        let expected = COMMANDS.map(|name| format!("allow-{}", name.replace('_', "-")));
        let events = ["core:event:allow-listen", "core:event:allow-unlisten"];
        let expected: Vec<_> = events
            .into_iter()
            .chain(expected.iter().map(String::as_str))
            .collect();
        assert_eq!(granted, expected);
        assert_eq!(capability["windows"], serde_json::json!(["main"]));
        assert!(
            capability.get("remote").is_none(),
            "no remote page may call a command"
        );
    }
}
