//! Answers that are no thing of the model's.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::UserId;

/// How many.
#[derive(Serialize, JsonSchema)]
pub(super) struct Count {
    pub(super) count: i64,
}

/// How many became different.
#[derive(Serialize, JsonSchema)]
pub(super) struct Updated {
    pub(super) updated: usize,
}

/// It is done.
#[derive(Serialize, JsonSchema)]
pub(super) struct Done {
    pub(super) ok: bool,
}

/// To how many sockets of this server an event was queued.
#[derive(Serialize, JsonSchema)]
pub(super) struct Delivered {
    pub(super) delivered: usize,
}

/// Whether all is well.
#[derive(Serialize, JsonSchema)]
pub(super) struct Health {
    /// `ok` or `unavailable`.
    pub(super) status: &'static str,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

/// Who is in a room: at most 200 are named.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "said to be so in the document; the hub writes it")]
pub(super) struct Presence {
    room: String,
    members: Vec<UserId>,
}
