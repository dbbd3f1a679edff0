//! `/admin`: admins only, all in the room `admin` and in no user's. It listens; what an admin does goes by REST.

use std::rc::Rc;
use std::sync::Arc;

use super::{QueryUser, identify, unknown, welcome};
use crate::error::Error;
use crate::event::Room;
use crate::realtime::gateway::LocalBoxFuture;
use crate::realtime::{Client, Gateway, Handshake, Incoming, Json, Reply, Welcome};
use crate::service::Services;

pub(super) struct Admin(pub(super) Arc<Services>);

impl Gateway for Admin {
    fn connect(&self, handshake: Rc<Handshake>, auth: Option<Json>) -> LocalBoxFuture<Result<Welcome, Error>> {
        let services = Arc::clone(&self.0);
        Box::pin(async move {
            let identity = identify(&services, &handshake, auth, QueryUser::Refused).await?;
            identity.require_admin()?;
            Ok(welcome(identity, [Room::Admin]))
        })
    }

    fn event(&self, _: Client, event: Incoming) -> LocalBoxFuture<Reply> {
        Box::pin(async move { Err(unknown(&event)) })
    }
}
