//! How bytes get in: TLS, the upgrade request, long-polling, the move from one to the other, the
//! stream of frames, messages in several fragments.

pub(super) mod accept;
mod door;
pub(super) mod fragments;
pub(super) mod polling;
pub(super) mod probe;
pub(super) mod upgrade;
pub(super) mod websocket;
