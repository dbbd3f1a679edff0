//! The gateway of `/`, for every signed-in user. A socket is in its user's room from the start, an
//! admin's also in `admin`.

use std::rc::Rc;
use std::sync::Arc;

use hubcast_realtime::throttled;

use super::client_event::dispatch;
use super::{QueryUser, events, identify, tokens, welcome};
use crate::event::{MAIN, Room};
use crate::realtime::gateway::LocalBoxFuture;
use crate::realtime::{
    self, Client, Gateway, Handshake, Incoming, Json, Reply, SocketNotice, Welcome,
};
use crate::service::{Services, notifications};

pub(super) struct Main {
    pub(super) services: Arc<Services>,
    pub(super) query_user: QueryUser,
}

impl Gateway for Main {
    fn connect(
        &self,
        handshake: Rc<Handshake>,
        auth: Option<Json>,
    ) -> LocalBoxFuture<Result<Welcome, realtime::Error>> {
        let (services, query_user) = (Arc::clone(&self.services), self.query_user);
        Box::pin(async move {
            let token = identify(&services, &handshake, auth, query_user).await?;
            let identity = token.identity;
            let admin = identity.is_admin().then_some(Room::Admin);
            Ok(welcome(&services, token, [Room::User(identity.user)].into_iter().chain(admin)))
        })
    }

    /// Sends the number of unread notifications, in order with the events that change it, and then
    /// any warning about the token.
    fn entered(&self, client: Client) -> LocalBoxFuture<()> {
        let services = Arc::clone(&self.services);
        Box::pin(async move {
            let (Ok(identity), handle) = (tokens::identity(&client), client.handle()) else {
                return;
            };
            if !tokens::entered(&services, &client).await {
                return;
            }
            if let Err(error) = notifications::greet(&services, identity.user, handle).await {
                let user = identity.user.0;
                throttled!(
                    warn,
                    by = error.to_string(),
                    %error,
                    user,
                    "cannot send a new socket its unread count"
                );
            }
            tokens::watch(&client);
        })
    }

    fn event(&self, client: Client, event: Incoming) -> LocalBoxFuture<Reply> {
        dispatch(events::of(MAIN), &self.services, client, event)
    }

    fn woken(&self, client: &Client) {
        tokens::watch(client);
    }

    fn notified(&self, client: &Client, notice: &SocketNotice) {
        tokens::notified(client, notice);
    }
}
