//! The panel: one app for the browser and for the desktop window.
//!
//! Entry: [`app::App`] decides which screen is shown; `pages/` has a folder for each;
//! `host/` alone knows what the panel runs in; `text/` has every word in both languages.
//!
//! Deliberately absent: inline styles and scripts (the content security policy forbids
//! them), requests to any origin but the instance's own, and secrets, except what the
//! user is typing and a new client token that the browser must show once.

mod address;
mod app;
mod controls;
mod host;
mod load;
mod pages;
mod send;
#[cfg(test)]
mod testing;
mod text;
mod window;

rust_i18n::i18n!("locales", fallback = "en");

fn main() {
    yew::Renderer::<app::App>::new().render();
}
