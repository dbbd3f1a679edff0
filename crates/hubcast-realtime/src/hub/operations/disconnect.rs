//! Removes a socket that has ended, and disconnects sockets for the program.

use std::sync::Arc;

use actix::prelude::*;

use super::whom::Whom;
use crate::core::ids::SocketId;
use crate::hub::handle::HubHandle;
use crate::hub::hub::Hub;
use crate::hub::presence::Gone;
use crate::hub::workers::{Close, Disconnect, LeaveRooms, Outgoing, SocketAction};

#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::hub) struct RemoveSocket {
    socket: SocketId,
    is_lost: bool,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::hub) struct DisconnectAll {
    namespace: Arc<str>,
    whom: Whom,
    close: Close,
}

impl HubHandle {
    /// Removes a socket that has ended. `is_lost` means that its connection was lost, so its user
    /// may soon return.
    pub(crate) fn remove_socket(&self, socket: SocketId, is_lost: bool) {
        self.hub.do_send(RemoveSocket { socket, is_lost });
    }

    /// Disconnects sockets after everything that was published to them before. Their sessions are
    /// not resumed.
    pub fn disconnect_all(&self, namespace: &str, whom: Whom, close: Close) {
        self.hub.do_send(DisconnectAll { namespace: namespace.into(), whom, close });
    }
}

impl Handler<RemoveSocket> for Hub {
    type Result = ();

    fn handle(&mut self, remove: RemoveSocket, ctx: &mut Self::Context) {
        let RemoveSocket { socket, is_lost } = remove;
        let gone = if is_lost { Gone::Lost } else { Gone::Left };
        let worker = self.remove(socket, gone).and_then(|worker| self.workers.get(&worker));
        if let Some(worker) = worker {
            worker.leave.do_send(LeaveRooms { socket, room: None });
        }
        self.watch_presence(ctx);
    }
}

impl Handler<DisconnectAll> for Hub {
    type Result = ();

    fn handle(&mut self, all: DisconnectAll, _: &mut Self::Context) {
        let DisconnectAll { namespace, whom, close } = all;
        let to_socket = |hub: &Hub, socket| {
            hub.send_to(socket, Outgoing::Disconnect(Disconnect::new(close)));
        };
        self.select(&namespace, &whom, to_socket, || SocketAction::Disconnect(close));
    }
}
