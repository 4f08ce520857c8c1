//! The tray icon and its menu. It shows the state and acts on [`Desktop`]; labels change
//! in place, because a rebuilt menu closes while it is open.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use contract::desktop::{DesktopState, ProxyState};
use tauri::menu::{MenuBuilder, MenuEvent, MenuItem, MenuItemBuilder, PredefinedMenuItem};
use tauri::tray::TrayIconBuilder;
use tauri::{AppHandle, Manager as _, Wry};

use crate::clipboard::Clipboard;
use crate::desktop::Desktop;
use crate::{quit, window};

/// The languages of the tray, which are those of the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// The one of the two texts that is in this language.
    pub fn text(self, english: &str, chinese: &str) -> String {
        match self {
            Self::English => english,
            Self::Chinese => chinese,
        }
        .to_owned()
    }

    /// By a name such as `zh-Hans-CN`, `zh_CN.UTF-8` or `en`.
    fn by_name(name: &str) -> Self {
        if name.to_ascii_lowercase().starts_with("zh") {
            Self::Chinese
        } else {
            Self::English
        }
    }
}

/// The language chosen in the panel, else that of the system.
pub fn language(desktop: &Desktop) -> Language {
    let name = desktop.prefs.get().language.or_else(sys_locale::get_locale);
    name.map_or(Language::English, |name| Language::by_name(&name))
}

/// The entries, from top to bottom. The first only shows; `Between` is a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Status,
    Open,
    Toggle,
    CopyAddress,
    Between,
    Quit,
}

const ENTRIES: [Entry; 6] = [
    Entry::Status,
    Entry::Open,
    Entry::Toggle,
    Entry::CopyAddress,
    Entry::Between,
    Entry::Quit,
];

impl Entry {
    fn id(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Open => "open",
            Self::Toggle => "toggle",
            Self::CopyAddress => "copy-address",
            Self::Between => "between",
            Self::Quit => "quit",
        }
    }

    /// Its label, and whether it can be chosen.
    fn label(self, language: Language, state: &ProxyState) -> (String, bool) {
        use ProxyState as S;
        let t = |english, chinese| language.text(english, chinese);
        match (self, state) {
            (Self::Status, S::Running { address }) => (address.clone(), false),
            (Self::Status, S::Starting) => (t("Starting…", "正在启动…"), false),
            (Self::Status, S::Stopping) => {
                (t("Letting answers finish…", "正在等待回答结束…"), false)
            }
            (Self::Status, S::Stopped) => (t("Not running", "未运行"), false),
            (Self::Status, S::PortTaken { port, .. }) => (
                format!("{} {port}", t("Port in use:", "端口被占用：")),
                false,
            ),
            (Self::Status, S::Failed { .. }) => (t("Could not start", "无法启动"), false),
            (Self::Open, _) => (t("Open Gemini Balance", "打开 Gemini Balance"), true),
            (Self::Toggle, S::Running { .. }) => (t("Stop service", "停止本地服务"), true),
            (Self::Toggle, S::Starting | S::Stopping) => {
                (t("Start service", "启动本地服务"), false)
            }
            (Self::Toggle, _) => (t("Start service", "启动本地服务"), true),
            (Self::CopyAddress, state) => (
                t("Copy address", "复制地址"),
                matches!(state, S::Running { .. }),
            ),
            (Self::Between, _) => (String::new(), false),
            (Self::Quit, _) => (t("Quit", "退出"), true),
        }
    }
}

/// The menu's entries, to change their labels.
struct Items(Vec<(Entry, MenuItem<Wry>)>);

/// Puts the icon into the tray. Without one the app works all the same.
pub fn open(app: &AppHandle, desktop: &Arc<Desktop>) {
    let state = desktop.state();
    let (app, language) = (app.clone(), language(desktop));
    let build = std::panic::AssertUnwindSafe(move || try_open(&app, language, &state.proxy));
    // The library panics where the system's own library of tray icons is not installed.
    match std::panic::catch_unwind(build) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "no tray icon"),
        Err(_) => tracing::warn!("no tray icon: is libayatana-appindicator3 installed?"),
    }
}

