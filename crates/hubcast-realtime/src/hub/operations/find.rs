//! Handles on certain sockets: the workers report which there are, and the hub describes them.

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

/// Has the sockets reported. The channel ends when all are.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::hub) struct FindSockets {
    namespace: Arc<str>,
    whom: Whom,
    found: mpsc::UnboundedSender<SocketId>,
}

/// Describes those of the sockets that are still there.
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
    /// The sockets of this process that have entered. To join, leave, send or disconnect is then a
    /// matter of each [`ClientHandle`].
    pub async fn sockets(&self, namespace: &str, whom: Whom) -> Vec<ClientHandle> {
        let (found, mut reported) = mpsc::unbounded_channel();
        self.hub.do_send(FindSockets { namespace: namespace.into(), whom, found });
        let mut sockets = Vec::new();
        // Ends when the last worker has reported.
        while let Some(socket) = reported.recv().await {
            sockets.push(socket);
        }
        let (done, described) = oneshot::channel();
        self.hub.do_send(DescribeSockets { sockets, done });
        // A hub that has stopped has none.
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
            // The caller may have stopped waiting.
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
        // The caller may have stopped waiting.
        let _ = done.send(sockets.into_iter().filter_map(description).collect());
    }
}
