//! Loads the key of tokens from its source. Without a configured key, the server makes a random one
//! once and keeps it in a file that only its owner can read.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::{KeySource, MIN_SECRET, PublicKeySource, PublicKeys, Secret};

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
        KeySource::File(file) => match read_or_make(&file) {
            Ok((secret, made)) => {
                let done = if made {
                    "made a random signing key"
                } else {
                    "using the random signing key made earlier"
                };
                tracing::info!(file = %file.display(), "JWT_SECRET is not set: {done}");
                Ok(Key::Own(secret))
            }
            Err(error) => Err(KeyError::File { file, error }),
        },
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

fn read_or_make(file: &Path) -> io::Result<(Secret, bool)> {
    if let Some(secret) = read(file)? {
        return Ok((secret, false));
    }
    let secret = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    if let Some(directory) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    // Written under another name first, then linked, which fails if the name exists: two processes
    // that start together use the same key, and none reads half a file.
    let draft = file.with_extension(format!("{}.draft", std::process::id()));
    let mut out =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    let linked = out
        .write_all(secret.as_bytes())
        .and_then(|()| out.sync_all())
        .and_then(|()| fs::hard_link(&draft, file));
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok((Secret::from(secret), true)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let secret = read(file)?.ok_or(io::ErrorKind::NotFound)?;
            Ok((secret, false))
        }
        Err(error) => Err(error),
    }
}

fn read(file: &Path) -> io::Result<Option<Secret>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let text = text.trim();
    if text.len() < MIN_SECRET {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it holds no key"));
    }
    if fs::metadata(file)?.permissions().mode() & 0o077 != 0 {
        tracing::warn!(
            file = %file.display(),
            "other users could read the signing key; its permissions are now 0600"
        );
        fs::set_permissions(file, Permissions::from_mode(0o600))?;
    }
    Ok(Some(Secret::from(text.to_owned())))
}

#[cfg(test)]
mod tests {
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
}
