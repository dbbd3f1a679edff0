//! Calls of the gateway for one socket that are not caused by a client event.

use actix::prelude::*;

use super::session::Session;
use crate::worker::session_actor::{CallGateway, GatewayCall};

impl Handler<CallGateway> for Session {
    type Result = ();

    fn handle(&mut self, CallGateway { socket, call }: CallGateway, _: &mut Self::Context) {
        let Some((at, client)) = self.find(socket) else { return };
        let Some(own) = self.sockets.get(at) else { return };
        match call {
            GatewayCall::Alarm => own.gateway.woken(&client),
            GatewayCall::Notified(notice) => own.gateway.notified(&client, &notice),
        }
    }
}
