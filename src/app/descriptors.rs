//! The descriptors of the process: their limit is raised at the start, and decides how many
//! connections there may be.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::{DatabaseUrl, Settings};
use crate::realtime::settings::ConnectionLimits;

/// Descriptors for all but connections and the database: listeners, event loops, keys, the log.
const BASE: usize = 40;
/// Descriptors of each worker thread.
const PER_WORKER: usize = 4;
/// Descriptors of the SQLite file, of its readers, and of what it sorts.
const SQLITE: usize = 32;
/// The most connections by default, however many descriptors there are.
const MOST: usize = 100_000;
/// The most connections beyond the others, for probes and admins.
const RESERVED: usize = 64;

/// Raises the limit of open files, and returns how many connections it allows. The log says both.
pub(super) fn connections(settings: &Settings) -> ConnectionLimits {
    let files = raise();
    let limits = &settings.limits;
    let database = match &settings.database.url {
        DatabaseUrl::Sqlite(_) => SQLITE,
        DatabaseUrl::Postgres(_) => settings.database.pool as usize,
    };
    let held = BASE + PER_WORKER * super::workers(settings) + database;
    let room = files.saturating_sub(held).max(files / 2).max(2);
    let reserved = (room / 16).clamp(1, RESERVED);
    let room = room - reserved;
    let asked = limits.max_connections.unwrap_or(MOST);
    if limits.max_connections.is_some() && asked > room {
        tracing::warn!(
            "MAX_CONNECTIONS is {asked}, but the limit of {files} open files leaves {room}; raise \
             it, as by `ulimit -n` or LimitNOFILE"
        );
    }
    let total = asked.min(room);
    let per_address = limits.connections_per_address.unwrap_or(total - total / 4).min(total);
    tracing::info!(
        open_files = files,
        connections = total,
        per_address,
        reserved,
        "room for {total} connections, {per_address} of them from one address"
    );
    ConnectionLimits { total, per_address, reserved, crossing: held / 4 }
}

/// Raises the limit of open files to the highest that this process may set. Returns it.
fn raise() -> usize {
    let now = getrlimit(Resource::Nofile);
    if now.current != now.maximum {
        let highest = Rlimit { current: now.maximum, maximum: now.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, highest) {
            tracing::debug!(%error, "the limit of open files cannot be raised");
        }
    }
    let files = getrlimit(Resource::Nofile).current;
    files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}
