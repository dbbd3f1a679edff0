//! Tokens: a word of warning to a socket whose time is nearly over.

use serde::Serialize;

use super::{MAIN, NewEvent};
use crate::model::Timestamp;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Expiring {
    expires_at: Timestamp,
}

/// `token:expiring`: the socket is ended then, unless it gives another token by `auth:refresh`. To one socket, in whichever namespace it is.
#[must_use]
pub fn token_expiring(expires_at: Timestamp) -> NewEvent {
    NewEvent::ephemeral(MAIN, "token:expiring", Vec::new(), &Expiring { expires_at })
}
