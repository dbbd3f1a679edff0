//! How bytes get in: the upgrade request, the stream of frames, messages in several fragments. Long-polling attaches here later, to the same session.

pub(super) mod fragments;
pub(super) mod polling;
pub(super) mod upgrade;
pub(super) mod websocket;
