//! Tokens: a word of warning to a socket whose time is nearly over.

use schemars::JsonSchema;
use serde::Serialize;

use super::{MAIN, NewEvent, Told};
use crate::model::Timestamp;

/// What this file makes.
pub(super) const TOLD: &[Told] = &[
    Told::passing::<Expiring>("token:expiring", "a socket whose token ends in a minute or less"),
    Told {
        to: "a socket whose token ends in a minute or less",
        ..Told::passing::<Expiring>("token:expiring", "").on_admin()
    },
];

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Expiring {
    expires_at: Timestamp,
}

/// `token:expiring`: the socket is ended then, unless it gives another token by `auth:refresh`. To
/// one socket, in whichever namespace it is.
#[must_use]
pub fn token_expiring(expires_at: Timestamp) -> NewEvent {
    NewEvent::ephemeral(MAIN, "token:expiring", Vec::new(), &Expiring { expires_at })
}
