//! Orders by REST, as many in flight as asked for, and what admin sockets hear of them.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;

use super::Target;
use super::http::{Connection, post};
use super::sockets::{Protocol, Socket};

/// How long the sockets may take to hear of the last order.
const HEARING: Duration = Duration::from_secs(5);
/// Latencies that are kept; the percentiles of a longer run are those of its beginning.
const KEPT: usize = 10_000_000;

#[derive(Debug, Args)]
pub struct Orders {
    #[command(flatten)]
    target: Target,
    /// Orders that are under way at once, each on a connection of its own
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    in_flight: u16,
    /// For how long
    #[arg(long, default_value = "10s", value_parser = crate::config::duration)]
    duration: Duration,
    /// Admin sockets on `/admin` that count the `new_order` frames
    #[arg(long, default_value_t = 1)]
    sockets: u16,
    /// What the sockets speak
    #[arg(long, value_enum, default_value_t = Protocol::Socketio)]
    protocol: Protocol,
}

impl Orders {
    pub(super) async fn run(self) -> Result<(), String> {
        let (address, token) = self.target.sign_in().await?;
        let heard = Rc::new(Cell::new(0));
        for number in 0..self.sockets {
            let socket = Socket::open(address, self.protocol, "/admin", &token, number.into()).await?;
            tokio::task::spawn_local(socket.count("\"new_order\"", Rc::clone(&heard)));
        }
        let request: Rc<str> = post(address, "/orders", Some(&token), r#"{"total":19.9}"#).into();
        let began = Instant::now();
        let mut senders = Vec::new();
        for _ in 0..self.in_flight {
            let connection = Connection::open(address).await?;
            senders.push(tokio::task::spawn_local(send(connection, Rc::clone(&request), began + self.duration)));
        }
        let (mut latencies, mut failures) = (Vec::new(), Vec::new());
        for sender in senders {
            let (times, failure) = sender.await.map_err(|error| error.to_string())?;
            latencies.extend(times);
            failures.extend(failure);
        }
        let elapsed = began.elapsed().as_secs_f64();
        let expected = latencies.len() as u64 * u64::from(self.sockets);
        let end = Instant::now() + HEARING;
        while heard.get() < expected && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        latencies.sort_unstable();
        let at = |percent: usize| {
            latencies.get(latencies.len().saturating_sub(1) * percent / 100).map_or(f64::NAN, |micros| f64::from(*micros) / 1e3)
        };
        println!("{} orders in {elapsed:.1} s: {:.0}/s, {} in flight", latencies.len(), latencies.len() as f64 / elapsed, self.in_flight);
        println!("latency ms: p50 {:.1}, p99 {:.1}, max {:.1}", at(50), at(99), at(100));
        println!("frames heard on {} sockets: {} of {expected}", self.sockets, heard.get());
        match failures.first() {
            Some(first) => Err(format!("{} senders failed, the first with: {first}", failures.len())),
            None => Ok(()),
        }
    }
}

/// One order after another, until `end` or the first failure; gives the latencies in microseconds.
async fn send(mut connection: Connection, request: Rc<str>, end: Instant) -> (Vec<u32>, Option<String>) {
    let mut times = Vec::new();
    loop {
        let began = Instant::now();
        if began >= end || times.len() >= KEPT {
            return (times, None);
        }
        match connection.call(&request).await {
            Ok(answer) if answer.status == 201 => times.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX)),
            Ok(answer) => return (times, Some(format!("an order was answered {}", answer.status))),
            Err(error) => return (times, Some(error)),
        }
    }
}
