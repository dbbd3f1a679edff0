//! JWT_PUBLIC_KEY_FILE: the keys of whoever signs the tokens instead of us. The file is read at
//! once, so that whatever is wrong with it is found with the setting.
//!
//! A key says by itself which one algorithm it is for; a token never does. PEM holds
//! SubjectPublicKeyInfo (RFC 7468, 13), a JWKS is RFC 7517, 5.

use std::fs::File;
use std::io::Read;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::Value;
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

/// Largest file.
const MAX_FILE: u64 = 1 << 20;
/// Most keys in a file. A token that names none is tried against each one of its algorithm.
const MAX_KEYS: usize = 100;
/// RFC 7518, 3.3: a key for RS256 has at least so many bits.
const MIN_RSA: usize = 2048;
/// The library that checks signatures takes no longer ones.
const MAX_RSA: usize = 4096;
/// As that library has it.
const MAX_EXPONENT: u64 = (1 << 33) - 1;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// What is said of a file without a key of a kind that we take.
const KINDS: &str = "a public key has to be RSA, EC P-256 or Ed25519";

/// The keys that tokens are checked with: at least one, at most 100.
#[derive(Debug, Clone)]
pub struct PublicKeys {
    keys: Arc<[PublicKey]>,
    skipped: Vec<String>,
}

/// One key, and what it is for.
#[derive(Debug, Clone)]
pub struct PublicKey {
    /// By which a token names it; one of PEM has none.
    pub id: Option<String>,
    /// RS256, ES256 or EdDSA.
    pub algorithm: Algorithm,
    pub key: DecodingKey,
}

impl PublicKeys {
    /// Each key, in the order of the file.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// Which keys of the file are not used, and why: a line each, for people.
    #[must_use]
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }
}

impl FromStr for PublicKeys {
    type Err = String;

    fn from_str(path: &str) -> Result<Self, String> {
        if path.contains("-----BEGIN") || path.contains('\n') {
            return Err("is the path of a file, and not the key itself".into());
        }
        let read = || {
            let mut text = String::new();
            File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text).map(|_| text)
        };
        let said =
            |what: &str| format!("{path}: {what}; name a PEM file of a public key, or a JWKS file");
        let text = read().map_err(|fault| said(&fault.to_string()))?;
        if text.len() as u64 > MAX_FILE {
            return Err(said("is larger than 1 MiB"));
        }
        let (keys, skipped) =
            if text.trim_start().starts_with('{') { of_jwks(&text) } else { of_pem(&text) }
                .map_err(|what| said(&what))?;
        match keys.len() {
            0 if skipped.is_empty() => Err(said("holds no public key")),
            0 => Err(said(&format!("holds no key that can be used ({})", skipped.join("; ")))),
            1..=MAX_KEYS => Ok(Self { keys: keys.into(), skipped }),
            _ => Err(said("holds more than 100 keys")),
        }
    }
}

/// What can be used, and what is said of the rest.
type Found = (Vec<PublicKey>, Vec<String>);

/// What is said of a key that has to stay with whoever signs.
const PRIVATE: &str = "holds a private key, which is no business of this server (`openssl pkey -in KEY.pem -pubout` makes the public one)";

