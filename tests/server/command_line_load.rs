//! `hubcast load` against a running server.

use crate::support::command;

use crate::support::Home;
use command::{answer, code, complaint};

#[test]
fn load_writes_to_a_server_and_counts_the_frames_of_its_sockets() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let rows = |table: &str| home.number(&format!("SELECT COUNT(*) AS number FROM {table}"));
    for (kind, table) in [("orders", "orders"), ("messages", "messages")] {
        let before = rows(table);
        let url = format!("http://{}", server.address);
        let output = answer(&home.run(&[
            "load",
            kind,
            "--url",
            &url,
            "--in-flight",
            "2",
            "--duration",
            "200ms",
            "--sockets",
            "2",
        ]));
        let written: i64 = output.split_once(" written in ").unwrap().0.parse().unwrap();
        assert!(written > 0 && rows(table) - before == written, "{output}");
        let heard = format!("frames heard on 2 sockets: {0} of {0}", written * 2);
        assert_eq!(output.lines().last(), Some(heard.as_str()));
    }
    assert_eq!(
        server.get("/conversations", &admin).body[0]["unreadCount"],
        0,
        "its own messages do not count"
    );
}

#[test]
fn load_holds_idle_sockets_of_each_kind_also_at_another_path_of_socket_io() {
    let home = Home::new();
    let server = home.serve(&[("SOCKETIO_PATH", "/api/live")]);
    let url = format!("http://{}", server.address);
    let path = ["--socketio-path", "/api/live/"];
    for kind in [&["--protocol", "plain"][..], &["--protocol", "socketio"], &["--polling"]] {
        let kind = &[kind, &path].concat()[..];
        let arguments =
            [&["load", "idle", "--url", &url, "--count", "3", "--hold", "100ms"], kind].concat();
        let output = answer(&home.run(&arguments));
        assert!(
            output.starts_with("3 sockets opened in ")
                && output.ends_with("after 100ms: 3 still connected\n"),
            "{output}"
        );
    }
    let nobody = home.run(&["load", "idle", "--url", &url, "--email", "nobody@demo.test"]);
    assert_eq!(
        (code(&nobody), complaint(&nobody).as_str()),
        (Some(1), "hubcast: signing in was answered 401")
    );
}
