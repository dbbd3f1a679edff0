//! What requests want of a session that began with polling. They may come to any worker, and so
//! they come as messages.

use std::rc::Rc;

use actix::prelude::*;
use bytes::{Bytes, BytesMut};

use super::Session;
use crate::Reason;
use crate::link::Parcel;
use crate::polls::Answer;
use crate::transport::probe;
use crate::wire::engineio::HandshakeFault;

/// A poll has come; it is told what the client is to get.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Poll {
    pub answer: Answer<Bytes>,
    /// Packets that its client takes at once.
    pub most: usize,
}

/// A POST has come; it is told when all of its packets were taken, or that one of them has ended
/// the session.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Post {
    pub packets: Bytes,
    pub done: Answer<()>,
}

/// A request of the client's was broken off, or is none that it can have meant.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Hangup;

/// The client would like to move to this WebSocket, which is on no thread now; `rest` has come
/// behind its request.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Upgrade {
    pub io: Parcel,
    pub rest: BytesMut,
}

impl Handler<Poll> for Session {
    type Result = ();

    fn handle(&mut self, Poll { answer, most }: Poll, _: &mut Self::Context) {
        self.link.poll(answer, most);
    }
}

impl Handler<Post> for Session {
    type Result = ();

    fn handle(&mut self, Post { packets, done }: Post, _: &mut Self::Context) {
        let Some(polls) = self.link.polls().filter(|_| self.link.is_open()) else { return };
        if self.link.io().is_some() {
            // Who does not poll any more may not. The request may have gone by itself.
            let _ = done.send(Err(HandshakeFault::BadRequest));
        } else if polls.post(packets, done) {
            self.link.wake_reader();
        } else {
            self.link.close(Reason::TransportLost);
        }
    }
}

impl Handler<Hangup> for Session {
    type Result = ();

    fn handle(&mut self, _: Hangup, _: &mut Self::Context) {
        if self.link.io().is_none() {
            self.link.cut(Reason::TransportLost);
        }
    }
}

impl Handler<Upgrade> for Session {
    type Result = ();

    fn handle(&mut self, Upgrade { io, rest }: Upgrade, _: &mut Self::Context) {
        // One that no event loop takes is closed; the client polls on.
        if let Ok(io) = io.unpack() {
            let (link, worker) = (Rc::clone(&self.link), Rc::clone(&self.worker));
            actix_rt::spawn(async move {
                let protocol = link.protocol;
                if probe::run(link, io, rest).await {
                    worker.shared.open.moved(protocol);
                }
            });
        }
    }
}
