//! Publishes events to rooms and namespaces.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::core::event::Event;
use crate::hub::handle::{BudgetPermit, HubHandle};
use crate::hub::hub::Hub;
use crate::hub::workers::SharedPermit;

#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::hub) struct Publish {
    events: Vec<Arc<Event>>,
    permit: Option<SharedPermit>,
    routed: Box<dyn FnOnce() + Send>,
}

impl HubHandle {
    /// Routes events in this order, after all that were published before. The permit is released
    /// when the workers have queued them all. `routed` runs when every worker has them in its
    /// mailbox, so that everything that a session sends later follows them.
    pub fn publish(
        &self,
        events: Vec<Event>,
        permit: Option<SharedPermit>,
        routed: impl FnOnce() + Send + 'static,
    ) {
        self.hub.do_send(Publish {
            events: events.into_iter().map(Arc::new).collect(),
            permit,
            routed: Box::new(routed),
        });
    }

    /// Routes one event, and waits until it is routed.
    pub async fn emit(&self, event: Event, permit: Option<BudgetPermit>) {
        let (done, routed) = oneshot::channel();
        let permit = permit.map(|permit| Arc::new(permit) as SharedPermit);
        self.publish(vec![event], permit, move || {
            let _ = done.send(());
        });
        // A hub that has stopped has no sockets to send to.
        let _ = routed.await;
    }
}

impl Handler<Publish> for Hub {
    type Result = ();

    fn handle(&mut self, Publish { events, permit, routed }: Publish, _: &mut Self::Context) {
        self.route(events, permit.as_ref());
        routed();
    }
}
