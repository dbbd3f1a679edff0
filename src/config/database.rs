//! DATABASE_URL: the kind and place of the database, and TLS to PostgreSQL.
//!
//! `sslmode` and `sslrootcert` have libpq's meaning
//! (<https://www.postgresql.org/docs/current/libpq-ssl.html>), except that `~/.postgresql` is not
//! read: without `sslrootcert`, the `verify` modes use the system's roots. They are parsed here,
//! because the driver has no `verify` modes. The file of roots is read here too, so a mistake in it
//! ends the start like any other bad setting. `store` opens the connections.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use rustls::RootCertStore;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, TrustAnchor};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, SslNegotiation};

/// The kind and place of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// Path of the file.
    Sqlite(PathBuf),
    Postgres(Box<PostgresUrl>),
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            return match path {
                "" | "/" => Err("names no file; write it as sqlite://data/hubcast.db".into()),
                ":memory:" => {
                    Err("has to be a file, since several connections share it; write sqlite://PATH"
                        .into())
                }
                _ if path.contains('?') || path.ends_with('/') => {
                    Err("is sqlite:// and the path of a file, nothing more".into())
                }
                _ => Ok(Self::Sqlite(path.into())),
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return text.parse().map(|url| Self::Postgres(Box::new(url)));
        }
        Err("has to begin with sqlite:// or postgres://".into())
    }
}

/// A parsed `postgres://` URL. `Debug` hides everything, because there can be a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    /// The driver's settings. Their `ssl_mode` is the nearest that the driver has to `tls`.
    pub config: Config,
    pub tls: Tls,
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresUrl(…)")
    }
}

/// libpq's `sslmode`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// No TLS.
    Disable,
    /// TLS without a check of the certificate; no TLS if the server has none.
    Prefer,
    /// TLS without a check of the certificate.
    Require,
    /// TLS with a certificate from one of these roots, for any name.
    VerifyCa(Roots),
    /// TLS with a certificate from one of these roots for the host's name.
    VerifyFull(Roots),
}

/// Trusted root certificates; at least one.
pub type Roots = Vec<TrustAnchor<'static>>;

impl fmt::Display for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa(_) => "verify-ca",
            Self::VerifyFull(_) => "verify-full",
        })
    }
}

const FORM: &str =
    "write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %XX for special signs in the password";

impl FromStr for PostgresUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let Parameters { rest, sslmode, sslrootcert } = Parameters::take(url)?;
        let tls = tls(sslmode.as_deref(), sslrootcert.as_deref())?;
        let mut config = Config::from_str(&rest).map_err(|fault| unreadable(&fault))?;
        if config.get_hosts().is_empty() {
            // The address stands in for the host name when certificates are checked.
            for address in config.get_hostaddrs().to_vec() {
                config.host(address.to_string());
            }
        }
        let hosts = config.get_hosts();
        let nameless = hosts.is_empty()
            || hosts.iter().any(|host| matches!(host, Host::Tcp(name) if name.is_empty()));
        let local = !hosts.iter().any(|host| matches!(host, Host::Tcp(_)));
        if nameless {
            return Err(format!("names no host; {FORM}"));
        }
        // PostgreSQL has no TLS on a Unix socket, and libpq does not ask for it there.
        let tls = if local { Tls::Disable } else { tls };
        config.ssl_mode(match tls {
            Tls::Disable => SslMode::Disable,
            Tls::Prefer => SslMode::Prefer,
            Tls::Require | Tls::VerifyCa(_) | Tls::VerifyFull(_) => SslMode::Require,
        });
        if config.get_ssl_negotiation() == SslNegotiation::Direct && tls == Tls::Prefer {
            return Err("sslnegotiation=direct leaves no way back; write sslmode=require or a \
                        stricter one with it"
                .into());
        }
        Ok(Self { config, tls })
    }
}

/// Uses the driver's text only if it cannot repeat a secret: a part of a password that is not
/// escaped can look like a parameter.
fn unreadable(fault: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(fault).map(ToString::to_string).unwrap_or_default();
    match cause {
        _ if cause.starts_with("invalid value for option") => format!("{cause}; {FORM}"),
        _ if cause.starts_with("unknown option") => {
            format!("has a parameter that is not known here; leave it out, or {FORM}")
        }
        _ => format!("cannot be read; {FORM}"),
    }
}

/// The parameters that are parsed here, and the rest of the URL for the driver.
struct Parameters<'a> {
    rest: String,
    sslmode: Option<Cow<'a, str>>,
    sslrootcert: Option<Cow<'a, str>>,
}

