//! The key of tokens from its source. One that the server makes for itself when it is given none:
//! random, made once, kept in a file that only its owner reads.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::{KeySource, PublicKeys, Secret};

/// RFC 7518, 3.2: a key for HS256 has at least as many bits as the hash.
const STRONG: usize = 32;

/// What tokens are checked with.
#[derive(Debug, Clone)]
pub enum Key {
    /// They are signed with it too.
    Own(Secret),
    /// Others sign.
    Outside(PublicKeys),
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

/// The key from its source; a file is made when it is not there. Blocks, and says in the log what
/// was done.
///
/// # Errors
/// When the file can neither be read nor made, or holds no key.
pub fn load_key(source: KeySource) -> Result<Key, KeyError> {
    match source {
        KeySource::Given(secret) => {
            if secret.expose().len() < STRONG {
                tracing::warn!("JWT_SECRET has fewer than {STRONG} characters and can be guessed");
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
        KeySource::Outside(keys) => {
            for skipped in keys.skipped() {
                tracing::warn!("JWT_PUBLIC_KEY_FILE: {skipped}, and is not used");
            }
            Ok(Key::Outside(keys))
        }
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
    // Written whole under another name first, then linked, which fails when the name is taken: two
    // processes that start together end with the same key, and nobody reads half of one.
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
    if text.len() < STRONG {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it holds no key"));
    }
    if fs::metadata(file)?.permissions().mode() & 0o077 != 0 {
        tracing::warn!(file = %file.display(), "others could read the signing key; closed to them now");
        fs::set_permissions(file, Permissions::from_mode(0o600))?;
    }
    Ok(Some(Secret::from(text.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_is_its_owners_only() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("new/hubcast.jwt-secret");
        let load = || match load_key(KeySource::File(file.clone())) {
            Ok(Key::Own(secret)) => secret,
            other => panic!("{other:?}"),
        };
        let first = load();
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(load(), first);
        assert!(first.expose().len() >= STRONG);
        assert_eq!(fs::read_dir(directory.path().join("new")).expect("lists").count(), 1);
    }

    #[test]
    fn a_file_without_a_key_is_refused_and_a_readable_one_closed() {
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
