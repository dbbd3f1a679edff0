//! The warning before a socket's token expires.

use schemars::JsonSchema;
use serde::Serialize;

use super::{ADMIN, MAIN, NewEvent, server_events};
use crate::model::Timestamp;

server_events! {
    /// The token of the socket expires soon. The socket is disconnected then, unless it sends
    /// another token with `auth:refresh`.
    TOKEN_EXPIRING: transient Expiring = [MAIN, ADMIN] "token:expiring"
        to "a socket whose token ends in a minute or less";
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Expiring {
    expires_at: Timestamp,
}

/// `token:expiring`, for one socket of either namespace.
#[must_use]
pub fn token_expiring(expires_at: Timestamp) -> NewEvent {
    TOKEN_EXPIRING.to(Vec::new(), &Expiring { expires_at })
}
