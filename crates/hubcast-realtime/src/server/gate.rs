//! The checks of a server's transports before a session may begin.

use std::future::ready;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::RequestHead;

use super::admission::{Connects, Policy};
use crate::connection::seats::{Full, Seat, Seats};
use crate::session::gateway::LocalBoxFuture;
use crate::session::host::Host;
use crate::session::session::Session;

/// Says whether a request comes in although the server is full.
pub type Urgent = Arc<dyn Fn(&RequestHead) -> LocalBoxFuture<bool> + Send + Sync>;

/// The admission of one server, shared by its workers.
pub(super) struct Gate {
    pub(super) policy: Policy,
    pub(super) seats: Arc<Seats>,
    connects: Option<Connects>,
    urgent: Option<Urgent>,
}

impl Gate {
    pub(super) fn new(
        policy: Policy,
        seats: Arc<Seats>,
        connects: Option<Connects>,
        urgent: Option<Urgent>,
    ) -> Self {
        Self { policy, seats, connects, urgent }
    }

    /// Takes a seat for a connection.
    pub(super) fn take_seat(&self, peer: IpAddr) -> Result<Arc<Seat>, Full> {
        self.seats.take(peer, (self.policy.trusts)(peer.to_canonical()))
    }

    /// Says whether a request comes in although the server is full.
    pub(super) fn is_urgent(&self, head: &RequestHead) -> LocalBoxFuture<bool> {
        self.urgent.as_ref().map_or_else(|| Box::pin(ready(false)) as _, |urgent| urgent(head))
    }

    /// Counts a new session. Fails with the time to wait if the address opens too many.
    pub(super) fn count_connect(&self, address: IpAddr) -> Result<(), Duration> {
        self.connects.as_ref().map_or(Ok(()), |connects| connects.check(address))
    }
}

/// The data that the transports of one worker share.
pub(super) struct Entry {
    pub(super) host: Rc<Host<Session>>,
    pub(super) gate: Arc<Gate>,
}
