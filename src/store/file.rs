//! SQLite's file: created if missing, readable by its owner only, and locked by the one server that
//! may run on it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use diesel::connection::{Connection, SimpleConnection};
use diesel::sqlite::SqliteConnection;
use rustix::fs::{FlockOperation, flock};

use crate::config::Synchronous;
use crate::store::OpenError;

/// How long a statement waits for another process (a command beside the server) to finish its
/// transaction.
const BUSY_TIMEOUT_MS: u32 = 5_000;

/// Creates folder and file if missing. SQLite gives its own `-wal` and `-shm` files the same
/// permissions.
pub(super) fn create(path: &Path) -> Result<PathBuf, OpenError> {
    // Absolute, so that a name such as `file:x` is not parsed as a URI.
    let path = std::path::absolute(path).map_err(|fault| OpenError::File(path.into(), fault))?;
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|fault| OpenError::File(folder.into(), fault))?;
    }
    private_file(&path).map_err(|fault| OpenError::File(path.clone(), fault))?;
    Ok(path)
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// The lock of the running server. The kernel releases it when the process ends, however it ends.
pub(super) struct ServerLock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Takes the lock beside the file (`hubcast.db.lock`), or fails if another server has it. Commands
/// beside a server do not take it.
pub(super) fn lock(database: &Path) -> Result<ServerLock, OpenError> {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let file = private_file(&path).map_err(|fault| OpenError::File(path.clone(), fault))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(ServerLock(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::Locked(database.into())),
        Err(fault) => Err(OpenError::File(path, fault.into())),
    }
}

/// Connects with the settings of every connection. `wal_autocheckpoint` keeps its default:
/// checkpoints by a second connection let the WAL grow without end.
pub(super) fn connect(
    path: &Path,
    synchronous: Synchronous,
) -> Result<SqliteConnection, OpenError> {
    let Some(text) = path.to_str() else {
        return Err(OpenError::File(
            path.into(),
            io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8"),
        ));
    };
    let mut conn = SqliteConnection::establish(text).map_err(OpenError::database)?;
    let synchronous = match synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    };
    // The busy timeout first: the change to WAL needs a moment alone.
    conn.batch_execute(&format!(
        "PRAGMA busy_timeout={BUSY_TIMEOUT_MS}; PRAGMA journal_mode=WAL; \
         PRAGMA synchronous={synchronous}; PRAGMA foreign_keys=ON;"
    ))
    .map_err(OpenError::database)?;
    Ok(conn)
}

/// Like [`connect`], for a reader.
pub(super) fn connect_read_only(
    path: &Path,
    synchronous: Synchronous,
) -> Result<SqliteConnection, OpenError> {
    let mut conn = connect(path, synchronous)?;
    conn.batch_execute("PRAGMA query_only=ON;").map_err(OpenError::database)?;
    Ok(conn)
}
