//! Returns the users of a room.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::hub::handle::HubHandle;
use crate::hub::hub::Hub;
use crate::hub::presence::Present;

#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::hub) struct GetPresence {
    namespace: Arc<str>,
    room: Arc<str>,
    done: oneshot::Sender<Present>,
}

impl HubHandle {
    /// Returns the users that are present in a room.
    pub async fn present(&self, namespace: &str, room: &str) -> Present {
        let (done, present) = oneshot::channel();
        self.hub.do_send(GetPresence { namespace: namespace.into(), room: room.into(), done });
        // A hub that has stopped has no users.
        present.await.unwrap_or_default()
    }
}

impl Handler<GetPresence> for Hub {
    type Result = ();

    fn handle(&mut self, get: GetPresence, _: &mut Self::Context) {
        let GetPresence { namespace, room, done } = get;
        // The send fails if the caller has stopped waiting.
        let _ = done.send(self.presence.of(&(namespace, room)));
    }
}
