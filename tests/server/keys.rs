//! Tokens that another issuer signs, through the public API: which are accepted, whose they are,
//! and what this server then refuses to do.

use crate::support::keys;

use crate::support::Home;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use keys::{claims, complaint, is_refused, link, linked, me, now, path, pem, serve, sign, token};
use serde_json::{Value, json};
use sha2::Sha256;

#[test]
fn a_token_of_each_kind_of_key_is_accepted_by_rest_and_sockets() {
    let named = |algorithm, id: &str| Header { kid: Some(id.into()), ..Header::new(algorithm) };
    let home = Home::new();
    let cases = [
        ("rsa-public.pem", vec![Header::new(Algorithm::RS256), named(Algorithm::RS256, "any")]),
        ("rsa-certificate.pem", vec![Header::new(Algorithm::RS512), Header::new(Algorithm::PS256)]),
        ("p256-public.pem", vec![Header::new(Algorithm::ES256)]),
        ("p384-public.pem", vec![Header::new(Algorithm::ES384)]),
        ("ed25519-public.pem", vec![Header::new(Algorithm::EdDSA)]),
        (
            "jwks.json",
            vec![
                named(Algorithm::RS256, "first"),
                named(Algorithm::ES256, "second"),
                Header::new(Algorithm::ES256),
            ],
        ),
    ];
    for (file, headers) in cases {
        let server = serve(&home, file, &[]);
        assert_eq!(
            linked(&home, &["--email", "ALICE@demo.test", "--subject", "eve"]),
            "2\tcustomer\talice@demo.test\tAlice\n"
        );
        for header in headers {
            let eve = sign(&header, &json!({"sub": "eve"}));
            assert_eq!(me(&server, &eve)["id"], 2, "{file} {header:?}");
            let session = server.upgrade("/ws", &eve).next();
            assert_eq!(
                (&session["event"], &session["data"]["userId"]),
                (&json!("session"), &json!(2)),
                "{file} {header:?}"
            );
        }
    }
}

#[test]
fn a_token_cannot_choose_how_it_is_checked() {
    let home = Home::new();
    let server = serve(&home, "jwks.json", &[]);
    linked(&home, &["--user", "2", "--subject", "eve"]);
    let eve = json!({"sub": "eve"});
    let good = sign(&Header::new(Algorithm::RS256), &eve);
    assert_eq!(me(&server, &good)["id"], 2);
    let header = |header: Value| URL_SAFE_NO_PAD.encode(header.to_string());
    // Signed by hand, because the library refuses an empty secret.
    let by_secret = |secret: &[u8]| {
        let signed = format!("{}.{}", header(json!({"alg": "HS256"})), header(claims(&eve)));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    };
    let (_, rest) = good.split_once('.').unwrap();
    let (payload, _) = rest.split_once('.').unwrap();
    let own = jsonwebtoken::jwk::Jwk::from_encoding_key(
        &EncodingKey::from_ed_pem(&pem("ed25519.pem")).unwrap(),
        Algorithm::EdDSA,
    )
    .unwrap();
    let cases = [
        by_secret(&pem("jwks.json")),
        by_secret(&pem("rsa-public.pem")),
        by_secret(b""),
        format!("{}.{payload}.", header(json!({"alg": "none"}))),
        format!("{}.{rest}", header(json!({"alg": "none"}))),
        sign(&Header::new(Algorithm::RS384), &eve),
        sign(&Header::new(Algorithm::PS256), &eve),
        sign(&Header { kid: Some("second".into()), ..Header::new(Algorithm::RS256) }, &eve),
        sign(&Header { kid: Some("third".into()), ..Header::new(Algorithm::RS256) }, &eve),
        sign(&Header { jwk: Some(own), ..Header::new(Algorithm::EdDSA) }, &eve),
        sign(&Header { crit: Some(vec!["exp".into()]), ..Header::new(Algorithm::RS256) }, &eve),
        sign(&Header::new(Algorithm::RS256), &json!({"sub": "eve", "exp": now()})),
        sign(&Header::new(Algorithm::RS256), &json!({"sub": "eve", "nbf": now() + 60})),
    ];
    for token in cases {
        assert!(is_refused(&server, &token), "{token}");
    }
}

