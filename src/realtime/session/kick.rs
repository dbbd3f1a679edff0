//! The server ends a socket, or all of a connection.

use actix::prelude::*;
use smallvec::SmallVec;

use super::Session;
use crate::realtime::Reason;
use crate::realtime::client::Close;
use crate::realtime::frame::Protocol;
use crate::realtime::hub::SocketId;
use crate::realtime::socket::{Socket, State};
use crate::realtime::wire::{socketio, websocket};

/// From the outlet: behind all that was sent to it, this socket ends.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::realtime) struct Kick {
    pub socket: SocketId,
    pub close: Close,
}

impl Handler<Kick> for Session {
    type Result = ();

    fn handle(&mut self, Kick { socket, close }: Kick, _: &mut Self::Context) {
        let of = |own: &Socket| own.client().filter(|client| client.0.socket == socket);
        let Some((at, client)) = self.sockets.iter().enumerate().find_map(|(at, own)| Some((at, of(own)?))) else { return };
        client.0.kicked.set(Some(close));
        // One that is on its way in is ended when that is over, which is soon: it reads no further.
        if self.sockets.get(at).is_some_and(|own| matches!(own.state, State::Open(_))) || close == Close::Connection {
            self.end(at, close);
        }
    }
}

impl Session {
    /// Whether a socket that was on its way in is to leave; then it has.
    pub(super) fn end_if_kicked(&mut self, ticket: u32) -> bool {
        let Some(at) = self.sockets.iter().position(|own| own.ticket == ticket) else { return false };
        let Some(close) = self.sockets.get(at).and_then(|own| own.client()?.0.kicked.get()) else { return false };
        self.end(at, close);
        true
    }

    fn end(&mut self, at: usize, close: Close) {
        let is_all = close == Close::Connection;
        let ending = if is_all { std::mem::take(&mut self.sockets) } else { SmallVec::from_iter([self.sockets.remove(at)]) };
        for own in &ending {
            // Without it the official client would come back by itself.
            if matches!(self.link.protocol, Protocol::SocketIo { .. }) {
                self.link.send(websocket::text(&socketio::disconnect(&own.namespace)));
            }
            self.depart(own, Reason::Kicked);
        }
        if is_all || !matches!(self.link.protocol, Protocol::SocketIo { .. }) {
            self.link.close(Reason::Kicked);
        }
        self.pace();
    }
}
