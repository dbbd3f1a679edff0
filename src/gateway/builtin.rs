//! The built-in events: the server events that `realtime` sends by itself, and the echo.
//!
//! `realtime` writes the payloads of its own events as JSON and knows no schemas, so most types
//! here only describe. `tests/clients/documents.test.mjs` compares them with what is sent.
#![expect(dead_code, reason = "the derived schemas read the fields")]

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::Code;
use crate::event::{ADMIN, MAIN, server_events};
use crate::model::{Timestamp, UserId};

server_events! {
    /// The first event of each socket.
    SESSION: transient SessionStart = [MAIN, ADMIN] "session" to "each socket, first of all";
    /// An event without an ack has failed, or the socket's token has ended.
    ERROR: transient Failed = [MAIN, ADMIN] "error"
        to "the socket whose event has failed, or whose token has ended";
    /// The server stops.
    SERVER_SHUTDOWN: transient Shutdown = [MAIN, ADMIN] "server:shutdown" to "each socket";
    /// Users have come into a room.
    PRESENCE_JOIN: transient PresenceChange = [MAIN] "presence:join" to "the room";
    /// Users have left a room.
    PRESENCE_LEAVE: transient PresenceChange = [MAIN] "presence:leave" to "the room";
    /// The users in a room.
    PRESENCE_STATE: transient RoomMembers = [MAIN] "presence:state"
        to "a socket that has resumed its session, for each of its rooms";
    /// The content that the socket sent with `message`.
    ECHO: transient Echo<'static> = [MAIN] "message" to "the socket that sent `message`";
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Session")]
pub(super) struct SessionStart {
    /// The value for `?resume=` of the plain protocol.
    session: String,
    user_id: UserId,
    /// Whether the missed events follow. If not, the client has to read the state by REST.
    recovered: bool,
    server_time: Timestamp,
}

#[derive(JsonSchema)]
pub(super) struct Failed {
    #[schemars(extend("const" = "error"))]
    status: String,
    code: Code,
    message: String,
    /// The event that failed, if there was one.
    event: Option<String>,
}

/// The ack of an event that has failed.
#[derive(JsonSchema)]
pub(super) struct AckFailure {
    #[schemars(extend("const" = false))]
    ok: bool,
    error: AckError,
}

#[derive(JsonSchema)]
pub(super) struct AckError {
    code: Code,
    message: String,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shutdown {
    reconnect_after_ms: u64,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PresenceChange {
    room: String,
    user_ids: Vec<UserId>,
}

#[derive(JsonSchema)]
pub(super) struct RoomMembers {
    room: String,
    members: Vec<UserId>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Echo<'a> {
    pub(super) content: &'a RawValue,
    pub(super) from: UserId,
    pub(super) at: Timestamp,
}