fn try_open(app: &AppHandle, language: Language, state: &ProxyState) -> tauri::Result<()> {
    let mut items = Vec::new();
    let mut menu = MenuBuilder::new(app);
    for entry in ENTRIES {
        if entry == Entry::Between {
            menu = menu.item(&PredefinedMenuItem::separator(app)?);
            continue;
        }
        let (text, enabled) = entry.label(language, state);
        let item = MenuItemBuilder::with_id(entry.id(), text)
            .enabled(enabled)
            .build(app)?;
        menu = menu.item(&item);
        items.push((entry, item));
    }
    let mut tray = TrayIconBuilder::with_id("tray")
        .tooltip("Gemini Balance")
        .menu(&menu.build()?)
        .on_menu_event(on_menu_event);
    if let Some(icon) = app.default_window_icon() {
        tray = tray.icon(icon.clone());
    }
    tray.build(app)?;
    app.manage(Items(items));
    Ok(())
}

/// Shows `state` in the menu, in the language of now.
pub fn follow(app: &AppHandle, state: &DesktopState) {
    let Some(items) = app.try_state::<Items>() else {
        return;
    };
    let desktop = app.state::<Arc<Desktop>>();
    let language = language(&desktop);
    for (entry, item) in &items.0 {
        let (text, enabled) = entry.label(language, &state.proxy);
        let result = item.set_text(text).and_then(|()| item.set_enabled(enabled));
        // The tray goes first when the app ends.
        if let Err(error) = result
            && !desktop.ending.load(Ordering::SeqCst)
        {
            tracing::warn!(%error, "the tray does not follow");
        }
    }
}

fn on_menu_event(app: &AppHandle, event: MenuEvent) {
    let Some(entry) = ENTRIES.into_iter().find(|entry| event.id() == entry.id()) else {
        return;
    };
    let desktop = app.state::<Arc<Desktop>>().inner().clone();
    match entry {
        Entry::Open => window::show(app),
        Entry::Quit => quit(app),
        Entry::Toggle => {
            let app = app.clone();
            tauri::async_runtime::spawn(async move {
                if matches!(desktop.state().proxy, ProxyState::Running { .. }) {
                    desktop.local.stop().await;
                } else if desktop.open(None).await.is_err() {
                    // The vault is closed: the window says why and what to do.
                    window::show(&app);
                }
            });
        }
        Entry::CopyAddress => {
            let copied = desktop
                .address()
                .and_then(|address| app.state::<Clipboard>().copy(&address));
            if let Err(error) = copied {
                tracing::warn!(%error, "the address was not copied");
            }
        }
        Entry::Status | Entry::Between => {}
    }
}

/// Somebody shows our icon, so a hidden window can be brought back. Asks, because on
/// Linux a tray is a program that may or may not be there.
pub fn is_shown(app: &AppHandle) -> bool {
    app.try_state::<Items>().is_some() && system_shows_trays()
}

#[cfg(target_os = "linux")]
fn system_shows_trays() -> bool {
    let asked = zbus::blocking::Connection::session().and_then(|bus| {
        let name = "org.kde.StatusNotifierWatcher".try_into()?;
        Ok(zbus::blocking::fdo::DBusProxy::new(&bus)?.name_has_owner(name)?)
    });
    asked.unwrap_or(false)
}

#[cfg(not(target_os = "linux"))]
fn system_shows_trays() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_chinese_where_the_locale_is() {
        for (name, language) in [
            ("zh-CN", Language::Chinese),
            ("zh_TW.UTF-8", Language::Chinese),
            ("zh", Language::Chinese),
            ("ZH-hans", Language::Chinese),
            ("en-GB", Language::English),
            ("de", Language::English),
            ("C", Language::English),
        ] {
            assert_eq!(Language::by_name(name), language, "{name}");
        }
    }

    #[test]
    fn the_menu_says_what_can_be_done() {
        let running = ProxyState::Running {
            address: "http://127.0.0.1:8001".to_owned(),
        };
        let labels = |language, state: &ProxyState| {
            ENTRIES
                .map(|entry| entry.label(language, state))
                .map(|(text, enabled)| (text, enabled))
        };
        let shown = labels(Language::English, &running);
        assert_eq!(shown[0], ("http://127.0.0.1:8001".to_owned(), false));
        assert_eq!(shown[2], ("Stop service".to_owned(), true));
        assert!(shown[3].1, "a running proxy has an address to copy");
        let shown = labels(Language::Chinese, &ProxyState::Stopped);
        assert_eq!(shown[0], ("未运行".to_owned(), false));
        assert_eq!(shown[2], ("启动本地服务".to_owned(), true));
        assert!(!shown[3].1, "a stopped proxy has no address");
    }
}
