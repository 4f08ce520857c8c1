use std::path::{Path, PathBuf};

/// Why the database cannot be used. Each says which file, and the way out.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder of the file cannot be made.
    #[error(
        "cannot make the data folder {}: {what}. Choose another one with DATA_DIR", path.display()
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        what: String,
    },
    /// The system does not let this user open the file.
    #[error(
        "no permission to use the database {}: make it and its folder readable and writable \
         for the user that runs this program, or choose another folder with DATA_DIR", .0.display()
    )]
    Denied(PathBuf),
    /// The file or its folder cannot be written.
    #[error(
        "the database {} cannot be written: make it and its folder writable for the user that \
         runs this program (a container needs a writable volume), or choose another folder \
         with DATA_DIR", .0.display()
    )]
    ReadOnly(PathBuf),
    /// The file is no database, or a damaged one.
    #[error(
        "the database {} is damaged, or is another kind of file. It was left as it is: put a \
         backup in its place, or move it (with its -wal and -shm files) away to begin with an \
         empty one", .0.display()
    )]
    Damaged(PathBuf),
    /// Another program's database.
    #[error(
        "the database {} belongs to another program, so it was left as it is. Choose another \
         folder with DATA_DIR", .0.display()
    )]
    Foreign(PathBuf),
    /// Made by a newer version of this program.
    #[error(
        "the database {} was made by a newer version of Gemini Balance, so it was left as it \
         is. Start that version or a later one, or choose another folder with DATA_DIR", .0.display()
    )]
    Newer(PathBuf),
    /// The secrets in it were sealed with another master key.
    #[error(
        "the keys in the database {} were sealed with another master key. Put back the \
         SECRET_KEY (or the file master.key, or the keychain entry) that was used before; if \
         it is lost, move the database away and enter your Gemini keys again", .0.display()
    )]
    OtherMasterKey(PathBuf),
    /// Another process holds the write lock.
    #[error(
        "the database {} is held by another program. Stop the other Gemini Balance (or the \
         backup) that uses it, or choose another folder with DATA_DIR", .0.display()
    )]
    Busy(PathBuf),
    /// No space left.
    #[error("there is no space left for the database {}: free some, then it goes on", .0.display())]
    Full(PathBuf),
    /// The thing to change came from the environment.
    #[error("{0}")]
    FromEnvironment(&'static str),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandom,
    /// Anything else.
    #[error("the database {} failed: {what}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What the database said.
        what: String,
    },
}

impl StoreError {
    /// What `error` means for the database at `path`.
    pub(super) fn of(path: &Path, error: sqlx::Error) -> Self {
        let owned = path.to_path_buf();
        let code = match &error {
            sqlx::Error::Database(error) => error.code().and_then(|code| code.parse::<u32>().ok()),
            _ => None,
        };
        // The low byte is the primary result code (https://sqlite.org/rescode.html).
        match code.map(|code| code & 0xff) {
            Some(5 | 6) => Self::Busy(owned),
            Some(8) => Self::ReadOnly(owned),
            Some(11 | 26) => Self::Damaged(owned),
            Some(13) => Self::Full(owned),
            Some(3 | 14 | 23) => Self::Denied(owned),
            _ => Self::Failed {
                path: owned,
                what: error.to_string(),
            },
        }
    }
}
