//! Keys in PEM: SubjectPublicKeyInfo (RFC 7468, 13).

use jsonwebtoken::{Algorithm, DecodingKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::kinds::{KINDS, checked, ed25519, rsa};
use super::{KeysAndSkipped, PRIVATE, PublicKey};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

pub(super) fn read(text: &str) -> Result<KeysAndSkipped, String> {
    if text.contains("PRIVATE KEY-----") {
        return Err(PRIVATE.into());
    }
    let mut keys = Vec::new();
    for der in SubjectPublicKeyInfoDer::pem_slice_iter(text.as_bytes()) {
        let der = der.map_err(|_| "is not PEM")?;
        keys.push(of_der(&der)?);
    }
    Ok((keys, Vec::new()))
}

fn of_der(der: &[u8]) -> Result<PublicKey, String> {
    let broken = "holds a public key that cannot be read";
    let info = SubjectPublicKeyInfoRef::try_from(der).map_err(|_| broken)?;
    let bytes = info.subject_public_key.raw_bytes();
    let (kind, curve) = (info.algorithm.oid, info.algorithm.parameters_oid().ok());
    match (kind, curve) {
        (RSA, _) => {
            let key = pkcs1::RsaPublicKeyRef::try_from(bytes).map_err(|_| broken)?;
            rsa(key.modulus.as_bytes(), key.public_exponent.as_bytes())
        }
        (EC, Some(P256)) => checked(Algorithm::ES256, DecodingKey::from_ec_der(bytes)),
        (ED25519, _) => ed25519(bytes),
        _ => Err(format!("holds a key of another kind: {KINDS}")),
    }
}