impl<'a> Parameters<'a> {
    fn take(url: &'a str) -> Result<Self, String> {
        let (mut sslmode, mut sslrootcert) = (None, None);
        // Like the driver, takes everything before the first @ as name and password.
        let credentials = url.find('@').unwrap_or(0);
        let mark = url.match_indices('?').map(|(at, _)| at).find(|at| *at > credentials);
        let (base, query) = url.split_at(mark.unwrap_or(url.len()));
        let mut kept = Vec::new();
        for parameter in query.trim_start_matches('?').split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match decoded(name)?.as_ref() {
                "sslmode" => sslmode = Some(decoded(value)?),
                "sslrootcert" => sslrootcert = Some(decoded(value)?),
                "sslcert" | "sslkey" => {
                    return Err("sslcert and sslkey: client certificates are not supported; \
                                leave them out, and give a password"
                        .into());
                }
                _ => kept.push(parameter),
            }
        }
        Ok(Self { rest: format!("{base}?{}", kept.join("&")), sslmode, sslrootcert })
    }
}

fn decoded(text: &str) -> Result<Cow<'_, str>, String> {
    percent_decode_str(text).decode_utf8().map_err(|_| format!("cannot be read; {FORM}"))
}

fn tls(mode: Option<&str>, roots: Option<&str>) -> Result<Tls, String> {
    // Like libpq, takes an empty value as unset.
    let (mode, roots) =
        (mode.filter(|mode| !mode.is_empty()), roots.filter(|roots| !roots.is_empty()));
    match (mode, roots) {
        (Some("disable"), _) => Ok(Tls::Disable),
        (Some("verify-full"), None | Some("system")) | (None, Some("system")) => {
            system_roots().map(Tls::VerifyFull)
        }
        (Some("prefer" | "require" | "verify-ca"), Some("system")) => {
            Err("sslrootcert=system goes with sslmode=verify-full only: anyone can have a \
                 certificate for some name"
                .into())
        }
        (None | Some("prefer"), None) => Ok(Tls::Prefer),
        (None | Some("prefer"), Some(_)) => {
            Err("sslrootcert would not be asked for with sslmode=prefer, the default; write \
                 sslmode=verify-full or verify-ca"
                .into())
        }
        (Some("require"), None) => Ok(Tls::Require),
        (Some("verify-ca"), None) => system_roots().map(Tls::VerifyCa),
        (Some("require" | "verify-ca"), Some(path)) => roots_in(path).map(Tls::VerifyCa),
        (Some("verify-full"), Some(path)) => roots_in(path).map(Tls::VerifyFull),
        (Some(_), _) => {
            Err("sslmode has to be one of disable, prefer, require, verify-ca, verify-full".into())
        }
    }
}

fn system_roots() -> Result<Roots, String> {
    let mut store = RootCertStore::empty();
    // Some of the system's many certificates may be unusual, so those are skipped.
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        return Err("the system trusts no certificates; install its ca-certificates, or \
                    write sslrootcert=PATH"
            .into());
    }
    Ok(store.roots)
}