#[test]
fn with_another_issuer_this_server_signs_nothing() {
    let home = Home::new();
    let server = serve(&home, "ed25519-public.pem", &[]);
    let refused = json!({"statusCode": 501, "message": "Tokens are issued elsewhere", "error": "Not Implemented"});
    for path in ["/auth/register", "/auth/login"] {
        for body in [
            json!({"email": "alice@demo.test", "name": "Alice", "password": crate::support::PASSWORD}),
            json!({}),
        ] {
            let answer = server.post(path, "", &body);
            assert_eq!((answer.status, answer.body), (501, refused.clone()), "{path}");
        }
    }
    let mut command = home.command(&["token", "--user", "2"]);
    let output = command
        .env("JWT_SECRET", "")
        .env("JWT_PUBLIC_KEY_FILE", path("ed25519-public.pem"))
        .output()
        .unwrap();
    let mend = "hubcast: JWT_PUBLIC_KEY_FILE: is set, so tokens are signed elsewhere; get one there, or set JWT_SECRET instead";
    assert_eq!(complaint(&output), (Some(2), mend.to_owned()));
}

#[test]
fn an_unusable_key_exits_with_2_and_one_line() {
    let home = Home::on_sqlite();
    let file = path("ed25519-public.pem");
    let with = |command: &str, settings: &[(&str, &str)]| {
        home.command(&[command]).envs(settings.iter().copied()).output().unwrap()
    };
    let cases = [
        (
            vec![("JWT_PUBLIC_KEY_FILE", file.clone()), ("JWT_SECRET", "hush".into())],
            "JWT_PUBLIC_KEY_FILE: is set, and so is JWT_SECRET; ",
        ),
        (vec![("JWT_PROVISION", "on".into())], "JWT_PROVISION: is for tokens that others sign; "),
        (
            vec![("JWT_PUBLIC_KEY_FILE", "nowhere.pem".into())],
            "JWT_PUBLIC_KEY_FILE (--jwt-public-key-file): nowhere.pem: No such file",
        ),
        (
            vec![("JWT_PUBLIC_KEY_FILE", path("rsa-small-public.pem"))],
            "JWT_PUBLIC_KEY_FILE (--jwt-public-key-file): PATH: is an RSA key of 1024 bits; ",
        ),
        (
            vec![("JWT_PUBLIC_KEY_FILE", path("rsa.pem"))],
            "JWT_PUBLIC_KEY_FILE (--jwt-public-key-file): PATH: holds a private key, ",
        ),
    ];
    for (settings, start) in cases {
        let settings: Vec<(&str, &str)> =
            settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        for command in ["serve", "check-config"] {
            let (code, text) = complaint(&with(command, &settings));
            let start = start.replace("PATH", settings[0].1);
            assert_eq!(code, Some(2), "{text}");
            assert!(
                text.starts_with(&format!("hubcast: {start}")) && !text.contains("hush"),
                "{text}"
            );
        }
    }
    let short = [("JWT_SECRET", "0123456789012345678901234567890")];
    for command in ["serve", "check-config"] {
        let production = [short[0], ("HUBCAST_ENV", "production")];
        let (code, text) = complaint(&with(command, &production));
        assert_eq!(code, Some(2), "{text}");
        assert!(text.starts_with("hubcast: JWT_SECRET: has fewer than 32 bytes, "), "{text}");
        assert!(!text.contains("0123"), "{text}");
    }
    let text = String::from_utf8(with("check-config", &short).stdout).unwrap();
    assert!(text.contains("warning     JWT_SECRET has fewer than 32 bytes\n"), "{text}");
    let good = with(
        "check-config",
        &[("HUBCAST_ENV", "production"), ("JWT_PUBLIC_KEY_FILE", &file), ("JWT_PROVISION", "on")],
    );
    let text = String::from_utf8(good.stdout).unwrap();
    assert!(
        good.status.success()
            && text.contains("checks with JWT_PUBLIC_KEY_FILE, keys: 1; signs nothing\n"),
        "{text}"
    );
}

