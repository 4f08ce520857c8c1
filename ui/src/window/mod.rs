//! What only the desktop window shows: the local proxy's state and the vault's screens.

mod bar;
mod trouble;
mod vault;

#[cfg(test)]
mod tests;

pub use bar::ProxyBar;
pub use trouble::ProxyTrouble;
pub use vault::VaultScreen;
