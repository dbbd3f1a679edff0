//! Tokens of the shapes that usual issuers make, with the settings that `docs/auth.md` gives for
//! them.

use serde_json::{Map, Value};

use super::tests::{now, own_key, settings, sign};
use super::*;

/// The claims, with times that are relative to now.
fn claims(case: &Value) -> Value {
    let mut claims: Map<String, Value> = case["claims"].as_object().expect("an object").clone();
    for name in ["iat", "nbf", "exp"] {
        if let Some(time) = claims.get(name).and_then(Value::as_i64) {
            claims.insert(name.into(), (now() + time).into());
        }
    }
    claims.into()
}

fn verify(case: &Value) -> Result<VerifiedToken, TokenFault> {
    let flags = case["settings"].as_array().expect("a list").iter().filter_map(Value::as_str);
    let flags: Vec<&str> = ["--jwt-subject", "outside"].into_iter().chain(flags).collect();
    let tokens = Tokens::new(&own_key(), &settings(&flags)).expect("a key");
    tokens.verify(&sign(&claims(case), &Header::default()))
}

#[test]
fn tokens_of_usual_issuers_are_read_with_the_settings_of_their_recipes() {
    let cases: Value =
        serde_json::from_str(include_str!("../../../tests/keys/tokens.json")).expect("JSON");
    for case in cases["good"].as_array().expect("a list") {
        let token = verify(case).unwrap_or_else(|fault| panic!("{}: {fault}", case["name"]));
        let TokenHolder::Outside(user) = &token.holder else { panic!("{}", case["name"]) };
        let read = serde_json::json!({
            "subject": user.id.subject(),
            "role": token.role.map(Role::as_str),
            "name": user.names().next(),
            "email": user.email,
        });
        assert_eq!(read, case["expected"], "{}", case["name"]);
        assert_eq!(user.id.issuer(), case["claims"]["iss"].as_str().unwrap_or_default());
    }
    for case in cases["refused"].as_array().expect("a list") {
        assert!(verify(case).is_err(), "{}", case["name"]);
    }
}
