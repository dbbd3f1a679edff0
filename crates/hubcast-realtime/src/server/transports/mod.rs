//! Accepts connections: TLS, the upgrade request, long-polling.

pub(super) mod accept;
pub(super) mod polling;
mod request;
pub(super) mod upgrade;
