//! The messages that a worker sends to a session, whatever the session's type.

use actix::prelude::*;

use crate::core::ids::SocketId;
use crate::hub::workers::{Disconnect, SocketNotice};

/// Ends a socket after everything that was sent to it before.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct DisconnectSocket {
    pub(crate) socket: SocketId,
    pub(crate) disconnect: Disconnect,
}

/// Calls the gateway for one socket, for a reason other than a client event.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CallGateway {
    pub(crate) socket: SocketId,
    pub(crate) call: GatewayCall,
}

pub(crate) enum GatewayCall {
    /// The socket's alarm is due.
    Alarm,
    Notified(SocketNotice),
}

/// An actor that may serve as a session.
pub(crate) trait SessionActor:
    Actor<Context = Context<Self>> + Handler<DisconnectSocket> + Handler<CallGateway>
{
}
