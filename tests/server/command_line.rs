//! The command line: exit codes, error messages, and the precedence of the sources of a setting.

use crate::support::command;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::support::Home;
use command::{answer, code, complaint, with};
use serde_json::json;

#[test]
fn a_bad_setting_exits_with_2_and_one_line_that_names_it() {
    let home = Home::on_sqlite();
    let cases: [(&[(&str, &str)], &str); 10] = [
        (&[("PORT", "http")], "hubcast: PORT (--port): "),
        (
            &[("METRICS_ADDR", "9100")],
            "hubcast: METRICS_ADDR (--metrics-addr): \"9100\" is not an address with a port; ",
        ),
        (&[("OUTBOX_LIMIT", "1MB")], "hubcast: OUTBOX_LIMIT (--outbox-limit): "),
        (&[("CORS_ORIGINS", "shop.example")], "hubcast: CORS_ORIGINS (--cors-origins): "),
        (&[("SOCKETIO_PATH", "live")], "hubcast: SOCKETIO_PATH (--socketio-path): "),
        (&[("SOCKETIO_PATH", "/orders/live")], "hubcast: SOCKETIO_PATH: /orders/live is a path of"),
        (&[("HUBCAST_ENV", "prod")], "hubcast: HUBCAST_ENV (--env): has to be one of production"),
        (&[("HUBCAST_ENV", "production")], "hubcast: JWT_SECRET: "),
        (&[("DATABASE_URL", "postgres://u:hush@h/d")], "hubcast: JWT_SECRET: "),
        (
            &[("HUBCAST_ENV", "production"), ("JWT_SECRET", "hush"), ("HUBCAST_DEMO", "true")],
            "hubcast: HUBCAST_DEMO: ",
        ),
    ];
    for (settings, start) in cases {
        for arguments in [&["serve"][..], &[], &["check-config"]] {
            let output = with(home.command(arguments), settings);
            assert_eq!(code(&output), Some(2), "{settings:?} {arguments:?}");
            let text = complaint(&output);
            assert!(text.starts_with(start), "{text}");
            assert!(!text.contains("hush"), "{text}");
        }
    }
    let unknown = home.run(&["bogus"]);
    assert_eq!(
        (code(&unknown), complaint(&unknown).as_str()),
        (Some(2), "hubcast: unrecognized subcommand 'bogus'; see hubcast --help")
    );
}

#[test]
fn a_bad_database_url_is_refused_by_every_command_that_uses_it() {
    let home = Home::on_sqlite();
    let cases = [
        (
            "postgres://u:hush@h:port/d",
            "invalid value for option `port`; write postgres://USER:PASSWORD@HOST:PORT/DATABASE",
        ),
        (
            "postgres://u:hush@h/d?sslmode=on",
            "sslmode has to be one of disable, prefer, require, verify-ca, verify-full",
        ),
        (
            "postgres://u:hush@h/d?sslmode=verify-full&sslrootcert=root.crt",
            "sslrootcert: root.crt: No such file or directory",
        ),
    ];
    for (url, mend) in cases {
        for arguments in [
            &["serve"][..],
            &["check-config"],
            &["migrate"],
            &["user", "list"],
            &["token", "--user", "1"],
        ] {
            let output =
                with(home.command(arguments), &[("DATABASE_URL", url), ("JWT_SECRET", "hush")]);
            let text = complaint(&output);
            assert_eq!(code(&output), Some(2), "{arguments:?}: {text}");
            assert!(
                text.starts_with(&format!("hubcast: DATABASE_URL (--database-url): {mend}"))
                    && !text.contains("hush"),
                "{text}"
            );
        }
    }
}

#[test]
fn bad_tls_files_exit_with_2_and_one_line_and_good_ones_are_accepted() {
    let home = Home::on_sqlite();
    let file = |name: &str| format!("{}/tests/{name}", env!("CARGO_MANIFEST_DIR"));
    let (own, another, empty) = (
        file("tls.pem"),
        file("another-ca.pem"),
        home.path().join("empty.pem").display().to_string(),
    );
    let (own, another, empty) = (own.as_str(), another.as_str(), empty.as_str());
    std::fs::write(empty, "hush\n").unwrap();
    let cases = [
        (own, "", "TLS_KEY_FILE: has to be set with TLS_CERT_FILE".to_owned()),
        ("", own, "TLS_CERT_FILE: has to be set with TLS_KEY_FILE".to_owned()),
        (
            another,
            own,
            "TLS_KEY_FILE: is not the key of the first certificate in TLS_CERT_FILE".to_owned(),
        ),
        (
            "nowhere.pem",
            own,
            "TLS_CERT_FILE (--tls-cert-file): nowhere.pem: No such file".to_owned(),
        ),
        (own, "/", "TLS_KEY_FILE (--tls-key-file): /: Is a directory".to_owned()),
        (
            empty,
            own,
            format!("TLS_CERT_FILE (--tls-cert-file): {empty}: holds no certificate; name "),
        ),
        (
            own,
            empty,
            format!(
                "TLS_KEY_FILE (--tls-key-file): {empty}: holds no private key that can be read; name "
            ),
        ),
    ];
    for (certificate, key, start) in &cases {
        for arguments in [&["serve"][..], &["check-config"]] {
            let output = with(
                home.command(arguments),
                &[("TLS_CERT_FILE", certificate), ("TLS_KEY_FILE", key)],
            );
            let text = complaint(&output);
            assert_eq!(code(&output), Some(2), "{text}");
            assert!(
                text.starts_with(&format!("hubcast: {start}")) && !text.contains("hush"),
                "{text}"
            );
        }
    }
    let good =
        with(home.command(&["check-config"]), &[("TLS_CERT_FILE", own), ("TLS_KEY_FILE", own)]);
    assert!(answer(&good).contains("https and wss"), "{good:?}");
}

