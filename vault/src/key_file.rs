//! The master key of a machine without a keychain: from `SECRET_KEY`, or a file of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use argon2::Argon2;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::{MasterKey, SealError, Secret};

/// The name of the key file inside the data folder.
pub const KEY_FILE_NAME: &str = "master.key";
/// The shortest passphrase that `SECRET_KEY` may be, in characters.
const MIN_PASSPHRASE: usize = 16;
/// A passphrase must give the same key on every machine that has it, so the salt is the
/// application's and not random; the length demanded above makes up for it.
const PASSPHRASE_SALT: &[u8] = b"gemini-balance/SECRET_KEY/1";
/// No key file is longer.
const MAX_FILE: u64 = 4096;

/// A file that holds the master key. Only its owner may read it.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
}

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// `SECRET_KEY` is too short to be a passphrase and is no encoded key.
    #[error(
        "SECRET_KEY is too short: give 32 random bytes as 64 hexadecimal digits or as base64 \
         (`openssl rand -hex 32` makes one), or a passphrase of at least 16 characters"
    )]
    WeakSecretKey,
    /// Others may read the file.
    #[error(
        "the key file {} can be read by other users of this machine; run `chmod 600 {}` \
         and start again", .0.display(), .0.display()
    )]
    Exposed(PathBuf),
    /// The file holds something else.
    #[error(
        "the key file {} does not hold a key; put the right file back from your backup. \
         Without it the saved Gemini keys cannot be opened: to begin anew, move it and the \
         database away", .0.display()
    )]
    Damaged(PathBuf),
    /// The file cannot be read or made.
    #[error(
        "cannot use the key file {}: {source}. Make its folder writable for this user, choose \
         another one with DATA_DIR, or set SECRET_KEY, which needs no file", path.display()
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No random bytes for a new key, or no memory to stretch a passphrase.
    #[error("cannot make a master key: {0}")]
    System(String),
}

impl From<SealError> for KeyFileError {
    fn from(error: SealError) -> Self {
        Self::System(error.to_string())
    }
}

impl MasterKey {
    /// The key that a `SECRET_KEY` stands for: 32 bytes in hexadecimal or base64, else a
    /// passphrase, which is stretched with argon2id (about a tenth of a second).
    ///
    /// # Errors
    /// When it is neither, see [`KeyFileError::WeakSecretKey`].
    pub fn from_secret_key(text: &Secret) -> Result<Self, KeyFileError> {
        let text = text.expose().trim();
        if let Some(bytes) = decode(text) {
            return Ok(Self::from_bytes(*bytes));
        }
        if text.chars().count() < MIN_PASSPHRASE {
            return Err(KeyFileError::WeakSecretKey);
        }
        let mut bytes = Zeroizing::new([0; 32]);
        Argon2::default()
            .hash_password_into(text.as_bytes(), PASSPHRASE_SALT, bytes.as_mut_slice())
            .map_err(|error| KeyFileError::System(error.to_string()))?;
        Ok(Self::from_bytes(*bytes))
    }
}

impl KeyFile {
    /// The key file inside the folder of the database.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            path: folder.join(KEY_FILE_NAME),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file in which a key lies that is to replace this one's: beside it.
    pub fn replacement(&self) -> Self {
        Self {
            path: self.path.with_extension("key.new"),
        }
    }

    /// The key in the file, if there is one.
    ///
    /// # Errors
    /// See [`KeyFileError`].
    pub fn load(&self) -> Result<Option<MasterKey>, KeyFileError> {
        match File::open(&self.path) {
            Ok(file) => self.read(file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.io(error)),
        }
    }

    /// Saves a key, in place of what the file held. It appears with its whole content or
    /// not at all, and is on the disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written; then the file is as it was.
    pub fn save(&self, key: &MasterKey) -> Result<(), KeyFileError> {
        let save = || {
            let draft = self.new_draft(key)?;
            std::fs::rename(&draft, &self.path)
                .inspect_err(|_| {
                    let _ = std::fs::remove_file(&draft);
                })
                .and_then(|()| self.sync_folder())
        };
        save().map_err(|source| self.io(source))
    }

    /// Puts the key of [`KeyFile::replacement`] in this one's place. Nothing happens when
    /// somebody else has done so already.
    ///
    /// # Errors
    /// When the system refuses; then both are as they were.
    pub fn replace(&self) -> Result<(), KeyFileError> {
        match std::fs::rename(&self.replacement().path, &self.path) {
            Ok(()) => self.sync_folder().map_err(|source| self.io(source)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.io(error)),
        }
    }

