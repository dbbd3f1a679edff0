use serde_json::{Value, json};

use super::*;
use crate::config::PublicKeySource;
use crate::error::AuthFailure;
use crate::model::{ExternalIdentity, ExternalUser, Names};

const KEY: &str = "a key for tests";

pub(super) fn settings(flags: &[&str]) -> AuthSettings {
    AuthSettings::of(flags)
}

pub(super) fn own_key() -> Key {
    Key::Own(Secret::from(KEY.to_owned()))
}

fn tokens() -> Tokens {
    Tokens::new(&own_key(), &settings(&[])).expect("a key")
}

fn secret(text: &str) -> EncodingKey {
    EncodingKey::from_secret(text.as_bytes()).expect("is not empty")
}

pub(super) fn sign(claims: &Value, header: &Header) -> String {
    jsonwebtoken::encode(header, claims, &secret(KEY)).expect("signs")
}

/// What a caller with this token learns.
fn verify(tokens: &Tokens, token: &str) -> Result<VerifiedToken, AuthFailure> {
    tokens.verify(token).map_err(|fault| fault.failure())
}

fn check(claims: &Value) -> Result<(i64, Option<Role>), AuthFailure> {
    verify(&tokens(), &sign(claims, &Header::default())).map(|token| (user(&token), token.role))
}

fn user(token: &VerifiedToken) -> i64 {
    match &token.holder {
        TokenHolder::User(user) => user.0,
        TokenHolder::Outside(outsider) => panic!("{outsider:?}"),
    }
}

pub(super) fn now() -> i64 {
    Timestamp::now().unix_seconds()
}

#[test]
fn an_issued_token_is_valid() {
    let issued =
        tokens().issue(UserId(7), Role::Admin, 5, Duration::from_secs(60)).expect("issues");
    let (id, issued_at) = (TokenId::of(&issued.token), IssuedAt::Generation(5));
    let token = VerifiedToken {
        holder: TokenHolder::User(UserId(7)),
        role: Some(Role::Admin),
        expires_at: issued.expires_at,
        id,
        issued_at,
    };
    assert_eq!(tokens().verify(&issued.token), Ok(token));
}

#[test]
fn sub_is_a_string_or_a_number() {
    let exp = now() + 60;
    assert_eq!(check(&json!({"sub": "7", "exp": exp})), Ok((7, None)));
    assert_eq!(check(&json!({"sub": 7, "exp": exp, "role": "admin"})), Ok((7, Some(Role::Admin))));
    for sub in [json!("x"), json!(""), json!(-7), json!(0), json!(7.5), json!(null), json!(["7"])] {
        assert_eq!(check(&json!({"sub": sub, "exp": exp})), Err(AuthFailure::Invalid), "{sub}");
    }
    assert_eq!(check(&json!({"exp": exp})), Err(AuthFailure::Invalid));
}

#[test]
fn a_token_needs_exp_and_ends_then_without_leeway() {
    assert_eq!(check(&json!({"sub": "7", "exp": now()})), Err(AuthFailure::Expired));
    assert_eq!(check(&json!({"sub": "7", "exp": now() - 1})), Err(AuthFailure::Expired));
    assert_eq!(check(&json!({"sub": "7"})), Err(AuthFailure::Invalid));
    assert_eq!(check(&json!({"sub": "7", "exp": "tomorrow"})), Err(AuthFailure::Invalid));
    assert_eq!(check(&json!({"sub": "7", "exp": 1e18})), Ok((7, None)));
}

#[test]
fn generation_or_iat_say_when_a_token_was_issued() {
    let issued_at = |claims: Value| {
        verify(&tokens(), &sign(&claims, &Header::default())).map(|token| token.issued_at)
    };
    let exp = now() + 60;
    assert_eq!(
        issued_at(json!({"sub": 7, "exp": exp, "iat": 12, "generation": 3})),
        Ok(IssuedAt::Generation(3))
    );
    assert_eq!(issued_at(json!({"sub": 7, "exp": exp, "iat": 12.5})), Ok(IssuedAt::Time(7_500)));
    assert_eq!(issued_at(json!({"sub": 7, "exp": exp})), Ok(IssuedAt::Time(0)));
    for claims in [
        json!({"sub": 7, "exp": exp, "generation": "3"}),
        json!({"sub": 7, "exp": exp, "iat": "12"}),
    ] {
        assert_eq!(issued_at(claims), Err(AuthFailure::Invalid));
    }
}

