//! The session's record of one socket: its state, its queue of events, and the replies to them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::json;

use super::client::Client;
use super::gateway::{Gateway, Incoming, Reply, shown};
use crate::core::error::Error;
use crate::core::payload::Payload;
use crate::core::protocol::{Protocol, older_name};
use crate::core::settings::{Aliases, MAX_WAITING_EVENTS};
use crate::hub::workers::Outgoing;

/// The place where the session finds the handle of a socket that is entering.
pub(super) type ClientSlot = Rc<RefCell<Option<Client>>>;

/// One socket of a session.
pub(super) struct SessionSocket {
    /// The number of this socket within the session. An answer for an earlier socket is dropped.
    pub(super) number: u32,
    pub(super) namespace: Arc<str>,
    pub(super) gateway: Arc<dyn Gateway>,
    pub(super) state: SocketState,
    pub(super) queue: EventQueue,
    /// Whether the gateway is handling an event.
    pub(super) is_busy: bool,
}

pub(super) enum SocketState {
    /// The gateway decides; nothing is read meanwhile.
    Connecting,
    /// The request of a plain connection had no token, so the first frame must have one.
    AwaitingAuth,
    /// Admitted and entering; nothing is read meanwhile. The slot has a handle as soon as the hub
    /// may know the socket.
    Entering(ClientSlot),
    Open(Client),
}

impl SessionSocket {
    /// Returns the socket's handle, once it is admitted.
    pub(super) fn client(&self) -> Option<Client> {
        match &self.state {
            SocketState::Entering(slot) => slot.borrow().clone(),
            SocketState::Open(client) => Some(client.clone()),
            SocketState::Connecting | SocketState::AwaitingAuth => None,
        }
    }
}

/// The client events that wait for the current one, bounded in number and in bytes. While the queue
/// is full, nothing is read from the connection.
pub(super) struct EventQueue {
    events: VecDeque<Incoming>,
    bytes: usize,
}

impl EventQueue {
    pub(super) fn new() -> Self {
        Self { events: VecDeque::new(), bytes: 0 }
    }

    pub(super) fn push(&mut self, event: Incoming) {
        self.bytes += size(&event);
        self.events.push_back(event);
    }

    pub(super) fn pop(&mut self) -> Option<Incoming> {
        let event = self.events.pop_front()?;
        self.bytes -= size(&event);
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
        Some(event)
    }

    pub(super) fn is_full(&self, most_bytes: usize) -> bool {
        self.events.len() >= MAX_WAITING_EVENTS || self.bytes >= most_bytes
    }
}

/// The bytes that an argument costs in addition to its text.
const PER_ARGUMENT: usize = 48;

fn size(event: &Incoming) -> usize {
    let ack = event.ack.as_ref().map_or(0, |id| id.len());
    let attachments =
        event.attachments.iter().map(|bytes| bytes.len() + PER_ARGUMENT).sum::<usize>();
    event.name.len()
        + ack
        + attachments
        + event.args.iter().map(|arg| arg.get().len() + PER_ARGUMENT).sum::<usize>()
}

/// Replies to a client event: with an ack if it asked for one, else with an `error` event if it
/// failed.
pub(super) fn reply(client: &Client, ack: Option<&str>, event: &str, answer: Reply) {
    let protocol = client.0.connection.protocol;
    let namespace = &*client.0.namespace;
    let frame = match (ack, answer) {
        (Some(id), Ok(payload)) => protocol.ack(namespace, id, &payload),
        (Some(id), Err(error)) => {
            let data =
                json!({"ok": false, "error": {"code": error.code(), "message": error.message()}});
            protocol.ack(namespace, id, &data.into())
        }
        (None, Ok(_)) => return,
        // On bare Engine.IO clients would take it for an application message.
        (None, Err(_)) if protocol == Protocol::EngineIo => return,
        (None, Err(error)) => {
            for (name, data) in error_events(&error, Some(event), client.0.worker.settings.aliases)
            {
                client.emit(name, data);
            }
            return;
        }
    };
    client.0.worker.send(client.0.socket, Outgoing::Frame(frame));
}

/// Encodes an `error` event, also under its older name if it has one. `event` is the client event
/// that failed, if there is one.
pub(super) fn error_events(
    error: &Error,
    event: Option<&str>,
    aliases: Aliases,
) -> impl Iterator<Item = (&'static str, Payload)> {
    let mut data = json!({"status": "error", "code": error.code(), "message": error.message()});
    if let Some(event) = event {
        data["event"] = shown(event).into();
    }
    [Some("error"), older_name("error", aliases)]
        .into_iter()
        .flatten()
        .map(move |name| (name, data.clone().into()))
}
