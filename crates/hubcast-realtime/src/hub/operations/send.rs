//! Sends events and disconnects to one socket, or events to all sockets of a user.

use std::borrow::Cow;
use std::sync::Arc;

use actix::prelude::*;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::core::event::Event;
use crate::core::ids::SocketId;
use crate::core::payload::Payload;
use crate::hub::handle::HubHandle;
use crate::hub::hub::Hub;
use crate::hub::workers::{Outgoing, SendTo, SharedPermit};

#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::hub) struct SendToUser {
    user: Arc<str>,
    event: Arc<Event>,
    permit: SharedPermit,
    done: oneshot::Sender<()>,
}

impl HubHandle {
    pub(crate) fn send_to(&self, socket: SocketId, what: Outgoing) {
        self.hub.do_send(SendTo { socket, what });
    }

    /// Sends a transient event to all sockets of a user, by its
    /// [`Welcome::identity`](crate::Welcome::identity), in order with all published events, and
    /// waits until it is routed.
    ///
    /// For a room or a namespace, publish an [`Event`].
    pub async fn emit_to_user(
        &self,
        namespace: &str,
        user: &Value,
        name: impl Into<Cow<'static, str>>,
        payload: impl Into<Payload>,
    ) {
        let event = Event::to_all(namespace, name, payload);
        let permit = Arc::new(self.admit(event.size()).await);
        let (done, routed) = oneshot::channel();
        let (user, event) = (user.to_string().into(), Arc::new(event));
        self.hub.do_send(SendToUser { user, event, permit, done });
        // A hub that has stopped has no sockets to send to.
        let _ = routed.await;
    }
}

impl Handler<SendTo> for Hub {
    type Result = ();

    fn handle(&mut self, SendTo { socket, what }: SendTo, _: &mut Self::Context) {
        self.send_to(socket, what);
    }
}

impl Handler<SendToUser> for Hub {
    type Result = ();

    fn handle(&mut self, send: SendToUser, _: &mut Self::Context) {
        let SendToUser { user, event, permit, done } = send;
        event.routed_at(self.position);
        for socket in self.sockets_of_user(&event.namespace, &user) {
            let (event, permit) = (Arc::clone(&event), Arc::clone(&permit));
            self.send_to(socket, Outgoing::Shared { event, permit });
        }
        // The send fails if the caller has stopped waiting.
        let _ = done.send(());
    }
}
