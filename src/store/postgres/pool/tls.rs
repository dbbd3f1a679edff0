//! TLS to the database, by rustls: which certificates are accepted, and what went wrong. Used by
//! `pool` only. Whether the driver asks for TLS at all is decided by its `ssl_mode`.

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::Tls;
use crate::store::OpenError;

/// PostgreSQL's ALPN name. Required with `sslnegotiation=direct`, ignored otherwise.
const ALPN: &[u8] = b"postgresql";

/// Makes the TLS connector for the driver.
pub(super) fn connector(tls: &Tls) -> Result<MakeRustlsConnect, OpenError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(tls, provider.signature_verification_algorithms);
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(OpenError::database)?;
    let mut config = versions
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(MakeRustlsConnect::new(config))
}

/// Verifies a server's certificate as far as the mode demands.
#[derive(Debug)]
struct Verifier {
    /// `None` accepts every certificate.
    roots: Option<RootCertStore>,
    /// The certificate must be for the host's name.
    name: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn new(tls: &Tls, algorithms: WebPkiSupportedAlgorithms) -> Self {
        let (roots, name) = match tls {
            Tls::Disable | Tls::Prefer | Tls::Require => (None, false),
            Tls::VerifyCa(roots) => (Some(roots), false),
            Tls::VerifyFull(roots) => (Some(roots), true),
        };
        Self { roots: roots.map(|roots| roots.iter().cloned().collect()), name, algorithms }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            let parsed = ParsedCertificate::try_from(certificate)?;
            if !is_root(certificate, roots) {
                verify_server_cert_signed_by_trust_anchor(
                    &parsed,
                    roots,
                    intermediates,
                    now,
                    self.algorithms.all,
                )?;
            }
            if self.name {
                verify_server_name(&parsed, name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    // The server must prove that it has the certificate's key even where every certificate is
    // accepted: SCRAM binds the password exchange to the certificate, and so detects a man in the
    // middle.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Returns true if the certificate is a trusted root itself, such as a self-signed one, as many a
/// PostgreSQL has. rustls refuses most of these, because a root could also sign for others.
fn is_root(certificate: &CertificateDer<'_>, roots: &RootCertStore) -> bool {
    let mut shown = RootCertStore::empty();
    shown.add(certificate.clone()).is_ok()
        && shown.roots.iter().any(|shown| roots.roots.contains(shown))
}

/// The reason why TLS failed, in words for `/readyz`; `None` for a fault that is not about TLS. The
/// driver reports it as text only; the tests pin these texts.
pub(super) fn reason(fault: &tokio_postgres::Error) -> Option<&'static str> {
    if fault.to_string() != "error performing TLS handshake" {
        return None;
    }
    let cause = fault.source()?;
    if cause.to_string() == "server does not support TLS" {
        return Some("The database offers no TLS");
    }
    let cause = cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
        .and_then(|cause| cause.downcast_ref());
    Some(match cause {
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => "The database's certificate is for another name",
        Some(Error::InvalidCertificate(_)) => "The database's certificate is not trusted",
        _ => "TLS with the database fails",
    })
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;

    /// A self-signed certificate for no name.
    fn own() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(include_bytes!("../../../../tests/another-ca.pem"))
            .expect("is one")
    }

    fn verify(tls: &Tls) -> Result<(), Error> {
        let verifier =
            Verifier::new(tls, ring::default_provider().signature_verification_algorithms);
        let name = ServerName::try_from("db.example").expect("a name");
        verifier.verify_server_cert(&own(), &[], &name, &[], UnixTime::now()).map(drop)
    }

    #[test]
    fn a_self_signed_certificate_is_trusted_only_as_a_root() {
        let mut store = RootCertStore::empty();
        store.add(own()).expect("is one");
        assert_eq!(verify(&Tls::VerifyCa(store.roots.clone())), Ok(()));
        let mut others = store.roots.clone();
        others[0].subject_public_key_info = b"another key".as_slice().into();
        assert!(matches!(verify(&Tls::VerifyCa(others)), Err(Error::InvalidCertificate(_))));
        let for_another_name = verify(&Tls::VerifyFull(store.roots));
        assert!(matches!(
            for_another_name,
            Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. }))
        ));
    }

    #[test]
    fn without_roots_every_certificate_is_accepted() {
        assert_eq!((verify(&Tls::Prefer), verify(&Tls::Require)), (Ok(()), Ok(())));
    }
}
