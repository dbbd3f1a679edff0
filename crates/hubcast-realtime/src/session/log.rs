//! The other upward edge: what keeps sessions and events while nobody is connected. A server
//! without one resumes nothing.
//!
//! Its calls come from worker threads, and its futures may end on any. What must not overtake each
//! other it keeps in order itself: of one session, calls take effect in the order in which they
//! were made.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::core::error::Error;
use crate::core::recovery::{Offset, Position, RoomMembership};
pub use crate::hub::tail::LogPage;

/// A future of a [`Log`].
pub type LogFuture<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// One stay of a session: it has another `connection_no` each time that it is taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionAttempt {
    pub sid: Arc<str>,
    pub namespace: Arc<str>,
    /// The identity, as JSON text.
    pub user: Arc<str>,
    pub connection_no: i64,
}

/// How a stay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The line was lost: it can be resumed for a while. The client surely has what is for it up to
    /// `confirmed`.
    Lost { confirmed: Option<Position> },
    /// For good.
    Final,
}

/// What a client comes back with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Where the session began.
    pub first: Position,
    /// The last that the client has, if that could be read.
    pub offset: Option<Offset>,
}

/// A session that is taken up again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// Rooms that the socket had joined by itself, and may still be in.
    pub rooms: Vec<RoomMembership>,
    /// As of [`End::Lost`], if that is a place in this log.
    pub confirmed: Option<Position>,
}

/// What keeps sessions and events.
pub trait Log: Send + Sync + 'static {
    /// A session begins. When this returns, it can be resumed.
    fn open(&self, session: SessionAttempt) -> LogFuture<()>;

    /// Takes a session up again. `None`: it has ended, or was lost too long ago; or the log does
    /// not hold all that came after the claim, and with that it ends.
    fn resume(&self, session: SessionAttempt, claim: Claim) -> LogFuture<Option<Resumed>>;

    /// A stay is over. Nothing happens when the session has been taken up again meanwhile.
    fn end(&self, sid: Arc<str>, connection_no: i64, end: End);

    /// Events of that session's namespace for who stays in those rooms, that follow event `after`,
    /// not beyond `up_to`. As many as are good to hold at once, at least one step further. `None`:
    /// some of what follows is not kept any more.
    fn page(
        &self,
        session: &SessionAttempt,
        rooms: Vec<RoomMembership>,
        after: i64,
        up_to: i64,
    ) -> LogFuture<Option<LogPage>>;
}
