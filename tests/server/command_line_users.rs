//! `hubcast user passwd`, `role` and `remove` while a server is running: their effects, and that
//! they end all of the user's tokens and sockets.

use crate::support::command;

use std::io::Write;
use std::process::Stdio;

use crate::support::{Home, PASSWORD, Server, Socket};
use command::{answer, code, complaint};
use serde_json::{Value, json};

fn login(server: &Server, password: &str) -> (u16, Value) {
    let answer =
        server.post("/auth/login", "", &json!({"email": "alice@demo.test", "password": password}));
    (answer.status, answer.body)
}

/// Checks that the work ends Alice's tokens and sockets, and leaves Bob's.
fn ends_alice(server: &Server, work: impl FnOnce(i64)) {
    let ((first, id), (second, _), (bob, _)) =
        (server.sign_in("alice"), server.sign_in("alice"), server.sign_in("bob"));
    let mut gone: [Socket; 2] = [server.plain("/", &first), server.plain("/", &second)];
    let mut bobs = server.plain("/", &bob);
    work(id);
    for (token, socket) in [first, second].iter().zip(&mut gone) {
        assert_eq!(server.get("/auth/me", token).status, 401);
        assert_eq!(socket.close_code(), 4401);
    }
    assert_eq!(server.get("/auth/me", &bob).status, 200);
    assert_eq!(bobs.heard(), Vec::<Value>::new());
}

#[test]
fn passwd_changes_the_password_and_ends_all_tokens() {
    let home = Home::new();
    let server = home.serve(&[]);
    ends_alice(&server, |id| {
        let mut command =
            home.command(&["user", "passwd", "--email", "ALICE@demo.test", "--password-stdin"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"another one\n").unwrap();
        assert_eq!(
            answer(&child.wait_with_output().unwrap()),
            format!("{id}\tcustomer\talice@demo.test\tAlice\n")
        );
    });
    assert_eq!(login(&server, PASSWORD).0, 401);
    let (status, signed_in) = login(&server, "another one");
    assert_eq!(status, 200);
    assert_eq!(server.get("/auth/me", signed_in["accessToken"].as_str().unwrap()).status, 200);
}

#[test]
fn role_changes_the_role_and_ends_all_tokens() {
    let home = Home::new();
    let server = home.serve(&[]);
    ends_alice(&server, |id| {
        let output = home.run(&["user", "role", "--user", &id.to_string(), "admin"]);
        assert_eq!(answer(&output), format!("{id}\tadmin\talice@demo.test\tAlice\n"));
    });
    let (status, signed_in) = login(&server, PASSWORD);
    assert_eq!((status, &signed_in["user"]["role"]), (200, &json!("admin")));
    let admins = signed_in["accessToken"].as_str().unwrap();
    let mut desk = server.plain("/admin", admins);
    let id = signed_in["user"]["id"].to_string();
    assert!(
        answer(&home.run(&["user", "role", "customer", "--user", &id])).contains("\tcustomer\t")
    );
    assert_eq!(desk.close_code(), 4401);
    assert_eq!(server.get("/auth/me", admins).status, 401);
}

#[test]
fn remove_deletes_the_account_and_its_own_data() {
    let home = Home::new();
    let server = home.serve(&[]);
    ends_alice(&server, |id| {
        let output = home.run(&["user", "remove", "--user", &id.to_string()]);
        assert_eq!(answer(&output), format!("{id}\tcustomer\talice@demo.test\tAlice\n"));
    });
    assert_eq!(login(&server, PASSWORD).0, 401);
    assert!(!answer(&home.run(&["user", "list"])).contains("alice"));
    // Placed orders stay, without a customer.
    let (admin, _) = server.sign_in("admin");
    let orders = server.get("/orders", &admin);
    assert_eq!((orders.status, orders.body.as_array().map(Vec::len)), (200, Some(5)));
}

#[test]
fn a_failure_is_reported_in_one_line() {
    let home = Home::new();
    let server = home.serve(&[]);
    let failures = [
        (
            &["user", "passwd", "--user", "99", "--password", "long enough"][..],
            "hubcast: User with ID 99 not found",
        ),
        (&["user", "role", "--user", "99", "admin"], "hubcast: User with ID 99 not found"),
        (
            &["user", "rename", "--email", "bob@demo.test", "--name", "ada admin"],
            "hubcast: Name is not available",
        ),
        (
            &["user", "remove", "--email", "nobody@demo.test"],
            "hubcast: User with e-mail nobody@demo.test not found",
        ),
    ];
    for (arguments, text) in failures {
        let output = home.run(arguments);
        assert_eq!((code(&output), complaint(&output).as_str()), (Some(1), text));
    }
    let misuse = [
        (
            &["user", "passwd", "--user", "1", "--password", "short"][..],
            "hubcast: password must be longer than or equal to 8 characters",
        ),
        (
            &["user", "rename", "--user", "1", "--name", "Ada\u{202e}"],
            "hubcast: name must not contain control or invisible characters",
        ),
        (
            &["user", "role", "--user", "1", "root"],
            "hubcast: <ROLE>: \"root\" is no role; write customer or admin",
        ),
        (
            &["user", "role", "--user", "1"],
            "hubcast: the following required arguments were not provided: <ROLE>; see hubcast --help",
        ),
        (
            &["user", "remove"],
            "hubcast: the following required arguments were not provided: <--user <ID>|--email <EMAIL>>; see hubcast --help",
        ),
    ];
    for (arguments, text) in misuse {
        let output = home.run(arguments);
        assert_eq!((code(&output), complaint(&output).as_str()), (Some(2), text));
    }
    let output = home.run(&["user", "remove", "--user", "1", "--email", "bob@demo.test"]);
    assert_eq!(code(&output), Some(2));
    assert_eq!(login(&server, PASSWORD).0, 200);
}
