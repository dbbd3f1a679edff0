//! The kinds of keys that are supported, the algorithms of each, and the checks of their numbers.

use jsonwebtoken::{Algorithm, DecodingKey, crypto};

use super::PublicKey;

/// RFC 7518, 3.3: an RSA key has at least this many bits.
const MIN_RSA: usize = 2048;
/// The library that checks signatures supports no longer keys.
const MAX_RSA: usize = 4096;
/// The limit of the same library.
const MAX_EXPONENT: u64 = (1 << 33) - 1;

/// The advice for a key of another kind.
pub(super) const KINDS: &str = "a public key has to be RSA, EC P-256 or P-384, or Ed25519";

/// A key that cannot be read, whatever its kind.
pub(super) const BROKEN: &str = "is a public key that cannot be read";

/// The algorithms of an RSA key.
pub(super) const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// The curves of EC keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
}

impl Curve {
    /// The bytes of a coordinate.
    pub(super) fn size(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::P256 => &[Algorithm::ES256],
            Self::P384 => &[Algorithm::ES384],
        }
    }
}

/// An RSA key from its two numbers, big-endian.
pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<PublicKey, String> {
    let strip =
        |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
    let (modulus, exponent) = (strip(modulus), strip(exponent));
    let bits =
        modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    if !(MIN_RSA..=MAX_RSA).contains(&bits) {
        return Err(format!("is an RSA key of {bits} bits; it has to have {MIN_RSA} to {MAX_RSA}"));
    }
    let value = exponent.iter().try_fold(0_u64, |value, byte| {
        value.checked_mul(256).map(|value| value | u64::from(*byte))
    });
    let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    if !odd(&modulus)
        || !odd(&exponent)
        || !value.is_some_and(|value| (3..=MAX_EXPONENT).contains(&value))
    {
        return Err("is an RSA key whose numbers cannot be right".into());
    }
    let key = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
    Ok(PublicKey { id: None, algorithms: RSA, key })
}

/// An EC key from its point (SEC 1, 2.3.3).
pub(super) fn ec(curve: Curve, point: &[u8]) -> Result<PublicKey, String> {
    checked(curve.algorithms(), DecodingKey::from_ec_der(point))
}

pub(super) fn ed25519(bytes: &[u8]) -> Result<PublicKey, String> {
    if bytes.len() != 32 {
        return Err("is an Ed25519 key of another length than 32 bytes".into());
    }
    checked(&[Algorithm::EdDSA], DecodingKey::from_ed_der(bytes))
}

/// Refuses a key whose point is not on its curve, instead of failing with each token later.
fn checked(algorithms: &'static [Algorithm], key: DecodingKey) -> Result<PublicKey, String> {
    for algorithm in algorithms {
        crypto::verify("", b"", &key, *algorithm).map_err(|_| BROKEN)?;
    }
    Ok(PublicKey { id: None, algorithms, key })
}

/// The algorithm with this name in a token's header or a JWK (RFC 7518, 3.1; RFC 8037, 3.1; RFC
/// 9864, 2.2), if it is one of signatures.
#[must_use]
pub fn algorithm_named(name: &str) -> Option<Algorithm> {
    if name == "Ed25519" { Some(Algorithm::EdDSA) } else { name.parse().ok() }
}