fn roots_in(path: &str) -> Result<Roots, String> {
    let bad = |what: &str| {
        format!("sslrootcert: {path}: {what}; name a PEM file of the certificates to trust")
    };
    let odd = |fault: PemError| match fault {
        PemError::Io(fault) => bad(&fault.to_string()),
        // PemError's own text repeats lines of the file, which may be the wrong, secret one.
        _ => bad("is not PEM"),
    };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(odd)? {
        store
            .add(certificate.map_err(odd)?)
            .map_err(|_| bad("holds a certificate that cannot be read"))?;
    }
    if store.is_empty() { Err(bad("holds no certificate")) } else { Ok(store.roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CA: &str = include_str!("../../tests/another-ca.pem");

    #[test]
    fn database_urls() {
        assert_eq!("sqlite://data/x.db".parse(), Ok(DatabaseUrl::Sqlite("data/x.db".into())));
        assert_eq!("sqlite:///tmp/x.db".parse(), Ok(DatabaseUrl::Sqlite("/tmp/x.db".into())));
        assert!(matches!("postgresql://h/d".parse(), Ok(DatabaseUrl::Postgres(_))));
        for text in
            ["", "x.db", "sqlite://", "sqlite://:memory:", "sqlite://x.db?mode=ro", "mysql://h/d"]
        {
            assert!(text.parse::<DatabaseUrl>().is_err(), "{text}");
        }
        let bad = "mysql://u:hush@h/d".parse::<DatabaseUrl>().expect_err("refused");
        assert!(!bad.contains("hush"));
    }

    fn read(url: &str) -> PostgresUrl {
        url.parse().unwrap_or_else(|fault| panic!("{url}: {fault}"))
    }

    fn refusal(url: &str) -> String {
        let Err(text) = url.parse::<PostgresUrl>() else { panic!("{url} is taken") };
        assert!(!text.contains('\n') && !text.contains("hush"), "{text}");
        text
    }

    /// A file with this text, and its folder, which has to outlive the test.
    fn file(text: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a root+.crt");
        std::fs::write(&path, text).expect("writes");
        let path = path.to_str().expect("is text").to_owned();
        (folder, path)
    }

    #[test]
    fn the_driver_gets_the_url_without_the_parameters_of_tls() {
        let plain = read("postgres://u:p%40ss?&=@h:1234/d?connect_timeout=3&application_name=shop");
        let among = read(
            "postgres://u:p%40ss?&=@h:1234/d?connect_timeout=3&sslmode=prefer\
             &application_name=shop",
        );
        assert_eq!(plain, among);
        assert_eq!(plain.config.get_password(), Some(&b"p@ss?&="[..]));
        assert_eq!(plain.config.get_application_name(), Some("shop"));
        assert_eq!(read("postgres://h/d?sslmode=prefer"), read("postgres://h/d?%73slmode="));
    }

    #[test]
    fn modes_without_a_certificate() {
        let mode = |parameters: &str| {
            let url = read(&format!("postgres://h/d{parameters}"));
            (url.config.get_ssl_mode(), url.tls)
        };
        assert_eq!(mode(""), (SslMode::Prefer, Tls::Prefer));
        assert_eq!(mode("?sslmode=prefer"), (SslMode::Prefer, Tls::Prefer));
        assert_eq!(mode("?sslmode=disable"), (SslMode::Disable, Tls::Disable));
        assert_eq!(
            mode("?sslmode=disable&sslrootcert=/is/not/there"),
            (SslMode::Disable, Tls::Disable)
        );
        assert_eq!(mode("?sslmode=require"), (SslMode::Require, Tls::Require));
        assert_eq!(mode("?sslmode=disable&sslmode=require"), (SslMode::Require, Tls::Require));
    }

    #[test]
    fn a_root_certificate_makes_require_verify() {
        let (_folder, path) = file(CA);
        for (mode, text) in
            [("require", "verify-ca"), ("verify-ca", "verify-ca"), ("verify-full", "verify-full")]
        {
            let url = read(&format!(
                "postgres://h/d?sslrootcert={}&sslmode={mode}",
                path.replace(' ', "%20")
            ));
            assert_eq!(
                (url.config.get_ssl_mode(), url.tls.to_string().as_str()),
                (SslMode::Require, text)
            );
            assert!(
                matches!(url.tls, Tls::VerifyCa(roots) | Tls::VerifyFull(roots) if roots.len() == 1)
            );
        }
    }

    #[test]
    fn a_root_certificate_that_cannot_be_read_is_named() {
        let refusal = |path: &str| {
            refusal(&format!("postgres://u:hush@h/d?sslmode=verify-full&sslrootcert={path}"))
        };
        assert!(refusal("/is/not/there").starts_with("sslrootcert: /is/not/there: No such file"));
        assert!(refusal("/").contains("Is a directory"));
        let cut: String = CA.lines().take(4).collect::<Vec<_>>().join("\n");
        let scrambled = CA.replace('M', "A");
        for (text, why) in [
            ("hush", "holds no certificate"),
            (&cut, "is not PEM"),
            (&scrambled, "holds a certificate that cannot be read"),
        ] {
            let (_folder, path) = file(text);
            assert_eq!(
                refusal(&path),
                format!("sslrootcert: {path}: {why}; name a PEM file of the certificates to trust")
            );
        }
    }

    #[test]
    fn a_refusal_repeats_no_secret() {
        let cases = [
            ("postgres://u:hush@h/d?sslmode=allow", "sslmode has to be one of"),
            ("postgres://u:hush@h/d?sslmode=hush", "sslmode has to be one of"),
            (
                "postgres://u:hush@h/d?sslmode=require&sslrootcert=system",
                "sslrootcert=system goes with sslmode=verify-full only",
            ),
            ("postgres://u:hush@h/d?sslrootcert=/x", "sslrootcert would not be asked for"),
            (
                "postgres://u:hush@h/d?sslcert=/x&sslkey=/y",
                "sslcert and sslkey: client certificates are not supported",
            ),
            (
                "postgres://u:hush@h/d?sslnegotiation=direct",
                "sslnegotiation=direct leaves no way back",
            ),
            ("postgres://u:hush@h:many/d", "invalid value for option `port`; write postgres://"),
            ("postgres://u:p@hu?sh=hush@h/d", "has a parameter that is not known here"),
            ("postgres://u:hush@h/d?connect_timeout", "cannot be read; write postgres://"),
            ("postgres://u:hush@h/%ff", "cannot be read; write postgres://"),
            ("postgres://u:hush@/d", "names no host"),
            ("postgres://u:hush@:5432/d", "names no host"),
        ];
        for (url, start) in cases {
            let text = refusal(url);
            assert!(text.starts_with(start), "{url}: {text}");
        }
        assert!(!format!("{:?}", read("postgres://u:hush@h/d")).contains("hush"));
    }

    #[test]
    fn unix_sockets_have_no_tls_and_an_address_stands_for_a_name() {
        assert_eq!(read("postgres:///d?host=/run/postgresql&sslmode=require").tls, Tls::Disable);
        let url = read("postgres:///d?hostaddr=10.0.0.1&sslmode=require");
        assert_eq!(
            (url.config.get_hosts(), url.tls),
            (&[Host::Tcp("10.0.0.1".into())][..], Tls::Require)
        );
    }
}
