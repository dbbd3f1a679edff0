//! `/`: everyone who is signed in. A socket is in its user's room from the start, an admin's also in `admin`.

use std::rc::Rc;
use std::sync::Arc;

use super::events::Call;
use super::{QueryUser, identify, welcome};
use crate::auth::Identity;
use crate::error::Error;
use crate::event::{NewEvent, Room};
use crate::realtime::gateway::LocalBoxFuture;
use crate::realtime::{Client, Gateway, Handshake, Incoming, Json, Payload, Reply, Welcome};
use crate::service::{Services, notifications};

pub(super) struct Main {
    pub(super) services: Arc<Services>,
    pub(super) query_user: QueryUser,
}

impl Gateway for Main {
    fn connect(&self, handshake: Rc<Handshake>, auth: Option<Json>) -> LocalBoxFuture<Result<Welcome, Error>> {
        let (services, query_user) = (Arc::clone(&self.services), self.query_user);
        Box::pin(async move {
            let identity = identify(&services, &handshake, auth, query_user).await?;
            let admin = identity.is_admin().then_some(Room::Admin);
            Ok(welcome(identity, [Room::User(identity.user)].into_iter().chain(admin)))
        })
    }

    /// How many notifications are unread, in its place among what changes that number.
    fn entered(&self, client: Client) -> LocalBoxFuture<()> {
        let services = Arc::clone(&self.services);
        Box::pin(async move {
            let (Some(identity), handle) = (client.data::<Identity>(), client.handle()) else { return };
            let tell = move |count: NewEvent| handle.emit(&count.name, Payload::json(count.data));
            if let Err(error) = notifications::greet(&services, identity.user, tell).await {
                tracing::warn!(%error, user = identity.user.0, "a socket was not told its unread count");
            }
        })
    }

    fn event(&self, client: Client, event: Incoming) -> LocalBoxFuture<Reply> {
        let services = Arc::clone(&self.services);
        Box::pin(async move {
            // What `connect` put there.
            let caller = client.data::<Identity>().ok_or(Error::Internal)?;
            Call { services: &services, caller, client: &client }.handle(event).await
        })
    }
}
