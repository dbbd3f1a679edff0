//! The keys that check tokens.
//!
//! Each key has its algorithms, whatever a token's header names (RFC 8725, 3.1). The header's `alg`
//! and `kid` only choose among the known keys. A key inside the token (`jwk`, `jku`, `x5c`) is
//! never used.

use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::secret::{Key, KeyError};
use crate::config::{PublicKey, algorithm_named};

pub(super) struct Keyring {
    keys: RwLock<Arc<[CheckingKey]>>,
}

struct CheckingKey {
    id: Option<String>,
    algorithms: &'static [Algorithm],
    key: DecodingKey,
}

/// Why a token's signature is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignatureFault {
    /// The token is broken, or a known key says that the signature is wrong.
    Invalid,
    /// The token names a key that is not known, or it names none and no known key has signed it.
    UnknownKey,
}

/// The members of a header that matter here (RFC 7515, 4.1; RFC 7797, 3).
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
    b64: Option<bool>,
}

impl Keyring {
    pub(super) fn new(key: &Key) -> Result<Self, KeyError> {
        let keys = match key {
            Key::Own(secret) => vec![CheckingKey {
                id: None,
                algorithms: &[Algorithm::HS256],
                key: DecodingKey::from_secret(secret.expose().as_bytes())
                    .map_err(|_| KeyError::Empty)?,
            }],
            Key::Outside(source) => source.keys().iter().map(CheckingKey::from).collect(),
        };
        Ok(Self { keys: RwLock::new(keys.into()) })
    }

    /// Checks with these keys from now on.
    pub(super) fn replace(&self, keys: &[PublicKey]) {
        let keys = keys.iter().map(CheckingKey::from).collect();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    fn keys(&self) -> Arc<[CheckingKey]> {
        // The lock is never held where something can panic.
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The claims of a token with a good signature. `rules.rs` checks them.
    pub(super) fn decode<T: DeserializeOwned>(&self, token: &str) -> Result<T, SignatureFault> {
        let broken = SignatureFault::Invalid;
        let (signed, signature) = token.rsplit_once('.').ok_or(broken)?;
        let (header, payload) = signed.split_once('.').ok_or(broken)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| broken);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| broken)?;
        // RFC 7515, 4.1.11: refuse an extension that has to be understood and is not. This server
        // understands none, also not `b64`, which has to be in `crit`.
        if header.crit.is_some() || header.b64 == Some(false) {
            return Err(broken);
        }
        let algorithm = algorithm_named(&header.alg).ok_or(broken)?;
        let payload = decode(payload)?;
        let keys = self.keys();
        // Without ids, a token's `kid` is ignored.
        let id = header.kid.as_deref().filter(|_| keys.iter().any(|key| key.id.is_some()));
        let named = |key: &&CheckingKey| id.is_none() || key.id.as_deref() == id;
        for key in keys.iter().filter(named).filter(|key| key.algorithms.contains(&algorithm)) {
            if crypto::verify(signature, signed.as_bytes(), &key.key, algorithm).is_ok_and(|is| is)
            {
                return serde_json::from_slice(&payload).map_err(|_| broken);
            }
        }
        let is_known = id.is_some() && keys.iter().any(|key| key.id.as_deref() == id);
        Err(if is_known { SignatureFault::Invalid } else { SignatureFault::UnknownKey })
    }
}

impl From<&PublicKey> for CheckingKey {
    fn from(key: &PublicKey) -> Self {
        Self { id: key.id.clone(), algorithms: key.algorithms, key: key.key.clone() }
    }
}

#[cfg(test)]
mod tests {
    use hmac::digest::KeyInit;
    use hmac::{Hmac, Mac};
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::{Value, json};
    use sha2::{Sha256, Sha384, Sha512};

    use super::*;
    use crate::config::PublicKeySource;
    use crate::model::Timestamp;

