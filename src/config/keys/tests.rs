//! Which keys each form of a file gives, and what is said about the others.

use std::fs;

use serde_json::{Value, json};

use super::*;

fn path(name: &str) -> String {
    format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn fixture(name: &str) -> String {
    fs::read_to_string(path(name)).expect("reads")
}

/// Reads the keys of this text.
fn read(text: &str) -> Result<PublicKeys, String> {
    PublicKeys::parse(text.as_bytes())
}

/// The ids of the keys, and the first algorithm of each.
fn kinds(keys: &PublicKeys) -> Vec<(Option<&str>, Algorithm)> {
    keys.keys().iter().map(|key| (key.id.as_deref(), key.algorithms[0])).collect()
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
fn each_form_of_pem_gives_its_keys() {
    for (name, algorithms) in [
        ("rsa-public.pem", kinds::RSA),
        ("rsa-pkcs1-public.pem", kinds::RSA),
        ("rsa-certificate.pem", kinds::RSA),
        ("p256-public.pem", &[Algorithm::ES256]),
        ("p384-public.pem", &[Algorithm::ES384]),
        ("ed25519-public.pem", &[Algorithm::EdDSA]),
    ] {
        for text in [
            fixture(name),
            format!("\u{feff}{}", fixture(name)),
            fixture(name).replace('\n', "\r\n"),
        ] {
            let keys = read(&text).expect(name);
            let [PublicKey { id: None, algorithms: found, .. }] = keys.keys() else {
                panic!("{name}: {keys:?}");
            };
            assert_eq!((*found, keys.skipped().len()), (algorithms, 0), "{name}");
        }
    }
    let two = read(&(fixture("rsa-public.pem") + &fixture("p256-public.pem"))).expect("two keys");
    assert_eq!(kinds(&two), [(None, Algorithm::RS256), (None, Algorithm::ES256)]);
    let chain = read(&fixture("p256-chain.pem")).expect("the key of the signer");
    assert_eq!(kinds(&chain), [(None, Algorithm::ES256)]);
    assert_eq!(chain.skipped(), ["block 2 is the issuer of another certificate in the file"]);
}

#[test]
fn each_form_of_json_gives_its_keys() {
    let [rsa, ec] = jwks().try_into().expect("two keys");
    let ed = json!({"kty": "OKP", "crv": "Ed25519", "kid": "third",
        "x": "ItYgI0EbLRjklojrNMCv4acpixU-wrpIHrpm9yY4bo0"});
    let map = json!({"a": fixture("rsa-certificate.pem"), "b": fixture("p256-public.pem")});
    let cases = [
        (ec.clone(), vec![(Some("second"), Algorithm::ES256)]),
        (with(ed.clone(), "alg", json!("EdDSA")), vec![(Some("third"), Algorithm::EdDSA)]),
        (with(ed, "alg", json!("Ed25519")), vec![(Some("third"), Algorithm::EdDSA)]),
        (
            json!({"keys": [with(rsa.clone(), "alg", json!("PS384")), ec]}),
            vec![(Some("first"), Algorithm::PS384), (Some("second"), Algorithm::ES256)],
        ),
        (map, vec![(Some("a"), Algorithm::RS256), (Some("b"), Algorithm::ES256)]),
    ];
    for (value, expected) in cases {
        for text in [value.to_string(), format!("\u{feff} {value:#}\n")] {
            let keys = read(&text).expect(&text);
            assert_eq!((kinds(&keys), keys.skipped().len()), (expected.clone(), 0), "{text}");
        }
    }
    let all = json!({"keys": [with(rsa, "alg", json!(null))]});
    assert_eq!(read(&all.to_string()).expect("a key").keys()[0].algorithms, kinds::RSA);
}

#[test]
fn an_odd_key_beside_a_good_one_is_left_out() {
    let [rsa, ec] = jwks().try_into().expect("two keys");
    let others = [
        (with(rsa.clone(), "use", json!("enc")), "is not for signatures"),
        (with(ec.clone(), "alg", json!("ES384")), "has an `alg` that is none of its kind"),
        (with(rsa.clone(), "alg", json!("RSA-OAEP")), "has an `alg` that is none of its kind"),
        (with(rsa.clone(), "alg", json!("HS256")), "has an `alg` that is none of its kind"),
        (with(ec.clone(), "key_ops", json!(["deriveKey"])), "is not for signatures"),
        (with(ec.clone(), "crv", json!("secp256k1")), ""),
        (json!({"kty": "oct", "k": "c2VjcmV0"}), ""),
        (json!({"kid": 5}), "is no JWK: a member is missing or of another type"),
        (json!("x"), "is no JWK: a member is missing or of another type"),
        (
            with(rsa.clone(), "n", json!("AQAB")),
            "is an RSA key of 17 bits; it has to have 2048 to 4096",
        ),
        (
            with(rsa.clone(), "n", json!("_".repeat(1365) + "w")),
            "is an RSA key of 8192 bits; it has to have 2048 to 4096",
        ),
        (with(rsa.clone(), "e", json!("AQ")), "is an RSA key whose numbers cannot be right"),
        (with(rsa.clone(), "e", json!(null)), "is a public key that cannot be read"),
        (with(ec.clone(), "x", ec["y"].clone()), "is a public key that cannot be read"),
    ];
    let all: Vec<&Value> = others.iter().map(|(key, _)| key).chain([&rsa]).collect();
    let keys = read(&json!({"keys": all}).to_string()).expect("one key");
    assert_eq!(kinds(&keys), [(Some("first"), Algorithm::RS256)]);
    let other_kind = format!("is of another kind: {}", kinds::KINDS);
    for (at, ((_, why), skipped)) in others.iter().zip(keys.skipped()).enumerate() {
        let why = if why.is_empty() { &*other_kind } else { why };
        assert_eq!(*skipped, format!("key {} of the list {why}", at + 1));
    }
    assert_eq!(keys.skipped().len(), others.len());

    let blocks = ["rsa-small-public.pem", "k256-public.pem", "request.pem", "p256-public.pem"];
    let keys = read(&blocks.map(fixture).concat()).expect("one key");
    assert_eq!(kinds(&keys), [(None, Algorithm::ES256)]);
    let expected = [
        "block 1 is an RSA key of 1024 bits; it has to have 2048 to 4096",
        &format!("block 2 {other_kind}"),
        "block 3 is a certificate request and no certificate",
    ];
    assert_eq!(keys.skipped(), expected);
    let map = json!({"a": fixture("rsa-certificate.pem"), "b": fixture("request.pem")});
    assert_eq!(
        read(&map.to_string()).expect("one key").skipped(),
        ["key 2 of the map is a certificate request and no certificate"]
    );
}

#[test]
fn what_is_wrong_with_a_file_is_said_in_its_own_words() {
    let cut: String = fixture("rsa-public.pem").lines().take(3).collect::<Vec<_>>().join("\n");
    let [rsa, ec] = jwks().try_into().expect("two keys");
    let set = |key: Value| json!({"keys": [key]}).to_string();
    let other_kind = format!("is of another kind: {}", kinds::KINDS);
    let encrypted = fixture("p256.pem").replace(" PRIVATE", " ENCRYPTED PRIVATE");
    let pem = |tag: &str| format!("-----BEGIN {tag}-----\nAAAA\n-----END {tag}-----\n");
    let cases = [
        (String::new(), "holds no public key"),
        ("hush".into(), "holds no public key"),
        (fixture("rsa.pem"), PRIVATE),
        (fixture("rsa-public.pem") + &fixture("ed25519.pem"), PRIVATE),
        (fixture("p256.pem").replace(" PRIVATE", " EC PRIVATE"), PRIVATE),
        (encrypted, PRIVATE_ENCRYPTED),
        (
            pem("RSA PRIVATE KEY").replace("AAAA", "Proc-Type: 4,ENCRYPTED\n\nAAAA"),
            PRIVATE_ENCRYPTED,
        ),
        (cut, "is not PEM: a block is cut or broken"),
        (
            fixture("rsa-small-public.pem"),
            "is an RSA key of 1024 bits; it has to have 2048 to 4096",
        ),
        (fixture("k256-public.pem"), &other_kind),
        (
            fixture("p256-public.pem").replace("c22TQ==", "c22TA=="),
            "is a public key that cannot be read",
        ),
        (fixture("request.pem"), "is a certificate request and no certificate"),
        (pem("CERTIFICATE"), "is a certificate that cannot be read"),
        (pem("X509 CRL"), "is a list of revoked certificates"),
        (pem("EC PARAMETERS"), "is the name of a curve and no key"),
        (pem("DH PARAMETERS"), "is neither a public key nor a certificate"),
        (
            "ssh-ed25519 AAAA me@here".into(),
            "is a public key of SSH (`ssh-keygen -e -m PKCS8 -f FILE` makes PEM of it)",
        ),
        (
            pem("TRUSTED CERTIFICATE"),
            "is a certificate in a form of OpenSSL's own (`openssl x509 -in FILE` makes the common \
             one)",
        ),
        ("{".into(), "is broken JSON (EOF while parsing an object at line 1 column 1)"),
        ("[]".into(), "is JSON, but no object; a JWKS is an object with a list `keys`"),
        (
            "{}".into(),
            "is JSON, but neither a JWKS (an object with a list `keys`), nor a JWK, nor a map from \
             key ids to certificates",
        ),
        (
            json!({"issuer": "x", "jwks_uri": "https://x.test/keys"}).to_string(),
            "is an OpenID configuration and not the keys; its `jwks_uri` is the address for \
             JWKS_URL",
        ),
        (json!({"type": "service_account", "private_key": "x"}).to_string(), PRIVATE),
        (json!({"keys": "x"}).to_string(), "is no JWKS: its `keys` has to be a list"),
        (json!({"keys": []}).to_string(), "holds no public key"),
        (set(with(rsa.clone(), "d", json!("AQAB"))), PRIVATE),
        (with(rsa.clone(), "d", json!("AQAB")).to_string(), PRIVATE),
        (json!({"a": fixture("rsa.pem")}).to_string(), PRIVATE),
        (set(with(rsa.clone(), "use", json!("enc"))), "key 1 of the list is not for signatures"),
        (
            json!({"keys": [json!({"kty": "oct"}), with(rsa, "use", json!("enc"))]}).to_string(),
            &format!(
                "holds no key that can be used (key 1 of the list {other_kind}; key 2 of the list \
                 is not for signatures)"
            ),
        ),
        (json!({"keys": vec![ec; 101]}).to_string(), "holds more than 100 keys"),
        (" ".repeat((1 << 20) + 1), "is larger than 1 MiB"),
    ];
    for (text, why) in cases {
        assert_eq!(read(&text).expect_err("refused"), why, "{text:.100}");
    }
    for (bytes, why) in [
        (&[0xff, 0xfe, 0x7b, 0][..], "is text in UTF-16; save it as UTF-8"),
        (&[0xfe, 0xff, 0, 0x7b], "is text in UTF-16; save it as UTF-8"),
        (
            &[0x30, 0x82, 1, 0x22],
            "is DER, the binary form (`openssl pkey -pubin -inform der -in FILE` or `openssl x509 \
             -inform der -in FILE` make PEM of it)",
        ),
        (&[0xc0, 0, 1], "is no text"),
    ] {
        assert_eq!(PublicKeys::parse(bytes).expect_err("refused"), why);
    }
}

#[test]
fn a_file_is_named_by_its_path_in_a_refusal_and_read_again_if_it_has_changed() {
    let advice = "; name a PEM file of a public key or a certificate, or a JWKS file";
    let away = "/is/not/there".parse::<KeyFile>().expect_err("refused");
    assert!(away.starts_with("/is/not/there: No such file") && away.ends_with(advice));
    let text = fixture("p256-public.pem");
    assert_eq!(
        text.parse::<KeyFile>().expect_err("refused"),
        "is the path of a file, and not the key itself"
    );

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys");
    fs::write(&path, text).expect("writes");
    let name = path.to_str().expect("a path of text");
    let file: KeyFile = name.parse().expect("a key");
    let mut last = file.bytes();
    assert!(file.read_again(&mut last).is_none());
    fs::write(&path, "hush").expect("writes");
    let refused = file.read_again(&mut last).expect("has changed").expect_err("refused");
    assert_eq!(refused, format!("{name}: holds no public key{advice}"));
    assert!(file.read_again(&mut last).is_none());
    fs::write(&path, fixture("jwks.json")).expect("writes");
    let keys = file.read_again(&mut last).expect("has changed").expect("two keys");
    assert_eq!(keys.keys().len(), 2);
}
