//! Starts the built binary on its own database and a free port, and uses its public API.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod bell;
pub mod chat;
pub mod command;
mod database;
pub mod keys;
pub mod polling;
pub mod raw;
pub mod shop;
pub mod tokens;
pub mod world;

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use database::Database;
use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::client::IntoClientRequest;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

pub const PASSWORD: &str = "demo-password";

/// A directory and a database, which outlive the servers that use them.
pub struct Home {
    folder: TempDir,
    database: Database,
}

impl Home {
    /// Uses the database that this run is for, see [`database`].
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::create(folder.path());
        Self { folder, database }
    }

    /// For tests of the SQLite file, or of a server without settings.
    pub fn on_sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database: Database::Sqlite }
    }

    pub fn path(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Runs statements that both databases understand, while servers may be running.
    pub fn execute(&self, statements: &str) {
        self.database.execute(self.folder.path(), statements);
    }

    /// The result of a query for one `number`, in SQL that both databases understand.
    pub fn number(&self, query: &str) -> i64 {
        self.database.number(self.folder.path(), query)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hubcast"));
        for (name, _) in std::env::vars_os() {
            // Settings of the developer's environment must not count.
            if name != "PATH" && name != "RUST_BACKTRACE" {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("HOST", "127.0.0.1")
            .env("PORT", "0");
        command.envs(self.database.settings());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts the demo server with these settings.
    pub fn serve(&self, settings: &[(&str, &str)]) -> Server {
        self.start(&["serve", "--demo"], settings)
    }

    /// Starts a server with these arguments.
    pub fn start(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Server {
        let mut command = self.command(arguments);
        command.envs(settings.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = std::sync::mpsc::channel();
        let outputs: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for output in outputs {
            let sender = sender.clone();
            std::thread::spawn(move || {
                BufReader::new(output)
                    .lines()
                    .map_while(Result::ok)
                    .for_each(|line| drop(sender.send(line)));
            });
        }
        drop(sender);
        let mut server = Server { child, address: String::new(), log: Vec::new() };
        let mut seen = Vec::new();
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let Ok(line) = lines.recv_timeout(end.saturating_duration_since(Instant::now())) else {
                drop(server);
                panic!("the server does not listen; its log:\n{}", seen.join("\n"));
            };
            if let Some((_, address)) = line.split_once("listening on http://") {
                let address = address
                    .chars()
                    .take_while(|c| !c.is_whitespace() && *c != '"' && *c != '\u{1b}')
                    .collect();
                (server.address, server.log) = (address, seen);
                return server;
            }
            seen.push(line);
        }
    }
}

pub struct Server {
    pub child: Child,
    pub address: String,
    /// The log lines up to the one that names the address.
    pub log: Vec<String>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub headers: ureq::http::HeaderMap,
}

impl Server {
    /// One REST call. `token` may be empty.
    pub fn call(
        &self,
        method: &str,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        if !token.is_empty() {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header("Content-Type", "application/json");
        }
        let request = request.body(body.map(Value::to_string).unwrap_or_default()).unwrap();
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .build()
            .into();
        let mut answer = agent.run(request).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Answer { status: answer.status().as_u16(), body, headers: answer.headers().clone() }
    }

    pub fn get(&self, path: &str, token: &str) -> Answer {
        self.call("GET", path, token, &[], None)
    }

    pub fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.call("POST", path, token, &[], Some(body))
    }

    pub fn patch(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.call("PATCH", path, token, &[], Some(body))
    }

    /// Signs in a demo account. Returns its token and user id.
    pub fn sign_in(&self, name: &str) -> (String, i64) {
        let answer = self.post(
            "/auth/login",
            "",
            &json!({"email": format!("{name}@demo.test"), "password": PASSWORD}),
        );
        assert_eq!(answer.status, 200, "{}", answer.body);
        (
            answer.body["accessToken"].as_str().unwrap().to_owned(),
            answer.body["user"]["id"].as_i64().unwrap(),
        )
    }

    /// A plain socket, after its `session` event and, on `/`, the count of unread notifications.
    pub fn plain(&self, namespace: &str, token: &str) -> Socket {
        let mut socket = self.upgrade(&format!("/ws?namespace={namespace}"), token);
        assert_eq!(socket.next()["event"], "session");
        if namespace == "/" {
            assert_eq!(socket.next()["event"], "notifications:unread");
        }
        socket
    }

    pub fn upgrade(&self, path: &str, token: &str) -> Socket {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        if !token.is_empty() {
            request
                .headers_mut()
                .insert("Authorization", format!("Bearer {token}").parse().unwrap());
        }
        let (socket, _) = tungstenite::connect(request).unwrap();
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        }
        Socket(socket)
    }

    /// Kills the server with SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops the server with SIGTERM. Returns the exit code.
    pub fn stop(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

pub struct Socket(pub WebSocket<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
    }

    /// The next text, except for the figures that `/admin` sends periodically.
    pub fn text(&mut self) -> String {
        loop {
            let text = self.raw_text();
            if !text.contains("\"server:stats\"") {
                return text;
            }
        }
    }

    pub fn raw_text(&mut self) -> String {
        loop {
            match self.0.read().unwrap() {
                Message::Text(text) => return text.to_string(),
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    pub fn next(&mut self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    pub fn close_code(&mut self) -> u16 {
        loop {
            if let Message::Close(frame) = self.0.read().unwrap() {
                return frame.unwrap().code.into();
            }
        }
    }

    /// All frames that were sent before a REST call was answered: the ack of a probe event comes
    /// after them.
    pub fn heard(&mut self) -> Vec<Value> {
        self.say(r#"{"event":"probe","id":"probe"}"#);
        let mut heard = Vec::new();
        loop {
            let frame = self.next();
            if frame["ack"] == "probe" {
                return heard;
            }
            heard.push(frame);
        }
    }
}
