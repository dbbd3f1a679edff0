//! The token that a socket belongs to: looked at when it comes in, warned of ahead of its end,
//! replaced by `auth:refresh`, and its end the socket's.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::auth::{Ended, Identity, Token};
use crate::error::{AuthFailure, Error};
use crate::event;
use crate::model::Timestamp;
use crate::model::fields::{self, Fields};
use crate::realtime::{Client, Notice, Payload};
use crate::service::{Services, tokens};

/// How long before its end a token's socket is warned.
const WARNING: Duration = Duration::from_secs(60);

/// What the gateways keep of a socket.
pub(super) struct Held {
    token: Cell<Token>,
    /// Of this token's end.
    is_warned: Cell<bool>,
}

impl Held {
    pub(super) fn new(token: Token) -> Self {
        Self { token: Cell::new(token), is_warned: Cell::new(false) }
    }
}

/// Who a socket is now.
pub(super) fn identity(client: &Client) -> Result<Identity, Error> {
    held(client).map(|held| held.token.get().identity)
}

fn held(client: &Client) -> Result<&Held, Error> {
    // What `connect` put there.
    client.data().ok_or(Error::Internal)
}

/// The socket is in: whether its token is good still. One that ended on the way is seen here, and
/// the socket has to leave.
pub(super) async fn entered(services: &Services, client: &Client) -> bool {
    let Ok(held) = held(client) else { return false };
    is_still_good(services, client, held).await
}

async fn is_still_good(services: &Services, client: &Client, held: &Held) -> bool {
    let token = held.token.get();
    match tokens::recheck(services, &token).await {
        Err(Error::Unauthorized(_)) => {
            expel(client);
            return false;
        }
        Err(error) => {
            // What ended a moment ago is told again for a minute.
            tracing::warn!(%error, user = token.identity.user.0, "a socket's token was not looked at again");
        }
        Ok(()) => {}
    }
    true
}

/// Warns of the token's end when that is near, ends the socket when it is there, and comes again
/// when the next of the two is due.
pub(super) fn watch(client: &Client) {
    let Ok(held) = held(client) else { return };
    let (end, now) = (held.token.get().identity.expires_at, Timestamp::now());
    if end <= now {
        client.disconnect_with_error(Error::TokenExpired.into());
        return;
    }
    let warning = end.before(WARNING);
    if warning > now {
        client.wake_at(moment(warning));
        return;
    }
    if !held.is_warned.replace(true) {
        let expiring = event::token_expiring(end);
        client.emit(&expiring.name, Payload::json(expiring.data));
    }
    client.wake_at(moment(end));
}

pub(super) fn moment(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(at.unix_millis()).unwrap_or_default())
}

/// Tokens of this user have ended; perhaps the socket's.
pub(super) fn notified(client: &Client, notice: &Notice) {
    if let (Ok(held), Some(ended)) = (held(client), notice.downcast_ref::<Ended>())
        && ended.ends(&held.token.get())
    {
        expel(client);
    }
}

fn expel(client: &Client) {
    client.disconnect_with_error(Error::Unauthorized(AuthFailure::Invalid).into());
}

/// A token, from `{token}`.
pub(super) fn read(mut fields: Fields<'_>) -> Result<String, Error> {
    let token = fields.required("token", fields::text);
    fields.end(|| token)
}

/// `auth:refresh` {token}: from here on the socket belongs to that one, which has to be its user's.
/// `may`: whether such a one may be here.
pub(super) async fn refresh(
    services: &Services,
    client: &Client,
    fields: Fields<'_>,
    may: impl FnOnce(&Identity) -> Result<(), Error>,
) -> Result<Identity, Error> {
    let token = read(fields)?;
    let held = held(client)?;
    let token = tokens::check(services, Some(&token)).await?;
    if token.identity.user != held.token.get().identity.user {
        return Err(Error::Unauthorized(AuthFailure::Invalid));
    }
    may(&token.identity)?;
    held.token.set(token);
    held.is_warned.set(false);
    // It may have ended since, when the socket was still another's.
    if !is_still_good(services, client, held).await {
        return Err(Error::Unauthorized(AuthFailure::Invalid));
    }
    watch(client);
    Ok(token.identity)
}