#[test]
fn a_subject_is_looked_up_and_never_used_as_an_id() {
    let home = Home::new();
    let server = serve(&home, "ed25519-public.pem", &[]);
    for sub in [json!("1"), json!(1), json!("2")] {
        assert!(
            is_refused(&server, &token(&json!({"sub": sub, "role": "admin", "generation": 0}))),
            "{sub}"
        );
    }
    linked(&home, &["--user", "2", "--subject", "1"]);
    linked(&home, &["--user", "3", "--subject", "1", "--issuer", "them"]);
    for (claims, user) in
        [(json!({"sub": "1"}), 2), (json!({"sub": 1}), 2), (json!({"sub": "1", "iss": "them"}), 3)]
    {
        assert_eq!(me(&server, &token(&claims))["id"], user, "{claims}");
    }
    assert!(is_refused(&server, &token(&json!({"sub": "1", "iss": "others"}))));
}

#[test]
fn issuer_and_audience_are_required_if_set() {
    let home = Home::new();
    let server =
        serve(&home, "ed25519-public.pem", &[("JWT_ISSUER", "them"), ("JWT_AUDIENCE", "hub")]);
    let output = home
        .command(&["user", "link", "--user", "2", "--subject", "eve"])
        .env("JWT_ISSUER", "them")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(me(&server, &token(&json!({"sub": "eve", "iss": "them", "aud": ["hub"]})))["id"], 2);
    for claims in [
        json!({"sub": "eve", "iss": "them"}),
        json!({"sub": "eve", "aud": "hub"}),
        json!({"sub": "eve", "iss": "x", "aud": "hub"}),
    ] {
        assert!(is_refused(&server, &token(&claims)), "{claims}");
    }
}

#[test]
fn an_identity_belongs_to_one_account() {
    let home = Home::new();
    let _server = serve(&home, "ed25519-public.pem", &[]);
    for _ in 0..2 {
        assert_eq!(
            linked(&home, &["--user", "2", "--subject", "eve"]),
            "2\tcustomer\talice@demo.test\tAlice\n"
        );
    }
    let taken = "hubcast: The identity is that of the user with ID 2".to_owned();
    assert_eq!(complaint(&link(&home, &["--user", "3", "--subject", "eve"])), (Some(1), taken));
    assert_eq!(
        complaint(&link(&home, &["--user", "99", "--subject", "x"])),
        (Some(1), "hubcast: User with ID 99 not found".into())
    );
    assert_eq!(complaint(&link(&home, &["--user", "3", "--subject", ""])).0, Some(2));
}

#[test]
fn a_token_of_16_kib_is_good_in_every_place() {
    let home = Home::new();
    let server = serve(&home, "ed25519-public.pem", &[]);
    linked(&home, &["--user", "2", "--subject", "eve"]);
    let sized = |bytes: usize| token(&json!({"sub": "eve", "groups": "x".repeat(bytes)}));
    // Four characters of the token hold three bytes.
    let long = sized(12_288 - sized(0).len() * 3 / 4);
    assert!((16_200..=16_384).contains(&long.len()), "{}", long.len());
    assert_eq!(me(&server, &long)["id"], 2);
    let cookie = format!("theme=dark; Authentication={long}");
    let by_cookie = server.call("GET", "/auth/me", "", &[("Cookie", &cookie)], None);
    assert_eq!((by_cookie.status, &by_cookie.body["id"]), (200, &json!(2)));

    let mut sockets =
        [server.upgrade("/ws", &long), server.upgrade(&format!("/ws?token={long}"), "")];
    let mut first_frame = server.upgrade("/ws", "");
    first_frame.say(&json!({"event": "auth", "data": {"token": long}}).to_string());
    for socket in sockets.iter_mut().chain([&mut first_frame]) {
        let session = socket.next();
        assert_eq!((&session["event"], &session["data"]["userId"]), (&json!("session"), &json!(2)));
    }
    assert_eq!(first_frame.next()["event"], "notifications:unread");
    first_frame
        .say(&json!({"event": "auth:refresh", "data": {"token": long}, "id": 1}).to_string());
    assert_eq!(first_frame.next()["data"]["ok"], true);
    assert!(is_refused(&server, &sized(12_400)));
}
