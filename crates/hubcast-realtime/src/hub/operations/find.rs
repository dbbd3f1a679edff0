//! Finds handles on selected sockets: the workers report their ids, and the hub describes them.

use std::num::NonZeroI64;
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::{mpsc, oneshot};

use super::whom::Whom;
use crate::core::ids::SocketId;
use crate::hub::client_handle::ClientHandle;
use crate::hub::handle::HubHandle;
use crate::hub::hub::{Hub, SocketStage};
use crate::hub::workers::SocketAction;

/// Asks the workers to report their sockets. The channel ends when all have reported.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::hub) struct FindSockets {
    namespace: Arc<str>,
    whom: Whom,
    found: mpsc::UnboundedSender<SocketId>,
}

/// Describes those of the sockets that have not left.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::hub) struct DescribeSockets {
    sockets: Vec<SocketId>,
    done: oneshot::Sender<Vec<Description>>,
}

struct Description {
    socket: SocketId,
    sid: Arc<str>,
    user: Option<Arc<str>>,
    connection_no: Option<i64>,
}

impl HubHandle {
    /// Returns the sockets of this process that have entered. Each [`ClientHandle`] can join,
    /// leave, send and disconnect.
    pub async fn sockets(&self, namespace: &str, whom: Whom) -> Vec<ClientHandle> {
        let (found, mut reported) = mpsc::unbounded_channel();
        self.hub.do_send(FindSockets { namespace: namespace.into(), whom, found });
        let mut sockets = Vec::new();
        // The loop ends when the last worker has reported.
        while let Some(socket) = reported.recv().await {
            sockets.push(socket);
        }
        let (done, described) = oneshot::channel();
        self.hub.do_send(DescribeSockets { sockets, done });
        // A hub that has stopped has no sockets.
        let described = described.await.unwrap_or_default();
        let handle = |Description { socket, sid, user, connection_no }| ClientHandle {
            socket,
            sid,
            user,
            connection_no,
            hub: self.clone(),
        };
        described.into_iter().map(handle).collect()
    }
}

impl Handler<FindSockets> for Hub {
    type Result = ();

    fn handle(&mut self, find: FindSockets, _: &mut Self::Context) {
        let FindSockets { namespace, whom, found } = find;
        let to_socket = |_: &Hub, socket| {
            // The send fails if the caller has stopped waiting.
            let _ = found.send(socket);
        };
        self.select(&namespace, &whom, to_socket, || SocketAction::Report(found.clone()));
    }
}

impl Handler<DescribeSockets> for Hub {
    type Result = ();

    fn handle(&mut self, describe: DescribeSockets, _: &mut Self::Context) {
        let DescribeSockets { sockets, done } = describe;
        let description = |socket| {
            let entry = self.sockets.get(&socket)?;
            matches!(entry.stage, SocketStage::Entered(_)).then(|| Description {
                socket,
                sid: Arc::clone(&entry.sid),
                user: entry.user.clone(),
                connection_no: entry.connection_no.map(NonZeroI64::get),
            })
        };
        // The send fails if the caller has stopped waiting.
        let _ = done.send(sockets.into_iter().filter_map(description).collect());
    }
}
