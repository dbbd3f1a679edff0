//! What the server says of itself on `/admin`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{ADMIN, NewEvent, Room, Told};

/// What this file makes.
pub(super) const TOLD: &[Told] = &[Told::passing::<ServerStats>("server:stats", "").on_admin()];

/// The server at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerStats {
    /// Whole seconds since its start.
    pub uptime_seconds: u64,
    /// Open connections by kind, those that there are.
    pub connections: Vec<ConnectionCount>,
    /// Sockets by namespace.
    pub sockets: BTreeMap<String, usize>,
    /// Rooms with someone in them.
    pub rooms: usize,
    /// Events routed since the last one of these, a second, to one place: stored and other ones,
    /// each once, however many sockets get it.
    pub events_per_second: f64,
    /// Resident memory of the process; null where the system does not tell.
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

/// `server:stats`, to `/admin`. Not stored: the next one says all that this one says.
#[must_use]
pub fn server_stats(stats: &ServerStats) -> NewEvent {
    NewEvent::ephemeral(ADMIN, "server:stats", vec![Room::Admin], stats)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Kind;

    #[test]
    fn figures_are_for_the_admins_and_not_kept() {
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
            ("/admin", "server:stats", Kind::Ephemeral, vec![Room::Admin])
        );
        let data = r#"{"uptimeSeconds":5,"connections":[{"transport":"websocket","protocol":"plain","count":2}],"sockets":{"/":1,"/admin":1},"rooms":3,"eventsPerSecond":1.5,"memoryBytes":null}"#;
        assert_eq!(event.data, data);
    }
}
