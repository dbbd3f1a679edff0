//! The keys that check tokens.
//!
//! Each key has one algorithm, whatever a token's header names (RFC 8725, 3.1). The header's `alg`
//! and `kid` only choose among the known keys. A key inside the token (`jwk`, `jku`, `x5c`) is
//! never used.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::de::DeserializeOwned;

use super::{Key, KeyError};
use crate::error::AuthFailure;

pub(super) struct Keyring {
    keys: Vec<CheckingKey>,
    /// Whether any key has an id. Without ids, a token's `kid` is ignored.
    have_ids: bool,
}

struct CheckingKey {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
    /// The checks of the library, with this algorithm only.
    rules: Validation,
}

impl Keyring {
    pub(super) fn new(key: &Key) -> Result<Self, KeyError> {
        let checking =
            |id, algorithm, key| CheckingKey { id, algorithm, key, rules: rules(algorithm) };
        let keys: Vec<CheckingKey> = match key {
            Key::Own(secret) => vec![checking(
                None,
                Algorithm::HS256,
                DecodingKey::from_secret(secret.expose().as_bytes())
                    .map_err(|_| KeyError::Empty)?,
            )],
            Key::Outside(keys) => keys
                .keys()
                .iter()
                .map(|key| checking(key.id.clone(), key.algorithm, key.key.clone()))
                .collect(),
        };
        Ok(Self { have_ids: keys.iter().any(|key| key.id.is_some()), keys })
    }

    /// The claims of a token with a good signature. `rules.rs` checks them.
    pub(super) fn decode<T: DeserializeOwned>(&self, token: &str) -> Result<T, AuthFailure> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| AuthFailure::Invalid)?;
        // RFC 7515, 4.1.11: refuse an extension that has to be understood and is not. The library
        // takes `b64`; this server supports none.
        if header.crit.is_some() {
            return Err(AuthFailure::Invalid);
        }
        for key in self.keys.iter().filter(|key| self.fits(key, &header)) {
            match jsonwebtoken::decode(token, &key.key, &key.rules) {
                Ok(data) => return Ok(data.claims),
                Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {}
                Err(_) => return Err(AuthFailure::Invalid),
            }
        }
        Err(AuthFailure::Invalid)
    }

    fn fits(&self, key: &CheckingKey, header: &Header) -> bool {
        let has_id = !self.have_ids || header.kid.is_none() || header.kid == key.id;
        has_id && key.algorithm == header.alg
    }
}

/// Only the signature is checked here.
fn rules(algorithm: Algorithm) -> Validation {
    let mut rules = Validation::new(algorithm);
    rules.required_spec_claims.clear();
    (rules.validate_exp, rules.validate_aud) = (false, false);
    rules
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use hmac::digest::KeyInit;
    use hmac::{Hmac, Mac};
    use jsonwebtoken::EncodingKey;
    use serde_json::{Value, json};
    use sha2::{Sha256, Sha384, Sha512};

    use super::*;
    use crate::model::Timestamp;

    fn path(name: &str) -> String {
        format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    fn pem(name: &str) -> Vec<u8> {
        std::fs::read(path(name)).expect("reads")
    }

    fn ring(file: &str) -> Keyring {
        Keyring::new(&Key::Outside(path(file).parse().expect("keys"))).expect("keys")
    }

    /// The private key of one of the fixtures.
    fn signing(name: &str) -> EncodingKey {
        let pem = pem(&format!("{name}.pem"));
        let key = match name {
            "rsa" => EncodingKey::from_rsa_pem(&pem),
            "p256" => EncodingKey::from_ec_pem(&pem),
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
        match ring.decode::<Value>(token) {
            Ok(claims) => claims["sub"] == "eve",
            Err(failure) => {
                assert_eq!(failure, AuthFailure::Invalid);
                false
            }
        }
    }

    const EACH: [(&str, Algorithm); 3] =
        [("rsa", Algorithm::RS256), ("p256", Algorithm::ES256), ("ed25519", Algorithm::EdDSA)];

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
    fn another_algorithm_of_the_same_key_is_refused() {
        for algorithm in [
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ] {
            assert!(
                !is_good(&ring("rsa-public.pem"), &sign(&Header::new(algorithm), &signing("rsa"))),
                "{algorithm:?}"
            );
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
