//! What there is to say about the events that sockets get beside those of verbs: from `realtime`,
//! which knows nothing of documents, and from the gateways. The shapes here only describe;
//! `tests/clients/documents.test.mjs` holds what is sent to them.
#![expect(dead_code, reason = "read by the derived schemas only")]

use schemars::JsonSchema;
use serde_json::Value;

use crate::event::Told;
use crate::model::{Timestamp, UserId};

/// The first event of each socket.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Session")]
struct Hello {
    /// What `?resume=` takes on the plain protocol.
    session: String,
    user_id: UserId,
    /// Whether what was missed comes now; else the state is to be read by REST.
    recovered: bool,
    server_time: Timestamp,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CameOrWent {
    room: String,
    user_ids: Vec<UserId>,
}

#[derive(JsonSchema)]
struct Present {
    room: String,
    members: Vec<UserId>,
}

/// A failure of an event that asked for no ack.
#[derive(JsonSchema)]
struct Failed {
    /// `error`.
    status: String,
    code: String,
    message: String,
    /// The event that failed, if it was one.
    event: Option<String>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Shutdown {
    reconnect_after_ms: u64,
}

/// What the socket has sent, sent back.
#[derive(JsonSchema)]
struct Echo {
    content: Value,
    from: UserId,
    at: Timestamp,
}

/// Those of both namespaces, and of `/` alone.
pub(super) fn told() -> impl Iterator<Item = Told> {
    let both = [
        Told::passing::<Hello>("session", "each socket, first of all"),
        Told::passing::<Failed>(
            "error",
            "a socket whose event has failed and asked for no ack, and one that is ended because its token has",
        ),
        Told::passing::<Shutdown>("server:shutdown", "each socket, when the server stops"),
    ];
    let main = [
        Told::passing::<CameOrWent>("presence:join", "the room that users have come into"),
        Told::passing::<CameOrWent>("presence:leave", "the room that users have left"),
        Told::passing::<Present>(
            "presence:state",
            "a socket that has resumed its session, for each of its rooms",
        ),
        Told::passing::<Echo>("message", "the socket that sent `message`"),
    ];
    both.into_iter().flat_map(|told| [told, Told { to: told.to, ..told.on_admin() }]).chain(main)
}