#[test]
fn nbf_and_iat_have_a_leeway_and_exp_has_none() {
    let exp = now() + 60;
    for claim in ["nbf", "iat"] {
        let at = |seconds: i64| json!({"sub": 7, "exp": exp, claim: now() + seconds});
        for early in [-1000, 0, 1, 4] {
            assert_eq!(check(&at(early)), Ok((7, None)), "{claim} {early}");
        }
        assert_eq!(check(&at(30)), Err(AuthFailure::Invalid), "{claim}");
        assert_eq!(check(&json!({"sub": 7, "exp": exp, claim: "soon"})), Err(AuthFailure::Invalid));
        let with = |leeway: &str, early: i64| {
            let tokens = Tokens::new(&own_key(), &settings(&["--jwt-leeway", leeway]));
            tokens.expect("a key").verify(&sign(&at(early), &Header::default())).is_ok()
        };
        assert!(!with("0s", 3) && with("60s", 50) && !with("60s", 70), "{claim}");
    }
    let lenient = Tokens::new(&own_key(), &settings(&["--jwt-leeway", "60s"])).expect("a key");
    let over = sign(&json!({"sub": 7, "exp": now()}), &Header::default());
    assert!(matches!(lenient.verify(&over), Err(TokenFault::Expired(0 | 1))));
}

#[test]
fn a_role_is_admin_by_a_known_word_only_and_any_other_is_a_customers() {
    let role = |flags: &[&str], claims: Value| {
        let tokens = Tokens::new(&own_key(), &settings(flags)).expect("a key");
        let mut all = json!({"sub": 7, "exp": now() + 60});
        all.as_object_mut().expect("is one").extend(claims.as_object().expect("is one").clone());
        tokens.verify(&sign(&all, &Header::default())).map(|token| token.role)
    };
    let (admin, customer) = (Ok(Some(Role::Admin)), Ok(Some(Role::Customer)));
    for value in [json!("admin"), json!(["admin"]), json!(["user", 5, "admin"])] {
        assert_eq!(role(&[], json!({"role": value})), admin, "{value}");
    }
    for value in [
        json!("authenticated"),
        json!("customer"),
        json!("Admin"),
        json!(" admin"),
        json!("admin,user"),
        json!(""),
        json!([]),
        json!(["Admin"]),
        json!([["admin"]]),
        json!({"admin": true}),
        json!(1),
        json!(true),
    ] {
        assert_eq!(role(&[], json!({"role": value})), customer, "{value}");
    }
    for claims in [json!({}), json!({"role": null}), json!({"roles": ["admin"]})] {
        assert_eq!(role(&[], claims.clone()), Ok(None), "{claims}");
    }
    let keycloak = ["--jwt-role-claim", "realm_access.roles", "--jwt-role-admin", "boss, root"];
    assert_eq!(role(&keycloak, json!({"realm_access": {"roles": ["a", "root"]}})), admin);
    assert_eq!(role(&keycloak, json!({"realm_access": {"roles": ["admin"]}})), customer);
    assert_eq!(role(&keycloak, json!({"role": "boss"})), Ok(None));
    let firebase = ["--jwt-role-claim", "admin", "--jwt-role-admin", "true"];
    assert_eq!(role(&firebase, json!({"admin": true})), admin);
    assert_eq!(role(&firebase, json!({"admin": false})), customer);
    // Our own tokens say it in the same place and words.
    let email = ["--jwt-role-claim", "email", "--jwt-role-admin", "true"];
    for flags in [&[][..], &keycloak, &firebase, &email] {
        let tokens = Tokens::new(&own_key(), &settings(flags)).expect("a key");
        for role in [Role::Admin, Role::Customer] {
            let own = tokens.issue(UserId(7), role, 0, Duration::from_secs(60)).expect("issues");
            assert_eq!(tokens.verify(&own.token).map(|token| token.role), Ok(Some(role)));
        }
    }
}

