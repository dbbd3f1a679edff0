//! TLS_CERT_FILE and TLS_KEY_FILE: the server's certificate. The files are read while the settings
//! are parsed, so a mistake in them ends the start like any other bad setting.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use clap::Args;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};

use super::BadSetting;

/// The only protocol within TLS. A client that offers others only is refused.
const ALPN: &[u8] = b"http/1.1";

/// TLS to clients: both settings or neither.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsSettings {
    /// PEM file with the server's certificate, followed by the intermediate certificates up to its
    /// root. With TLS_KEY_FILE, the port serves https and wss (TLS 1.2 or 1.3) instead of http and
    /// ws. Read again within 5 s of a change [default: none]
    #[arg(long = "tls-cert-file", env = "TLS_CERT_FILE", value_name = "PATH")]
    pub certificate: Option<Certificate>,
    /// PEM file with the certificate's private key, not encrypted. Read again within 5 s of a
    /// change [default: none]
    #[arg(long = "tls-key-file", env = "TLS_KEY_FILE", value_name = "PATH")]
    pub key: Option<Key>,
}

/// The server's certificate, then the intermediate ones; at least one.
#[derive(Debug, Clone)]
pub struct Certificate {
    path: PathBuf,
    chain: Vec<CertificateDer<'static>>,
}

/// A private key. `Debug` does not print it.
#[derive(Clone)]
pub struct Key {
    path: PathBuf,
    key: Arc<dyn SigningKey>,
}

/// TLS to clients.
#[derive(Debug)]
pub struct ServerTls {
    pub config: Arc<ServerConfig>,
    pub files: Arc<TlsFiles>,
}

/// The certificate and the key that new connections get. `Debug` does not print them.
pub struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl TlsSettings {
    /// TLS for clients, or `None` for plain http.
    ///
    /// # Errors
    /// One setting without the other, or a key that does not belong to the certificate.
    pub fn server(&self) -> Result<Option<ServerTls>, BadSetting> {
        let bad = |setting, mend: &str| Err(BadSetting { setting, mend: mend.to_owned() });
        let files = match (&self.certificate, &self.key) {
            (None, None) => return Ok(None),
            (Some(_), None) => {
                return bad(
                    "TLS_KEY_FILE",
                    "has to be set with TLS_CERT_FILE; name a PEM file of the certificate's \
                     private key",
                );
            }
            (None, Some(_)) => {
                return bad(
                    "TLS_CERT_FILE",
                    "has to be set with TLS_KEY_FILE; name a PEM file of the key's certificate",
                );
            }
            (Some(certificate), Some(key)) => TlsFiles::new(certificate, key),
        };
        let files = match files {
            Ok(files) => Arc::new(files),
            Err(why) => return bad("TLS_KEY_FILE", why),
        };
        let versions = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions();
        // Cannot fail: the provider has suites for both versions.
        let Ok(versions) = versions else {
            return bad("TLS_CERT_FILE", "cannot be used: this build has no version of TLS");
        };
        let mut config = versions
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&files) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Some(ServerTls { config: Arc::new(config), files }))
    }
}

fn pair(certificate: &Certificate, key: &Key) -> Result<Arc<CertifiedKey>, &'static str> {
    let pair = CertifiedKey::new(certificate.chain.clone(), Arc::clone(&key.key));
    if pair.keys_match().is_err() {
        return Err("is not the key of the first certificate in TLS_CERT_FILE; name the one that \
                    it was made for");
    }
    Ok(Arc::new(pair))
}

impl TlsFiles {
    fn new(certificate: &Certificate, key: &Key) -> Result<Self, &'static str> {
        let current = RwLock::new(pair(certificate, key)?);
        Ok(Self { certificate: certificate.path.clone(), key: key.path.clone(), current })
    }

    fn current(&self) -> Arc<CertifiedKey> {
        // The lock is never held where something can panic.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again, and returns true if the certificate has changed. New connections get
    /// it; the others keep the one that they have.
    ///
    /// # Errors
    /// The files cannot be used together. What was read before stays in use.
    pub fn read_again(&self) -> Result<bool, String> {
        let certificate = Certificate::from_file(self.certificate.clone())
            .map_err(|why| format!("TLS_CERT_FILE: {why}"))?;
        if certificate.chain == self.current().cert {
            return Ok(false);
        }
        let key = Key::from_file(self.key.clone()).map_err(|why| format!("TLS_KEY_FILE: {why}"))?;
        let pair = pair(&certificate, &key).map_err(|why| format!("TLS_KEY_FILE: {why}"))?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = pair;
        Ok(true)
    }
}

impl ResolvesServerCert for TlsFiles {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsFiles(…)")
    }
}

impl FromStr for Certificate {
    type Err = String;

    fn from_str(path: &str) -> Result<Self, String> {
        Self::from_file(path.into())
    }
}

