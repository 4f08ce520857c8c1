//! `prefs.json`: the few things this shell must know before the database is open.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// What is remembered between starts. Nothing here is a secret in clear.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// The port the user chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The language of the panel, which the tray follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The name under which the keychain holds this folder's key. The folder keeps it, so
    /// that every build that opens the folder (a development build, a release) finds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keychain: Option<String>,
    /// The app's own client token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<SealedToken>,
}

/// The app's own client token, sealed with the master key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedToken {
    /// Its number in the core.
    pub id: i64,
    /// The token, sealed, in Base64.
    pub sealed: String,
}

/// The file, and its content as last read or written.
pub struct Prefs {
    path: PathBuf,
    kept: Mutex<Kept>,
}

impl Prefs {
    /// Reads `prefs.json` in `folder`. A file that cannot be read counts as empty: all
    /// that is in it can be chosen or made again.
    pub fn read(folder: &Path) -> Self {
        let path = folder.join("prefs.json");
        let kept = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::warn!(%error, path = %path.display(), "the preferences cannot be read; beginning with none");
                Kept::default()
            }),
            Err(_) => Kept::default(),
        };
        Self {
            path,
            kept: Mutex::new(kept),
        }
    }

    /// What is remembered.
    pub fn get(&self) -> Kept {
        self.kept.lock().clone()
    }

    /// Changes what is remembered. If it cannot be written it holds until the app ends.
    pub fn change(&self, change: impl FnOnce(&mut Kept)) {
        let mut kept = self.kept.lock();
        change(&mut kept);
        if let Err(error) = write(&self.path, &kept) {
            tracing::warn!(%error, path = %self.path.display(), "the preferences cannot be written");
        }
    }

    /// Changes what is remembered, or nothing where it cannot be written.
    ///
    /// # Errors
    /// What the system says about the file.
    pub fn change_for_good(&self, change: impl FnOnce(&mut Kept)) -> std::io::Result<()> {
        let mut kept = self.kept.lock();
        let mut changed = kept.clone();
        change(&mut changed);
        write(&self.path, &changed)?;
        *kept = changed;
        Ok(())
    }

    /// The file, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whole or not at all, readable by this user only.
fn write(path: &Path, kept: &Kept) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec_pretty(kept)?)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_there_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let prefs = Prefs::read(folder.path());
        assert_eq!(prefs.get(), Kept::default());
        prefs.change(|kept| kept.port = Some(8123));
        prefs.change(|kept| kept.language = Some("zh".to_owned()));
        let again = Prefs::read(folder.path()).get();
        assert_eq!(
            (again.port, again.language.as_deref()),
            (Some(8123), Some("zh"))
        );
    }

    #[test]
    fn a_damaged_file_counts_as_empty() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("prefs.json"), "{\"port\": 80000}").unwrap();
        assert_eq!(Prefs::read(folder.path()).get(), Kept::default());
    }
}