#[test]
fn with_an_outside_subject_only_our_own_tokens_name_our_ids() {
    let exp = now() + 60;
    let shared = Tokens::new(&own_key(), &settings(&["--jwt-subject", "outside"])).expect("a key");
    let holder = |token: &str| shared.verify(token).map(|token| token.holder);
    let own = shared.issue(UserId(5), Role::Admin, 3, Duration::from_secs(60)).expect("issues");
    assert_eq!(holder(&own.token), Ok(TokenHolder::User(UserId(5))));
    for sub in [json!(5), json!("5"), json!("5f0c6b9e-1d2a-4b0e-9a50-0d5c3a1c7e11")] {
        let token = sign(&json!({"sub": sub, "iss": "shop", "exp": exp}), &Header::default());
        let id = ExternalIdentity::new("shop".into(), sub.as_str().unwrap_or("5").into());
        let holder = holder(&token);
        assert!(matches!(holder, Ok(TokenHolder::Outside(user)) if Some(&user.id) == id.as_ref()));
    }
    // The other program, which checks with the secret, takes none of ours.
    assert_eq!(tokens().verify(&own.token), Err(TokenFault::Signature));
    // Tokens from before the setting name our ids: they must not become an outside subject.
    let former = tokens().issue(UserId(5), Role::Admin, 3, Duration::from_secs(60));
    assert_eq!(holder(&former.expect("issues").token), Err(TokenFault::Former));
}

#[test]
fn one_of_several_audiences_is_enough_and_client_id_counts_without_aud() {
    let several = Tokens::new(&own_key(), &settings(&["--jwt-audience", "hub, shop"]));
    let several = several.expect("a key");
    let verify = |claims: Value| {
        let mut all = json!({"sub": 7, "exp": now() + 60});
        all.as_object_mut().expect("is one").extend(claims.as_object().expect("is one").clone());
        several.verify(&sign(&all, &Header::default())).map(|token| user(&token))
    };
    for claims in [
        json!({"aud": "hub"}),
        json!({"aud": ["x", "shop"]}),
        json!({"client_id": "shop"}),
        json!({"client_id": "shop", "aud": null}),
    ] {
        assert_eq!(verify(claims.clone()), Ok(7), "{claims}");
    }
    for claims in [
        json!({}),
        json!({"aud": "hub, shop"}),
        json!({"aud": "x", "client_id": "shop"}),
        json!({"aud": [], "client_id": "shop"}),
        json!({"azp": "shop"}),
    ] {
        assert!(matches!(verify(claims.clone()), Err(TokenFault::Audience(_))), "{claims}");
    }
    let own = several.issue(UserId(7), Role::Customer, 0, Duration::from_secs(60));
    assert!(several.verify(&own.expect("issues").token).is_ok());
}

#[test]
fn a_foreign_key_another_algorithm_or_none_is_invalid() {
    let claims = json!({"sub": "7", "exp": now() + 60});
    let foreign =
        jsonwebtoken::encode(&Header::default(), &claims, &secret("other")).expect("signs");
    let hs512 = sign(&claims, &Header::new(Algorithm::HS512));
    // {"alg":"none"}.{"sub":"7","exp":9999999999}.
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiI3IiwiZXhwIjo5OTk5OTk5OTk5fQ.";
    let critical = sign(&claims, &Header { crit: Some(vec!["b64".into()]), ..Header::default() });
    for token in [
        foreign.as_str(),
        &hs512,
        none,
        &critical,
        "",
        "a.b.c",
        "nonsense",
        &"x".repeat(MAX_TOKEN + 1),
    ] {
        assert_eq!(tokens().verify(token), Err(TokenFault::Signature));
    }
}

#[test]
fn issuer_and_audience_are_checked_when_set() {
    let strict =
        Tokens::new(&own_key(), &settings(&["--jwt-issuer", "us", "--jwt-audience", "hub"]))
            .expect("a key");
    let verify = |claims: Value| {
        super::tests::verify(&strict, &sign(&claims, &Header::default())).map(|token| user(&token))
    };
    let exp = now() + 60;
    assert_eq!(verify(json!({"sub": "7", "exp": exp, "iss": "us", "aud": ["hub", "x"]})), Ok(7));
    assert_eq!(verify(json!({"sub": "7", "exp": exp, "iss": "us"})), Err(AuthFailure::Invalid));
    assert_eq!(verify(json!({"sub": "7", "exp": exp, "aud": "hub"})), Err(AuthFailure::Invalid));
    assert_eq!(
        verify(json!({"sub": "7", "exp": exp, "iss": "them", "aud": "hub"})),
        Err(AuthFailure::Invalid)
    );
    assert_eq!(check(&json!({"sub": "7", "exp": exp, "iss": "them", "aud": "x"})), Ok((7, None)));
    let own = strict.issue(UserId(7), Role::Customer, 0, Duration::from_secs(60)).expect("issues");
    assert!(strict.verify(&own.token).is_ok());
}

