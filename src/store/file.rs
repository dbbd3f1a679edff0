//! SQLite's file: created if missing, readable by its owner only, and locked by the one server that
//! may run on it.
//!
//! The lock is on the file itself, so it holds under every name of the file. SQLite's `-wal` and
//! `-shm` files go by the name, so a file must have one: symbolic links are followed, and a second
//! name of another kind is refused. Others on this machine may neither read nor replace the files.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use diesel::connection::{Connection, SimpleConnection};
use diesel::sqlite::SqliteConnection;
use rustix::fs::{FlockOperation, flock};

use crate::config::{Synchronous, check_folder, keep_private, no_follow, not_opened, real_path};
use crate::store::OpenError;

/// How long a statement waits for another process (a command beside the server) to finish its
/// transaction.
const BUSY_TIMEOUT_MS: u32 = 5_000;

/// The size to which the WAL is cut when it begins anew: a long read can make it large.
const WAL_LIMIT: u32 = 16 << 20;

/// Creates folder and file if missing, and returns the file's one name. SQLite gives its own `-wal`
/// and `-shm` files the same permissions.
///
/// An existing file is not opened: to close it would release the locks that SQLite has on it in
/// this process (<https://www.sqlite.org/howtocorrupt.html>, section 2.2).
pub(super) fn create(path: &Path) -> Result<PathBuf, OpenError> {
    let path = real_path(path);
    let failed = |fault| OpenError::File(path.clone(), fault);
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|fault| OpenError::File(folder.into(), fault))?;
        check_folder(folder).map_err(OpenError::NotPrivate)?;
    }
    let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    match new {
        Err(fault) if fault.kind() != io::ErrorKind::AlreadyExists => return Err(failed(fault)),
        _ => {}
    }
    // The folder may have a link among its parents that led nowhere before.
    let path = path.canonicalize().map_err(failed)?;
    if has_other_names(&path).map_err(failed)? {
        return Err(OpenError::Named(path));
    }
    for file in ["", "-wal", "-shm", LOCK].map(|end| beside(&path, end)) {
        keep_private(&file).map_err(OpenError::NotPrivate)?;
    }
    Ok(path)
}

/// The end of the name of the lock's file.
const LOCK: &str = ".lock";

/// The file whose name is longer by `end`.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn has_other_names(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.nlink() > 1 || is_mount(path)?)
}

/// Returns true if the file is mounted by itself, as `docker run -v FILE:FILE` does. Kernels before
/// Linux 5.8 do not tell.
#[cfg(target_os = "linux")]
fn is_mount(path: &Path) -> io::Result<bool> {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let status = statx(CWD, path, AtFlags::empty(), StatxFlags::empty())?;
    Ok(status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(not(target_os = "linux"))]
fn is_mount(_: &Path) -> io::Result<bool> {
    Ok(false)
}

/// The lock of the running server. The kernel releases it when the process ends, however it ends.
/// It must outlive SQLite's connections, because it is a descriptor of the same file.
pub(super) struct ServerLock {
    file: File,
    /// The file that version 0.1 locked, by its name, so that it does not start beside this server.
    _by_name: File,
}

/// Locks the file, or fails if another server has locked it. Commands beside a server do not.
pub(super) fn lock(database: &Path) -> Result<ServerLock, OpenError> {
    let file = locked(database, database)?;
    let lock = ServerLock { file, _by_name: locked(&beside(database, LOCK), database)? };
    lock.check(database)?;
    Ok(lock)
}

fn locked(path: &Path, database: &Path) -> Result<File, OpenError> {
    let failed = |fault| OpenError::File(path.into(), fault);
    let mut open = OpenOptions::new();
    open.read(true).write(true).create(path != database).truncate(false).mode(0o600);
    let opened = open.custom_flags(no_follow()).open(path);
    let file = opened.map_err(|fault| OpenError::NotPrivate(not_opened(path, fault)))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::Locked(database.into())),
        Err(fault) => Err(failed(fault.into())),
    }
}

impl ServerLock {
    /// Fails if the path leads to another file than the locked one: another file was renamed to it
    /// meanwhile, by a restore for instance.
    pub(super) fn check(&self, database: &Path) -> Result<(), OpenError> {
        let id = |of: &fs::Metadata| (of.dev(), of.ino());
        let ids = self.file.metadata().and_then(|locked| Ok((locked, fs::metadata(database)?)));
        match ids {
            Ok((locked, named)) if id(&locked) == id(&named) => Ok(()),
            Ok(_) => Err(OpenError::Replaced(database.into())),
            Err(fault) => Err(OpenError::File(database.into(), fault)),
        }
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
         PRAGMA journal_size_limit={WAL_LIMIT}; PRAGMA synchronous={synchronous}; \
         PRAGMA foreign_keys=ON;"
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
