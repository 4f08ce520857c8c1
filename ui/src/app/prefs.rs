//! Language and colours: stored choice, else what browser or system prefer.

use wasm_bindgen_futures::spawn_local;
use yew::{Callback, hook, use_callback, use_context, use_effect_with, use_state_eq};

use crate::host::{self, Host};
use crate::text::Lang;

const LANG: &str = "gb-lang";
/// Also read by `static/theme.js` before the first paint.
const THEME: &str = "gb-theme";

/// The colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// As the system has it, also when that changes.
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// The value stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// What the switch goes to next.
    pub fn next(self) -> Self {
        match self {
            Self::System => Self::Light,
            Self::Light => Self::Dark,
            Self::Dark => Self::System,
        }
    }

    fn stored(name: Option<&str>) -> Self {
        match name {
            Some("light") => Self::Light,
            Some("dark") => Self::Dark,
            _ => Self::System,
        }
    }
}

/// What the user chose, and how to choose again.
#[derive(Clone, PartialEq)]
pub struct Prefs {
    /// The language of every text.
    pub lang: Lang,
    /// The colours.
    pub theme: Theme,
    /// Changes and remembers the language.
    pub set_lang: Callback<Lang>,
    /// Changes and remembers the colours.
    pub set_theme: Callback<Theme>,
}

/// The user's choices.
#[hook]
pub fn use_prefs() -> Option<Prefs> {
    use_context()
}

/// Reads the stored choices and keeps the document in step with them.
#[hook]
pub fn use_new_prefs(host: Host) -> Prefs {
    let lang = use_state_eq(|| {
        Lang::choose(
            host::remembered(LANG).as_deref(),
            host::reported_language().as_deref(),
        )
    });
    let theme = use_state_eq(|| Theme::stored(host::remembered(THEME).as_deref()));
    use_effect_with(*lang, move |lang| {
        let lang = *lang;
        host::set_document_language(lang.code());
        if host.in_window() {
            spawn_local(async move {
                let args = serde_json::json!({ "language": lang.short() });
                // The tray keeps its language if this fails; nothing here depends on it.
                let _ = host.command::<()>("set_language", args).await;
            });
        }
    });
    use_effect_with(*theme, |theme| {
        let show = |theme| match theme {
            Theme::System => host::set_dark(host::system_is_dark()),
            Theme::Light => host::set_dark(false),
            Theme::Dark => host::set_dark(true),
        };
        let theme = *theme;
        show(theme);
        let listener = host::on_system_theme(move || show(theme));
        move || drop(listener)
    });
    let set_lang = use_callback((), {
        let lang = lang.setter();
        move |chosen: Lang, ()| {
            host::remember(LANG, chosen.code());
            lang.set(chosen);
        }
    });
    let set_theme = use_callback((), {
        let theme = theme.setter();
        move |chosen: Theme, ()| {
            host::remember(THEME, chosen.name());
            theme.set(chosen);
        }
    });
    Prefs {
        lang: *lang,
        theme: *theme,
        set_lang,
        set_theme,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_language_wins_over_the_browsers() {
        assert_eq!(Lang::choose(Some("en"), Some("zh-CN")), Lang::En);
        assert_eq!(Lang::choose(None, Some("zh-Hans-CN")), Lang::Zh);
        assert_eq!(Lang::choose(None, Some("fr-FR")), Lang::En);
        assert_eq!(Lang::choose(None, None), Lang::En);
    }

    #[test]
    fn the_switch_reaches_every_theme_and_each_survives_storing() {
        let mut seen = vec![Theme::System];
        while seen.len() < 3 {
            seen.push(seen[seen.len() - 1].next());
        }
        assert_eq!(seen[2].next(), Theme::System);
        for theme in seen {
            assert_eq!(Theme::stored(Some(theme.name())), theme);
        }
    }
}
