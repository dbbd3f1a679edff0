//! The server ends a socket, or all of a connection.

use actix::prelude::*;
use smallvec::SmallVec;

use super::Session;
use crate::client::{Close, Goodbye};
use crate::frame::Protocol;
use crate::hub::SocketId;
use crate::socket::{State, complaint};
use crate::wire::{socketio, websocket};

/// From the outlet: behind all that was sent to it, this socket ends.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Kick {
    pub socket: SocketId,
    pub goodbye: Goodbye,
}

impl Handler<Kick> for Session {
    type Result = ();

    fn handle(&mut self, Kick { socket, goodbye }: Kick, _: &mut Self::Context) {
        let Some((at, client)) = self.find(socket) else { return };
        let goodbye = client.0.kicked.get_or_init(|| goodbye);
        // One that is on its way in is ended when that is over, which is soon: it reads no further.
        if self.sockets.get(at).is_some_and(|own| matches!(own.state, State::Open(_)))
            || goodbye.close == Close::Connection
        {
            self.end(at, goodbye);
        }
    }
}

impl Session {
    /// Whether a socket that was on its way in is to leave; then it has.
    pub(super) fn end_if_kicked(&mut self, ticket: u32) -> bool {
        let Some(at) = self.sockets.iter().position(|own| own.ticket == ticket) else {
            return false;
        };
        let Some(client) = self.sockets.get(at).and_then(|own| own.client()) else { return false };
        let Some(goodbye) = client.0.kicked.get() else { return false };
        self.end(at, goodbye);
        true
    }

    fn end(&mut self, at: usize, goodbye: &Goodbye) {
        let (is_all, is_socketio) = (
            goodbye.close == Close::Connection,
            matches!(self.link.protocol, Protocol::SocketIo { .. }),
        );
        let ending = if is_all {
            std::mem::take(&mut self.sockets)
        } else {
            SmallVec::from_iter([self.sockets.remove(at)])
        };
        for own in &ending {
            if is_socketio {
                let said = goodbye
                    .error()
                    .map(|error| complaint(error, None, self.worker.shared.settings.aliases));
                for (name, data) in said.into_iter().flatten() {
                    self.link.push(self.link.protocol.unstored(
                        &own.namespace,
                        name,
                        &data,
                        self.worker.position.get(),
                    ));
                }
                // Without it the official client would come back by itself.
                self.link.send(websocket::text(&socketio::disconnect(&own.namespace)));
            }
            self.depart(own, goodbye.reason());
        }
        if is_all || !is_socketio {
            self.link.close(goodbye.reason());
        }
        self.pace();
    }
}
