//! Keys in a JWKS (RFC 7517, 5).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::kinds::{KINDS, checked, ed25519, rsa};
use super::{KeysAndSkipped, PRIVATE, PublicKey};

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// The members of a key that matter here (RFC 7517, 4; RFC 7518, 6; RFC 8037, 2).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<Value>,
}

pub(super) fn read(text: &str) -> Result<KeysAndSkipped, String> {
    let set: Set = serde_json::from_str(text)
        .map_err(|_| "is no JWKS: it has to be JSON with a list `keys`")?;
    let (mut keys, mut skipped) = (Vec::new(), Vec::new());
    for (at, value) in set.keys.into_iter().enumerate() {
        let name = format!("key {} of the list", at + 1);
        let Ok(jwk) = serde_json::from_value::<Jwk>(value) else {
            skipped.push(format!("{name} cannot be read"));
            continue;
        };
        if jwk.d.is_some() {
            return Err(PRIVATE.into());
        }
        match algorithm_of(&jwk) {
            Ok(algorithm) => {
                keys.push(PublicKey { id: jwk.kid.clone(), ..of_jwk(&jwk, algorithm)? });
            }
            Err(why) => skipped.push(format!("{name} {why}")),
        }
    }
    Ok((keys, skipped))
}

/// The algorithm of a signature key of a supported kind, or the reason to skip the key.
fn algorithm_of(jwk: &Jwk) -> Result<Algorithm, String> {
    let (algorithm, name) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => (Algorithm::RS256, "RS256"),
        ("EC", Some("P-256")) => (Algorithm::ES256, "ES256"),
        ("OKP", Some("Ed25519")) => (Algorithm::EdDSA, "EdDSA"),
        _ => return Err(format!("is of another kind: {KINDS}")),
    };
    let is_for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
        && jwk
            .key_ops
            .as_ref()
            .is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
    if !is_for_signatures {
        return Err("is not for signatures".into());
    }
    if jwk.alg.as_deref().is_some_and(|alg| alg != name) {
        return Err(format!("is for another algorithm than {name}"));
    }
    Ok(algorithm)
}

fn of_jwk(jwk: &Jwk, algorithm: Algorithm) -> Result<PublicKey, String> {
    let broken = || "holds a public key that cannot be read".to_owned();
    let number = |text: &Option<String>| {
        text.as_ref().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or_else(broken)
    };
    match algorithm {
        Algorithm::RS256 => rsa(&number(&jwk.n)?, &number(&jwk.e)?),
        Algorithm::ES256 => {
            let (x, y) = (number(&jwk.x)?, number(&jwk.y)?);
            if x.len() != 32 || y.len() != 32 {
                return Err(broken());
            }
            // 4 marks an uncompressed point (SEC 1, 2.3.3).
            checked(algorithm, DecodingKey::from_ec_der(&[&[4][..], &x, &y].concat()))
        }
        _ => ed25519(&number(&jwk.x)?),
    }
}
