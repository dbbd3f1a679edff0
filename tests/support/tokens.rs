//! Tokens made by `hubcast token`, and Socket.IO sockets on which each frame is visible.

#![allow(dead_code, reason = "each test file uses its own part")]

use super::raw::{Raw, UPGRADE};
use super::{Home, Server};

/// Runs `hubcast token` with these arguments.
pub fn token_of(home: &Home, user: i64, arguments: &[&str]) -> String {
    let output = home.run(&[&["token", "--user", &user.to_string()], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A token's expiry, as frames and acks write it.
pub fn expiry_of(token: &str) -> String {
    use base64::Engine;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(token.split('.').nth(1).unwrap())
        .unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    chrono::DateTime::from_timestamp(claims["exp"].as_i64().unwrap(), 0)
        .unwrap()
        .format("%Y-%m-%dT%H:%M:%S.000Z")
        .to_string()
}

/// A connection, after its open packet.
pub fn connection(server: &Server) -> Raw {
    let mut raw = Raw::request(
        server.address.parse().unwrap(),
        "GET /socket.io/?EIO=4&transport=websocket",
        UPGRADE,
    );
    raw.head();
    assert!(raw.text().starts_with(r#"0{"sid":""#));
    raw
}

/// Joins a namespace and reads `session` and, on `/`, the count of unread notifications.
pub fn join(raw: &mut Raw, namespace: &str, token: &str) {
    let prefix = if namespace == "/" { String::new() } else { format!("{namespace},") };
    raw.say(&format!(r#"40{prefix}{{"token":"{token}"}}"#));
    let answer = raw.text();
    assert!(answer.starts_with(&format!("40{prefix}{{")), "{answer}");
    assert!(raw.text().starts_with(&format!(r#"42{prefix}["session","#)));
    if namespace == "/" {
        assert!(raw.text().starts_with(r#"42["notifications:unread","#));
    }
}

/// The frames that end a socket on `/` with an error.
pub fn end_events(code: &str, message: &str) -> [String; 3] {
    let word = |name: &str| {
        format!(r#"42["{name}",{{"code":"{code}","message":"{message}","status":"error"}}]"#)
    };
    [word("error"), word("exception"), "41".to_owned()]
}
