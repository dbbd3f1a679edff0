//! One connection in one namespace: its state in the session, and the frames that greet and answer
//! it.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::json;

use super::arrival::Slot;
use super::client::Client;
use super::frame::{Protocol, older};
use super::gateway::{Gateway, Incoming, Reply, shown};
use super::outlet::Outgoing;
use super::payload::Payload;
use super::settings::{Aliases, EVENTS_WAITING};
use crate::error::Error;

/// This connection in one namespace.
pub(super) struct Socket {
    pub(super) ticket: u32,
    pub(super) namespace: Arc<str>,
    pub(super) gateway: Arc<dyn Gateway>,
    pub(super) state: State,
    /// Events that came and were not begun.
    pub(super) waiting: Waiting,
    /// One is with the gateway.
    pub(super) busy: bool,
}

pub(super) enum State {
    /// The gateway is asked; nothing is read meanwhile.
    Asking,
    /// Plain protocol: there was no token; the first frame must bring one.
    AwaitingAuth,
    /// Admitted, and on its way in; nothing is read meanwhile. It has a handle as soon as others
    /// can know of it.
    Entering(Slot),
    Open(Client),
}

impl Socket {
    /// Its handle, once it is admitted.
    pub(super) fn client(&self) -> Option<Client> {
        match &self.state {
            State::Entering(slot) => slot.borrow().clone(),
            State::Open(client) => Some(client.clone()),
            State::Asking | State::AwaitingAuth => None,
        }
    }
}

/// Events behind the one in hand, bounded in number and in bytes: when it is full, nothing more is
/// read from the connection.
pub(super) struct Waiting {
    events: VecDeque<Incoming>,
    bytes: usize,
}

impl Waiting {
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
        self.events.len() >= EVENTS_WAITING || self.bytes >= most_bytes
    }
}

/// What an argument costs beside its text.
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

/// Answers an event: the ack if one was asked for, an `error` event for a failure without one.
pub(super) fn reply(client: &Client, ack: Option<&str>, event: &str, answer: Reply) {
    let protocol = client.0.link.protocol;
    let namespace = &*client.0.namespace;
    let frame = match (ack, answer) {
        (Some(id), Ok(payload)) => protocol.ack(namespace, id, &payload),
        (Some(id), Err(error)) => {
            let data =
                json!({"ok": false, "error": {"code": error.code(), "message": error.message()}});
            protocol.ack(namespace, id, &data.into())
        }
        (None, Ok(_)) => return,
        // There it would be a message of the program's.
        (None, Err(_)) if protocol == Protocol::EngineIo => return,
        (None, Err(error)) => {
            for (name, data) in
                complaint(&error, Some(event), client.0.worker.shared.settings.aliases)
            {
                client.emit(name, data);
            }
            return;
        }
    };
    client.0.worker.send(client.0.socket, Outgoing::Frame(frame));
}

/// An `error` event, under its older name too, if it has one. `event`: the client's, if it is the
/// answer to one.
pub(super) fn complaint(
    error: &Error,
    event: Option<&str>,
    aliases: Aliases,
) -> impl Iterator<Item = (&'static str, Payload)> {
    let mut data = json!({"status": "error", "code": error.code(), "message": error.message()});
    if let Some(event) = event {
        data["event"] = shown(event).into();
    }
    [Some("error"), older("error", aliases)]
        .into_iter()
        .flatten()
        .map(move |name| (name, data.clone().into()))
}