#[test]
fn an_issuer_or_audience_of_another_type_is_refused_when_it_is_checked() {
    let strict = Tokens::new(&own_key(), &settings(&["--jwt-issuer", "7", "--jwt-audience", "8"]))
        .expect("a key");
    let verify = |iss: Value, aud: Value| {
        let claims = json!({"sub": 7, "exp": now() + 60, "iss": iss, "aud": aud});
        super::tests::verify(&strict, &sign(&claims, &Header::default())).map(|token| user(&token))
    };
    assert_eq!(verify(json!("7"), json!("8")), Ok(7));
    for odd in [json!(null), json!(7), json!(8), json!(true), json!({"7": 7}), json!([7, 8])] {
        assert_eq!(verify(odd.clone(), json!("8")), Err(AuthFailure::Invalid), "iss {odd}");
        assert_eq!(verify(json!("7"), odd.clone()), Err(AuthFailure::Invalid), "aud {odd}");
    }
}

#[test]
fn an_empty_secret_is_no_key() {
    let empty = Key::Own(Secret::from(String::new()));
    let refused = Tokens::new(&empty, &settings(&[])).err();
    assert!(matches!(refused, Some(KeyError::Empty)));
}

/// Verifies a token of another program with these claims.
fn outside(claims: &Value) -> Result<(ExternalUser, IssuedAt), AuthFailure> {
    let file = |name: &str| format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"));
    let pem = std::fs::read(file("ed25519.pem")).expect("reads");
    let key = EncodingKey::from_ed_pem(&pem).expect("a key");
    let token = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &key).expect("signs");
    let tokens = Tokens::new(
        &Key::Outside(PublicKeySource::File(file("ed25519-public.pem").parse().expect("a key"))),
        &settings(&[]),
    )
    .expect("a key");
    assert!(matches!(tokens.can_sign(), Err(Error::NotImplemented(_))));
    assert!(matches!(
        tokens.issue(UserId(1), Role::Admin, 0, Duration::from_secs(1)),
        Err(Error::NotImplemented(_))
    ));
    verify(&tokens, &token).map(|token| match token.holder {
        TokenHolder::Outside(outsider) => (outsider, token.issued_at),
        TokenHolder::User(user) => panic!("{user}"),
    })
}

#[test]
fn a_token_of_another_program_names_a_subject_of_its_issuer() {
    let exp = now() + 60;
    let id = |issuer: &str, subject: &str| {
        ExternalIdentity::new(issuer.into(), subject.into()).expect("fits")
    };
    let (outsider, issued_at) = outside(&json!({
        "sub": 7, "iss": "them", "exp": exp, "iat": 12, "generation": 9, "name": "Eve",
        "email": "e@b.test"
    }))
    .expect("good");
    assert_eq!((&outsider.id, issued_at), (&id("them", "7"), IssuedAt::Time(7_000)));
    let name = outsider.names().next();
    assert_eq!((name.as_deref(), outsider.email.as_deref()), (Some("Eve"), Some("e@b.test")));
    for verified in [json!(false), json!("false")] {
        let claims = json!({
            "sub": "x", "exp": exp, "name": 5, "email": "e@b.test", "email_verified": verified
        });
        assert_eq!(
            outside(&claims),
            Ok((ExternalUser::new(id("", "x"), Names::default(), None), IssuedAt::Time(0)))
        );
    }
    for claims in [
        json!({"exp": exp}),
        json!({"sub": "", "exp": exp}),
        json!({"sub": -7, "exp": exp}),
        json!({"sub": "x".repeat(256), "exp": exp}),
        json!({"sub": "x", "iss": ["them"], "exp": exp}),
    ] {
        assert_eq!(outside(&claims), Err(AuthFailure::Invalid), "{claims}");
    }
    assert_eq!(outside(&json!({"sub": "x", "exp": now()})), Err(AuthFailure::Expired));
}
