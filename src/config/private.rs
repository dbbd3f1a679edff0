//! Files that only this server may read and change: the database, its secret, its lock. Others on
//! this machine must not have made them, replace them or read them.

use std::fmt;
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The mode bits of all users but the owner.
const OTHERS: u32 = 0o077;
/// The mode bit of a folder in which everyone may make and remove files.
const WORLD_WRITABLE: u32 = 0o002;
/// The mode bit by which only their owners may remove them.
const STICKY: u32 = 0o1000;

/// Why a file or a folder is not used, and how to mend it.
#[derive(Debug)]
pub enum NotPrivate {
    /// Everyone may remove and replace the files in the folder.
    OpenFolder(PathBuf),
    /// Another user owns the file: it may have been planted, and its owner can change it.
    Foreign {
        file: PathBuf,
        owner: u32,
        own: u32,
    },
    /// A link, a folder or a device stands where the file should be.
    NoFile(PathBuf),
    /// Other users can read the file, and its mode cannot be changed.
    Readable {
        file: PathBuf,
        mode: u32,
        error: io::Error,
    },
    Io(PathBuf, io::Error),
}

impl fmt::Display for NotPrivate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenFolder(folder) => {
                let folder = folder.display();
                write!(
                    f,
                    "the folder {folder} is open to every user of this machine, who could replace \
                     the files in it; `chmod o-w {folder}` mends that"
                )
            }
            Self::Foreign { file, owner, own } => {
                let file = file.display();
                write!(
                    f,
                    "{file} belongs to the user {owner}, who could have put it there, and not to \
                     the server's user {own}; if it is yours, `chown {own} {file}` mends that, \
                     otherwise remove it"
                )
            }
            Self::NoFile(file) => write!(
                f,
                "{} is a link or no file at all, and is not followed; remove it",
                file.display()
            ),
            Self::Readable { file, mode, error } => {
                let file = file.display();
                write!(
                    f,
                    "other users can read {file} (mode {mode:04o}), and its mode cannot be changed \
                     ({error}); `chmod 600 {file}` as its owner mends that"
                )
            }
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for NotPrivate {}

/// Checks the folder of private files. Warns if another user owns it, who could replace them: a
/// container often has the folder of a user outside.
///
/// # Errors
/// [`NotPrivate::OpenFolder`]
pub fn check_folder(folder: &Path) -> Result<(), NotPrivate> {
    let found = fs::metadata(folder).map_err(|error| NotPrivate::Io(folder.into(), error))?;
    if found.mode() & WORLD_WRITABLE != 0 && found.mode() & STICKY == 0 {
        return Err(NotPrivate::OpenFolder(folder.into()));
    }
    let own = own_user();
    if ![own, ROOT].contains(&found.uid()) {
        tracing::warn!(
            folder = %folder.display(), owner = found.uid(), own,
            "the folder belongs to another user, who can replace the server's files; chown mends \
             that"
        );
    }
    Ok(())
}

/// Checks a private file if it exists, and takes the rights of other users away. The file is not
/// opened.
///
/// # Errors
/// It is a link, its owner is neither the server's user nor the folder's owner, or other users
/// can read it and its mode cannot be changed.
pub fn keep_private(file: &Path) -> Result<(), NotPrivate> {
    let failed = |error| NotPrivate::Io(file.into(), error);
    let found = match fs::symlink_metadata(file) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let folder = file.parent().map(fs::metadata).transpose().map_err(failed)?;
    let owners = [own_user(), folder.map_or(ROOT, |folder| folder.uid())];
    check_file(file, &found, &owners)?;
    let mode = found.mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    fs::set_permissions(file, Permissions::from_mode(0o600))
        .map_err(|error| NotPrivate::Readable { file: file.into(), mode, error })?;
    warn_of_mode(file, mode);
    Ok(())
}

/// Checks an open file, which has to be the server's own, and takes the rights of other users away.
///
/// # Errors
/// As [`keep_private`].
pub fn keep_own(file: &Path, opened: &fs::File) -> Result<(), NotPrivate> {
    let found = opened.metadata().map_err(|error| NotPrivate::Io(file.into(), error))?;
    check_file(file, &found, &[own_user()])?;
    let mode = found.mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    opened
        .set_permissions(Permissions::from_mode(0o600))
        .map_err(|error| NotPrivate::Readable { file: file.into(), mode, error })?;
    warn_of_mode(file, mode);
    Ok(())
}

/// The flag with which a private file is opened: a link in its place is an error.
#[must_use]
pub fn no_follow() -> i32 {
    // A pipe in the file's place does not hold up the start either.
    (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits().cast_signed()
}

/// The error of opening a file with [`no_follow`].
#[must_use]
pub fn not_opened(file: &Path, error: io::Error) -> NotPrivate {
    if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        NotPrivate::NoFile(file.into())
    } else {
        NotPrivate::Io(file.into(), error)
    }
}

const ROOT: u32 = 0;

fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn check_file(file: &Path, found: &Metadata, owners: &[u32]) -> Result<(), NotPrivate> {
    if !found.is_file() {
        return Err(NotPrivate::NoFile(file.into()));
    }
    if !owners.contains(&found.uid()) {
        let (owner, own) = (found.uid(), own_user());
        return Err(NotPrivate::Foreign { file: file.into(), owner, own });
    }
    Ok(())
}

fn warn_of_mode(file: &Path, mode: u32) {
    tracing::warn!(
        file = %file.display(),
        before = format!("{mode:04o}"),
        "other users could read the file; its mode is now 0600"
    );
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("sets the mode");
    }

    #[test]
    fn a_folder_that_everyone_may_change_is_refused_unless_it_is_sticky() {
        let folder = tempfile::tempdir().expect("a folder");
        mode(folder.path(), 0o777);
        let refused = check_folder(folder.path()).expect_err("refused").to_string();
        assert!(refused.contains("chmod o-w"), "{refused}");
        for good in [0o1777, 0o775, 0o700] {
            mode(folder.path(), good);
            assert!(check_folder(folder.path()).is_ok(), "{good:o}");
        }
    }

    #[test]
    fn the_mode_of_a_file_is_mended_and_a_link_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        assert!(keep_private(&file).is_ok(), "it is still to be made");
        fs::write(&file, "").expect("writes");
        symlink(&file, &link).expect("links");
        mode(&file, 0o644);
        assert!(matches!(keep_private(&link), Err(NotPrivate::NoFile(_))));
        assert!(keep_private(&file).is_ok());
        assert_eq!(fs::metadata(&file).expect("is there").mode() & 0o7777, 0o600);
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("writes");
        if own_user() != ROOT {
            return;
        }
        chown(&file, Some(12_345), None).expect("root may");
        assert!(matches!(keep_private(&file), Err(NotPrivate::Foreign { owner: 12_345, .. })));
        let opened = fs::File::open(&file).expect("root may");
        assert!(keep_own(&file, &opened).is_err());
        // Whoever owns the folder owns what is in it.
        chown(folder.path(), Some(12_345), None).expect("root may");
        assert!(keep_private(&file).is_ok());
        assert!(keep_own(&file, &opened).is_err());
    }
}