impl Certificate {
    fn from_file(path: PathBuf) -> Result<Self, String> {
        let bad = |what: &str| {
            format!(
                "{}: {what}; name a PEM file of the server's certificate, followed by the \
                 intermediate certificates up to its root",
                path.display()
            )
        };
        let odd = |fault| bad(&why(&fault));
        let mut chain = Vec::new();
        for certificate in CertificateDer::pem_file_iter(&path).map_err(odd)? {
            let certificate = certificate.map_err(odd)?;
            ParsedCertificate::try_from(&certificate)
                .map_err(|_| bad("holds a certificate that cannot be read"))?;
            chain.push(certificate);
        }
        if chain.is_empty() { Err(bad("holds no certificate")) } else { Ok(Self { path, chain }) }
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(path: &str) -> Result<Self, String> {
        Self::from_file(path.into())
    }
}

impl Key {
    fn from_file(path: PathBuf) -> Result<Self, String> {
        let bad = |what: &str| {
            format!(
                "{}: {what}; name a PEM file of the certificate's private key, not encrypted",
                path.display()
            )
        };
        let key = PrivateKeyDer::from_pem_file(&path).map_err(|fault| match fault {
            PemError::NoItemsFound => bad("holds no private key that can be read"),
            _ => bad(&why(&fault)),
        })?;
        let key = ring::sign::any_supported_type(&key).map_err(|_| {
            bad("holds a key of another kind than RSA, ECDSA (P-256, P-384) or Ed25519")
        })?;
        Ok(Self { path, key })
    }
}

/// Avoids [`PemError`]'s text, which repeats lines of the file: these may be the key.
fn why(fault: &PemError) -> String {
    match fault {
        PemError::Io(fault) => fault.to_string(),
        _ => "is not PEM".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Key and certificate in one file.
    const BOTH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls.pem");
    const ANOTHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/another-ca.pem");

    fn settings(certificate: Option<&str>, key: Option<&str>) -> TlsSettings {
        let certificate = certificate.map(|path| path.parse().expect("a certificate"));
        TlsSettings { certificate, key: key.map(|path| path.parse().expect("a key")) }
    }

    /// The refusal of a file with this text, without the file's name.
    fn refusal<T: FromStr<Err = String>>(text: &str) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("some.pem");
        fs::write(&path, text).expect("writes");
        let path = path.to_str().expect("a path of text");
        let refusal = path.parse::<T>().err().expect("refused");
        assert!(!refusal.contains('\n'), "{refusal}");
        refusal.strip_prefix(&format!("{path}: ")).expect("begins with the path").to_owned()
    }

    #[test]
    fn with_both_files_the_port_serves_https_and_without_http() {
        let ServerTls { config, .. } =
            settings(Some(BOTH), Some(BOTH)).server().expect("good").expect("TLS");
        assert_eq!(config.alpn_protocols, [b"http/1.1"]);
        assert!(settings(None, None).server().expect("good").is_none());
    }

    #[test]
    fn one_file_alone_or_of_another_pair_is_refused() {
        let refused =
            |certificate, key| settings(certificate, key).server().expect_err("refused").setting;
        assert_eq!(refused(Some(BOTH), None), "TLS_KEY_FILE");
        assert_eq!(refused(None, Some(BOTH)), "TLS_CERT_FILE");
        assert_eq!(refused(Some(ANOTHER), Some(BOTH)), "TLS_KEY_FILE");
    }

    #[test]
    fn a_refusal_repeats_no_text_of_the_file() {
        let pem = fs::read_to_string(BOTH).expect("reads");
        let key = pem.split("-----BEGIN CERTIFICATE").next().expect("the key").to_owned();
        let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let cut: String = key.lines().take(2).collect::<Vec<_>>().join("\n");
        assert!(refusal::<Certificate>("hush").starts_with("holds no certificate; "));
        assert!(refusal::<Certificate>(&key).starts_with("holds no certificate; "));
        assert!(
            refusal::<Certificate>(&pem.replace('Q', "A"))
                .starts_with("holds a certificate that cannot be read; ")
        );
        assert!(refusal::<Key>("hush").starts_with("holds no private key that can be read; "));
        assert!(refusal::<Key>(&encrypted).starts_with("holds no private key that can be read; "));
        assert!(
            refusal::<Key>(&key.replace("MC4C", "AAAA"))
                .starts_with("holds a key of another kind than ")
        );
        for text in [refusal::<Key>(&cut), refusal::<Key>(&key.replace("MC4C", "!MC4C"))] {
            assert!(text.starts_with("is not PEM; ") && !text.contains("MC4C"), "{text}");
        }
        assert!(
            "/is/not/there"
                .parse::<Key>()
                .is_err_and(|text| text.starts_with("/is/not/there: No such file"))
        );
    }

    #[test]
    fn a_key_is_not_printed() {
        assert_eq!(format!("{:?}", settings(None, Some(BOTH)).key), "Some(Key(…))");
        let tls = settings(Some(BOTH), Some(BOTH)).server().expect("good").expect("TLS");
        // The first bytes of the key itself, after the header.
        assert!(!format!("{tls:?}").contains("91, 173, 83, 223"));
    }
}
