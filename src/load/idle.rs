//! Idle signed-in sockets, and what one costs the server in memory.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;

use super::sockets::{Protocol, Socket};
use super::{Target, polling};

#[derive(Debug, Args)]
pub struct Idle {
    #[command(flatten)]
    target: Target,
    /// Sockets to open
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,
    /// What they speak
    #[arg(long, value_enum, default_value_t = Protocol::Socketio)]
    protocol: Protocol,
    /// Socket.IO sessions that have polled and are about to poll again, instead; they end when a
    /// ping stays unanswered, so hold them for less
    #[arg(long, conflicts_with = "protocol")]
    polling: bool,
    /// How long to hold them; their pings are answered
    #[arg(long, default_value = "5s", value_parser = crate::config::duration)]
    hold: Duration,
    /// Process id of the server, to read its memory (Linux)
    #[arg(long)]
    pid: Option<u32>,
}

impl Idle {
    pub(super) async fn run(self) -> Result<(), String> {
        let (address, token) = self.target.sign_in().await?;
        // One first, so that what the first of all needs is not counted.
        if self.polling {
            polling::open(address, &token).await?;
        } else {
            drop(Socket::open(address, self.protocol, "/", &token, 0).await?);
        }
        let before = self.memory()?;
        let began = Instant::now();
        let ended = Rc::new(Cell::new(0_u32));
        for number in 0..self.count {
            if self.polling {
                polling::open(address, &token).await?;
                continue;
            }
            let socket = Socket::open(address, self.protocol, "/", &token, number as usize).await?;
            let ended = Rc::clone(&ended);
            tokio::task::spawn_local(async move {
                socket.count("\u{0}", Rc::default()).await;
                ended.set(ended.get() + 1);
            });
        }
        println!("{} sockets opened in {:.1} s", self.count, began.elapsed().as_secs_f64());
        tokio::time::sleep(self.hold).await;
        println!("after {:?}: {} still connected", self.hold, self.count - ended.get());
        if let (Some(before), Some(after)) = (before, self.memory()?) {
            println!(
                "resident memory: {} KiB before, {} KiB after, {:.0} bytes a socket",
                before,
                after,
                (after as f64 - before as f64) * 1024.0 / f64::from(self.count)
            );
        }
        if ended.get() > 0 { Err(format!("{} sockets were closed", ended.get())) } else { Ok(()) }
    }

    /// The server's resident memory in KiB, when its process id is known.
    fn memory(&self) -> Result<Option<u64>, String> {
        let Some(pid) = self.pid else { return Ok(None) };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))
            .map_err(|error| format!("--pid {pid}: {error}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.map(Some).ok_or_else(|| format!("--pid {pid}: its memory cannot be read"))
    }
}
