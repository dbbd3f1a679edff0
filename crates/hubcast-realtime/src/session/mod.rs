//! Sessions: the server's side of one connection. A session has one socket per joined namespace,
//! calls that namespace's [`Gateway`](gateway::Gateway), and reports its sockets to the hub and the
//! [`Log`](log::Log). Nothing here knows HTTP; the server above starts sessions.
//!
//! | file | owns |
//! | --- | --- |
//! | `session` | the actor of one connection, from its start to `stopped` |
//! | `join`, `events`, `frames` | joining a namespace; events in order; the meaning of packets |
//! | `calls`, `disconnect`, `requests` | messages from the worker and from polling requests |
//! | `socket` | the session's record of one socket, its queue of events, its replies |
//! | `arrival`, `replay` | how a socket enters: with a new session, or resumed |
//! | `client`, `acks` | the gateway's handle on a socket; acks that the server waits for |
//! | `gateway`, `log` | the two traits that a program implements |
//! | `newcomers` | the polling sessions that have joined no namespace |
//! | `owner` | to whom a polling session belongs |
//! | `host` | the data that all sessions of a worker, and of a server, share |

pub mod acks;
mod arrival;
mod bucket;
mod calls;
pub mod client;
mod disconnect;
mod events;
mod frames;
pub mod gateway;
pub(crate) mod host;
mod join;
pub mod log;
mod newcomers;
pub(crate) mod owner;
mod replay;
#[cfg(test)]
mod replay_model;
pub(crate) mod requests;
#[expect(clippy::module_inception, reason = "the floor is named for its main type")]
pub(crate) mod session;
mod socket;
