//! How many there are: in a room, and of everything.

use std::collections::HashMap;
use std::sync::Arc;

use actix::prelude::*;

use super::Hub;
use crate::hub::Census;
use crate::hub::messages::{Ask, TakeCensus};

/// What would be slow to count when it is asked for.
#[derive(Default)]
pub(super) struct Counts {
    /// By namespace.
    sockets: HashMap<Arc<str>, usize>,
    events: u64,
}

impl Counts {
    pub(super) fn arrived(&mut self, namespace: &Arc<str>) {
        *self.sockets.entry(Arc::clone(namespace)).or_default() += 1;
    }

    pub(super) fn left(&mut self, namespace: &str) {
        if let Some(sockets) = self.sockets.get_mut(namespace) {
            *sockets = sockets.saturating_sub(1);
        }
    }

    pub(super) fn routed(&mut self, events: usize) {
        self.events += events as u64;
    }
}

impl Handler<Ask> for Hub {
    type Result = ();

    fn handle(&mut self, Ask { namespace, room, done }: Ask, _: &mut Self::Context) {
        let _ = done.send(self.presence.of(&(namespace, room)));
    }
}

impl Handler<TakeCensus> for Hub {
    type Result = ();

    fn handle(&mut self, TakeCensus { done }: TakeCensus, _: &mut Self::Context) {
        let Counts { sockets, events } = &self.counts;
        let sockets =
            sockets.iter().map(|(namespace, count)| (namespace.to_string(), *count)).collect();
        let rooms = self.rooms.values().map(HashMap::len).sum();
        // Who asked may have gone.
        let _ = done.send(Census { sockets, rooms, events: *events });
    }
}
