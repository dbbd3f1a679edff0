//! JWT_PUBLIC_KEY_FILE: the public keys of another program that signs the tokens. The file is read
//! while the settings are parsed, so a mistake in it ends the start like any other bad setting.
//!
//! The key decides on its one algorithm; a token never does. `pem.rs` and `jwks.rs` read the two
//! formats, `kinds.rs` checks the keys.

mod jwks;
mod kinds;
mod pem;

use std::fs::File;
use std::io::Read;
use std::str::FromStr;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey};

/// The most bytes in a file.
const MAX_FILE: u64 = 1 << 20;
/// The most keys in a file. A token without `kid` is tried against each key of its algorithm.
const MAX_KEYS: usize = 100;

/// The keys to check tokens with: at least one, at most 100.
#[derive(Debug, Clone)]
pub struct PublicKeys {
    keys: Arc<[PublicKey]>,
    skipped: Vec<String>,
}

/// One key with its algorithm.
#[derive(Debug, Clone)]
pub struct PublicKey {
    /// The `kid` of a JWKS; a key of PEM has none.
    pub id: Option<String>,
    /// RS256, ES256 or EdDSA.
    pub algorithm: Algorithm,
    pub key: DecodingKey,
}

impl PublicKeys {
    /// The keys, in the order of the file.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// The keys of the file that are not used: a line each, with the reason.
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
        let refused =
            |why: &str| format!("{path}: {why}; name a PEM file of a public key, or a JWKS file");
        let text = read().map_err(|fault| refused(&fault.to_string()))?;
        if text.len() as u64 > MAX_FILE {
            return Err(refused("is larger than 1 MiB"));
        }
        let (keys, skipped) =
            if text.trim_start().starts_with('{') { jwks::read(&text) } else { pem::read(&text) }
                .map_err(|why| refused(&why))?;
        match keys.len() {
            0 if skipped.is_empty() => Err(refused("holds no public key")),
            0 => Err(refused(&format!("holds no key that can be used ({})", skipped.join("; ")))),
            1..=MAX_KEYS => Ok(Self { keys: keys.into(), skipped }),
            _ => Err(refused("holds more than 100 keys")),
        }
    }
}

/// The usable keys of a file, and a line about each other key.
type KeysAndSkipped = (Vec<PublicKey>, Vec<String>);

/// The refusal of a private key: only the program that signs may have one.
const PRIVATE: &str = "holds a private key, which is no business of this server (`openssl pkey \
                       -in KEY.pem -pubout` makes the public one)";

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;

    fn path(name: &str) -> String {
        format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    fn fixture(name: &str) -> String {
        fs::read_to_string(path(name)).expect("reads")
    }

    /// Reads a file with this text. An error comes without the file's name and the advice.
    fn read(text: &str) -> Result<PublicKeys, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys");
        fs::write(&path, text).expect("writes");
        let path = path.to_str().expect("a path of text");
        path.parse().map_err(|refusal: String| {
            assert!(!refusal.contains('\n') && refusal.starts_with(path), "{refusal}");
            let what = refusal
                .strip_suffix("; name a PEM file of a public key, or a JWKS file")
                .expect("ends with the advice");
            what[path.len() + 2..].to_owned()
        })
    }

    fn kinds(keys: &PublicKeys) -> Vec<(Option<&str>, Algorithm)> {
        keys.keys().iter().map(|key| (key.id.as_deref(), key.algorithm)).collect()
    }

    /// The fixture's keys.
    fn jwks() -> Vec<Value> {
        serde_json::from_str::<Value>(&fixture("jwks.json")).expect("JSON")["keys"]
            .as_array()
            .expect("a list")
            .clone()
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    #[test]
    fn each_pem_key_has_one_algorithm() {
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
    fn a_jwks_gives_its_signature_keys_of_supported_kinds() {
        let [rsa, ec] = jwks().try_into().expect("two keys");
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "kid": "third",
            "x": "ItYgI0EbLRjklojrNMCv4acpixU-wrpIHrpm9yY4bo0"});
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
                "key 8 of the list is of another kind: a public key has to be RSA, EC P-256 or \
                 Ed25519",
                "key 9 of the list is of another kind: a public key has to be RSA, EC P-256 or \
                 Ed25519",
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
    fn a_file_without_a_usable_key_is_refused() {
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
