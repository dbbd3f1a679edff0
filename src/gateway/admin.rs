//! `/admin`: admins only, all in the room `admin` and in no user's. It listens; what an admin does
//! goes by REST.

use std::rc::Rc;
use std::sync::Arc;

use super::{QueryUser, events, identify, tokens, unknown, welcome};
use crate::auth::Identity;
use crate::error::Error;
use crate::event::Room;
use crate::model::fields::Fields;
use crate::realtime::gateway::LocalBoxFuture;
use crate::realtime::{self, Client, Gateway, Handshake, Incoming, Json, Notice, Reply, Welcome};
use crate::service::Services;
use crate::service::permissions::{Action, Standing, permit};

pub(super) struct Admin(pub(super) Arc<Services>);

fn may_enter(identity: &Identity) -> Result<(), Error> {
    Ok(permit(identity, Action::EnterAdmin, Standing::STRANGER)?)
}

impl Gateway for Admin {
    fn connect(
        &self,
        handshake: Rc<Handshake>,
        auth: Option<Json>,
    ) -> LocalBoxFuture<Result<Welcome, realtime::Error>> {
        let services = Arc::clone(&self.0);
        Box::pin(async move {
            let token = identify(&services, &handshake, auth, QueryUser::Refused).await?;
            may_enter(&token.identity)?;
            Ok(welcome(token, [Room::Admin]))
        })
    }

    fn entered(&self, client: Client) -> LocalBoxFuture<()> {
        let services = Arc::clone(&self.0);
        Box::pin(async move {
            if tokens::entered(&services, &client).await {
                tokens::watch(&client);
            }
        })
    }

    fn event(&self, client: Client, event: Incoming) -> LocalBoxFuture<Reply> {
        let services = Arc::clone(&self.0);
        Box::pin(async move {
            match event.name.as_str() {
                "auth:refresh" => {
                    let fields = Fields::of_event(events::payload(&event))?;
                    let identity = tokens::refresh(&services, &client, fields, may_enter).await?;
                    Ok(events::refreshed(&identity)?)
                }
                _ => Err(unknown(&event).into()),
            }
        })
    }

    fn woken(&self, client: &Client) {
        tokens::watch(client);
    }

    fn notified(&self, client: &Client, notice: &Notice) {
        tokens::notified(client, notice);
    }
}
