//! The sockets' door: one [`Gateway`] per namespace, each event handed to the verb in `service/`
//! that REST uses too. It holds no rules and no SQL.

mod admin;
pub mod asyncapi;
mod error;
mod events;
mod heard;
mod main;
mod spoken;
mod tokens;

use std::rc::Rc;
use std::sync::Arc;

use serde_json::json;

use crate::auth::Token;
use crate::auth::credentials::Places;
use crate::error::Error;
use crate::event::{self, Room};
use crate::realtime::gateway::query_value;
use crate::realtime::{Gateway, Handshake, Incoming, Json, Payload, Welcome};
use crate::service::{self, Services, accounts};

/// The answer to an event: the arguments of its ack.
type Reply = Result<Payload, Error>;

/// Whether `?userId=` is believed of a socket that has no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryUser {
    Refused,
    /// For development only.
    Allowed,
}

/// The product's namespaces, by name.
#[must_use]
pub fn all(
    services: &Arc<Services>,
    query_user: QueryUser,
) -> Vec<(&'static str, Arc<dyn Gateway>)> {
    let main = main::Main { services: Arc::clone(services), query_user };
    let admin = admin::Admin(Arc::clone(services));
    vec![(event::MAIN, Arc::new(main)), (event::ADMIN, Arc::new(admin))]
}

/// Who this is, from the first place that holds a token; with none, who it says it is, if that is
/// allowed.
async fn identify(
    services: &Services,
    handshake: &Handshake,
    auth: Option<Json>,
    query_user: QueryUser,
) -> Result<Token, Error> {
    // What can not be read is a bad token, and not saved by a later place.
    let auth = auth
        .map(|auth| serde_json::from_str(auth.get()).unwrap_or_else(|_| json!({"token": false})));
    let places = Places {
        auth: auth.as_ref(),
        authorization: handshake.authorization.as_deref(),
        cookie: handshake.cookie.as_deref(),
        // The handshake keeps a cookie only when its origin's cookies count.
        cookie_allowed: true,
        query: Some(&handshake.query),
    };
    let token = places.token();
    let named = || {
        query_value(&handshake.query, "userId")
            .filter(|_| query_user == QueryUser::Allowed && token.is_none())
    };
    match named() {
        Some(user) => accounts::believe(services, &user).await,
        None => service::tokens::check(services, token).await,
    }
}

fn welcome(token: Token, rooms: impl IntoIterator<Item = Room>) -> Welcome {
    Welcome {
        identity: json!(token.identity.user),
        rooms: rooms.into_iter().map(|room| room.to_string().into()).collect(),
        wake_at: Some(tokens::moment(token.identity.expires_at)),
        data: Rc::new(tokens::Held::new(token)),
    }
}

fn unknown(event: &Incoming) -> Error {
    Error::BadRequest(format!("unknown event {}", event.shown()))
}
