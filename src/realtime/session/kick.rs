//! The server ends a socket, or all of a connection.

use actix::prelude::*;
use smallvec::SmallVec;

use super::Session;
use crate::realtime::Reason;
use crate::realtime::client::Close;
use crate::realtime::frame::Protocol;
use crate::realtime::hub::SocketId;
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
        let is_meant = |own: &super::Socket| own.client().is_some_and(|client| client.0.socket == socket);
        let Some(at) = self.sockets.iter().position(|own| is_meant(own)) else { return };
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