    /// Deletes the file, if there is one.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove(&self) -> Result<(), KeyFileError> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.io(error)),
            _ => Ok(()),
        }
    }

    /// The key in the file; a new random one, saved, when there is no file. When two
    /// processes start at once, both get the same.
    ///
    /// # Errors
    /// See [`KeyFileError`].
    pub fn load_or_create(&self) -> Result<MasterKey, KeyFileError> {
        if let Some(key) = self.load()? {
            return Ok(key);
        }
        let key = MasterKey::random()?;
        if self.save_new(&key).map_err(|source| self.io(source))? {
            return Ok(key);
        }
        // Another process was faster: its key is the one.
        let file = File::open(&self.path).map_err(|source| self.io(source))?;
        self.read(file)
    }

    fn read(&self, file: File) -> Result<MasterKey, KeyFileError> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = file
                .metadata()
                .map_err(|source| self.io(source))?
                .permissions()
                .mode();
            if mode & 0o077 != 0 {
                return Err(KeyFileError::Exposed(self.path.clone()));
            }
        }
        let mut text = Zeroizing::new(Vec::new());
        file.take(MAX_FILE)
            .read_to_end(&mut text)
            .map_err(|source| self.io(source))?;
        std::str::from_utf8(&text)
            .ok()
            .and_then(|text| decode(text.trim()))
            .map(|bytes| MasterKey::from_bytes(*bytes))
            .ok_or_else(|| KeyFileError::Damaged(self.path.clone()))
    }

    /// Saves a key where no file is yet; false when one has come into being. The file
    /// appears with its whole content or not at all.
    fn save_new(&self, key: &MasterKey) -> io::Result<bool> {
        let draft = self.new_draft(key)?;
        // A link, unlike a rename, does not replace what another process has put there.
        let saved = match std::fs::hard_link(&draft, &self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            // Some file systems (FAT, some container volumes) have no hard links.
            Err(_) => std::fs::rename(&draft, &self.path).map(|()| true),
        };
        // Gone already after a rename.
        let _ = std::fs::remove_file(&draft);
        saved
    }

    /// A file of another name beside this one that holds the key.
    fn new_draft(&self, key: &MasterKey) -> io::Result<PathBuf> {
        if let Some(folder) = self.path.parent() {
            create_private_folder(folder)?;
        }
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let draft = self
            .path
            .with_extension(format!("new-{:016x}", u64::from_ne_bytes(random)));
        write_draft(&draft, key).inspect_err(|_| {
            let _ = std::fs::remove_file(&draft);
        })?;
        Ok(draft)
    }

    /// A rename is on the disk when its folder is.
    #[cfg(unix)]
    fn sync_folder(&self) -> io::Result<()> {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    }

    /// Windows keeps renames in its journal, and has no such call.
    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as on unix")]
    fn sync_folder(&self) -> io::Result<()> {
        Ok(())
    }

    fn io(&self, source: io::Error) -> KeyFileError {
        KeyFileError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

fn write_draft(draft: &Path, key: &MasterKey) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(draft)?;
    let text = Zeroizing::new(STANDARD.encode(key.expose()));
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// Makes a folder, and those above it, which only its owner may enter. One that exists
/// stays as it is.
///
/// # Errors
/// What the system says when it cannot be made.
pub fn create_private_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(folder)
}

/// 32 bytes written as hexadecimal or as base64 of any common alphabet.
fn decode(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        return Some(bytes);
    }
    for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
        if let Ok(decoded) = engine.decode(text).map(Zeroizing::new)
            && decoded.len() == bytes.len()
        {
            bytes.copy_from_slice(&decoded);
            return Some(bytes);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(text: &str) -> Result<[u8; 32], KeyFileError> {
        MasterKey::from_secret_key(&text.into()).map(|key| *key.expose())
    }

    #[test]
    fn a_secret_key_is_hexadecimal_base64_or_a_passphrase() {
        let bytes: [u8; 32] = std::array::from_fn(|index| 255 - u8::try_from(index).unwrap());
        let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(key_of(&hex).unwrap(), bytes);
        for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
            assert_eq!(
                key_of(&format!(" {}\n", engine.encode(bytes))).unwrap(),
                bytes
            );
        }
        let passphrase = key_of("correct horse battery staple").unwrap();
        assert_eq!(key_of("correct horse battery staple").unwrap(), passphrase);
        assert_ne!(key_of("correct horse battery stapler").unwrap(), passphrase);
        assert!(matches!(key_of("short"), Err(KeyFileError::WeakSecretKey)));
    }

    #[test]
    fn the_first_start_makes_a_key_and_the_second_finds_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::in_folder(&folder.path().join("data"));
        let first = file.load_or_create().unwrap();
        let second = file.load_or_create().unwrap();
        assert_eq!(first.expose(), second.expose());
        assert!(
            !file.save_new(&MasterKey::random().unwrap()).unwrap(),
            "never replaced"
        );
        assert_eq!(file.load_or_create().unwrap().expose(), first.expose());
        let files = std::fs::read_dir(file.path().parent().unwrap())
            .unwrap()
            .count();
        assert_eq!(files, 1, "no draft is left behind");
    }

    #[test]
    fn a_replacement_takes_the_place_of_a_key_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::in_folder(folder.path());
        assert!(file.load().unwrap().is_none());
        let old = file.load_or_create().unwrap();
        let new = MasterKey::random().unwrap();
        file.replacement().save(&new).unwrap();
        assert_eq!(file.load().unwrap().unwrap().expose(), old.expose());
        file.replace().unwrap();
        assert_eq!(file.load().unwrap().unwrap().expose(), new.expose());
        file.replace().unwrap();
        file.replacement().remove().unwrap();
        assert_eq!(file.load().unwrap().unwrap().expose(), new.expose());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::in_folder(folder.path());
        let mut options = OpenOptions::new();
        options.write(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options
            .open(file.path())
            .unwrap()
            .write_all(b"oops")
            .unwrap();
        let error = file.load_or_create().unwrap_err();
        assert!(error.to_string().contains("backup"), "{error}");
        assert_eq!(std::fs::read(file.path()).unwrap(), b"oops");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_way_out() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::in_folder(folder.path());
        file.load_or_create().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(file.path()), 0o600);
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = file.load_or_create().unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}
