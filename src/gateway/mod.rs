//! The entry point of sockets: one [`Gateway`] per namespace, and the table of client events.
//!
//! A handler of a client event calls the service function that REST also calls. `app` hands the
//! gateways to `realtime`. This module has no rules and no SQL.

mod admin;
pub mod asyncapi;
mod builtin;
mod client_event;
mod error;
mod events;
mod main;
mod schema_names;
mod tokens;

use std::rc::Rc;
use std::sync::Arc;

use serde_json::json;

use crate::auth::Token;
use crate::auth::credentials::TokenSources;
use crate::config::SocketTokenEnd;
use crate::error::Error;
use crate::event::{self, Room};
use crate::realtime::gateway::query_value;
use crate::realtime::{Gateway, Handshake, Json, Welcome};
use crate::service::{self, Services, accounts};

/// Says if `?userId=` identifies a socket that has no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryUser {
    Refused,
    /// Accepts it, for development only.
    Allowed,
}

/// The gateway of each namespace.
#[must_use]
pub fn all(
    services: &Arc<Services>,
    query_user: QueryUser,
) -> Vec<(&'static str, Arc<dyn Gateway>)> {
    let main = main::Main { services: Arc::clone(services), query_user };
    let admin = admin::Admin { services: Arc::clone(services), query_user };
    vec![(event::MAIN, Arc::new(main)), (event::ADMIN, Arc::new(admin))]
}

/// Checks the first token that the handshake has, and counts the new socket of its user. Without a
/// token, `?userId=` names the user if that is allowed.
async fn identify(
    services: &Services,
    handshake: &Handshake,
    auth: Option<Json>,
    query_user: QueryUser,
) -> Result<Token, Error> {
    // Unreadable `auth` counts as a bad token, so that no other place is searched for one.
    let auth = auth
        .map(|auth| serde_json::from_str(auth.get()).unwrap_or_else(|_| json!({"token": false})));
    let places = TokenSources {
        auth: auth.as_ref(),
        authorization: handshake.authorization.as_deref(),
        cookie: handshake.cookie.as_deref(),
        // The handshake has a cookie only if cookies of its origin are allowed.
        cookie_allowed: true,
        query: Some(&handshake.query),
    };
    let token = places.token();
    let named = || {
        query_value(&handshake.query, "userId")
            .filter(|_| query_user == QueryUser::Allowed && token.is_none())
    };
    let token = match named() {
        Some(user) => accounts::token_without_proof(services, &user).await,
        None => service::tokens::check(services, token).await,
    }?;
    services.admit_socket(&token.identity)?;
    Ok(token)
}

fn welcome(services: &Services, token: Token, rooms: impl IntoIterator<Item = Room>) -> Welcome {
    let end = services.socket_token_end;
    let ends = end == SocketTokenEnd::Close;
    Welcome {
        identity: json!(token.identity.user),
        rooms: rooms.into_iter().map(|room| room.to_string().into()).collect(),
        is_trusted: token.identity.is_admin(),
        wake_at: ends.then(|| tokens::moment(token.identity.expires_at)),
        data: Rc::new(tokens::SocketToken::new(token, end)),
    }
}
