//! The server's statistics, sent to `/admin` every two seconds. They cost one message to the hub;
//! without a socket on `/admin` nothing is sent.

use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use super::publish::send_transient;
use crate::event::{self, ConnectionCount, ServerStats};
use crate::realtime::Server;

/// The time between two sends.
const EVERY: Duration = Duration::from_secs(2);

/// Sends the statistics until it is aborted; that is safe at any time.
pub async fn run(server: Server) {
    let started = Instant::now();
    let (mut seen, mut at) = (0, started);
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let census = server.hub().census().await;
        let (now, events) = (Instant::now(), census.events);
        let rate = per_second(events.saturating_sub(seen), now - at);
        (seen, at) = (events, now);
        if census.sockets.get(event::ADMIN).is_none_or(|sockets| *sockets == 0) {
            continue;
        }
        let kinds = server.connections();
        let connections = kinds.iter().filter(|(.., count)| *count > 0);
        let stats = ServerStats {
            uptime_seconds: started.elapsed().as_secs(),
            connections: connections
                .map(|(transport, protocol, count)| ConnectionCount { transport, protocol, count })
                .collect(),
            sockets: [(event::MAIN.to_owned(), 0)].into_iter().chain(census.sockets).collect(),
            rooms: census.rooms,
            events_per_second: rate,
            memory_bytes: memory(),
        };
        send_transient(server.hub(), event::server_stats(&stats)).await;
        // The statistics do not count their own event.
        seen += 1;
    }
}

/// Events per second, rounded to one decimal place.
fn per_second(events: u64, time: Duration) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "two seconds never route more events than a float counts exactly"
    )]
    let events = events as f64;
    (events * 10.0 / time.as_secs_f64().max(1e-3)).round() / 10.0
}

/// The resident memory in bytes, on Linux.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    resident.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_one_decimal_place() {
        assert_eq!(per_second(3, Duration::from_secs(2)).to_string(), "1.5");
        assert_eq!(per_second(1, Duration::from_secs(3)).to_string(), "0.3");
        assert_eq!(per_second(0, Duration::ZERO).to_string(), "0");
    }
}
