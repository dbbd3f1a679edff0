//! The log: the trait by which a program stores sessions and events, so that clients can resume. A
//! server without a log resumes nothing.
//!
//! Worker threads call it, and its futures may complete on any thread. The implementation keeps the
//! order: the calls for one session take effect in the order in which they were made.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::core::error::Error;
use crate::core::recovery::{Offset, Position, RoomMembership};
pub use crate::hub::tail::LogPage;

/// A future of a [`Log`].
pub type LogFuture<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// One connection period of a session: an attempt to open or resume it, and the running period if
/// the attempt succeeds. Each period has another `connection_no`, chosen at random.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionAttempt {
    pub sid: Arc<str>,
    pub namespace: Arc<str>,
    /// The user's identity as JSON text.
    pub user: Arc<str>,
    pub connection_no: i64,
}

/// How a connection period ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The connection was lost, and the session can be resumed for a while. The client certainly
    /// has all events for it up to `confirmed`.
    Lost { confirmed: Option<Position> },
    /// The session cannot be resumed.
    Final,
}

/// The claim of a client that wants to resume its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The position at which the session began.
    pub first: Position,
    /// The last event that the client has, if its offset was valid.
    pub offset: Option<Offset>,
}

/// A resumed session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// Rooms that the socket had joined itself and may still be in.
    pub rooms: Vec<RoomMembership>,
    /// The position of [`End::Lost`], if this log contains it.
    pub confirmed: Option<Position>,
}

/// Stores sessions and events.
pub trait Log: Send + Sync + 'static {
    /// Starts a session. Once this returns, the session can be resumed.
    fn open(&self, session: SessionAttempt) -> LogFuture<()>;

    /// Resumes a session. Returns `None`, and ends the session, if it has ended or was lost too
    /// long ago, or if the log does not contain every event after the claim.
    fn resume(&self, session: SessionAttempt, claim: Claim) -> LogFuture<Option<Resumed>>;

    /// Ends a connection period. Does nothing if the session has been resumed since.
    fn end(&self, sid: Arc<str>, connection_no: i64, end: End);

    /// Returns events of the session's namespace for members of `rooms`, after event `after` and
    /// not beyond `up_to`: as many as are reasonable to hold at once, and at least one step
    /// further. Returns `None` if some of them have been pruned.
    fn page(
        &self,
        session: &SessionAttempt,
        rooms: Vec<RoomMembership>,
        after: i64,
        up_to: i64,
    ) -> LogFuture<Option<LogPage>>;
}
