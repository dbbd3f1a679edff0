//! What guards a server against an operator's slip, against other users of its machine, and against
//! pages that reach it by a name of their own; and how sign-ins are limited.

use crate::support::command;
use crate::support::raw;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Answer, Home, PASSWORD, Server};
use command::{answer, code, complaint, with};
use raw::{Raw, UPGRADE};
use serde_json::{Value, json};

const PRODUCTION: [(&str, &str); 2] =
    [("HUBCAST_ENV", "production"), ("JWT_SECRET", "only-for-tests-only-for-tests-only-for-tests")];

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn mode_of(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

/// Runs a server that has to refuse to start. Returns its log.
fn refusal(mut command: Command, exit: i32) -> String {
    let output = command.output().unwrap();
    assert_eq!(code(&output), Some(exit), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn production_refuses_a_database_with_the_public_passwords_of_the_demo() {
    let home = Home::new();
    assert_eq!(home.serve(&[]).stop(), Some(0));
    let production = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.envs(PRODUCTION);
        command
    };
    let token = ["token", "--user", "1"];
    let all = "admin@demo.test, alice@demo.test, bob@demo.test; `hubcast user remove --email \
               admin@demo.test` removes";
    for (command, exit) in [(&["serve"][..], 1), (&token, 1)] {
        let log = refusal(production(command), exit);
        let last = log.lines().last().unwrap();
        assert!(last.contains(all) && last.contains("hubcast user passwd"), "{log}");
    }
    // Each is mended by one of the commands.
    assert_eq!(code(&home.run(&["user", "remove", "--email", "bob@demo.test"])), Some(0));
    let passwd = ["user", "passwd", "--email", "admin@demo.test", "--password", "another one"];
    assert_eq!(code(&home.run(&passwd)), Some(0));
    let log = refusal(production(&["serve"]), 1);
    assert!(log.contains(": alice@demo.test; ") && !log.contains("bob"), "{log}");
    assert!(answer(&with(home.command(&token), &PRODUCTION)).starts_with("eyJ"));
    assert_eq!(code(&home.run(&["user", "remove", "--email", "alice@demo.test"])), Some(0));
    let server = home.start(&["serve"], &PRODUCTION);
    let admin = json!({"email": "admin@demo.test", "password": "another one"});
    assert_eq!(server.post("/auth/login", "", &admin).status, 200);
}

#[test]
fn a_short_secret_is_refused_in_production_for_tokens_too() {
    let home = Home::on_sqlite();
    for arguments in [&["serve"][..], &["check-config"], &["token", "--user", "1"]] {
        let output = with(home.command(arguments), &[PRODUCTION[0], ("JWT_SECRET", "short")]);
        assert_eq!(code(&output), Some(2));
        assert!(complaint(&output).starts_with("hubcast: JWT_SECRET: has fewer than 32 bytes"));
    }
}

#[test]
fn check_config_prints_what_production_changes_and_what_is_still_open() {
    let home = Home::on_sqlite();
    let check = |settings: &[(&str, &str)]| {
        let text = answer(&with(home.command(&["check-config"]), settings));
        let (head, rest) = text.split_once("What HUBCAST_ENV=production changes, ").unwrap();
        assert!(head.contains("listens on"), "{text}");
        let (profile, open) = rest.split_once("Still open: ").unwrap();
        let row = |setting: &str| {
            let line = profile.lines().find(|line| line.starts_with(setting)).unwrap();
            let cells: Vec<_> = line.split("  ").filter(|cell| !cell.is_empty()).collect();
            cells[1..4].iter().map(|cell| cell.trim()).collect::<Vec<_>>().join("|")
        };
        let open: Vec<_> = open
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(setting, _)| setting.to_owned())
            .collect();
        (
            profile.lines().next().unwrap().to_owned(),
            ["HUBCAST_DEMO", "REGISTRATION", "TEST_CLIENT"].map(row),
            open,
        )
    };
    let (is_on, rows, open) = check(&[]);
    assert_eq!(is_on, "which is off:");
    let usual =
        ["REGISTRATION", "TEST_CLIENT", "MEMBERSHIP", "CATALOG", "CUSTOMER_PAYMENTS", "ORDER_HOLD"];
    assert_eq!(open, usual);
    let text = answer(&home.run(&["check-config"]));
    assert!(
        text.contains("REGISTRATION: anyone could make accounts (production: closed)"),
        "{text}"
    );
    let (_, _, open) =
        check(&[("JWT_SECRET", "short"), ("CATALOG", "admin"), ("ORDER_HOLD", "1h")]);
    assert_eq!(open, ["JWT_SECRET", usual[0], usual[1], usual[2], usual[4]]);
    assert_eq!(rows, ["allowed|refused|allowed", "open|closed|open", "on|off|on"]);
    let (is_on, rows, open) = check(&PRODUCTION);
    assert_eq!(is_on, "which is on:");
    assert_eq!(rows, ["allowed|refused|refused", "open|closed|closed", "on|off|off"]);
    assert_eq!(open, Vec::<String>::new());
    let key = format!("{}/tests/keys/p256-public.pem", env!("CARGO_MANIFEST_DIR"));
    let careless = [
        PRODUCTION[0],
        ("HOST", "0.0.0.0"),
        ("REGISTRATION", "open"),
        ("TEST_CLIENT", "on"),
        ("CORS_ORIGINS", "*"),
        ("JWT_PUBLIC_KEY_FILE", key.as_str()),
        ("DATABASE_URL", "postgres://u:p@db.test/d"),
    ];
    let (_, rows, open) = check(&careless);
    assert_eq!(rows, ["allowed|refused|refused", "open|closed|open", "on|off|on"]);
    assert_eq!(
        open,
        [
            "REGISTRATION",
            "TEST_CLIENT",
            "TLS_CERT_FILE",
            "CORS_ORIGINS",
            "METRICS_ADDR",
            "JWT_AUDIENCE",
            "DATABASE_URL"
        ]
    );
}

#[test]
fn a_start_without_an_audience_for_outside_keys_is_warned_about() {
    let home = Home::on_sqlite();
    let key = format!("{}/tests/keys/p256-public.pem", env!("CARGO_MANIFEST_DIR"));
    let warns = |settings: &[(&str, &str)]| {
        let server = home.start(&["serve"], settings);
        server.log.iter().any(|line| line.contains("JWT_AUDIENCE: "))
    };
    assert!(warns(&[("JWT_PUBLIC_KEY_FILE", &key)]));
    assert!(!warns(&[("JWT_PUBLIC_KEY_FILE", &key), ("JWT_AUDIENCE", "shop")]));
    assert!(!warns(&[]));
}

#[test]
fn files_that_others_can_read_are_mended_and_those_that_others_can_replace_are_refused() {
    let home = Home::on_sqlite();
    let server = home.serve(&[]);
    let folder = home.path().join("data");
    let at = |name: &str| folder.join(name);
    let files = ["hubcast.db", "hubcast.db-wal", "hubcast.db-shm", "hubcast.jwt-secret"].map(at);
    // So that the WAL stays.
    server.kill();
    for file in &files {
        mode(file, 0o644);
    }
    let server = home.start(&["serve"], &[]);
    assert_eq!(files.each_ref().map(|file| mode_of(file)), [0o600; 4]);
    let told = server.log.iter().filter(|line| line.contains("its mode is now 0600")).count();
    assert_eq!(told, 4, "{:?}", server.log);
    server.kill();

    mode(&folder, 0o777);
    let log = refusal(home.command(&["serve"]), 1);
    assert!(log.contains("data is open to every user") && log.contains("`chmod o-w "), "{log}");
    mode(&folder, 0o700);

    for name in ["hubcast.db.lock", "hubcast.jwt-secret"] {
        let (file, elsewhere) = (at(name), home.path().join(name));
        std::fs::rename(&file, &elsewhere).unwrap();
        symlink(&elsewhere, &file).unwrap();
        let log = refusal(home.command(&["serve"]), 1);
        assert!(log.contains(&format!("{name} is a link")), "{log}");
        std::fs::remove_file(&file).unwrap();
        std::fs::rename(&elsewhere, &file).unwrap();
    }
    // A link that the operator names leads to the file.
    symlink("data/hubcast.db", home.path().join("link.db")).unwrap();
    let server = home.start(&["serve"], &[("DATABASE_URL", "sqlite://link.db")]);
    server.sign_in("alice");
}

#[test]
fn on_a_developers_machine_a_page_cannot_call_the_server_by_a_name_of_its_own() {
    let home = Home::new();
    let call = |server: &Server, host: &str| {
        let answer = server.call("GET", "/healthz", "", &[("Host", host)], None);
        answer.status
    };
    let upgraded = |server: &Server, host: &str| {
        let mut raw = Raw(TcpStream::connect(&server.address).unwrap());
        let head = format!("GET /ws HTTP/1.1\r\nHost: {host}\r\n{UPGRADE}\r\n");
        raw.0.write_all(head.as_bytes()).unwrap();
        raw.head().split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    let server = home.serve(&[("CORS_ORIGINS", "https://shop.test")]);
    for (host, status) in [
        ("localhost:3000", 200),
        ("[::1]:3000", 200),
        ("192.0.2.7", 200),
        ("shop.test", 200),
        ("evil.test", 403),
        ("evil.test:3000", 403),
        ("localhost.evil.test", 403),
    ] {
        assert_eq!(call(&server, host), status, "{host}");
        assert_eq!(upgraded(&server, host), if status == 200 { 101 } else { 403 }, "{host}");
    }
    let refused = server.call("GET", "/auth/me", "", &[("Host", "evil.test")], None);
    let message = "This Host is not this server's; call it by localhost or an address, or name the \
                   host's Origin in CORS_ORIGINS";
    assert_eq!(refused.body, json!({"statusCode": 403, "message": message, "error": "Forbidden"}));
    server.stop();
    let behind_a_proxy = home.serve(&[("TRUSTED_PROXIES", "127.0.0.1")]);
    assert_eq!(call(&behind_a_proxy, "hub.test"), 200);
    behind_a_proxy.stop();
    let home = Home::new();
    assert_eq!(call(&home.start(&["serve"], &PRODUCTION), "hub.test"), 200);
}

#[test]
fn an_answer_to_a_caller_is_for_nobody_else() {
    let home = Home::new();
    let server = home.serve(&[("TRUSTED_PROXIES", "127.0.0.1")]);
    let (alice, _) = server.sign_in("alice");
    let header = |answer: &Answer, name: &str| {
        answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    for path in ["/auth/me", "/orders", "/products/99999", "/notifications/unread-count"] {
        let answer = server.get(path, &alice);
        assert_eq!(header(&answer, "cache-control").as_deref(), Some("no-store"), "{path}");
        assert_eq!(header(&answer, "x-content-type-options").as_deref(), Some("nosniff"));
        assert_eq!(header(&answer, "strict-transport-security"), None);
    }
    let page = server.get("/app.js", "");
    assert_eq!(header(&page, "cache-control").as_deref(), Some("no-cache"));
    // Under TLS browsers learn to come back by TLS.
    let secure = [("X-Forwarded-Proto", "https"), ("Host", "hub.test")];
    let answer = server.call("GET", "/auth/me", &alice, &secure, None);
    assert_eq!(header(&answer, "strict-transport-security").as_deref(), Some("max-age=31536000"));
    let local = [("X-Forwarded-Proto", "https"), ("Host", "localhost:3000")];
    let answer = server.call("GET", "/auth/me", &alice, &local, None);
    assert_eq!(header(&answer, "strict-transport-security"), None);
}

/// Calls from this address, by a trusted proxy.
fn from(server: &Server, address: &str, path: &str, body: &Value) -> u16 {
    server.call("POST", path, "", &[("X-Forwarded-For", address)], Some(body)).status
}

#[test]
fn sign_ins_and_registrations_of_an_address_are_limited_and_others_are_not() {
    let home = Home::new();
    let server = home.serve(&[
        ("TRUSTED_PROXIES", "127.0.0.1"),
        ("RATE_LOGIN_ADDRESS", "3/m"),
        ("RATE_REGISTER", "2/m"),
    ]);
    let guess = |n: u32, address: &str| {
        let body = json!({"email": format!("{n}@x.test"), "password": "guess"});
        from(&server, address, "/auth/login", &body)
    };
    let alice = json!({"email": "alice@demo.test", "password": PASSWORD});
    // Another account each time, and of one network another address each time.
    let network = |n: u32| guess(n, &format!("2001:db8:0:1::{n}"));
    assert_eq!([1, 2, 3, 4].map(network), [401, 401, 401, 429]);
    assert_eq!(from(&server, "2001:db8:0:2::1", "/auth/login", &alice), 200);
    assert_eq!(from(&server, "192.0.2.1", "/auth/login", &alice), 200);
    assert_eq!([1, 2, 3, 4].map(|n| guess(n, "192.0.2.1")), [401, 401, 429, 429]);
    let again = from(&server, "192.0.2.1", "/auth/login", &alice);
    assert_eq!(again, 200, "an account that was there before is not shut out by its neighbours");
    assert_eq!(from(&server, "192.0.2.2", "/auth/login", &alice), 200);
    let register = |n: u32| {
        let body = json!({"email": format!("{n}@y.test"), "name": "N", "password": "long enough"});
        from(&server, "192.0.2.9", "/auth/register", &body)
    };
    assert_eq!([1, 2, 3].map(register), [201, 201, 429]);
}

#[test]
fn failed_sign_ins_are_counted_in_the_log_without_an_email_or_a_password() {
    let home = Home::new();
    let mut command = home.command(&["serve", "--demo"]);
    command.env("LOG_FORMAT", "json").env("RATE_LOGIN", "3/m").stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let address = lines.by_ref().find_map(|line| {
        let (_, rest) = line.split_once("listening on http://")?;
        rest.split('"').next().map(str::to_owned)
    });
    let mut server = Server { child, address: address.unwrap(), log: Vec::new() };
    for _ in 0..5 {
        let body = json!({"email": "alice@demo.test", "password": "a guess"});
        server.post("/auth/login", "", &body);
    }
    let pid = server.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let log: Vec<String> = lines.collect();
    server.child.wait().unwrap();
    let text = log.join("\n");
    let count = log.iter().find(|line| line.contains("sign-ins failed in the last minute"));
    let count: Value = serde_json::from_str(count.expect(&text)).unwrap();
    assert_eq!(
        (&count["address"], &count["refused"], &count["limited"], &count["level"]),
        (&json!("127.0.0.1"), &json!(3), &json!(2), &json!("INFO"))
    );
    assert!(text.contains("it is over RATE_LOGIN"), "{text}");
    assert!(!text.contains("alice") && !text.contains("a guess"), "{text}");
}

#[test]
fn new_sockets_of_a_customer_are_limited() {
    let home = Home::new();
    let server = home.serve(&[("SOCKETS_PER_USER", "2")]);
    let [(alice, _), (bob, _)] = ["alice", "bob"].map(|name| server.sign_in(name));
    // Twenty at once, and ten a second more.
    let is_refused = || {
        let mut socket = server.upgrade("/ws?namespace=/", &alice);
        matches!(socket.0.read().unwrap(), tungstenite::Message::Close(_))
    };
    let refused: usize = std::thread::scope(|scope| {
        let callers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| usize::from((0..50).any(|_| is_refused())))).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    });
    assert!(refused > 0);
    drop(server.plain("/", &bob));
}
