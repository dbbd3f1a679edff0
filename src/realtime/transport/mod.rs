//! How bytes get in: the upgrade request, long-polling, the move from one to the other, the stream of frames, messages in several fragments.

mod door;
pub(super) mod fragments;
pub(super) mod polling;
pub(super) mod probe;
pub(super) mod upgrade;
pub(super) mod websocket;
