//! What a client's frames mean, whichever way they came: packets of Engine.IO and in them of Socket.IO, or frames of the plain protocol.

use actix::prelude::*;
use actix_web_actors::ws::{CloseCode, CloseReason, Message, ProtocolError};

use super::Session;
use crate::realtime::Reason;
use crate::realtime::frame::Protocol;
use crate::realtime::gateway::Incoming;
use crate::realtime::transport::websocket::NOT_UTF8;
use crate::realtime::wire::{engineio, plain, socketio, websocket};

impl Session {
    fn text(&mut self, text: &str, ctx: &mut Context<Self>) {
        match self.link.protocol {
            Protocol::SocketIo { .. } => match engineio::decode(text) {
                Some(engineio::Packet::Pong) => self.link.heard(),
                Some(engineio::Packet::Message(packet)) => self.packet(packet, ctx),
                Some(engineio::Packet::Close) => self.link.hang_up(),
                Some(engineio::Packet::Upgrade | engineio::Packet::Noop) => {}
                Some(engineio::Packet::Ping(_)) | None => self.link.close(Reason::ParseError),
            },
            Protocol::Plain => match plain::decode(text) {
                Some(plain::Frame { event, data, id }) => {
                    let ack = id.map(|id| id.get().into());
                    self.incoming(0, Incoming { name: event, args: data.into_iter().collect(), ack }, ctx);
                }
                None => self.link.close(Reason::BadFrame),
            },
        }
    }

    fn packet(&mut self, text: &str, ctx: &mut Context<Self>) {
        let Ok(socketio::Packet { namespace, body }) = socketio::decode(text) else {
            self.link.close(Reason::ParseError);
            return;
        };
        let at = self.sockets.iter().position(|socket| &*socket.namespace == namespace);
        match (body, at) {
            (socketio::Body::Connect(auth), None) => {
                let auth = auth.map(ToOwned::to_owned);
                self.join(namespace, auth, ctx);
            }
            (socketio::Body::Event { name, args, ack }, Some(at)) => {
                let ack = ack.map(|id| id.to_string().into());
                self.incoming(at, Incoming { name, args, ack }, ctx);
            }
            (socketio::Body::Ack { .. }, Some(_)) => {}
            (socketio::Body::Disconnect, Some(at)) => {
                let socket = self.sockets.remove(at);
                self.depart(&socket, Reason::ClientClosed);
                self.pace();
            }
            // As in the reference server: a second CONNECT, or a packet for a namespace that was not joined.
            _ => self.link.close(Reason::ParseError),
        }
    }

    /// Of a close frame. Socket.IO says it by DISCONNECT when an end is for good; on the plain protocol 1000 says it, or a code of the application's own.
    /// The others say that something went wrong, or that a page was left.
    fn meaning_of(&self, said: Option<&CloseReason>) -> Reason {
        match (self.link.protocol, said.map(|said| said.code)) {
            (Protocol::Plain, Some(CloseCode::Normal | CloseCode::Other(_))) => Reason::ClientClosed,
            _ => Reason::TransportLost,
        }
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for Session {
    fn handle(&mut self, item: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        if !self.link.is_open() {
            return;
        }
        match item {
            Ok(Message::Text(text)) => self.text(&text, ctx),
            Ok(Message::Continuation(item)) => match self.fragments.add(item, self.worker.shared.settings.max_payload) {
                Ok(Some(Message::Text(text))) => self.text(&text, ctx),
                Ok(None) => {}
                Ok(Some(_)) => self.link.close(Reason::ParseError),
                Err(reason) => self.link.close(reason),
            },
            Ok(Message::Ping(payload)) => self.link.send(websocket::pong(&payload)),
            Ok(Message::Pong(_)) if self.link.protocol == Protocol::Plain => self.link.heard(),
            Ok(Message::Pong(_) | Message::Nop) => {}
            Ok(Message::Close(said)) => {
                self.link.close(self.meaning_of(said.as_ref()));
                ctx.stop();
            }
            // Neither protocol takes binary frames yet.
            Ok(Message::Binary(_)) => match self.link.protocol {
                Protocol::SocketIo { .. } => self.link.close(Reason::ParseError),
                Protocol::Plain => self.link.close(Reason::BadFrame),
            },
            Err(ProtocolError::Overflow) => self.link.close(Reason::TooLarge),
            Err(ProtocolError::Io(error)) if error.kind() == NOT_UTF8 => self.link.close(Reason::NotUtf8),
            Err(_) => self.link.close(Reason::ParseError),
        }
    }
}
