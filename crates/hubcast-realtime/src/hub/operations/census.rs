//! The number of sockets, rooms and events.

use std::collections::{BTreeMap, HashMap};

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::hub::handle::HubHandle;
use crate::hub::hub::Hub;

/// The numbers of one moment, in this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Sockets by namespace, those that are entering too. A namespace that never had a socket is
    /// missing.
    pub sockets: BTreeMap<String, usize>,
    /// Rooms that have a member.
    pub rooms: usize,
    /// Events routed since the start.
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
        // A hub that has stopped has none.
        census.await.unwrap_or_default()
    }
}

impl Handler<TakeCensus> for Hub {
    type Result = ();

    fn handle(&mut self, TakeCensus { done }: TakeCensus, _: &mut Self::Context) {
        let sockets = self.sockets_of.iter();
        let sockets = sockets.map(|(namespace, count)| (namespace.to_string(), *count)).collect();
        let rooms = self.rooms.values().map(HashMap::len).sum();
        // The caller may have stopped waiting.
        let _ = done.send(Census { sockets, rooms, events: self.routed });
    }
}
