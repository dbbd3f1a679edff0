//! Idle signed-in sockets, and the server's memory for each.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;

use super::sockets::{Protocol, Socket};
use super::{Target, polling, process};

#[derive(Debug, Args)]
pub struct Idle {
    #[command(flatten)]
    target: Target,
    /// Number of sockets to open
    #[arg(
        long, default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    count: u32,
    /// Protocol of the sockets
    #[arg(long, value_enum, default_value_t = Protocol::Socketio)]
    protocol: Protocol,
    /// Open Socket.IO polling sessions instead, between two polls. They end when a ping stays
    /// unanswered, so hold them for less than that
    #[arg(long, conflicts_with = "protocol")]
    polling: bool,
    /// Time to hold the sockets, whose pings are answered: ms, s, m or h
    #[arg(long, default_value = "5s", value_parser = crate::config::duration)]
    hold: Duration,
    /// Process id of the server, to measure its memory (Linux only)
    #[arg(long)]
    pid: Option<u32>,
}

impl Idle {
    pub(super) async fn run(self) -> Result<(), String> {
        let (address, token) = self.target.sign_in().await?;
        let engine = self.target.engine_path(if self.polling { "polling" } else { "websocket" });
        // The first socket is opened before the measurement, which leaves out one-time costs.
        if self.polling {
            polling::open(address, &engine, &token).await?;
        } else {
            drop(Socket::open(address, self.protocol, &engine, "/", &token, 0).await?);
        }
        let before = self.memory()?;
        let began = Instant::now();
        let ended = Rc::new(Cell::new(0_u32));
        for number in 0..self.count {
            if self.polling {
                polling::open(address, &engine, &token).await?;
                continue;
            }
            let socket =
                Socket::open(address, self.protocol, &engine, "/", &token, number as usize).await?;
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

    /// The server's resident memory in KiB, if its process id is known.
    fn memory(&self) -> Result<Option<u64>, String> {
        self.pid.map(process::memory_kib).transpose()
    }
}
