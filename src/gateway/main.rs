//! `/`: everyone who is signed in. A socket is in its user's room from the start, an admin's also in `admin`.

use std::rc::Rc;
use std::sync::Arc;

use super::{identify, unknown, welcome};
use crate::error::Error;
use crate::event::Room;
use crate::realtime::gateway::LocalBoxFuture;
use crate::realtime::{Client, Gateway, Handshake, Incoming, Json, Reply, Welcome};
use crate::service::Services;

pub(super) struct Main(pub(super) Arc<Services>);

impl Gateway for Main {
    fn connect(&self, handshake: Rc<Handshake>, auth: Option<Json>) -> LocalBoxFuture<Result<Welcome, Error>> {
        let services = Arc::clone(&self.0);
        Box::pin(async move {
            let identity = identify(&services, &handshake, auth).await?;
            let admin = identity.is_admin().then_some(Room::Admin);
            Ok(welcome(identity, [Room::User(identity.user)].into_iter().chain(admin)))
        })
    }

    fn event(&self, _: Client, event: Incoming) -> LocalBoxFuture<Reply> {
        Box::pin(async move { Err(unknown(&event)) })
    }
}
