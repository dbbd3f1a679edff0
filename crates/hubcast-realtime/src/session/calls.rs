//! The gateway is called for one socket, not because of what its client has sent.

use actix::prelude::*;

use super::Session;
use crate::client::Client;
use crate::hub::{Signal, SocketId};
use crate::socket::Socket;

/// From the outlet, or from the worker's alarms.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Call {
    socket: SocketId,
    what: What,
}

enum What {
    Alarm,
    Signal(Signal),
}

impl Call {
    pub(crate) fn alarm(socket: SocketId) -> Self {
        Self { socket, what: What::Alarm }
    }

    pub(crate) fn signal(socket: SocketId, signal: Signal) -> Self {
        Self { socket, what: What::Signal(signal) }
    }
}

impl Handler<Call> for Session {
    type Result = ();

    fn handle(&mut self, Call { socket, what }: Call, _: &mut Self::Context) {
        let Some((at, client)) = self.find(socket) else { return };
        let Some(Socket { gateway, .. }) = self.sockets.get(at).map(|own| &**own) else { return };
        match what {
            What::Alarm => gateway.woken(&client),
            What::Signal(signal) => gateway.signalled(&client, &signal),
        }
    }
}

impl Session {
    /// The socket of that id, if it is one of this connection, and its place.
    pub(super) fn find(&self, socket: SocketId) -> Option<(usize, Client)> {
        let of = |own: &Socket| own.client().filter(|client| client.0.socket == socket);
        self.sockets.iter().enumerate().find_map(|(at, own)| Some((at, of(own)?)))
    }
}
