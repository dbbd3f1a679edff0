//! Loads the key of tokens from its source. Without a configured key, the server makes a random one
//! once and keeps it in a file that only its owner can read.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::{
    KeySource, MIN_SECRET, NotPrivate, PublicKeySource, PublicKeys, Secret, check_folder, keep_own,
    no_follow, not_opened,
};

/// The most bytes of the file of the random secret that are read.
const MOST: u64 = 4096;

/// The key that tokens are checked with.
#[derive(Debug, Clone)]
pub enum Key {
    /// A secret that also signs.
    Own(Secret),
    /// Public keys; another program signs.
    Outside(PublicKeySource),
}

/// Why there is no key to sign or check tokens with.
#[derive(Debug)]
pub enum KeyError {
    /// The file of the random secret can be neither read nor written.
    File { file: PathBuf, error: io::Error },
    /// Others on this machine could know the secret, or have put it there.
    NotPrivate(NotPrivate),
    /// The secret has no characters: anyone could sign with it.
    Empty,
}

impl std::fmt::Display for KeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { file, error } => write!(
                f,
                "the signing key in {} cannot be used: {error}; set JWT_SECRET or mend the file",
                file.display()
            ),
            Self::NotPrivate(fault) => write!(f, "the signing key cannot be used: {fault}"),
            Self::Empty => f.write_str("the signing key is empty; set JWT_SECRET"),
        }
    }
}

impl std::error::Error for KeyError {}

/// Loads the key, and makes the file of the random secret if it is missing. Blocks, and logs the
/// source.
pub fn load_key(source: KeySource) -> Result<Key, KeyError> {
    match source {
        KeySource::Setting(secret) => {
            if secret.expose().len() < MIN_SECRET {
                tracing::warn!(
                    "JWT_SECRET has fewer than {MIN_SECRET} bytes and can be guessed; production \
                     refuses it"
                );
            }
            Ok(Key::Own(secret))
        }
        KeySource::File(file) => {
            let (secret, made) = read_or_make(&file)?;
            let done = if made {
                "made a random signing key"
            } else {
                "using the random signing key made earlier"
            };
            tracing::info!(file = %file.display(), "JWT_SECRET is not set: {done}");
            Ok(Key::Own(secret))
        }
        KeySource::Outside(source) => {
            if let PublicKeySource::File(file) = &source {
                warn_of_skipped(source.setting(), file.keys());
            }
            Ok(Key::Outside(source))
        }
    }
}

/// Logs the keys of `name` that are left out.
pub(super) fn warn_of_skipped(name: &str, keys: &PublicKeys) {
    for skipped in keys.skipped() {
        tracing::warn!("{name}: {skipped}, and is not used");
    }
}

fn read_or_make(file: &Path) -> Result<(Secret, bool), KeyError> {
    let failed = |error| KeyError::File { file: file.into(), error };
    if let Some(secret) = read(file)? {
        return Ok((secret, false));
    }
    let secret = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    if let Some(folder) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        check_folder(folder).map_err(KeyError::NotPrivate)?;
    }
    if make(file, &secret).map_err(failed)? {
        return Ok((Secret::from(secret), true));
    }
    let secret = read(file)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    Ok((secret, false))
}

/// Returns false if the file exists. It is written under another name first, then linked, which
/// fails if the name exists: two processes that start together use the same key, and none reads
/// half a file.
fn make(file: &Path, secret: &str) -> io::Result<bool> {
    let draft = file.with_extension(format!("{}.draft", std::process::id()));
    // Of a process that was killed. A missing one is as good.
    let _ = fs::remove_file(&draft);
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let linked = out
        .write_all(secret.as_bytes())
        .and_then(|()| out.sync_all())
        .and_then(|()| fs::hard_link(&draft, file));
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn read(file: &Path) -> Result<Option<Secret>, KeyError> {
    let mut opened = match OpenOptions::new().read(true).custom_flags(no_follow()).open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(KeyError::NotPrivate(not_opened(file, error))),
    };
    if let Some(folder) = file.parent() {
        check_folder(folder).map_err(KeyError::NotPrivate)?;
    }
    keep_own(file, &opened).map_err(KeyError::NotPrivate)?;
    let failed = |error| KeyError::File { file: file.into(), error };
    let mut text = String::new();
    (&mut opened).take(MOST).read_to_string(&mut text).map_err(failed)?;
    let text = text.trim();
    if text.len() < MIN_SECRET {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it holds no key")));
    }
    Ok(Some(Secret::from(text.to_owned())))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn the_key_is_made_once_and_only_its_owner_can_read_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("new/hubcast.jwt-secret");
        let load = || match load_key(KeySource::File(file.clone())) {
            Ok(Key::Own(secret)) => secret,
            other => panic!("{other:?}"),
        };
        let first = load();
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(load(), first);
        assert!(first.expose().len() >= MIN_SECRET);
        assert_eq!(fs::read_dir(directory.path().join("new")).expect("lists").count(), 1);
    }

    #[test]
    fn a_file_without_a_key_is_refused_and_loose_permissions_are_tightened() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("hubcast.jwt-secret");
        fs::write(&file, "").expect("writes");
        assert!(load_key(KeySource::File(file.clone())).is_err());
        fs::write(&file, "0123456789012345678901234567890123456789").expect("writes");
        fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("sets");
        assert!(load_key(KeySource::File(file.clone())).is_ok());
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_key_that_others_could_have_put_there_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("a.jwt-secret"), folder.path().join("b.jwt-secret"));
        let refused = |file: &Path| match load_key(KeySource::File(file.to_owned())) {
            Err(fault @ KeyError::NotPrivate(_)) => fault.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(load_key(KeySource::File(file.clone())).is_ok());
        symlink(&file, &link).expect("links");
        assert!(refused(&link).contains("is a link"));
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("sets");
        assert!(refused(&file).contains("`chmod o-w"));
        fs::remove_file(&file).expect("removes");
        assert!(refused(&file).contains("`chmod o-w"), "none is made either");
    }
}
