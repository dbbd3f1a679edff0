#!/usr/bin/env bash
# jsonwebtoken 12.0.0 (Rust), feature rust_crypto.
#
# RFC 9864 (October 2025) registers the fully-specified algorithm names "Ed25519" and "Ed448" for
# JOSE and deprecates "EdDSA"; issuers may name either. The crate's `Algorithm` knows "EdDSA" alone,
# and `decode_header`, which only reads the header, fails on a name it does not know. So a token
# with `alg: Ed25519` cannot even be asked for its `kid`, and a program that looks up keys by `kid`
# cannot tell it from text that is no token. A JWKS with such an `alg` in one key is different:
# the set is read, and only that key's algorithm is unknown.
#
# Seen: what decode_header says about a well-formed header with EdDSA and with Ed25519, and whether
# a JWK set that has a key with `alg: Ed25519` is read. Fails if that changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "seen"
version = "0.0.0"
edition = "2021"
[dependencies]
jsonwebtoken = { version = "=12.0.0", default-features = false, features = ["rust_crypto"] }
serde_json = "1"
base64 = "0.22"
TOML
cat >src/main.rs <<'RUST'
use base64::{engine::general_purpose::URL_SAFE_NO_PAD, Engine};
use jsonwebtoken::{decode_header, jwk::JwkSet};

fn token(algorithm: &str) -> String {
    let part = |json: String| URL_SAFE_NO_PAD.encode(json);
    let header = part(format!(r#"{{"alg":"{algorithm}","typ":"JWT","kid":"a"}}"#));
    let claims = part(r#"{"sub":"5","exp":4102444800}"#.into());
    // The signature is not looked at by decode_header.
    format!("{header}.{claims}.{}", part("x".repeat(64)))
}

fn main() {
    for algorithm in ["EdDSA", "Ed25519"] {
        match decode_header(token(algorithm)) {
            Ok(header) => println!("{algorithm}: kid {:?}", header.kid),
            Err(error) => println!("{algorithm}: {error}"),
        }
    }
    let set = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","alg":"Ed25519","use":"sig",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    match serde_json::from_str::<JwkSet>(set) {
        Ok(set) => println!("the set: {:?}", set.keys[0].common.key_algorithm.map(|a| a.to_string())),
        Err(error) => println!("the set: {error}"),
    }
}
RUST
cargo run --quiet | tee seen
grep -qx 'EdDSA: kid Some("a")' seen
grep -q '^Ed25519: JSON error: unknown variant' seen
grep -qx 'the set: Some("UNKNOWN_ALGORITHM")' seen
