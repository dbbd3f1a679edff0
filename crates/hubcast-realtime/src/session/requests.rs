//! The requests of a polling client, as messages: a request may reach any worker, but its session
//! lives on one.

use std::rc::Rc;
use std::sync::{Arc, Weak};

use actix::prelude::*;
use bytes::{Bytes, BytesMut};

use super::session::Session;
use crate::connection::io::DetachedIo;
use crate::connection::polls::{Receipt, Responder};
use crate::connection::probe;
use crate::connection::seats::Seat;
use crate::core::reason::DisconnectReason;
use crate::wire::engineio::HandshakeFault;

/// A GET. It is answered with the packets for the client.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Poll {
    pub answer: Responder<Bytes>,
    /// The most packets that the client accepts in one answer.
    pub most: usize,
    /// The seat of the request's connection.
    pub seat: Option<Weak<Seat>>,
}

/// Asks whether a POST may be received now, and how many bytes of it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct BeginPost {
    pub answer: Responder<(usize, Receipt)>,
}

/// A POST. It is answered when all of its packets are handled or one of them has ended the session.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Post {
    pub packets: Bytes,
    /// What [`BeginPost`] has given.
    pub receipt: Receipt,
    pub done: Responder<()>,
}

/// Aborts the session: a request was broken off, or is not valid.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Abort;

/// A WebSocket that the client wants to move to; it belongs to no thread now. `rest` holds the
/// bytes after its request.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Upgrade {
    pub io: DetachedIo,
    pub rest: BytesMut,
}

impl Handler<Poll> for Session {
    type Result = ();

    fn handle(&mut self, Poll { answer, most, seat }: Poll, _: &mut Self::Context) {
        self.connection.poll(answer, most, seat.as_ref());
    }
}

impl Handler<BeginPost> for Session {
    type Result = ();

    fn handle(&mut self, BeginPost { answer }: BeginPost, _: &mut Self::Context) {
        let Some(polls) = self.connection.polls().filter(|_| self.connection.is_open()) else {
            return;
        };
        // The receivers may be gone, because their requests have ended.
        if self.connection.io().is_some() {
            // The client has moved to a WebSocket.
            let _ = answer.send(Err(HandshakeFault::BadRequest));
        } else if let Some(receipt) = polls.begin_post() {
            let _ = answer.send(Ok((self.connection.max_message(), receipt)));
        } else {
            let _ = answer.send(Err(HandshakeFault::BadRequest));
            self.connection.close(DisconnectReason::TransportLost);
        }
    }
}

impl Handler<Post> for Session {
    type Result = ();

    fn handle(&mut self, Post { packets, receipt, done }: Post, _: &mut Self::Context) {
        drop(receipt);
        let Some(polls) = self.connection.polls().filter(|_| self.connection.is_open()) else {
            return;
        };
        if self.connection.io().is_some() {
            // The client has moved to a WebSocket. The receiver may be gone, because the request
            // has ended.
            let _ = done.send(Err(HandshakeFault::BadRequest));
        } else if packets.len() > self.connection.max_message() {
            self.connection.close(DisconnectReason::TooLarge);
        } else if polls.post(packets, done) {
            self.connection.wake_reader();
        } else {
            self.connection.close(DisconnectReason::TransportLost);
        }
    }
}

impl Handler<Abort> for Session {
    type Result = ();

    fn handle(&mut self, _: Abort, _: &mut Self::Context) {
        if self.connection.io().is_none() {
            self.connection.abort(DisconnectReason::TransportLost);
        }
    }
}

impl Handler<Upgrade> for Session {
    type Result = ();

    fn handle(&mut self, Upgrade { io, rest }: Upgrade, _: &mut Self::Context) {
        // A WebSocket that cannot join this event loop is closed, and the client continues to poll.
        if let Ok(io) = io.attach() {
            let (connection, shared) = (Rc::clone(&self.connection), Arc::clone(&self.host.shared));
            actix_rt::spawn(async move {
                let protocol = connection.protocol;
                if probe::run(connection, io, rest).await {
                    shared.gauges.moved(protocol);
                }
            });
        }
    }
}
