//! The server's own figures, on `/admin`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{ADMIN, NewEvent, Room, server_events};

server_events! {
    /// The server's figures, every two seconds.
    SERVER_STATS: transient ServerStats = [ADMIN] "server:stats" to "all of /admin";
}

/// The server's figures at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerStats {
    /// Whole seconds since its start.
    pub uptime_seconds: u64,
    /// Open connections by kind; a kind without connections is left out.
    pub connections: Vec<ConnectionCount>,
    /// Sockets by namespace.
    pub sockets: BTreeMap<String, usize>,
    /// Rooms that have a socket.
    pub rooms: usize,
    /// Events routed per second since the figures before, stored or not, rounded to one decimal.
    /// An event counts once, however many sockets get it.
    pub events_per_second: f64,
    /// Resident memory of the process; null on systems that do not report it.
    pub memory_bytes: Option<u64>,
}

/// Connections of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ConnectionCount {
    /// `websocket` or `polling`.
    pub transport: &'static str,
    /// `socketio` or `plain`.
    pub protocol: &'static str,
    pub count: usize,
}

/// `server:stats`. Transient: the next figures replace these.
#[must_use]
pub fn server_stats(stats: &ServerStats) -> NewEvent {
    SERVER_STATS.to(vec![Room::Admin], stats)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;

    #[test]
    fn figures_go_to_the_admins_and_are_transient() {
        let stats = ServerStats {
            uptime_seconds: 5,
            connections: vec![ConnectionCount {
                transport: "websocket",
                protocol: "plain",
                count: 2,
            }],
            sockets: [("/".to_owned(), 1), ("/admin".to_owned(), 1)].into(),
            rooms: 3,
            events_per_second: 1.5,
            memory_bytes: None,
        };
        let event = server_stats(&stats);
        assert_eq!(
            (event.namespace, &*event.name, event.kind, event.rooms),
            ("/admin", "server:stats", EventKind::Transient, vec![Room::Admin])
        );
        let data = concat!(
            r#"{"uptimeSeconds":5,"connections":[{"transport":"websocket","protocol":"plain","#,
            r#""count":2}],"sockets":{"/":1,"/admin":1},"rooms":3,"eventsPerSecond":1.5,"#,
            r#""memoryBytes":null}"#,
        );
        assert_eq!(event.data, data);
    }
}