fn of_pem(text: &str) -> Result<Found, String> {
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

/// Big-endian numbers.
fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<PublicKey, String> {
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

fn ed25519(bytes: &[u8]) -> Result<PublicKey, String> {
    if bytes.len() != 32 {
        return Err("holds an Ed25519 key of another length than 32 bytes".into());
    }
    checked(Algorithm::EdDSA, DecodingKey::from_ed_der(bytes))
}

/// A key whose point is on its curve: else nothing can be checked with it, which would be found
/// with the first token only.
fn checked(algorithm: Algorithm, key: DecodingKey) -> Result<PublicKey, String> {
    crypto::verify("", b"", &key, algorithm)
        .map_err(|_| "holds a public key that cannot be read")?;
    Ok(PublicKey { id: None, algorithm, key })
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// A key of a JWKS (RFC 7517, 4; RFC 7518, 6; RFC 8037, 2), as far as it matters here.
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

fn of_jwks(text: &str) -> Result<Found, String> {
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
        match expected(&jwk) {
            Ok(algorithm) => {
                keys.push(PublicKey { id: jwk.kid.clone(), ..of_jwk(&jwk, algorithm)? })
            }
            Err(why) => skipped.push(format!("{name} {why}")),
        }
    }
    Ok((keys, skipped))
}

/// The algorithm of a key that is of a kind that we take, and for signatures; or else why it is
/// left out.
fn expected(jwk: &Jwk) -> Result<Algorithm, String> {
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
            // An uncompressed point (SEC 1, 2.3.3).
            checked(algorithm, DecodingKey::from_ec_der(&[&[4][..], &x, &y].concat()))
        }
        _ => ed25519(&number(&jwk.x)?),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn path(name: &str) -> String {
        format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    fn fixture(name: &str) -> String {
        fs::read_to_string(path(name)).expect("reads")
    }

    /// What a file of that text comes to; what is said of it without the file's name and the mend.
    fn read(text: &str) -> Result<PublicKeys, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys");
        fs::write(&path, text).expect("writes");
        let path = path.to_str().expect("a path of text");
        path.parse().map_err(|refusal: String| {
            assert!(!refusal.contains('\n') && refusal.starts_with(path), "{refusal}");
            let what = refusal
                .strip_suffix("; name a PEM file of a public key, or a JWKS file")
                .expect("says the mend");
            what[path.len() + 2..].to_owned()
        })
    }

    fn kinds(keys: &PublicKeys) -> Vec<(Option<&str>, Algorithm)> {
        keys.keys().iter().map(|key| (key.id.as_deref(), key.algorithm)).collect()
    }

    /// The fixture's keys.
    fn jwks() -> Vec<Value> {
        serde_json::from_str::<Set>(&fixture("jwks.json")).expect("a JWKS").keys
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    #[test]
    fn a_key_of_pem_is_for_one_algorithm() {
        for (name, algorithm) in [
            ("rsa-public.pem", Algorithm::RS256),
            ("p256-public.pem", Algorithm::ES256),
            ("ed25519-public.pem", Algorithm::EdDSA),
        ] {
            assert_eq!(kinds(&path(name).parse().expect("a key")), [(None, algorithm)], "{name}");
        }
        let two =
            read(&(fixture("rsa-public.pem") + &fixture("p256-public.pem"))).expect("two keys");
        assert_eq!(kinds(&two), [(None, Algorithm::RS256), (None, Algorithm::ES256)]);
    }

    #[test]
    fn a_jwks_gives_the_keys_that_are_for_signatures_of_ours() {
        let [rsa, ec] = jwks().try_into().expect("two keys");
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "kid": "third", "x": "ItYgI0EbLRjklojrNMCv4acpixU-wrpIHrpm9yY4bo0"});
        let others = [
            with(rsa.clone(), "use", json!("enc")),
            with(ec.clone(), "alg", json!("ES384")),
            with(rsa.clone(), "alg", json!("PS256")),
            with(ec.clone(), "key_ops", json!(["deriveKey"])),
            with(ec.clone(), "crv", json!("secp256k1")),
            json!({"kty": "oct", "k": "c2VjcmV0"}),
            json!({"kid": 5}),
        ];
        let all = [&[rsa, ec, ed][..], &others].concat();
        let set = json!({"keys": all});
        let keys = read(&set.to_string()).expect("three keys");
        let expected = [
            (Some("first"), Algorithm::RS256),
            (Some("second"), Algorithm::ES256),
            (Some("third"), Algorithm::EdDSA),
        ];
        assert_eq!(kinds(&keys), expected);
        assert_eq!(
            keys.skipped(),
            [
                "key 4 of the list is not for signatures",
                "key 5 of the list is for another algorithm than ES256",
                "key 6 of the list is for another algorithm than RS256",
                "key 7 of the list is not for signatures",
                "key 8 of the list is of another kind: a public key has to be RSA, EC P-256 or Ed25519",
                "key 9 of the list is of another kind: a public key has to be RSA, EC P-256 or Ed25519",
                "key 10 of the list cannot be read",
            ]
        );
        let refused =
            read(&json!({"keys": [with(jwks().remove(0), "use", json!("enc"))]}).to_string())
                .expect_err("refused");
        assert_eq!(
            refused,
            "holds no key that can be used (key 1 of the list is not for signatures)"
        );
    }

    #[test]
    fn a_file_without_a_good_key_is_refused() {
        let refused = |text: &str| read(text).expect_err("refused");
        let cut: String = fixture("rsa-public.pem").lines().take(3).collect::<Vec<_>>().join("\n");
        let [rsa, ec] = jwks().try_into().expect("two keys");
        let set = |key: Value| json!({"keys": [key]}).to_string();
        let cases = [
            (String::new(), "holds no public key"),
            ("hush".into(), "holds no public key"),
            (fixture("rsa.pem"), PRIVATE),
            (fixture("rsa-public.pem") + &fixture("ed25519.pem"), PRIVATE),
            (fixture("p256.pem").replace(" PRIVATE", " EC PRIVATE"), PRIVATE),
            (cut, "is not PEM"),
            (
                fixture("rsa-small-public.pem"),
                "holds an RSA key of 1024 bits; it has to have 2048 to 4096",
            ),
            (
                fixture("p384-public.pem"),
                "holds a key of another kind: a public key has to be RSA, EC P-256 or Ed25519",
            ),
            (
                fixture("k256-public.pem"),
                "holds a key of another kind: a public key has to be RSA, EC P-256 or Ed25519",
            ),
            (
                fixture("p256-public.pem").replace("c22TQ==", "c22TA=="),
                "holds a public key that cannot be read",
            ),
            ("{}".into(), "is no JWKS: it has to be JSON with a list `keys`"),
            (json!({"keys": []}).to_string(), "holds no public key"),
            (set(with(rsa.clone(), "d", json!("AQAB"))), PRIVATE),
            (
                set(with(rsa.clone(), "n", json!("AQAB"))),
                "holds an RSA key of 17 bits; it has to have 2048 to 4096",
            ),
            (
                set(with(rsa.clone(), "e", json!("AQ"))),
                "holds an RSA key whose numbers cannot be right",
            ),
            (set(with(rsa, "e", json!(null))), "holds a public key that cannot be read"),
            (set(with(ec.clone(), "x", ec["y"].clone())), "holds a public key that cannot be read"),
            (json!({"keys": vec![ec; 101]}).to_string(), "holds more than 100 keys"),
            (" ".repeat((1 << 20) + 1), "is larger than 1 MiB"),
        ];
        for (text, why) in cases {
            assert_eq!(refused(&text), why);
        }
        let away = "/is/not/there".parse::<PublicKeys>().expect_err("refused");
        assert!(
            away.starts_with("/is/not/there: No such file")
                && away.ends_with("; name a PEM file of a public key, or a JWKS file")
        );
    }
}
