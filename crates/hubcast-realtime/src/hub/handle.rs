//! The entry point to the hub for any thread, and its budget of bytes in flight. Each operation
//! adds a method to the handle.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::hub::Hub;
use super::tail::Tail;
use crate::core::settings::Settings;

/// A part of the budget of bytes in flight. Dropping it returns that part.
#[derive(Debug)]
pub struct BudgetPermit(
    #[expect(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>,
);

/// A handle on the hub, for any thread.
///
/// ```
/// use hubcast_realtime::{Close, Event, HubHandle, Payload, Whom};
///
/// # async fn example(hub: HubHandle) -> Result<(), Box<dyn std::error::Error>> {
/// // To a room, without the members of another; to a whole namespace; to all sockets of a user.
/// let hello = Event::new("/", "said", Payload::of("hello")?, ["tea"]).except(["quiet"]);
/// hub.emit(hello, None).await;
/// let picture = Payload::bytes(vec![0xff, 0xd8]);
/// hub.emit(Event::to_all("/admin", "picture", picture), None).await;
/// hub.emit_to_user("/", &"ann".into(), "bell", Payload::of(&3)?).await;
/// // An event that is worth nothing a moment later.
/// let cursor = Event::new("/", "cursor", Payload::json("[10,20]"), ["tea"]);
/// hub.emit(cursor.volatile(), None).await;
/// // Sockets are found, moved and disconnected.
/// for socket in hub.sockets("/", Whom::room("tea")).await {
///     socket.enter("coffee", |_| {});
/// }
/// hub.disconnect_all("/", Whom::user("ann"), Close::Connection);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HubHandle {
    pub(super) hub: Addr<Hub>,
    tail: Arc<Tail>,
    budget: Arc<Semaphore>,
    budget_size: usize,
}

impl HubHandle {
    /// Starts the hub on a thread of its own.
    #[must_use]
    pub fn start(settings: &Settings) -> Self {
        let arbiter = Arbiter::new();
        let (budget, presence) = (settings.publish_budget, settings.presence);
        let tail = Arc::new(Tail::default());
        let kept = Arc::clone(&tail);
        let hub = Hub::start_in_arbiter(&arbiter.handle(), move |_| Hub::new(presence, kept));
        Self { hub, tail, budget: Arc::new(Semaphore::new(budget)), budget_size: budget }
    }

    /// Waits for a part of the budget. The caller takes the permit before it makes the event, and
    /// publishes the event with it.
    pub async fn admit(&self, bytes: usize) -> BudgetPermit {
        // A larger event takes the whole budget, because it would wait for more forever.
        let bytes = u32::try_from(bytes.min(self.budget_size)).unwrap_or(u32::MAX);
        BudgetPermit(Arc::clone(&self.budget).acquire_many_owned(bytes).await.ok())
    }

    pub(crate) fn tail(&self) -> &Tail {
        &self.tail
    }
}
