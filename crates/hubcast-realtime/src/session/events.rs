//! Client events. Those of each socket are handled one after another, in the order of arrival.

use actix::prelude::*;

use super::bucket::Bucket;
use super::gateway::Incoming;
use super::session::Session;
use super::socket::{SocketState, reply};
use crate::core::error::Error;
use crate::core::settings::MAX_EVENT_PAUSE;
use crate::wire::socketio::Fault;

impl Session {
    /// Handles or queues an event for the socket at that index.
    pub(super) fn incoming(&mut self, at: usize, event: Incoming, ctx: &mut Context<Self>) {
        let Some(socket) = self.sockets.get(at) else { return };
        let number = socket.number;
        if matches!(socket.state, SocketState::AwaitingAuth) {
            self.authenticate(number, event, ctx);
            return;
        }
        if let Some(client) = socket.client()
            && !self.admit_event()
        {
            reply(&client, event.ack.as_deref(), &event.name, Err(Error::RateLimited));
            return;
        }
        if let Some(socket) = self.sockets.get_mut(at) {
            socket.queue.push(event);
        }
        self.next(number, ctx);
        self.pace();
    }

    /// Counts an event. If it is over the rate, reading pauses until another one would be within
    /// it, so that a client that goes on is slowed down and not only refused.
    fn admit_event(&self) -> bool {
        let Some(Err(wait)) = self.bucket.as_ref().map(Bucket::take) else { return true };
        self.connection.pause_for(wait.min(MAX_EVENT_PAUSE));
        false
    }

    /// Answers an event that the codec has refused, for the socket at that index.
    pub(super) fn beyond_a_limit(&self, at: usize, name: &str, ack: Option<u64>, fault: Fault) {
        let Some(client) = self.sockets.get(at).and_then(|socket| socket.client()) else { return };
        let error = if self.admit_event() {
            Error::BadRequest(format!("The event has {fault}"))
        } else {
            Error::RateLimited
        };
        let ack = ack.map(|id| id.to_string());
        reply(&client, ack.as_deref(), name, Err(error));
    }

    /// Starts to handle the socket's next event, unless one is being handled.
    fn next(&mut self, number: u32, ctx: &mut Context<Self>) {
        let Some(socket) = self.socket(number) else { return };
        let SocketState::Open(client) = &socket.state else { return };
        if socket.is_busy {
            return;
        }
        let client = client.clone();
        let Some(mut event) = socket.queue.pop() else { return };
        socket.is_busy = true;
        client.0.activity.touch();
        let (ack, name) = (event.ack.take(), event.name.clone());
        let answer = socket.gateway.event(client.clone(), event);
        ctx.spawn(answer.into_actor(self).map(move |answer, session, ctx| {
            reply(&client, ack.as_deref(), &name, answer);
            if let Some(socket) = session.socket(number) {
                socket.is_busy = false;
            }
            session.next(number, ctx);
            session.pace();
        }));
    }
}
