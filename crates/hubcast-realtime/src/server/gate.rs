//! The checks of a server's transports before a session may begin.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::admission::{Connects, Policy};
use crate::session::host::Host;
use crate::session::session::Session;

/// The admission of one server, shared by its workers.
pub(super) struct Gate {
    pub(super) policy: Policy,
    connects: Option<Connects>,
}

impl Gate {
    pub(super) fn new(policy: Policy, connects: Option<Connects>) -> Self {
        Self { policy, connects }
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
