//! What a database error means to a caller: the only place that translates and logs them.

use std::fmt;
use std::io;
use std::path::PathBuf;

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error as DieselError};
use hubcast_realtime::throttled;

use crate::config::NotPrivate;
use crate::error::Error;

/// The message when the database is temporarily unavailable.
pub(super) const BUSY: &str = "The database is busy, try again";
/// The message when the server is shutting down.
pub(super) const CLOSING: &str = "The server is shutting down";

/// Returns true if a unique column already has that value. The caller knows which column:
/// constraint names differ between databases and are not inspected.
#[must_use]
pub fn is_taken(error: &DieselError) -> bool {
    matches!(error, DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _))
}

/// Returns true if a referenced row does not exist.
#[must_use]
pub fn is_missing_reference(error: &DieselError) -> bool {
    matches!(error, DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _))
}

/// The message when the database does not answer in time.
pub(super) const NO_ANSWER: &str = "The database does not answer";
/// The message when another process holds SQLite's write lock.
pub(super) const LOCKED: &str = "The database is locked by another process";
/// The message when writes are refused: a standby, a read-only file system.
pub const READ_ONLY: &str = "The database is read-only";
/// The message when the disk has no room.
pub(super) const DISK_FULL: &str = "The disk of the database is full";
/// The message when writes fail for another reason.
pub(super) const NO_WRITES: &str = "The database takes no writes";
/// The message when a write's COMMIT was sent and no answer came.
pub(super) const UNCONFIRMED: &str =
    "The database went away before it confirmed; the change may have been made";

/// Texts of SQLite's temporary errors, which diesel does not classify (SQLITE_BUSY, SQLITE_LOCKED,
/// SQLITE_FULL, SQLITE_IOERR, SQLITE_READONLY), and what they mean for `/readyz`.
const TEMPORARY_SQLITE: [(&str, &str); 5] = [
    ("database is locked", LOCKED),
    ("database table is locked", LOCKED),
    ("database or disk is full", DISK_FULL),
    ("disk I/O error", "The disk of the database fails"),
    ("attempt to write a readonly database", READ_ONLY),
];

/// What a failed write on SQLite means, in words for `/readyz`.
pub(super) fn sqlite_problem(error: &DieselError) -> &'static str {
    let DieselError::DatabaseError(_, information) = error else { return NO_WRITES };
    TEMPORARY_SQLITE
        .into_iter()
        .find(|(text, _)| *text == information.message())
        .map_or(NO_WRITES, |(_, problem)| problem)
}

fn is_temporary(error: &DieselError) -> bool {
    match error {
        DieselError::BrokenTransactionManager => true,
        DieselError::DatabaseError(kind, information) => match kind {
            DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::SerializationFailure => true,
            // A standby that will be promoted, or a disk that is nearly full.
            DatabaseErrorKind::ReadOnlyTransaction => true,
            DatabaseErrorKind::Unknown => {
                TEMPORARY_SQLITE.iter().any(|(text, _)| *text == information.message())
                    || is_deadlock(information.as_ref())
                    || is_disk_full(information.as_ref())
            }
            _ => false,
        },
        _ => false,
    }
}

/// Detects PostgreSQL's "deadlock detected". diesel gives it no kind and no SQLSTATE, and the
/// server may use any language; but its details have one line per process, each with the numbers of
/// two processes and of the lock.
fn is_deadlock(information: &dyn DatabaseErrorInformation) -> bool {
    let numbers = |line: &str| {
        line.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty()).count()
    };
    let waits = |details: &str| {
        details.lines().count() > 1 && details.lines().all(|line| numbers(line) > 2)
    };
    information.hint().is_some() && information.details().is_some_and(waits)
}

/// Detects that PostgreSQL cannot extend a file of a table, which it tells with a hint. Like a
/// deadlock, this has no kind and any language; but the file has its name.
pub(super) fn is_disk_full(information: &dyn DatabaseErrorInformation) -> bool {
    let names = |folder: &str| information.message().contains(folder);
    information.hint().is_some() && (names("base/") || names("pg_tblspc/"))
}

/// The default translation: a temporary failure is `Unavailable`, everything else is `Internal`.
/// Both are logged here and nowhere else, one that repeats now and then. A caller with a better
/// answer (a taken e-mail, a missing customer) asks [`is_taken`] or [`is_missing_reference`] first.
impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        if is_temporary(&error) {
            throttled!(warn, by = error.to_string(), %error, "database unavailable");
            Self::Unavailable(BUSY)
        } else {
            throttled!(error, by = error.to_string(), %error, "database error");
            Self::Internal
        }
    }
}

