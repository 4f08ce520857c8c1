//! Files that only this user may read, written whole or not at all.

use std::io::{self, Write as _};
use std::path::Path;

/// Puts `bytes` in the file's place. Its folder is made when it does not exist.
///
/// # Errors
/// What the system says; then the old file is still there.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path
        .parent()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a file needs a folder"))?;
    vault::create_private_folder(folder)?;
    // Made with mode 0600.
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    draft.write_all(bytes)?;
    draft.as_file().sync_all()?;
    draft.persist(path).map(drop).map_err(|error| error.error)
}
