//! The state that the tasks of the PostgreSQL thread share: the pool, the publisher, the writes in
//! progress, and the appender's wakeup.

use std::cell::Cell;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::store::Publisher;
use crate::store::health::Health;
use crate::store::postgres::outbox::WriteNumbers;
use crate::store::postgres::outbox::pending::PendingWrites;
use crate::store::postgres::pool::Connections;

pub(super) struct PgContext {
    pub(super) connections: Connections,
    pub(super) health: Arc<Health>,
    pub(super) publisher: Arc<dyn Publisher>,
    pub(super) write_numbers: WriteNumbers,
    pub(super) pending: PendingWrites,
    /// Wakes the appender after a commit.
    pub(super) appender_wakeup: Notify,
    /// Set once no further write can come.
    pub(super) closed: Cell<bool>,
}

impl PgContext {
    pub(super) fn new(
        connections: Connections,
        health: Arc<Health>,
        publisher: Arc<dyn Publisher>,
    ) -> Self {
        Self {
            connections,
            health,
            publisher,
            write_numbers: WriteNumbers::new(),
            pending: PendingWrites::default(),
            appender_wakeup: Notify::new(),
            closed: Cell::new(false),
        }
    }
}
