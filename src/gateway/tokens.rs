//! The token behind a socket: checked when the socket enters, replaced by `auth:refresh`. The
//! socket is warned before the token expires, and disconnected when the token ends.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hubcast_realtime::throttled;

use crate::auth::credentials::without_scheme;
use crate::auth::{EndedTokens, Identity, Token};
use crate::config::SocketTokenEnd;
use crate::error::{AuthFailure, Error};
use crate::event;
use crate::model::Timestamp;
use crate::model::fields::{self, Fields};
use crate::realtime::{Client, Payload, SocketNotice};
use crate::service::{Services, tokens};

/// The time between the warning and the end of a token.
const WARNING: Duration = Duration::from_secs(60);

/// The gateways' own data of a socket.
pub(super) struct SocketToken {
    token: Cell<Token>,
    /// Whether the socket was warned of this token's end.
    is_warned: Cell<bool>,
    /// What becomes of the socket when the token expires.
    end: SocketTokenEnd,
}

impl SocketToken {
    pub(super) fn new(token: Token, end: SocketTokenEnd) -> Self {
        Self { token: Cell::new(token), is_warned: Cell::new(false), end }
    }
}

/// The identity behind a socket.
pub(super) fn identity(client: &Client) -> Result<Identity, Error> {
    data(client).map(|data| data.token.get().identity)
}

fn data(client: &Client) -> Result<&SocketToken, Error> {
    // `welcome` has set it.
    client.data().ok_or(Error::Internal)
}

/// Returns true if the token is still good now that the socket has entered. Disconnects the socket
/// if not: its token ended between the check in `connect` and now.
pub(super) async fn entered(services: &Services, client: &Client) -> bool {
    let Ok(data) = data(client) else { return false };
    is_still_good(services, client, data).await
}

async fn is_still_good(services: &Services, client: &Client, data: &SocketToken) -> bool {
    let token = data.token.get();
    match tokens::recheck(services, &token).await {
        Err(Error::Unauthorized(_)) => {
            disconnect(client);
            return false;
        }
        Err(error) => {
            // This is harmless: ended tokens are signalled again for a minute.
            let user = token.identity.user.0;
            throttled!(
                warn,
                by = error.to_string(),
                %error,
                user,
                "cannot check a socket's token again"
            );
        }
        Ok(()) => {}
    }
    true
}

/// Warns the socket if its token expires soon, disconnects it if the token has expired, and sets
/// the alarm for the next of the two. Does nothing if sockets outlive their tokens.
pub(super) fn watch(client: &Client) {
    let Ok(data) = data(client) else { return };
    if data.end == SocketTokenEnd::Keep {
        return;
    }
    let (end, now) = (data.token.get().identity.expires_at, Timestamp::now());
    if end <= now {
        client.disconnect_with_error(Error::TokenExpired.into());
        return;
    }
    let warning = end.before(WARNING);
    if warning > now {
        client.wake_at(moment(warning));
        return;
    }
    if !data.is_warned.replace(true) {
        let expiring = event::token_expiring(end);
        client.emit(&expiring.name, Payload::json(expiring.data));
    }
    client.wake_at(moment(end));
}

pub(super) fn moment(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(at.unix_millis()).unwrap_or_default())
}

/// Disconnects the socket if the tokens that have ended include its own.
pub(super) fn notified(client: &Client, notice: &SocketNotice) {
    if let (Ok(data), Some(ended)) = (data(client), notice.downcast_ref::<EndedTokens>())
        && ended.cover(&data.token.get())
    {
        disconnect(client);
    }
}

fn disconnect(client: &Client) {
    client.disconnect_with_error(Error::Unauthorized(AuthFailure::Invalid).into());
}

/// The payload of `auth:refresh`: `{token}`.
pub(super) fn read(mut fields: Fields<'_>) -> Result<String, Error> {
    let token = fields.required("token", fields::text);
    fields.finish(|| token.map(|token| without_scheme(&token).to_owned()))
}

/// Gives the socket another token of the same user, if `may` accepts the new identity.
pub(super) async fn refresh(
    services: &Services,
    client: &Client,
    token: &str,
    may: impl FnOnce(&Identity) -> Result<(), Error>,
) -> Result<Identity, Error> {
    let data = data(client)?;
    let token = tokens::check(services, Some(token)).await?;
    if token.identity.user != data.token.get().identity.user {
        return Err(Error::Unauthorized(AuthFailure::Invalid));
    }
    may(&token.identity)?;
    data.token.set(token);
    data.is_warned.set(false);
    // The token may have ended since the check, before signals of its end reached this socket.
    if !is_still_good(services, client, data).await {
        return Err(Error::Unauthorized(AuthFailure::Invalid));
    }
    watch(client);
    Ok(token.identity)
}
