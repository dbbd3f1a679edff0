//! What a client's frames mean, whichever way they came: packets of Engine.IO and in them of
//! Socket.IO, or frames of the plain protocol.

use actix::prelude::*;
use actix_web_actors::ws::{CloseCode, CloseReason, Message, ProtocolError};
use bytes::Bytes;

use super::Session;
use crate::Reason;
use crate::asks::Answer;
use crate::frame::Protocol;
use crate::gateway::{Incoming, Json};
use crate::payload::FIRST_ATTACHMENT;
use crate::transport::websocket::NOT_UTF8;
use crate::wire::{engineio, plain, socketio, websocket};

impl Session {
    fn text(&mut self, text: &str, ctx: &mut Context<Self>) {
        match self.link.protocol {
            Protocol::SocketIo { .. } | Protocol::EngineIo => match engineio::decode(text) {
                Ok(engineio::Packet::Pong(_)) => self.link.heard(),
                Ok(engineio::Packet::Message(text)) if self.link.protocol == Protocol::EngineIo => {
                    self.message(serde_json::value::to_raw_value(text), Vec::new(), ctx);
                }
                Ok(engineio::Packet::Message(packet)) => self.packet(packet, ctx),
                Ok(engineio::Packet::Binary(bytes)) => self.binary(bytes, ctx),
                Ok(engineio::Packet::Close) => self.link.hang_up(),
                // As in the reference server, which takes no notice of what only a server says.
                Ok(
                    engineio::Packet::Open(_) | engineio::Packet::Upgrade | engineio::Packet::Noop,
                ) => {}
                Ok(engineio::Packet::Ping(_)) | Err(_) => self.link.close(Reason::ParseError),
            },
            Protocol::Plain => match plain::decode(text) {
                Some(plain::Frame { event, data, id }) => {
                    let ack = id.map(|id| id.get().into());
                    self.incoming(
                        0,
                        Incoming {
                            name: event,
                            args: data.into_iter().collect(),
                            attachments: Vec::new(),
                            ack,
                        },
                        ctx,
                    );
                }
                None => self.link.close(Reason::BadFrame),
            },
        }
    }

    /// A message with no Socket.IO in it: an event of that name, with one argument.
    fn message(
        &mut self,
        argument: serde_json::Result<Json>,
        attachments: Vec<Bytes>,
        ctx: &mut Context<Self>,
    ) {
        // A text always has a JSON form.
        let args = argument.into_iter().collect();
        self.incoming(0, Incoming { name: "message".into(), args, attachments, ack: None }, ctx);
    }

    fn packet(&mut self, text: &str, ctx: &mut Context<Self>) {
        let socketio::Packet { namespace, body } = match self.assembler.text(text) {
            Ok(Some(packet)) => packet,
            // Its attachments follow.
            Ok(None) => return,
            Err(_) => return self.link.close(Reason::ParseError),
        };
        let at = self.sockets.iter().position(|socket| &*socket.namespace == namespace);
        match (body, at) {
            (socketio::Body::Connect(auth), None) => {
                let auth = auth.map(ToOwned::to_owned);
                self.join(namespace, auth, ctx);
            }
            (socketio::Body::Data(content), Some(at)) => self.content(at, content, Vec::new(), ctx),
            (socketio::Body::Disconnect, Some(at)) => {
                let socket = self.sockets.remove(at);
                self.depart(&socket, Reason::ClientClosed);
                self.pace();
            }
            // As in the reference server: a second CONNECT, a CONNECT_ERROR, or a packet for a
            // namespace that was not joined.
            _ => self.link.close(Reason::ParseError),
        }
    }

    /// An attachment of the packet that came before it.
    fn binary(&mut self, bytes: Bytes, ctx: &mut Context<Self>) {
        match self.link.protocol {
            Protocol::SocketIo { .. } => {}
            Protocol::Plain => return self.link.close(Reason::BadFrame),
            Protocol::EngineIo => {
                return self.message(serde_json::from_str(FIRST_ATTACHMENT), vec![bytes], ctx);
            }
        }
        let whole = match self.assembler.binary(bytes, self.worker.shared.settings.max_payload) {
            Ok(Some(whole)) => whole,
            Ok(None) => return,
            Err(socketio::Fault::TooLarge) => return self.link.close(Reason::TooLarge),
            Err(_) => return self.link.close(Reason::ParseError),
        };
        match self.sockets.iter().position(|socket| *socket.namespace == *whole.namespace) {
            Some(at) => self.content(at, whole.content, whole.attachments, ctx),
            None => self.link.close(Reason::ParseError),
        }
    }

    fn content(
        &mut self,
        at: usize,
        content: socketio::Content,
        attachments: Vec<Bytes>,
        ctx: &mut Context<Self>,
    ) {
        match content {
            socketio::Content::Event { name, args, ack } => {
                let ack = ack.map(|id| id.to_string().into());
                self.incoming(at, Incoming { name, args, attachments, ack }, ctx);
            }
            socketio::Content::Ack { id, args } => {
                if let Some(client) = self.sockets.get(at).and_then(|socket| socket.client()) {
                    client.0.asks.answer(id, Answer { args, attachments });
                }
            }
        }
    }

    /// Of a close frame. Socket.IO says it by DISCONNECT when an end is for good; on the plain
    /// protocol 1000 says it, or a code of the application's own. The others say that something
    /// went wrong, or that a page was left.
    fn meaning_of(&self, said: Option<&CloseReason>) -> Reason {
        match (self.link.protocol, said.map(|said| said.code)) {
            (Protocol::Plain, Some(CloseCode::Normal | CloseCode::Other(_))) => {
                Reason::ClientClosed
            }
            _ => Reason::TransportLost,
        }
    }

    fn item(&mut self, item: Result<Message, ProtocolError>, ctx: &mut Context<Self>) {
        match item {
            Ok(Message::Text(text)) => self.text(&text, ctx),
            Ok(Message::Continuation(item)) => {
                match self.fragments.add(item, self.worker.shared.settings.max_payload) {
                    Ok(Some(Message::Text(text))) => self.text(&text, ctx),
                    Ok(Some(Message::Binary(bytes))) => self.binary(bytes, ctx),
                    Ok(None) => {}
                    Ok(Some(_)) => self.link.close(Reason::ParseError),
                    Err(reason) => self.link.close(reason),
                }
            }
            Ok(Message::Ping(payload)) => self.link.send(websocket::pong(&payload)),
            Ok(Message::Pong(_)) if self.link.protocol == Protocol::Plain => self.link.heard(),
            Ok(Message::Pong(_) | Message::Nop) => {}
            Ok(Message::Close(said)) => {
                self.link.close(self.meaning_of(said.as_ref()));
                ctx.stop();
            }
            Ok(Message::Binary(bytes)) => self.binary(bytes, ctx),
            Err(ProtocolError::Overflow) => self.link.close(Reason::TooLarge),
            Err(ProtocolError::Io(error)) if error.kind() == NOT_UTF8 => {
                self.link.close(Reason::NotUtf8)
            }
            Err(_) => self.link.close(Reason::ParseError),
        }
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for Session {
    fn handle(&mut self, item: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        if self.link.is_open() {
            self.item(item, ctx);
            self.link.awaits(self.assembler.is_waiting() || self.fragments.is_waiting());
        }
        if let Some(polls) = self.link.polls() {
            polls.taken();
        }
    }
}
