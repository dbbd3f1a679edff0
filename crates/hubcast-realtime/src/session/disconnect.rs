//! Disconnects a socket, or all sockets of a connection, at the server's request.

use actix::prelude::*;
use smallvec::SmallVec;

use super::session::Session;
use super::socket::{SocketState, error_events};
use crate::core::protocol::Protocol;
use crate::core::reason::DisconnectReason;
use crate::hub::workers::{Close, Disconnect};
use crate::wire::{socketio, websocket};
use crate::worker::session_actor::DisconnectSocket;

impl Handler<DisconnectSocket> for Session {
    type Result = ();

    fn handle(&mut self, message: DisconnectSocket, _: &mut Self::Context) {
        let DisconnectSocket { socket, disconnect } = message;
        let Some((at, client)) = self.find(socket) else { return };
        let disconnect = client.0.ending.get_or_init(|| disconnect);
        // A socket that is entering leaves when it has entered, which is soon: its replay stops.
        if self.sockets.get(at).is_some_and(|own| matches!(own.state, SocketState::Open(_)))
            || disconnect.close == Close::Connection
        {
            self.end(at, disconnect);
        }
    }
}

impl Session {
    /// Ends a socket that was disconnected while it was entering. Returns false if it was not.
    pub(super) fn end_if_disconnected(&mut self, number: u32) -> bool {
        let Some(at) = self.sockets.iter().position(|own| own.number == number) else {
            return false;
        };
        let Some(client) = self.sockets.get(at).and_then(|own| own.client()) else { return false };
        let Some(disconnect) = client.0.ending.get() else { return false };
        self.end(at, disconnect);
        true
    }

    fn end(&mut self, at: usize, disconnect: &Disconnect) {
        let (is_all, is_socketio) = (
            disconnect.close == Close::Connection,
            matches!(self.connection.protocol, Protocol::SocketIo { .. }),
        );
        let ending = if is_all {
            std::mem::take(&mut self.sockets)
        } else {
            SmallVec::from_iter([self.sockets.remove(at)])
        };
        for own in &ending {
            if is_socketio {
                self.send_disconnect(&own.namespace, disconnect);
            }
            self.depart(own, disconnect.reason());
        }
        // A surplus connection that nothing uses any more would keep its descriptor.
        let is_surplus = disconnect.reason() == DisconnectReason::TooManySockets;
        if is_all || !is_socketio || (is_surplus && self.sockets.is_empty()) {
            self.connection.close(disconnect.reason());
        }
        self.pace();
    }

    /// Sends a Socket.IO client the cause, if there is one, and DISCONNECT, without which the
    /// official client would reconnect by itself.
    fn send_disconnect(&self, namespace: &str, disconnect: &Disconnect) {
        let (worker, connection) = (&self.host.worker, &self.connection);
        let error = disconnect.error();
        let events = error.map(|error| error_events(error, None, worker.settings.aliases));
        for (name, data) in events.into_iter().flatten() {
            let position = worker.position.get();
            let frame = connection.protocol.transient_event(namespace, name, &data, position);
            connection.push(frame);
        }
        connection.send(websocket::text(&socketio::disconnect(namespace)));
    }
}
