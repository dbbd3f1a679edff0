//! Tokens that another issuer signs, with the keys of `tests/keys`, and servers that check them.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::process::Output;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{Answer, Home, Server};

pub fn path(name: &str) -> String {
    format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"))
}

pub fn pem(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

/// Starts the demo server with the keys of this file, and these settings.
pub fn serve(home: &Home, file: &str, settings: &[(&str, &str)]) -> Server {
    let file = path(file);
    home.serve(
        &[&[("JWT_SECRET", ""), ("JWT_PUBLIC_KEY_FILE", file.as_str())][..], settings].concat(),
    )
}

pub fn now() -> i64 {
    i64::try_from(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(),
    )
    .unwrap()
}

/// These claims, valid from now for ten minutes unless they say otherwise.
pub fn claims(claims: &Value) -> Value {
    let mut all = json!({"iat": now(), "exp": now() + 600});
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    all
}

pub fn sign(header: &Header, of: &Value) -> String {
    let key = match header.alg {
        Algorithm::ES256 => EncodingKey::from_ec_pem(&pem("p256.pem")),
        Algorithm::ES384 => EncodingKey::from_ec_pem(&pem("p384.pem")),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(&pem("ed25519.pem")),
        _ => EncodingKey::from_rsa_pem(&pem("rsa.pem")),
    };
    jsonwebtoken::encode(header, &claims(of), &key.unwrap()).unwrap()
}

/// A token signed with the key of ed25519-public.pem.
pub fn token(of: &Value) -> String {
    sign(&Header::new(Algorithm::EdDSA), of)
}

/// The JWT_SECRET that this server shares with another program.
pub const SECRET: &str = "a secret that two programs hold, long enough";

/// A token that the other program signs with [`SECRET`].
pub fn shared(of: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::default(), &claims(of), &key).unwrap()
}

pub fn link(home: &Home, arguments: &[&str]) -> Output {
    home.run(&[&["user", "link"], arguments].concat())
}

pub fn linked(home: &Home, arguments: &[&str]) -> String {
    let output = link(home, arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The exit code and the error message on stderr, which has to be one line.
pub fn complaint(output: &Output) -> (Option<i32>, String) {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    (output.status.code(), text.trim_end().to_owned())
}

pub fn me(server: &Server, token: &str) -> Value {
    let answer = server.get("/auth/me", token);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

pub fn is_refused(server: &Server, token: &str) -> bool {
    let Answer { status, body, .. } = server.get("/auth/me", token);
    let refusal = |reason: &str| json!({"statusCode": 401, "message": "Unauthorized", "error": "Unauthorized", "reason": reason});
    let refused = status == 401 && (body == refusal("invalid") || body == refusal("expired"));
    refused && server.upgrade("/ws", token).close_code() == 4401
}
