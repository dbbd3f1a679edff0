//! The types that all floors above share: ids, events and their payloads, protocols, positions in
//! the log, settings, reasons and errors; the throttle of log lines; what counts as one address;
//! when a client was last active.
//! Plain data; nothing here knows a connection or an actor.

pub mod activity;
pub mod address;
pub mod error;
pub mod event;
pub mod ids;
pub mod payload;
pub mod protocol;
pub mod reason;
pub mod recovery;
pub mod settings;
pub mod tally;
pub mod throttle;
pub mod ws;
