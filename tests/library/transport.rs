//! The raw WebSocket upgrade: REST on the same port, thousands of disconnects during a broadcast, a
//! socket that never reads, and the order of a shutdown. The server runs in its own process (this
//! test binary, started again), so that its memory can be measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use actix_web::{App, HttpResponse, web};
use hubcast::realtime::Error;
use hubcast::realtime::gateway::LocalBoxFuture;
use hubcast::realtime::{
    Client, DisconnectReason, Event, Gateway, Handshake, HubHandle, Incoming, Json, Payload, Reply,
    Server, Settings, Welcome,
};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

const STALL: Duration = Duration::from_secs(2);
/// More than the kernel buffers.
const LARGE: usize = 32 << 20;
/// A long answer, which the kernel's buffers would hold if they could grow.
const PAGE: usize = 1 << 20;

/// Puts every socket into the room; `say` sends to all of it.
struct Room(HubHandle);

impl Gateway for Room {
    fn connect(&self, _: Rc<Handshake>, _: Option<Json>) -> LocalBoxFuture<Result<Welcome, Error>> {
        Box::pin(async { Ok(Welcome { rooms: vec!["room".into()], ..Welcome::anonymous() }) })
    }

    fn event(&self, _: Client, event: Incoming) -> LocalBoxFuture<Reply> {
        let hub = self.0.clone();
        Box::pin(async move {
            let data = event.args.first().map(|data| data.get().to_owned()).unwrap_or_default();
            let share = hub.admit(data.len()).await;
            hub.emit(Event::new("/", "said", Payload::json(data), ["room"]), Some(share)).await;
            Ok(Payload::none())
        })
    }

    fn disconnect(&self, _: &Client, reason: DisconnectReason) {
        println!("left {}", reason.as_str());
    }
}

/// Not a test: the server that the tests start.
#[test]
fn serve() {
    if std::env::var_os("HUBCAST_TEST_SERVE").is_none() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("\nlistening {}", listener.local_addr().unwrap());
    actix_rt::System::new().block_on(async move {
        let settings = Settings {
            event_rate: None,
            frame_rate: None,
            byte_rate: None,
            stall_timeout: STALL,
            ..Settings::default()
        };
        let hub = HubHandle::start(&settings);
        let server =
            Server::builder(settings, hub.clone()).namespace("/", Arc::new(Room(hub))).build();
        let counted = server.clone();
        let app = move |sockets: hubcast::realtime::Routes| {
            let counted = counted.clone();
            let count = move || {
                let open = counted.connections().total();
                async move { HttpResponse::Ok().body(open.to_string()) }
            };
            let page = || async { HttpResponse::Ok().body("x".repeat(PAGE)) };
            let large = || async { HttpResponse::Ok().body("x".repeat(LARGE)) };
            App::new()
                .configure(sockets)
                .route("/connections", web::get().to(count))
                .route("/large", web::get().to(large))
                .route("/page", web::get().to(page))
        };
        let running = server.listen(listener, 2, app).unwrap();
        let handle = running.handle();
        actix_rt::spawn(running);
        // Runs until the test closes stdin.
        actix_rt::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()))
            .await
            .unwrap()
            .unwrap();
        server.drain(Duration::from_secs(7)).await;
        handle.stop(true).await;
    });
    std::process::exit(0);
}

struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    address: String,
    lines: Receiver<String>,
}