#[test]
fn help_lists_every_setting_but_no_value_of_the_environment() {
    let home = Home::on_sqlite();
    let help = answer(&with(home.command(&["serve", "--help"]), &[("JWT_SECRET", "hush")]));
    let settings = [
        "HOST",
        "PORT",
        "WORKERS",
        "KEEP_ALIVE",
        "METRICS_ADDR",
        "TLS_CERT_FILE",
        "TLS_KEY_FILE",
        "HUBCAST_ENV",
        "HUBCAST_DEMO",
        "DATABASE_URL",
        "SQLITE_SYNCHRONOUS",
        "JWT_SECRET",
        "JWT_ISSUER",
        "JWT_AUDIENCE",
        "PING_INTERVAL_MS",
        "PING_TIMEOUT_MS",
        "MAX_PAYLOAD",
        "CONNECT_TIMEOUT_MS",
        "OUTBOX_LIMIT",
        "STALL_TIMEOUT",
        "CORS_ORIGINS",
        "RATE_EVENTS",
        "RATE_LOGIN",
        "RATE_CONNECT",
        "TRUSTED_PROXIES",
        "LOG_FORMAT",
    ];
    for setting in settings {
        assert!(help.contains(&format!("[env: {setting}]")), "{setting}");
    }
    assert!(!help.contains("hush"));
    assert!(help.contains("--no-migrate"));
}

#[test]
fn a_flag_overrides_the_environment_which_overrides_dotenv() {
    let home = Home::on_sqlite();
    let dotenv = home.path().join(".env");
    std::fs::write(
        &dotenv,
        "HOST=10.0.0.1\nDATABASE_URL=sqlite://from-dotenv.db\nLOG_FORMAT=json\n",
    )
    .unwrap();
    let text = answer(&with(
        home.command(&["check-config", "--port", "4001"]),
        &[("PORT", "4002"), ("HOST", "10.0.0.2")],
    ));
    assert!(text.contains("10.0.0.2:4001") && !text.contains("metrics"), "{text}");
    assert!(
        answer(&home.run(&["check-config", "--metrics-addr", "[::1]:9100"]))
            .contains("metrics on  [::1]:9100\n")
    );
    assert!(text.contains("from-dotenv.db"), "{text}");
    std::fs::write(&dotenv, "JWT SECRET=hush\n").unwrap();
    let broken = home.run(&["check-config"]);
    assert_eq!(code(&broken), Some(2));
    assert!(complaint(&broken).starts_with("hubcast: .env: "), "{broken:?}");
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let home = Home::on_sqlite();
    let output = with(
        home.command(&["check-config"]),
        &[("HOST", ""), ("JWT_ISSUER", ""), ("CORS_ORIGINS", ""), ("HUBCAST_DEMO", "")],
    );
    assert!(answer(&output).contains("127.0.0.1:"), "{output:?}");
}

#[test]
fn accounts_can_be_added_and_listed_while_a_server_is_running() {
    let home = Home::new();
    let server = home.serve(&[]);
    let add = [
        "user",
        "add",
        "--email",
        "root@shop.test",
        "--name",
        "Root",
        "--role",
        "admin",
        "--password-stdin",
    ];
    let mut child = home
        .command(&add)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"from a pipe\n").unwrap();
    let made = answer(&child.wait_with_output().unwrap());
    assert_eq!(made, "4\tadmin\troot@shop.test\tRoot\n");
    assert!(answer(&home.run(&["user", "list"])).ends_with(&made));
    let login = server.post(
        "/auth/login",
        "",
        &json!({"email": "root@shop.test", "password": "from a pipe"}),
    );
    assert_eq!((login.status, &login.body["user"]["role"]), (200, &json!("admin")));

    let taken = home.run(&[
        "user",
        "add",
        "--email",
        "ROOT@shop.test",
        "--name",
        "R",
        "--password",
        "long enough",
    ]);
    assert_eq!(
        (code(&taken), complaint(&taken).as_str()),
        (Some(1), "hubcast: Email is already registered")
    );
    let short =
        home.run(&["user", "add", "--email", "r@shop.test", "--name", "R", "--password", "short"]);
    assert_eq!(code(&short), Some(2));
    assert!(complaint(&short).contains("password must be longer than or equal to 8 characters"));
    let nobody = home.run(&["token", "--user", "99"]);
    assert_eq!(
        (code(&nobody), complaint(&nobody).as_str()),
        (Some(1), "hubcast: User with ID 99 not found")
    );
}

