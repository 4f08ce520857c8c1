//! What only the desktop window can ask for. Each command's name is the constant beside
//! its types; the shell declares exactly these to Tauri's access control.
//!
//! Secrets cross this bridge one way only: typed in by the user, towards Rust. What the
//! user wants to take elsewhere (a token, an import link) is copied or opened by Rust.
//!
//! | command | arguments | answer |
//! |---|---|---|
//! | `desktop_state` | | [`DesktopState`] |
//! | `proxy_start` | | [`DesktopState`] |
//! | `proxy_stop` | | [`DesktopState`] |
//! | `proxy_use_port` | `port: u16` | [`DesktopState`] |
//! | `vault_unlock` | `passphrase: Option<String>` | [`DesktopState`] |
//! | `admin_call` | `call: `[`AdminCall`] | [`AdminReply`] |
//! | `token_create` | `name: String`, `rules: Option<`[`crate::admin::TokenRules`]`>`, `remote: Option<i64>` | [`crate::admin::TokenView`]; the secret is on the clipboard |
//! | `copy` | `what: `[`enum@Copy`] | nothing |
//! | `open_link` | `link: `[`Link`] | nothing |
//! | `set_language` | `language: String` (`zh` or `en`) | nothing; the tray follows |
//!
//! Every command fails with [`crate::ApiError`]. The shell emits the event
//! [`STATE_CHANGED`] with a [`DesktopState`] whenever that changes.

use serde::{Deserialize, Serialize};

use crate::admin::Surface;
use crate::deploy::VariablesFormat;
use crate::error::ApiError;
use crate::links::{NewApp, Page};

/// The names of all commands, as declared to Tauri.
pub const COMMANDS: [&str; 10] = [
    "desktop_state",
    "proxy_start",
    "proxy_stop",
    "proxy_use_port",
    "vault_unlock",
    "admin_call",
    "token_create",
    "copy",
    "open_link",
    "set_language",
];

/// The event that carries a new [`DesktopState`].
pub const STATE_CHANGED: &str = "desktop-state";

/// What the window shows around the panel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesktopState {
    /// The version of the app.
    pub version: String,
    /// The local proxy.
    pub proxy: ProxyState,
    /// The vault that keeps the keys.
    pub vault: VaultState,
}

/// The state machine of the local proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ProxyState {
    /// Not running, by the user's wish or because the vault is closed.
    Stopped,
    /// About to listen.
    Starting,
    /// Answering.
    Running {
        /// The true address, e.g. `http://127.0.0.1:8000`.
        address: String,
    },
    /// Letting running answers end.
    Stopping,
    /// Cannot listen: the port belongs to another program.
    PortTaken {
        /// The port that was wanted.
        port: u16,
        /// The program that has it, where the system tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<String>,
        /// A port that is free now.
        next_free: u16,
    },
    /// Cannot run for another reason.
    Failed {
        /// What was wrong and what to do.
        error: ApiError,
    },
}

/// The state machine of the vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum VaultState {
    /// Being opened; the keychain may be asking the user.
    Opening,
    /// Open; keys can be used.
    Open {
        /// What holds the master key.
        source: MasterKeySource,
    },
    /// Closed: the keychain does not exist, is locked, or lost the key. The error's code
    /// says which; [`VaultState::Closed::passphrase`] says whether a passphrase helps.
    Closed {
        /// Why.
        error: ApiError,
        /// Whether a passphrase can open it instead.
        passphrase: Passphrase,
    },
}

/// Whether a passphrase can open the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Passphrase {
    /// One was chosen before; it opens the vault.
    Set,
    /// None exists, but one can be chosen now, because nothing is sealed yet.
    CanBeChosen,
    /// None exists, and data is sealed with a key from the keychain.
    NoUse,
}

/// What holds the master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MasterKeySource {
    /// The operating system's keychain.
    Keychain,
    /// A file sealed with the user's passphrase.
    Passphrase,
}

/// A request to the admin API of the local core.
#[derive(Clone, Serialize, Deserialize)]
pub struct AdminCall {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// The path with its query, e.g. `/api/keys`.
    pub path: String,
    /// The JSON body, if any. May hold what the user typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
}

/// The admin API's answer.
#[derive(Clone, Serialize, Deserialize)]
pub struct AdminReply {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body; `null` when empty.
    pub body: serde_json::Value,
}

/// Things Rust puts on the clipboard, so that they never pass the webview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Copy {
    /// The app's own client token.
    Token,
    /// The address without a path.
    Address,
    /// The base URL of one protocol.
    BaseUrl {
        /// The protocol.
        surface: Surface,
    },
    /// The variables of a remote, secrets in clear.
    Variables {
        /// The remote.
        remote: i64,
        /// In which form.
        format: VariablesFormat,
    },
    /// The client token that this instance made at a remote.
    RemoteToken {
        /// The remote.
        remote: i64,
    },
    /// What the panel of a remote is signed in to with.
    RemotePassword {
        /// The remote.
        remote: i64,
    },
}

/// Things Rust opens with the operating system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "link", rename_all = "snake_case")]
pub enum Link {
    /// Cherry Studio, with our address and token filled in.
    CherryStudio,
    /// Google AI Studio's page of API keys.
    GoogleKeys,
    /// This project's home page.
    Project,
    /// Cherry Studio, with a remote's address and token filled in.
    CherryStudioOf {
        /// The remote.
        remote: i64,
    },
    /// A remote's own page.
    Remote {
        /// The remote.
        remote: i64,
        /// Its page in the provider's console instead.
        console: bool,
    },
    /// A page of a provider.
    Page {
        /// Which.
        page: Page,
    },
    /// A provider's form for a new app, filled in as far as it allows.
    NewApp {
        /// Whose form, and with what.
        form: NewApp,
    },
}
