//! The gateway of `/admin`. Its sockets are admins' only, all in the room `admin`; an admin acts
//! through REST.

use std::rc::Rc;
use std::sync::Arc;

use super::client_event::dispatch;
use super::{QueryUser, events, identify, tokens, welcome};
use crate::auth::Identity;
use crate::error::Error;
use crate::event::{ADMIN, Room};
use crate::realtime::gateway::LocalBoxFuture;
use crate::realtime::{
    self, Client, Gateway, Handshake, Incoming, Json, Reply, SocketNotice, Welcome,
};
use crate::service::Services;
use crate::service::permissions::{Action, Relation, permit};

pub(super) struct Admin {
    pub(super) services: Arc<Services>,
    pub(super) query_user: QueryUser,
}

pub(super) fn may_enter(identity: &Identity) -> Result<(), Error> {
    Ok(permit(identity, Action::EnterAdmin, Relation::NONE)?)
}

impl Gateway for Admin {
    fn connect(
        &self,
        handshake: Rc<Handshake>,
        auth: Option<Json>,
    ) -> LocalBoxFuture<Result<Welcome, realtime::Error>> {
        let (services, query_user) = (Arc::clone(&self.services), self.query_user);
        Box::pin(async move {
            // A user by query is a customer, and refused as one.
            let token = identify(&services, &handshake, auth, query_user).await?;
            may_enter(&token.identity)?;
            Ok(welcome(&services, token, [Room::Admin]))
        })
    }

    fn entered(&self, client: Client) -> LocalBoxFuture<()> {
        let services = Arc::clone(&self.services);
        Box::pin(async move {
            if tokens::entered(&services, &client).await {
                tokens::watch(&client);
            }
        })
    }

    fn event(&self, client: Client, event: Incoming) -> LocalBoxFuture<Reply> {
        dispatch(events::of(ADMIN), &self.services, client, event)
    }

    fn woken(&self, client: &Client) {
        tokens::watch(client);
    }

    fn notified(&self, client: &Client, notice: &SocketNotice) {
        tokens::notified(client, notice);
    }
}
