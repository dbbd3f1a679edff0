//! Counts sockets, rooms and events.

use std::collections::{BTreeMap, HashMap};

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::hub::handle::HubHandle;
use crate::hub::hub::Hub;

/// The numbers at one moment, in this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// The number of sockets by namespace, including those that are entering. A namespace that
    /// never had a socket is missing.
    pub sockets: BTreeMap<String, usize>,
    /// The number of rooms that have a member.
    pub rooms: usize,
    /// The number of events routed since the start.
    pub events: u64,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::hub) struct TakeCensus {
    done: oneshot::Sender<Census>,
}

impl HubHandle {
    /// Counts sockets, rooms and events, in this process.
    pub async fn census(&self) -> Census {
        let (done, census) = oneshot::channel();
        self.hub.do_send(TakeCensus { done });
        // A hub that has stopped has no sockets.
        census.await.unwrap_or_default()
    }
}

impl Handler<TakeCensus> for Hub {
    type Result = ();

    fn handle(&mut self, TakeCensus { done }: TakeCensus, _: &mut Self::Context) {
        let sockets = self.sockets_of.iter();
        let sockets = sockets.map(|(namespace, count)| (namespace.to_string(), *count)).collect();
        let rooms = self.rooms.values().map(HashMap::len).sum();
        // The send fails if the caller has stopped waiting.
        let _ = done.send(Census { sockets, rooms, events: self.routed });
    }
}