    fn path(name: &str) -> String {
        format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    fn pem(name: &str) -> Vec<u8> {
        std::fs::read(path(name)).expect("reads")
    }

    fn ring(file: &str) -> Keyring {
        Keyring::new(&Key::Outside(PublicKeySource::File(path(file).parse().expect("keys"))))
            .expect("keys")
    }

    /// The private key of one of the fixtures.
    fn signing(name: &str) -> EncodingKey {
        let pem = pem(&format!("{name}.pem"));
        let key = match name {
            "rsa" => EncodingKey::from_rsa_pem(&pem),
            "p256" | "p384" => EncodingKey::from_ec_pem(&pem),
            _ => EncodingKey::from_ed_pem(&pem),
        };
        key.expect("a key")
    }

    fn sign(header: &Header, key: &EncodingKey) -> String {
        let claims = json!({"sub": "eve", "exp": Timestamp::now().unix_seconds() + 60});
        jsonwebtoken::encode(header, &claims, key).expect("signs")
    }

    /// Signs without the library, which refuses an empty secret.
    fn sign_hmac(algorithm: Algorithm, secret: &[u8]) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({"sub": "eve", "exp": Timestamp::now().unix_seconds() + 60});
        let signed = format!("{}.{}", part(&json!({"alg": algorithm})), part(&claims));
        let signature = match algorithm {
            Algorithm::HS256 => mac::<Hmac<Sha256>>(secret, &signed),
            Algorithm::HS384 => mac::<Hmac<Sha384>>(secret, &signed),
            _ => mac::<Hmac<Sha512>>(secret, &signed),
        };
        format!("{signed}.{signature}")
    }

    fn mac<M: Mac + KeyInit>(secret: &[u8], signed: &str) -> String {
        let mut mac = <M as KeyInit>::new_from_slice(secret).expect("any length is good");
        mac.update(signed.as_bytes());
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }

    fn named(algorithm: Algorithm, id: &str) -> Header {
        Header { kid: Some(id.into()), ..Header::new(algorithm) }
    }

    fn is_good(ring: &Keyring, token: &str) -> bool {
        ring.decode::<Value>(token).is_ok_and(|claims| claims["sub"] == "eve")
    }

    const EACH: [(&str, Algorithm); 4] = [
        ("rsa", Algorithm::RS256),
        ("p256", Algorithm::ES256),
        ("p384", Algorithm::ES384),
        ("ed25519", Algorithm::EdDSA),
    ];

    #[test]
    fn each_kind_of_key_accepts_only_its_own_tokens() {
        for (name, _) in EACH {
            let ring = ring(&format!("{name}-public.pem"));
            for (signer, algorithm) in EACH {
                let token = sign(&Header::new(algorithm), &signing(signer));
                assert_eq!(is_good(&ring, &token), name == signer, "{name} {signer}");
                let (signed, signature) = token.rsplit_once('.').expect("two dots");
                let another = if signature.starts_with('A') { 'B' } else { 'A' };
                assert!(
                    !is_good(&ring, &format!("{signed}.{another}{}", &signature[1..])),
                    "{name} {signer}"
                );
            }
            assert!(is_good(
                &ring,
                &sign(
                    &named(EACH.iter().find(|each| each.0 == name).expect("there").1, "x"),
                    &signing(name)
                )
            ));
        }
    }

