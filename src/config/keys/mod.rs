//! The public keys of another program that signs the tokens: JWT_PUBLIC_KEY_FILE, and the documents
//! at JWKS_URL, which `auth` fetches. The file is read while the settings are parsed, so a mistake
//! in it ends the start like any other bad setting.
//!
//! The key decides on its algorithms; a token never does. `pem.rs` and `jwks.rs` read the formats,
//! `kinds.rs` checks the keys.

mod jwks;
mod kinds;
mod pem;
mod urls;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey};

pub use kinds::algorithm_named;
pub use urls::{KeyUrl, KeyUrls};

/// The most bytes in a file or document.
pub const MAX_KEYS_TEXT: u64 = 1 << 20;
/// The most keys in a file, and of all documents together. A token without `kid` is tried against
/// each key of its algorithm.
pub const MAX_KEYS: usize = 100;

/// The keys to check tokens with: at least one, at most 100.
#[derive(Debug, Clone)]
pub struct PublicKeys {
    keys: Arc<[PublicKey]>,
    skipped: Vec<String>,
}

/// One key with its algorithms.
#[derive(Debug, Clone)]
pub struct PublicKey {
    /// The `kid` of a JWK or of a map of certificates; other keys have none.
    pub id: Option<String>,
    /// Those of its kind, or the only one that its JWK names. Never one of HMAC.
    pub algorithms: &'static [Algorithm],
    pub key: DecodingKey,
}

impl PublicKeys {
    /// Reads PEM, a JWKS, a JWK, or a map from key ids to certificates.
    ///
    /// # Errors
    /// No key can be used, there is a private key, or there are more than 100 keys. The text
    /// continues "the file …".
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > MAX_KEYS_TEXT {
            return Err("is larger than 1 MiB".into());
        }
        let text = text(bytes)?;
        let is_json = matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'['));
        let (keys, mut skipped) = if is_json { jwks::read(text) } else { pem::read(text) }?;
        match (keys.len(), skipped.len()) {
            (0, 0) => Err("holds no public key".into()),
            (0, 1) => Err(skipped.remove(0)),
            (0, _) => Err(format!("holds no key that can be used ({})", skipped.join("; "))),
            (1..=MAX_KEYS, _) => Ok(Self { keys: keys.into(), skipped }),
            _ => Err("holds more than 100 keys".into()),
        }
    }

    /// The keys, in the order of the file.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// The keys of the file that are not used: a line each, with the reason.
    #[must_use]
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }
}

/// The text of a file, without a byte order mark.
fn text(bytes: &[u8]) -> Result<&str, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|_| {
        let form = match bytes {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "is text in UTF-16; save it as UTF-8",
            [0x30, length, ..] if *length >= 0x80 => {
                "is DER, the binary form (`openssl pkey -pubin -inform der -in FILE` or `openssl \
                 x509 -inform der -in FILE` make PEM of it)"
            }
            _ => "is no text",
        };
        form.to_owned()
    })
}

/// Where the public keys are.
#[derive(Debug, Clone)]
pub enum PublicKeySource {
    /// JWT_PUBLIC_KEY_FILE.
    File(KeyFile),
    /// JWKS_URL, at least one.
    Urls(KeyUrls),
    /// JWT_ISSUER, whose OpenID configuration names the address.
    Issuer(String),
}

impl PublicKeySource {
    /// The setting that names the source.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        match self {
            Self::File(_) => "JWT_PUBLIC_KEY_FILE",
            Self::Urls(_) => "JWKS_URL",
            Self::Issuer(_) => "JWT_ISSUER",
        }
    }

    /// The keys that are known at the start: those of a file.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        match self {
            Self::File(file) => file.keys().keys(),
            Self::Urls(_) | Self::Issuer(_) => &[],
        }
    }
}

/// The file of JWT_PUBLIC_KEY_FILE, as it was when the settings were read.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
    /// What the keys were read from.
    bytes: Arc<[u8]>,
    keys: PublicKeys,
}

impl KeyFile {
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[must_use]
    pub fn keys(&self) -> &PublicKeys {
        &self.keys
    }

    /// Reads the file again: `None` if it has not changed since `last`.
    ///
    /// # Errors
    /// As from the start. The text begins with the path.
    pub fn read_again(&self, last: &mut Arc<[u8]>) -> Option<Result<PublicKeys, String>> {
        let bytes = match read(&self.path) {
            Ok(bytes) if bytes == **last => return None,
            Ok(bytes) => bytes,
            Err(why) => return Some(Err(why)),
        };
        *last = bytes.into();
        Some(PublicKeys::parse(last).map_err(|why| refusal(&self.path, &why)))
    }

    /// What the keys were read from.
    #[must_use]
    pub fn bytes(&self) -> Arc<[u8]> {
        Arc::clone(&self.bytes)
    }
}

impl FromStr for KeyFile {
    type Err = String;

    fn from_str(path: &str) -> Result<Self, String> {
        if path.contains("-----BEGIN") || path.contains('\n') {
            return Err("is the path of a file, and not the key itself".into());
        }
        let path = PathBuf::from(path);
        let bytes = read(&path)?;
        let keys = PublicKeys::parse(&bytes).map_err(|why| refusal(&path, &why))?;
        Ok(Self { path, bytes: bytes.into(), keys })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_KEYS_TEXT + 1).read_to_end(&mut bytes))
        .map_err(|fault| refusal(path, &fault.to_string()))?;
    Ok(bytes)
}

fn refusal(path: &Path, why: &str) -> String {
    let path = path.display();
    format!("{path}: {why}; name a PEM file of a public key or a certificate, or a JWKS file")
}

/// The usable keys of a file, and a line about each other key.
type KeysAndSkipped = (Vec<PublicKey>, Vec<String>);

/// The refusal of a private key: only the program that signs may have one.
const PRIVATE: &str = "holds a private key, which is no business of this server (`openssl pkey \
                       -in KEY.pem -pubout` makes the public one)";
const PRIVATE_ENCRYPTED: &str = "holds an encrypted private key, which is no business of this \
                                 server (`openssl pkey -in KEY.pem -pubout` makes the public one)";

#[cfg(test)]
mod tests;
