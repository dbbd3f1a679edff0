//! Keys in PEM (RFC 7468): SubjectPublicKeyInfo, PKCS#1, and X.509 certificates.
//!
//! A certificate is only the wrapping of its key here: its issuer, names and dates are not checked,
//! as other checkers of tokens do not check them either.

use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};
use x509_cert::name::Name;

use super::kinds::{BROKEN, Curve, KINDS, ec, ed25519, rsa};
use super::{KeysAndSkipped, PRIVATE, PRIVATE_ENCRYPTED, PublicKey};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

pub(super) fn read(text: &str) -> Result<KeysAndSkipped, String> {
    if text.contains("ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(PRIVATE_ENCRYPTED.into());
    }
    if text.contains("PRIVATE KEY-----") {
        return Err(PRIVATE.into());
    }
    if let Some(why) = of_another_form(text) {
        return Err(why.into());
    }
    let (mut keys, mut skipped) = (Vec::new(), Vec::new());
    let blocks = pem::parse_many(text).unwrap_or_default();
    // The parser passes over a block without an end.
    if blocks.len() < text.matches("-----BEGIN ").count() {
        return Err("is not PEM: a block is cut or broken".into());
    }
    let name = |at: usize| if blocks.len() == 1 { String::new() } else { format!("block {at} ") };
    let issuers: Vec<Name> = blocks.iter().filter_map(issuer).collect();
    for (at, block) in blocks.iter().enumerate() {
        match of_block(block.tag(), block.contents(), &issuers) {
            Ok(key) => keys.push(key),
            Err(why) => skipped.push(format!("{}{why}", name(at + 1))),
        }
    }
    Ok((keys, skipped))
}

/// The reason why a text without a PEM block of a key is none, if its form is known.
fn of_another_form(text: &str) -> Option<&'static str> {
    let first = text.trim_start();
    if ["ssh-", "ecdsa-sha2-", "sk-"].iter().any(|start| first.starts_with(start)) {
        Some("is a public key of SSH (`ssh-keygen -e -m PKCS8 -f FILE` makes PEM of it)")
    } else if first.starts_with("---- BEGIN SSH2") {
        Some(
            "is a public key of SSH (`ssh-keygen -i -f FILE` and then `ssh-keygen -e -m PKCS8 -f \
              FILE` make PEM of it)",
        )
    } else if first.starts_with("-----BEGIN PGP") {
        Some("is a key of PGP")
    } else {
        None
    }
}

/// The issuer of a certificate that another one has signed.
fn issuer(block: &pem::Pem) -> Option<Name> {
    let certificate = Certificate::from_der(block.contents()).ok()?.tbs_certificate;
    (certificate.issuer != certificate.subject).then_some(certificate.issuer)
}

/// `issuers` are those of the certificates in the file. The rest of a certificate's chain signs no
/// tokens.
fn of_block(tag: &str, der: &[u8], issuers: &[Name]) -> Result<PublicKey, String> {
    match tag {
        "PUBLIC KEY" => of_info(der),
        "RSA PUBLIC KEY" => of_pkcs1(der),
        "CERTIFICATE" | "X509 CERTIFICATE" => {
            let certificate = Certificate::from_der(der)
                .map_err(|_| "is a certificate that cannot be read")?
                .tbs_certificate;
            if issuers.contains(&certificate.subject) {
                return Err("is the issuer of another certificate in the file".into());
            }
            let info = certificate.subject_public_key_info.to_der();
            of_info(&info.map_err(|_| BROKEN)?)
        }
        "TRUSTED CERTIFICATE" => {
            Err("is a certificate in a form of OpenSSL's own (`openssl x509 -in FILE` makes the \
                 common one)"
                .into())
        }
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
            Err("is a certificate request and no certificate".into())
        }
        "X509 CRL" => Err("is a list of revoked certificates".into()),
        "EC PARAMETERS" => Err("is the name of a curve and no key".into()),
        _ => Err("is neither a public key nor a certificate".into()),
    }
}

fn of_pkcs1(der: &[u8]) -> Result<PublicKey, String> {
    let key = pkcs1::RsaPublicKeyRef::try_from(der).map_err(|_| BROKEN)?;
    rsa(key.modulus.as_bytes(), key.public_exponent.as_bytes())
}

fn of_info(der: &[u8]) -> Result<PublicKey, String> {
    let info = SubjectPublicKeyInfoRef::try_from(der).map_err(|_| BROKEN)?;
    let bytes = info.subject_public_key.raw_bytes();
    let (kind, curve) = (info.algorithm.oid, info.algorithm.parameters_oid().ok());
    match (kind, curve) {
        (RSA, _) => of_pkcs1(bytes),
        (EC, Some(P256)) => ec(Curve::P256, bytes),
        (EC, Some(P384)) => ec(Curve::P384, bytes),
        (ED25519, _) => ed25519(bytes),
        _ => Err(format!("is of another kind: {KINDS}")),
    }
}