    #[test]
    fn a_token_does_not_choose_its_algorithm() {
        for (name, own) in EACH {
            let ring = ring(&format!("{name}-public.pem"));
            let public = pem(&format!("{name}-public.pem"));
            let begins = public.windows(5).position(|bytes| bytes == b"-----").expect("is PEM");
            let only_pem = &public[begins..];
            for secret in [&public, only_pem, only_pem.trim_ascii(), b""] {
                for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                    assert!(!is_good(&ring, &sign_hmac(algorithm, secret)), "{name} {algorithm:?}");
                }
            }
            let good = sign(&Header::new(own), &signing(name));
            let (_, rest) = good.split_once('.').expect("a dot");
            let (claims, signature) = rest.split_once('.').expect("a dot");
            for algorithm in ["none", "None", "HS256", "RS384", "PS256", "ES384", ""] {
                let header = URL_SAFE_NO_PAD.encode(json!({"alg": algorithm}).to_string());
                assert!(
                    !is_good(&ring, &format!("{header}.{claims}.{signature}")),
                    "{name} {algorithm}"
                );
                assert!(!is_good(&ring, &format!("{header}.{claims}.")), "{name} {algorithm}");
            }
        }
    }

    #[test]
    fn an_rsa_key_takes_all_its_algorithms_unless_its_jwk_names_one() {
        for algorithm in [
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ] {
            let token = sign(&Header::new(algorithm), &signing("rsa"));
            for file in ["rsa-public.pem", "rsa-pkcs1-public.pem", "rsa-certificate.pem"] {
                assert!(is_good(&ring(file), &token), "{file} {algorithm:?}");
            }
            let is_named = algorithm == Algorithm::RS256;
            assert_eq!(is_good(&ring("jwks.json"), &token), is_named, "{algorithm:?}");
        }
    }

    #[test]
    fn eddsa_has_two_names() {
        let named = |name: &str| {
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let signed =
                format!("{}.{}", part(&json!({"alg": name})), part(&json!({"sub": "eve"})));
            let key = signing("ed25519");
            let signature = crypto::sign(signed.as_bytes(), &key, Algorithm::EdDSA).expect("signs");
            format!("{signed}.{signature}")
        };
        let ring = ring("ed25519-public.pem");
        for (name, good) in [("EdDSA", true), ("Ed25519", true), ("Ed448", false), ("", false)] {
            assert_eq!(is_good(&ring, &named(name)), good, "{name}");
        }
    }

    #[test]
    fn a_chain_gives_the_key_of_its_first_certificate_alone() {
        let ring = ring("p256-chain.pem");
        assert!(is_good(&ring, &sign(&Header::new(Algorithm::ES256), &signing("p256"))));
        assert!(!is_good(&ring, &sign(&Header::new(Algorithm::RS256), &signing("rsa"))));
    }

    #[test]
    fn a_token_of_an_unknown_key_is_told_from_one_with_a_wrong_signature() {
        let (ring, own) = (ring("jwks.json"), signing("ed25519"));
        let fault = |header: &Header| ring.decode::<Value>(&sign(header, &own));
        for header in [named(Algorithm::EdDSA, "third"), Header::new(Algorithm::EdDSA)] {
            assert_eq!(fault(&header), Err(SignatureFault::UnknownKey), "{header:?}");
        }
        assert_eq!(fault(&named(Algorithm::EdDSA, "first")), Err(SignatureFault::Invalid));
        for broken in ["", "a", "a.b", "a.b.c", "nonsense"] {
            assert_eq!(ring.decode::<Value>(broken), Err(SignatureFault::Invalid), "{broken}");
        }
    }

    #[test]
    fn a_key_inside_the_token_is_not_used() {
        let own = signing("ed25519");
        let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&own, Algorithm::EdDSA).expect("a JWK");
        let brought = Header {
            jwk: Some(jwk),
            jku: Some("http://127.0.0.1:9/keys".into()),
            x5u: Some("http://127.0.0.1:9/chain".into()),
            x5c: Some(vec!["MCowBQYDK2VwAyEAItYgI0EbLRjklojrNMCv4acpixU+wrpIHrpm9yY4bo0=".into()]),
            ..Header::new(Algorithm::EdDSA)
        };
        for file in ["rsa-public.pem", "p256-public.pem", "jwks.json"] {
            assert!(!is_good(&ring(file), &sign(&brought, &own)), "{file}");
        }
        // If the signature is valid, they are ignored.
        assert!(is_good(&ring("ed25519-public.pem"), &sign(&brought, &own)));
    }

    #[test]
    fn a_critical_extension_is_refused_even_one_that_the_library_knows() {
        let own = signing("ed25519");
        let ring = ring("ed25519-public.pem");
        for crit in [&["b64"][..], &["exp"], &["b64", "exp"], &["b64", "b64"], &[]] {
            let crit = crit.iter().map(|name| (*name).to_owned()).collect();
            let mut header = Header { crit: Some(crit), ..Header::new(Algorithm::EdDSA) };
            assert!(!is_good(&ring, &sign(&header, &own)), "{header:?}");
            header.extras.insert("b64", true);
            assert!(!is_good(&ring, &sign(&header, &own)), "{header:?}");
        }
    }

    #[test]
    fn a_kid_chooses_the_key_and_without_one_each_of_the_algorithm_is_tried() {
        let ring = ring("jwks.json");
        for (id, name, algorithm) in
            [("first", "rsa", Algorithm::RS256), ("second", "p256", Algorithm::ES256)]
        {
            assert!(is_good(&ring, &sign(&named(algorithm, id), &signing(name))), "{id}");
            assert!(is_good(&ring, &sign(&Header::new(algorithm), &signing(name))), "{id}");
            for another in ["first", "second", "third", ""].iter().filter(|another| **another != id)
            {
                assert!(
                    !is_good(&ring, &sign(&named(algorithm, another), &signing(name))),
                    "{another}"
                );
            }
        }
        assert!(!is_good(&ring, &sign(&Header::new(Algorithm::EdDSA), &signing("ed25519"))));
    }
}
