//! Keys in JSON: a JWKS (RFC 7517, 5), a single JWK, and Google's map from key ids to certificates.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::kinds::{BROKEN, Curve, KINDS, algorithm_named, ec, ed25519, rsa};
use super::{KeysAndSkipped, PRIVATE, PublicKey, pem};

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

/// Reads the keys of a text that begins as JSON does.
pub(super) fn read(text: &str) -> Result<KeysAndSkipped, String> {
    let value: Value =
        serde_json::from_str(text).map_err(|fault| format!("is broken JSON ({fault})"))?;
    let Value::Object(mut members) = value else {
        return Err("is JSON, but no object; a JWKS is an object with a list `keys`".into());
    };
    if let Some(keys) = members.remove("keys") {
        let Value::Array(keys) = keys else {
            return Err("is no JWKS: its `keys` has to be a list".into());
        };
        return each(keys.into_iter().enumerate(), |at, key| {
            (format!("key {} of the list", at + 1), of_value(key))
        });
    }
    if members.contains_key("kty") {
        return each([((), Value::Object(members))], |(), key| {
            ("the key".to_owned(), of_value(key))
        });
    }
    if members.contains_key("jwks_uri") {
        return Err("is an OpenID configuration and not the keys; its `jwks_uri` is the address \
                    for JWKS_URL"
            .into());
    }
    if members.contains_key("private_key") {
        return Err(PRIVATE.into());
    }
    if !members.is_empty() && members.values().all(Value::is_string) {
        return certificates(members);
    }
    Err("is JSON, but neither a JWKS (an object with a list `keys`), nor a JWK, nor a map from key \
         ids to certificates"
        .into())
}

/// The keys in `https://www.googleapis.com/robot/v1/metadata/x509/…`: `{kid: "-----BEGIN …"}`.
fn certificates(members: Map<String, Value>) -> Result<KeysAndSkipped, String> {
    each(members.into_iter().enumerate(), |at, (id, text)| {
        let key = text.as_str().ok_or_else(|| Fault::Skip(BROKEN.into())).and_then(|text| {
            let (mut keys, skipped) = pem::read(text).map_err(Fault::Refuse)?;
            match (keys.pop(), keys.is_empty()) {
                (Some(key), true) => Ok(PublicKey { id: Some(id), ..key }),
                _ => Err(Fault::Skip(
                    skipped.into_iter().next().unwrap_or_else(|| "is not one certificate".into()),
                )),
            }
        });
        (format!("key {} of the map", at + 1), key)
    })
}

enum Fault {
    /// The key is left out.
    Skip(String),
    /// None of the keys may be used.
    Refuse(String),
}

/// Collects the good keys, and the others by name and reason.
fn each<At, T>(
    items: impl IntoIterator<Item = (At, T)>,
    read: impl Fn(At, T) -> (String, Result<PublicKey, Fault>),
) -> Result<KeysAndSkipped, String> {
    let (mut keys, mut skipped) = (Vec::new(), Vec::new());
    for (at, item) in items {
        match read(at, item) {
            (_, Ok(key)) => keys.push(key),
            (name, Err(Fault::Skip(why))) => skipped.push(format!("{name} {why}")),
            (_, Err(Fault::Refuse(why))) => return Err(why),
        }
    }
    Ok((keys, skipped))
}

fn of_value(value: Value) -> Result<PublicKey, Fault> {
    let jwk: Jwk = serde_json::from_value(value)
        .map_err(|_| Fault::Skip("is no JWK: a member is missing or of another type".into()))?;
    if jwk.d.is_some() {
        return Err(Fault::Refuse(PRIVATE.into()));
    }
    of_jwk(jwk).map_err(Fault::Skip)
}

fn of_jwk(jwk: Jwk) -> Result<PublicKey, String> {
    let number = |text: &Option<String>| {
        text.as_ref().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or(BROKEN)
    };
    let is_for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
        && jwk
            .key_ops
            .as_ref()
            .is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
    if !is_for_signatures {
        return Err("is not for signatures".into());
    }
    let of_curve = |curve: Curve| {
        let (x, y) = (number(&jwk.x)?, number(&jwk.y)?);
        if x.len() != curve.size() || y.len() != curve.size() {
            return Err(BROKEN.to_owned());
        }
        // 4 marks an uncompressed point.
        ec(curve, &[&[4][..], &x, &y].concat())
    };
    let key = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => rsa(&number(&jwk.n)?, &number(&jwk.e)?)?,
        ("EC", Some("P-256")) => of_curve(Curve::P256)?,
        ("EC", Some("P-384")) => of_curve(Curve::P384)?,
        ("OKP", Some("Ed25519")) => ed25519(&number(&jwk.x)?)?,
        _ => return Err(format!("is of another kind: {KINDS}")),
    };
    let algorithms = match &jwk.alg {
        None => key.algorithms,
        Some(name) => algorithm_named(name)
            .and_then(|named| key.algorithms.iter().position(|algorithm| *algorithm == named))
            .map(|at| &key.algorithms[at..=at])
            .ok_or("has an `alg` that is none of its kind")?,
    };
    Ok(PublicKey { id: jwk.kid, algorithms, key: key.key })
}
