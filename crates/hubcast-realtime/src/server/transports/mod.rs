//! Accepts connections: TLS, the upgrade request, long-polling.

pub(super) mod accept;
pub(super) mod door;
pub(super) mod polling;
mod request;
mod stream;
pub(super) mod upgrade;