#[test]
fn a_second_server_on_the_same_sqlite_file_exits_with_1() {
    let home = Home::on_sqlite();
    let server = home.serve(&[]);
    let second = home.run(&["serve"]);
    assert_eq!(code(&second), Some(1));
    assert!(
        String::from_utf8_lossy(&second.stderr).contains("another server is running"),
        "{second:?}"
    );
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_second_server_by_way_of_a_symbolic_link_exits_with_1_and_uses_the_same_secret() {
    let home = Home::on_sqlite();
    let server = home.serve(&[]);
    let other = home.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::os::unix::fs::symlink("../data/hubcast.db", other.join("link.db")).unwrap();
    let second = home.run(&["serve", "--database-url", "sqlite://other/link.db"]);
    assert_eq!(code(&second), Some(1));
    let complaint = String::from_utf8_lossy(&second.stderr);
    assert!(complaint.contains("another server is running"), "{second:?}");
    assert!(complaint.contains("using the random signing key made earlier"), "{second:?}");
    assert!(!other.join("hubcast.jwt-secret").exists());
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_database_file_that_is_mounted_alone_is_refused_with_the_reason() {
    if !Command::new("unshare").args(["-Urm", "true"]).status().is_ok_and(|end| end.success()) {
        println!("skipped: mounts are not permitted here");
        return;
    }
    let home = Home::on_sqlite();
    answer(&home.run(&["migrate"]));
    let other = home.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("file.db"), "").unwrap();
    let hubcast = home.command(&[]).get_program().to_owned();
    let mounted = Command::new("unshare")
        .args(["-Urm", "sh", "-c"])
        .arg(
            "mount --bind data/hubcast.db other/file.db && \
             exec \"$0\" user list --database-url sqlite://other/file.db",
        )
        .arg(hubcast)
        .current_dir(home.path())
        .output()
        .unwrap();
    assert_eq!(code(&mounted), Some(1));
    assert_eq!(
        complaint(&mounted),
        format!(
            "hubcast: {} has more than one name (a hard link, or a mount of this file alone); \
             SQLite keeps a part of the database in files beside the name by which it is opened, \
             so leave one name, and mount folders",
            other.canonicalize().unwrap().join("file.db").display()
        )
    );
}

#[test]
fn an_outdated_schema_exits_with_1_unless_it_may_be_migrated() {
    let home = Home::new();
    let behind = home.run(&["serve", "--no-migrate"]);
    assert_eq!(code(&behind), Some(1));
    assert!(String::from_utf8_lossy(&behind.stderr).contains("hubcast migrate"), "{behind:?}");
    assert_eq!(code(&home.run(&["migrate"])), Some(0));
    assert_eq!(code(&home.run(&["user", "list", "--no-migrate"])), Some(0));
    let server = home.start(&["serve", "--no-migrate"], &[]);
    let account = json!({"email": "eve@shop.test", "name": "Eve", "password": "long enough"});
    assert_eq!(server.post("/auth/register", "", &account).status, 201, "the schema is complete");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn the_generated_secret_is_private_and_survives_a_restart() {
    let home = Home::on_sqlite();
    let server = home.serve(&[]);
    let (alice, _) = server.sign_in("alice");
    let file = home.path().join("data/hubcast.jwt-secret");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    server.kill();
    let server = home.serve(&[]);
    assert_eq!(server.get("/auth/me", &alice).status, 200);
}

#[test]
fn logs_can_be_json_and_contain_no_secret() {
    let home = Home::new();
    let mut command = home.command(&["serve", "--demo"]);
    command.env("LOG_FORMAT", "json").env("JWT_SECRET", "hush-hush").env("RUST_LOG", "debug");
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()))
        .map(Result::unwrap);
    let mut seen = String::new();
    let address = lines.by_ref().find_map(|line| {
        let line_is_json: serde_json::Value = serde_json::from_str(&line).unwrap();
        seen.push_str(&line);
        let message = line_is_json["message"].as_str().unwrap_or_default();
        message.strip_prefix("listening on http://").map(str::to_owned)
    });
    let address = address.unwrap();
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let body = r#"{"email":"alice@demo.test","password":"demo-password"}"#;
    agent
        .post(format!("http://{address}/auth/login?token=in-the-query"))
        .content_type("application/json")
        .send(body)
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    seen.extend(lines);
    assert!(seen.contains("/auth/login"), "{seen}");
    for secret in ["hush-hush", "demo-password", "in-the-query", "eyJ"] {
        assert!(!seen.contains(secret), "{secret}");
    }
}
