//! The three kinds of keys that are supported, and the checks of their numbers.

use jsonwebtoken::{Algorithm, DecodingKey, crypto};

use super::PublicKey;

/// RFC 7518, 3.3: an RS256 key has at least this many bits.
const MIN_RSA: usize = 2048;
/// The library that checks signatures supports no longer keys.
const MAX_RSA: usize = 4096;
/// The limit of the same library.
const MAX_EXPONENT: u64 = (1 << 33) - 1;

/// The advice for a key of another kind.
pub(super) const KINDS: &str = "a public key has to be RSA, EC P-256 or Ed25519";

/// An RS256 key from its two numbers, big-endian.
pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<PublicKey, String> {
    let strip =
        |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
    let (modulus, exponent) = (strip(modulus), strip(exponent));
    let bits =
        modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    if !(MIN_RSA..=MAX_RSA).contains(&bits) {
        return Err(format!(
            "holds an RSA key of {bits} bits; it has to have {MIN_RSA} to {MAX_RSA}"
        ));
    }
    let value = exponent.iter().try_fold(0_u64, |value, byte| {
        value.checked_mul(256).map(|value| value | u64::from(*byte))
    });
    let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    if !odd(&modulus)
        || !odd(&exponent)
        || !value.is_some_and(|value| (3..=MAX_EXPONENT).contains(&value))
    {
        return Err("holds an RSA key whose numbers cannot be right".into());
    }
    Ok(PublicKey {
        id: None,
        algorithm: Algorithm::RS256,
        key: DecodingKey::from_rsa_raw_components(&modulus, &exponent),
    })
}

pub(super) fn ed25519(bytes: &[u8]) -> Result<PublicKey, String> {
    if bytes.len() != 32 {
        return Err("holds an Ed25519 key of another length than 32 bytes".into());
    }
    checked(Algorithm::EdDSA, DecodingKey::from_ed_der(bytes))
}

/// Refuses a key whose point is not on its curve, instead of failing with each token later.
pub(super) fn checked(algorithm: Algorithm, key: DecodingKey) -> Result<PublicKey, String> {
    crypto::verify("", b"", &key, algorithm)
        .map_err(|_| "holds a public key that cannot be read")?;
    Ok(PublicKey { id: None, algorithm, key })
}
