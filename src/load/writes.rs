//! Orders or messages by REST, a fixed number in flight, and the events that sockets get from them.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;

use super::http::{Connection, post};
use super::sockets::{Protocol, Socket};
use super::{Target, process};

/// Time that the events of the last writes may take to arrive.
const EVENT_TIMEOUT: Duration = Duration::from_secs(5);
/// The most latencies that are kept. The percentiles of a longer run are those of its beginning.
const MAX_LATENCIES: usize = 10_000_000;

/// The kind of writes.
#[derive(Debug, Clone, Copy)]
pub(super) enum WriteKind {
    /// The event is `new_order` on `/admin`.
    Orders,
    /// All messages are in one conversation. The event is `messageReceived` on `/`.
    Messages,
}

#[derive(Debug, Args)]
pub struct Writes {
    #[command(flatten)]
    target: Target,
    /// Number of requests in flight, each on a connection of its own
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    in_flight: u16,
    /// Length of the run: ms, s, m or h
    #[arg(long, default_value = "10s", value_parser = crate::config::duration)]
    duration: Duration,
    /// Number of sockets that count the events
    #[arg(long, default_value_t = 1)]
    sockets: u16,
    /// Protocol of the sockets
    #[arg(long, value_enum, default_value_t = Protocol::Socketio)]
    protocol: Protocol,
    /// Process id whose CPU time is measured, with that of its children (Linux only); can be given
    /// more than once
    #[arg(long)]
    pid: Vec<u32>,
}

impl Writes {
    pub(super) async fn run(self, kind: WriteKind) -> Result<(), String> {
        let (address, token) = self.target.sign_in().await?;
        let (path, body, namespace, event) = match kind {
            WriteKind::Orders => {
                ("/orders".to_owned(), r#"{"total":19.9}"#, "/admin", "\"new_order\"")
            }
            WriteKind::Messages => {
                let made = Connection::open(address)
                    .await?
                    .call(&post(address, "/conversations", Some(&token), "{}"))
                    .await?;
                let made: serde_json::Value =
                    serde_json::from_slice(&made.body).map_err(|error| error.to_string())?;
                (
                    format!("/conversations/{}/messages", made["id"]),
                    r#"{"content":"Hello!"}"#,
                    "/",
                    "\"messageReceived\"",
                )
            }
        };
        let engine = self.target.engine_path("websocket");
        let received = Rc::new(Cell::new(0));
        for number in 0..self.sockets {
            let socket =
                Socket::open(address, self.protocol, &engine, namespace, &token, number.into())
                    .await?;
            tokio::task::spawn_local(socket.count(event, Rc::clone(&received)));
        }
        let request: Rc<str> = post(address, &path, Some(&token), body).into();
        let before = self.cpu()?;
        let began = Instant::now();
        let mut senders = Vec::new();
        for _ in 0..self.in_flight {
            let connection = Connection::open(address).await?;
            senders.push(tokio::task::spawn_local(send(
                connection,
                Rc::clone(&request),
                began + self.duration,
            )));
        }
        let (mut latencies, mut failures) = (Vec::new(), Vec::new());
        for sender in senders {
            let (times, failure) = sender.await.map_err(|error| error.to_string())?;
            latencies.extend(times);
            failures.extend(failure);
        }
        let elapsed = began.elapsed().as_secs_f64();
        let spent = self.cpu()?;
        let expected = latencies.len() as u64 * u64::from(self.sockets);
        let end = Instant::now() + EVENT_TIMEOUT;
        while received.get() < expected && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        latencies.sort_unstable();
        let at = |percent: usize| {
            latencies
                .get(latencies.len().saturating_sub(1) * percent / 100)
                .map_or(f64::NAN, |micros| f64::from(*micros) / 1e3)
        };
        println!(
            "{} written in {elapsed:.1} s: {:.0}/s, {} in flight",
            latencies.len(),
            latencies.len() as f64 / elapsed,
            self.in_flight
        );
        println!("latency ms: p50 {:.1}, p99 {:.1}, max {:.1}", at(50), at(99), at(100));
        for ((pid, before), after) in self.pid.iter().zip(before).zip(spent) {
            println!(
                "CPU of {pid}: {:.1} µs each",
                after.saturating_sub(before).as_secs_f64() * 1e6 / latencies.len() as f64
            );
        }
        println!("frames heard on {} sockets: {} of {expected}", self.sockets, received.get());
        match failures.first() {
            Some(first) => {
                Err(format!("{} senders failed, the first with: {first}", failures.len()))
            }
            None => Ok(()),
        }
    }

    /// The CPU time of each process.
    fn cpu(&self) -> Result<Vec<Duration>, String> {
        self.pid.iter().map(|pid| process::cpu_time(*pid)).collect()
    }
}

/// Sends one request after another until `end` or the first failure. Returns the latencies in
/// microseconds, and the failure.
async fn send(
    mut connection: Connection,
    request: Rc<str>,
    end: Instant,
) -> (Vec<u32>, Option<String>) {
    let mut times = Vec::new();
    loop {
        let began = Instant::now();
        if began >= end || times.len() >= MAX_LATENCIES {
            return (times, None);
        }
        match connection.call(&request).await {
            Ok(answer) if answer.status == 201 => {
                times.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            Ok(answer) => return (times, Some(format!("a write was answered {}", answer.status))),
            Err(error) => return (times, Some(error)),
        }
    }
}