impl Running {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "transport::serve", "--nocapture"])
            .env("HUBCAST_TEST_SERVE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            BufReader::new(stdout)
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let mut server = Self { child, stdin, address: String::new(), lines };
        server.address = server.wait_line("listening ");
        server
    }

    /// Waits for a line that begins with `start`, and returns the rest of it.
    fn wait_line(&self, start: &str) -> String {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let line = self
                .lines
                .recv_timeout(end.saturating_duration_since(Instant::now()))
                .unwrap_or_else(|_| panic!("no line {start:?} came"));
            if let Some(rest) = line.strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }

    fn socket(&self) -> WebSocket<MaybeTlsStream<TcpStream>> {
        let (mut socket, _) = tungstenite::connect(format!("ws://{}/ws", self.address)).unwrap();
        assert!(next_text(&mut socket).unwrap().starts_with(r#"{"event":"session""#));
        socket
    }

    fn get(&self, path: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn connections(&self) -> usize {
        self.get("/connections", "").rsplit("\r\n").next().unwrap().parse().unwrap()
    }

    fn wait_connections(&self, wanted: usize) {
        let end = Instant::now() + Duration::from_secs(20);
        while self.connections() != wanted {
            assert!(Instant::now() < end, "{} connections, not {wanted}", self.connections());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Resident memory in bytes.
    fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next_text(
    socket: &mut WebSocket<MaybeTlsStream<TcpStream>>,
) -> Result<String, tungstenite::Error> {
    loop {
        if let Message::Text(text) = socket.read()? {
            return Ok(text.to_string());
        }
    }
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Reads `said` events up to the last one and returns their numbers. Passes the age of each to
/// `seen`.
fn read_numbers(
    mut socket: WebSocket<MaybeTlsStream<TcpStream>>,
    last: u64,
    mut seen: impl FnMut(u64),
) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.last() != Some(&last) {
        let frame: serde_json::Value =
            serde_json::from_str(&next_text(&mut socket).unwrap()).unwrap();
        numbers.push(frame["data"]["n"].as_u64().unwrap());
        seen(now().saturating_sub(frame["data"]["at"].as_u64().unwrap()));
    }
    numbers
}

/// Sends `count` events of `size` bytes, each after the ack of the one before.
fn say(socket: &mut WebSocket<MaybeTlsStream<TcpStream>>, count: u64, size: usize) {
    let filler = "x".repeat(size);
    for n in 0..count {
        let frame = format!(
            r#"{{"event":"say","data":{{"n":{n},"at":{},"filler":"{filler}"}},"id":{n}}}"#,
            now()
        );
        socket.send(Message::text(frame)).unwrap();
        let ack = format!(r#"{{"ack":{n},"data":null}}"#);
        while next_text(socket).unwrap() != ack {}
    }
}

#[test]
fn a_socket_that_never_reads_is_closed_and_slows_nobody() {
    const COUNT: u64 = 5_000;
    let server = Running::start();
    let readers: Vec<_> = (0..10).map(|_| server.socket()).collect();
    let mut sender = server.socket();
    let deaf = server.socket();
    // One round first, so that the memory of a running server is already in use.
    say(&mut sender, 50, 10_000);
    let before = server.memory();
    let readers: Vec<_> = readers
        .into_iter()
        .map(|mut socket| {
            thread::spawn(move || {
                for _ in 0..50 {
                    next_text(&mut socket).unwrap();
                }
                let mut oldest = 0;
                let numbers = read_numbers(socket, COUNT - 1, |age| oldest = oldest.max(age));
                (numbers, oldest)
            })
        })
        .collect();
    let began = Instant::now();
    say(&mut sender, COUNT, 10_000);
    let grown = server.memory().saturating_sub(before);
    assert_eq!(server.wait_line("left "), "slow_consumer");
    assert!(began.elapsed() < STALL + Duration::from_secs(20));
    for reader in readers {
        let (numbers, oldest) = reader.join().unwrap();
        assert!(numbers.iter().copied().eq(0..COUNT), "each once and in order");
        assert!(oldest < 1000, "a frame was {oldest} ms old");
    }
    assert!(grown < 10_000_000, "the server grew by {grown} bytes");
    server.wait_connections(1);
    drop((sender, deaf));
    server.wait_connections(0);
}

#[test]
fn a_stalled_connection_is_closed_after_the_stall_timeout() {
    let server = Running::start();
    let mut sender = server.socket();
    let deaf = server.socket();
    // More than the kernel buffers, but less than the outbox limit, so only the stall timeout can
    // close it.
    let waited = loop {
        say(&mut sender, 20, 10_000);
        let began = Instant::now();
        if let Ok(line) = server.lines.recv_timeout(STALL / 2)
            && line == "left slow_consumer"
        {
            break began.elapsed();
        }
    };
    assert!(waited < STALL);
    drop(deaf);
}

#[test]
fn an_answer_that_nobody_reads_is_given_up_and_a_slow_reader_gets_all() {
    let server = Running::start();
    let request = |path: &str, rest: &str| {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{rest}\r\n").as_bytes())
            .unwrap();
        stream
    };
    let mut slow = request("/large", "Connection: close\r\n");
    let slow = thread::spawn(move || {
        let (mut heard, mut part) = (0, vec![0; LARGE / 16]);
        while slow.read_exact(&mut part).is_ok() {
            heard += part.len();
            // Longer than the stall time-out in all, and never for that long.
            thread::sleep(STALL / 10);
        }
        heard
    });
    let deaf: Vec<_> =
        ["/large", "/page"].repeat(2).into_iter().map(|path| request(path, "")).collect();
    let end = Instant::now() + Duration::from_secs(20);
    for stream in deaf {
        // The server resets the connection, which the kernel tells without a read.
        while stream.take_error().unwrap().is_none() {
            assert!(Instant::now() < end, "an answer is not given up");
            thread::sleep(Duration::from_millis(20));
        }
    }
    assert!(slow.join().unwrap() >= LARGE);
}

#[test]
fn two_thousand_disconnects_during_a_broadcast_disturb_nobody() {
    const COUNT: u64 = 300;
    let server = Running::start();
    let readers: Vec<_> = (0..5).map(|_| server.socket()).collect();
    let readers: Vec<_> = readers
        .into_iter()
        .map(|socket| thread::spawn(move || read_numbers(socket, COUNT - 1, |_| ())))
        .collect();
    let leavers: Vec<_> = (0..2_000).map(|_| server.socket()).collect();
    let mut sender = server.socket();
    assert_eq!(server.connections(), 2_006);
    let speaking = thread::spawn(move || {
        say(&mut sender, COUNT, 100);
        sender
    });
    for (number, leaver) in leavers.into_iter().enumerate() {
        drop(leaver);
        if number % 500 == 0 {
            assert!(
                server.get("/connections", "").starts_with("HTTP/1.1 200 OK"),
                "REST answers beside it"
            );
        }
    }
    let sender = speaking.join().unwrap();
    for reader in readers {
        assert!(reader.join().unwrap().into_iter().eq(0..COUNT), "each once and in order");
    }
    drop(sender);
    server.wait_connections(0);
}

#[test]
fn a_shutdown_closes_connections_in_order() {
    let mut server = Running::start();
    let mut sockets: Vec<_> = (0..200).map(|_| server.socket()).collect();
    let began = Instant::now();
    writeln!(server.stdin.take().unwrap()).unwrap();
    let mut first = sockets.remove(0);
    assert_eq!(
        next_text(&mut first).unwrap(),
        r#"{"event":"server:shutdown","data":{"reconnectAfterMs":1000}}"#
    );
    let refused = server.get("/ws", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n");
    assert!(
        refused.starts_with("HTTP/1.1 503 Service Unavailable\r\n")
            && refused.contains("\r\nConnection: close\r\n"),
        "{refused}"
    );
    assert!(
        server.get("/connections", "").starts_with("HTTP/1.1 200 OK"),
        "REST goes on meanwhile"
    );
    for mut socket in std::iter::once(first).chain(sockets) {
        let code = loop {
            if let Message::Close(frame) = socket.read().unwrap() {
                break frame.unwrap().code;
            }
        };
        assert_eq!(u16::from(code), 1001);
    }
    assert!(server.child.wait().unwrap().success());
    assert!(began.elapsed() < Duration::from_secs(10));
}
