//! The clipboard, used from Rust only, so that what is copied never passes the webview.

use contract::{ApiError, ErrorCode};
use parking_lot::Mutex;
use vault::Secret;

/// The system's clipboard. On Linux the copying program itself hands the text out when
/// somebody pastes, so this lives as long as the app.
#[derive(Default)]
pub struct Clipboard(Mutex<Option<arboard::Clipboard>>);

impl Clipboard {
    /// Copies text that anyone may see.
    pub fn copy(&self, text: &str) -> Result<(), ApiError> {
        self.with(|clipboard| clipboard.set_text(text))
    }

    /// Copies a secret; clipboard histories, and on Windows whatever else watches the
    /// clipboard or carries it to other computers, are told to leave it out.
    pub fn copy_secret(&self, secret: &Secret) -> Result<(), ApiError> {
        #[cfg(target_os = "macos")]
        use arboard::SetExtApple as _;
        #[cfg(all(unix, not(target_os = "macos")))]
        use arboard::SetExtLinux as _;
        #[cfg(windows)]
        use arboard::SetExtWindows as _;
        self.with(|clipboard| {
            #[cfg(not(windows))]
            let set = clipboard.set().exclude_from_history();
            #[cfg(windows)]
            let set = clipboard.set().exclude_from_monitoring();
            set.text(secret.expose().as_str())
        })
    }

    fn with(
        &self,
        copy: impl Fn(&mut arboard::Clipboard) -> Result<(), arboard::Error>,
    ) -> Result<(), ApiError> {
        let mut kept = self.0.lock();
        let result = match kept.take().map_or_else(arboard::Clipboard::new, Ok) {
            Ok(mut clipboard) => copy(&mut clipboard).map(|()| *kept = Some(clipboard)),
            Err(error) => Err(error),
        };
        result.map_err(|error| {
            ApiError::new(
                ErrorCode::Internal,
                format!("The clipboard of the system does not answer ({error}). Try again."),
            )
        })
    }
}
