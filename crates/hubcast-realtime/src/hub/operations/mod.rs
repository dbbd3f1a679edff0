//! One file per operation of the hub: the message, the handle's method that sends it, and the hub's
//! handler. Operations that share their steps share a file.

mod begin;
mod cap;
pub mod census;
mod disconnect;
pub(crate) mod enter;
mod find;
mod get_presence;
mod notify;
mod publish;
mod register_worker;
mod rooms;
mod send;
pub mod whom;
