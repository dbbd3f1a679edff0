//! Passes notices of the program to its own gateways.

use std::sync::Arc;

use actix::prelude::*;

use super::whom::Whom;
use crate::hub::handle::HubHandle;
use crate::hub::hub::Hub;
use crate::hub::workers::{Outgoing, SocketAction, SocketNotice};

#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::hub) struct Notify {
    namespace: Arc<str>,
    whom: Whom,
    notice: SocketNotice,
}

impl HubHandle {
    /// Calls [`Gateway::notified`](crate::Gateway::notified) for the selected sockets, after
    /// everything that was published to them before; for a user's sockets also while they are
    /// entering. Use it for a decision that needs the gateway's own data of a socket.
    pub fn notify(&self, namespace: &str, whom: Whom, notice: SocketNotice) {
        self.hub.do_send(Notify { namespace: namespace.into(), whom, notice });
    }
}

impl Handler<Notify> for Hub {
    type Result = ();

    fn handle(&mut self, Notify { namespace, whom, notice }: Notify, _: &mut Self::Context) {
        let to_socket =
            |hub: &Hub, socket| hub.send_to(socket, Outgoing::Notice(Arc::clone(&notice)));
        self.select(&namespace, &whom, to_socket, || SocketAction::Notify(Arc::clone(&notice)));
    }
}