/// Why the database could not be opened; displayed as one line for the operator.
#[derive(Debug)]
pub enum OpenError {
    /// Another server runs on this SQLite file.
    Locked(PathBuf),
    /// The SQLite file has more than one name.
    Named(PathBuf),
    /// The path leads to another file than when it was locked.
    Replaced(PathBuf),
    /// Migrations are pending, and were not to be run.
    SchemaBehind,
    /// Another process migrates, or has left a lock. The process of PostgreSQL that holds it, if
    /// it can be seen.
    Migrating(Option<i32>),
    /// The database takes no writes now; a server waits until it does.
    ReadOnly,
    /// A pooler gives each transaction another connection, and loses prepared statements. What
    /// PostgreSQL said.
    Pooler(String),
    /// Others on this machine could read or replace the file.
    NotPrivate(NotPrivate),
    /// The file, its folder or a thread could not be created or opened.
    File(PathBuf, io::Error),
    /// The database refused.
    Database(String),
}

impl OpenError {
    pub(super) fn database(fault: impl fmt::Display) -> Self {
        Self::Database(fault.to_string())
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked(path) => write!(f, "another server is running on {}", path.display()),
            Self::Named(path) => write!(
                f,
                "{} has more than one name (a hard link, or a mount of this file alone); SQLite \
                 keeps a part of the database in files beside the name by which it is opened, so \
                 leave one name, and mount folders",
                path.display()
            ),
            Self::Replaced(path) => {
                write!(f, "{} was replaced while it was being opened", path.display())
            }
            Self::SchemaBehind => f.write_str(
                "the database's schema is behind; run `hubcast migrate`, or start the server \
                 without --no-migrate",
            ),
            Self::Migrating(holder) => {
                f.write_str("the database is being migrated by another process, ")?;
                match holder {
                    Some(pid) => write!(
                        f,
                        "PostgreSQL's process {pid}, and this one has waited long enough; if \
                         nothing migrates, end it with SELECT pg_terminate_backend({pid})"
                    ),
                    None => f.write_str("and this one has waited long enough; start it again"),
                }
            }
            Self::ReadOnly => write!(f, "{READ_ONLY}"),
            Self::Pooler(fault) => write!(
                f,
                "DATABASE_URL leads through a pooler in transaction mode that loses prepared \
                 statements ({fault}); set pool_mode=session there, or max_prepared_statements \
                 (PgBouncer 1.21 and later), or connect to PostgreSQL itself"
            ),
            Self::NotPrivate(fault) => write!(f, "{fault}"),
            Self::File(path, fault) => write!(f, "{}: {fault}", path.display()),
            Self::Database(text) => write!(f, "database: {text}"),
        }
    }
}

impl std::error::Error for OpenError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(kind: DatabaseErrorKind, text: &str) -> DieselError {
        DieselError::DatabaseError(kind, Box::new(text.to_owned()))
    }

    /// What PostgreSQL says when a table cannot grow.
    struct CannotExtend;

    impl DatabaseErrorInformation for CannotExtend {
        fn message(&self) -> &'static str {
            "could not extend file \"base/16388/16421\": No space left on device"
        }

        fn hint(&self) -> Option<&str> {
            Some("Check free disk space.")
        }

        fn details(&self) -> Option<&str> {
            None
        }

        fn table_name(&self) -> Option<&str> {
            None
        }

        fn column_name(&self) -> Option<&str> {
            None
        }

        fn constraint_name(&self) -> Option<&str> {
            None
        }

        fn statement_position(&self) -> Option<i32> {
            None
        }
    }

    #[test]
    fn temporary_errors_are_unavailable_and_others_internal() {
        for error in [
            database(DatabaseErrorKind::Unknown, "database is locked"),
            database(DatabaseErrorKind::Unknown, "database or disk is full"),
            database(DatabaseErrorKind::Unknown, "attempt to write a readonly database"),
            DieselError::DatabaseError(DatabaseErrorKind::Unknown, Box::new(CannotExtend)),
            database(DatabaseErrorKind::ClosedConnection, "gone"),
            database(DatabaseErrorKind::SerializationFailure, "again"),
        ] {
            assert_eq!(Error::from(error), Error::Unavailable(BUSY));
        }
        for error in [
            DieselError::NotFound,
            database(DatabaseErrorKind::Unknown, "no such table: x"),
            database(DatabaseErrorKind::UniqueViolation, "u"),
        ] {
            assert_eq!(Error::from(error), Error::Internal);
        }
    }
}
