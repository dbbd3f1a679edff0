//! The cost of a delivered frame and of an idle connection. `cargo bench --bench transport`
//!
//! The server runs in its own process (this program, started again): its CPU time is read from
//! `/proc/PID/stat`, its memory from `/proc/PID/status`. CPU is per frame delivered to a socket.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix_web::App;
use hubcast::realtime::Error;
use hubcast::realtime::gateway::LocalBoxFuture;
use hubcast::realtime::{
    Client, Event, Gateway, Handshake, HubHandle, Incoming, Json, Payload, Reply, Server, Settings,
    Welcome,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const MEMBERS: usize = 1_000;
const IDLE: usize = 10_000;
const MESSAGES: usize = 400;

struct Room(HubHandle);

impl Gateway for Room {
    fn connect(&self, _: Rc<Handshake>, _: Option<Json>) -> LocalBoxFuture<Result<Welcome, Error>> {
        Box::pin(async { Ok(Welcome { rooms: vec!["room".into()], ..Welcome::anonymous() }) })
    }

    fn event(&self, _: Client, event: Incoming) -> LocalBoxFuture<Reply> {
        let hub = self.0.clone();
        Box::pin(async move {
            let data = event.args.first().map(|data| data.get().to_owned()).unwrap_or_default();
            hub.emit(Event::new("/", "said", Payload::json(data), ["room"]), None).await;
            Ok(Payload::none())
        })
    }
}

fn serve() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    actix_rt::System::new().block_on(async move {
        let settings = Settings {
            event_rate: None,
            frame_rate: None,
            byte_rate: None,
            connect_rate: None,
            ..Settings::default()
        };
        let hub = HubHandle::start(&settings);
        let server =
            Server::builder(settings, hub.clone()).namespace("/", Arc::new(Room(hub))).build();
        server.listen(listener, 2, |sockets| App::new().configure(sockets))?.await
    })
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// User and system time in seconds. The kernel counts in hundredths.
    fn cpu(&self) -> (f64, f64) {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<f64> = stat
            .rsplit(") ")
            .next()
            .unwrap()
            .split(' ')
            .map(|field| field.parse().unwrap_or(0.0))
            .collect();
        (fields[11] / 100.0, fields[12] / 100.0)
    }

    fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
    }
}

/// Connects by the plain protocol. `from` selects a loopback address, so that ports do not run out.
async fn join(address: &str, from: usize) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("127.0.0.{}:0", 2 + from / 5_000).parse().unwrap()).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    while !got.windows(10).any(|window| window == br#""userId":n"#) {
        assert!(stream.read_buf(&mut got).await.unwrap() > 0);
    }
    stream
}

fn masked(text: &str) -> Vec<u8> {
    // A mask of zeros leaves the payload unchanged.
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    frame
}

async fn fan_out(process: &Process, address: &str, in_flight: usize) {
    let said = r#"{"event":"said","data":"0123456789012345678901234567890123456789"}"#;
    let per_frame = said.len() + 2;
    let (done, mut rounds) = tokio::sync::mpsc::unbounded_channel();
    let mut members = Vec::new();
    for number in 0..MEMBERS {
        let mut stream = join(address, number).await;
        let done = done.clone();
        members.push(tokio::task::spawn_local(async move {
            let (mut buffer, mut bytes, mut frames) = (vec![0; 64 * 1024], 0, 0);
            while frames < MESSAGES {
                bytes += stream.read(&mut buffer).await.unwrap();
                while frames < MESSAGES && bytes >= (frames + 1) * per_frame {
                    frames += 1;
                    done.send(frames).unwrap();
                }
            }
            stream
        }));
    }
    let mut senders = Vec::new();
    for number in 0..in_flight {
        let (mut reader, writer) = join(address, number).await.into_split();
        senders.push(writer);
        tokio::task::spawn_local(async move {
            while reader.read(&mut [0; 16 * 1024]).await.is_ok_and(|read| read > 0) {}
        });
    }
    let say = masked(r#"{"event":"say","data":"0123456789012345678901234567890123456789"}"#);
    let mut counts = vec![0_usize; MESSAGES + 1];
    let (before, began) = (process.cpu(), Instant::now());
    let (mut sent, mut whole) = (0, 0);
    while whole < MESSAGES {
        while sent < MESSAGES && sent - whole < in_flight {
            senders[sent % in_flight].write_all(&say).await.unwrap();
            sent += 1;
        }
        let Some(frame) = rounds.recv().await else { break };
        counts[frame] += 1;
        while whole < MESSAGES && counts[whole + 1] == MEMBERS {
            whole += 1;
        }
    }
    let after = process.cpu();
    let frames = (MEMBERS * MESSAGES) as f64 / 1e6;
    let (user, system) = ((after.0 - before.0) / frames, (after.1 - before.1) / frames);
    println!(
        "{MEMBERS} members, {in_flight} in flight: {:.2} µs CPU per frame ({user:.2} user), {:.0} frames/s",
        user + system,
        frames * 1e6 / began.elapsed().as_secs_f64()
    );
    for member in members {
        member.await.unwrap();
    }
}

fn main() {
    if std::env::args().any(|argument| argument == "serve") {
        serve().unwrap();
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("serve")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let (process, address) = (Process(child), address.trim().to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let before = process.memory();
        let mut idle = Vec::new();
        for number in 0..IDLE {
            idle.push(join(&address, number).await);
        }
        println!(
            "{IDLE} idle connections: {:.0} bytes resident each",
            (process.memory() - before) / IDLE as f64
        );
        drop(idle);
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        for in_flight in [1, 8] {
            fan_out(&process, &address, in_flight).await;
        }
    });
}
