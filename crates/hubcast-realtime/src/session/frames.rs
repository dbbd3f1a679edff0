//! The meaning of a client's messages, from a WebSocket or a POST: packets of Engine.IO and in them
//! of Socket.IO, or frames of the plain protocol.

use crate::core::ws::{CloseCode, CloseReason, Message, ProtocolError};
use actix::prelude::*;
use bytes::Bytes;

use super::acks::Ack;
use super::gateway::Incoming;
use super::session::Session;
use crate::connection::messages::NOT_UTF8;
use crate::core::payload::{FIRST_ATTACHMENT, Json};
use crate::core::protocol::Protocol;
use crate::core::reason::DisconnectReason;
use crate::wire::{engineio, plain, socketio, websocket};

impl Session {
    fn text(&mut self, text: &str, ctx: &mut Context<Self>) {
        match self.connection.protocol {
            Protocol::SocketIo { .. } | Protocol::EngineIo => match engineio::decode(text) {
                Ok(engineio::Packet::Pong(_)) => self.connection.on_pong(),
                Ok(engineio::Packet::Message(text))
                    if self.connection.protocol == Protocol::EngineIo =>
                {
                    self.message(serde_json::value::to_raw_value(text), Vec::new(), ctx);
                }
                Ok(engineio::Packet::Message(packet)) => self.packet(packet, ctx),
                Ok(engineio::Packet::Binary(bytes)) => self.binary(bytes, ctx),
                Ok(engineio::Packet::Close) => self.connection.close_by_peer(),
                // The reference server ignores these packets, which only a server sends.
                Ok(
                    engineio::Packet::Open(_) | engineio::Packet::Upgrade | engineio::Packet::Noop,
                ) => {}
                Ok(engineio::Packet::Ping(_)) | Err(_) => {
                    self.connection.close(DisconnectReason::ParseError);
                }
            },
            // The heartbeat of client libraries that cannot send a ping frame from a browser.
            Protocol::Plain if text == plain::PING => {
                self.connection.send(websocket::text(plain::PONG));
            }
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
                None => self.connection.close(DisconnectReason::BadFrame),
            },
        }
    }

    /// Handles a message of bare Engine.IO as an event `message` with one argument.
    fn message(
        &mut self,
        argument: serde_json::Result<Json>,
        attachments: Vec<Bytes>,
        ctx: &mut Context<Self>,
    ) {
        // Every text can be written as JSON.
        let args = argument.into_iter().collect();
        self.incoming(0, Incoming { name: "message".into(), args, attachments, ack: None }, ctx);
    }

    fn packet(&mut self, text: &str, ctx: &mut Context<Self>) {
        let socketio::Packet { namespace, body } = match self.assembler.text(text) {
            Ok(Some(packet)) => packet,
            // The packet's attachments follow.
            Ok(None) => return,
            Err(_) => {
                let refusal = socketio::refuse_json(text);
                return self.unreadable(refusal.map(|json| websocket::text(&format!("4{json}"))));
            }
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
                self.depart(&socket, DisconnectReason::ClientClosed);
                self.pace();
            }
            // A second CONNECT, a CONNECT_ERROR, or a packet for a namespace that was not joined
            // ends the connection, as in the reference server.
            _ => self.connection.close(DisconnectReason::ParseError),
        }
    }

    /// Handles an attachment of the packet before it.
    fn binary(&mut self, bytes: Bytes, ctx: &mut Context<Self>) {
        match self.connection.protocol {
            Protocol::SocketIo { .. } => {}
            Protocol::Plain => return self.connection.close(DisconnectReason::BadFrame),
            Protocol::EngineIo => {
                return self.message(serde_json::from_str(FIRST_ATTACHMENT), vec![bytes], ctx);
            }
        }
        let is_first = self.last_socket == 0;
        let refusal = if is_first { socketio::refuse_msgpack(&bytes) } else { None };
        let refusal = refusal.map(|refusal| websocket::binary(&refusal));
        let whole = match self.assembler.binary(bytes, self.host.worker.settings.max_payload) {
            Ok(Some(whole)) => whole,
            Ok(None) => return,
            Err(socketio::Fault::TooLarge) => {
                return self.connection.close(DisconnectReason::TooLarge);
            }
            Err(_) => return self.unreadable(refusal),
        };
        match self.sockets.iter().position(|socket| *socket.namespace == *whole.namespace) {
            Some(at) => self.content(at, whole.content, whole.attachments, ctx),
            None => self.connection.close(DisconnectReason::ParseError),
        }
    }

    /// Closes the connection over a packet that cannot be read. If it is the first one, and a
    /// CONNECT in the encoding of another parser, the client gets this refusal instead, with which
    /// it gives up; if it does not, the connect time-out ends it.
    fn unreadable(&mut self, refusal: Option<Bytes>) {
        match refusal.filter(|_| self.last_socket == 0) {
            Some(refusal) => {
                self.last_socket += 1;
                self.connection.send(refusal);
            }
            None => self.connection.close(DisconnectReason::ParseError),
        }
    }

    fn content(
        &mut self,
        at: usize,
        content: socketio::EventOrAck,
        attachments: Vec<Bytes>,
        ctx: &mut Context<Self>,
    ) {
        match content {
            socketio::EventOrAck::Event { name, args, ack } => {
                let ack = ack.map(|id| id.to_string().into());
                self.incoming(at, Incoming { name, args, attachments, ack }, ctx);
            }
            socketio::EventOrAck::Ack { id, args } => {
                if let Some(client) = self.sockets.get(at).and_then(|socket| socket.client()) {
                    client.0.acks.take(id, Ack { args, attachments });
                }
            }
            socketio::EventOrAck::Refused { event: Some((name, ack)), fault } => {
                self.beyond_a_limit(at, &name, ack, fault);
            }
            // For the server, an ack that is refused has not arrived.
            socketio::EventOrAck::Refused { event: None, .. } => {}
        }
    }

    /// Returns the reason that a close frame means. Socket.IO clients end a session by DISCONNECT,
    /// plain clients by 1000. Other codes mean that something failed, or that the user left the
    /// page; those from 3000 are all that a browser's own watchdog can send.
    fn meaning_of(&self, close: Option<&CloseReason>) -> DisconnectReason {
        match (self.connection.protocol, close.map(|close| close.code)) {
            (Protocol::Plain, Some(CloseCode::Normal)) => DisconnectReason::ClientClosed,
            _ => DisconnectReason::TransportLost,
        }
    }

    fn item(&mut self, item: Result<Message, ProtocolError>, ctx: &mut Context<Self>) {
        match item {
            Ok(Message::Text(text)) => self.text(&text, ctx),
            Ok(Message::Continuation(item)) => {
                match self.fragments.add(item, self.connection.max_message()) {
                    Ok(Some(Message::Text(text))) => self.text(&text, ctx),
                    Ok(Some(Message::Binary(bytes))) => self.binary(bytes, ctx),
                    Ok(None) => {}
                    Ok(Some(_)) => self.connection.close(DisconnectReason::ParseError),
                    Err(reason) => self.connection.close(reason),
                }
            }
            Ok(Message::Ping(payload)) => self.connection.send(websocket::pong(&payload)),
            Ok(Message::Pong(_)) if self.connection.protocol == Protocol::Plain => {
                self.connection.on_pong();
            }
            Ok(Message::Pong(_) | Message::Nop) => {}
            Ok(Message::Close(close)) => {
                let reason = self.meaning_of(close.as_ref());
                self.connection.answer_close(reason, close.map(|close| close.code));
                ctx.stop();
            }
            Ok(Message::Binary(bytes)) => self.binary(bytes, ctx),
            Err(ProtocolError::Overflow) => self.connection.close(DisconnectReason::TooLarge),
            Err(ProtocolError::Io(error)) if error.kind() == NOT_UTF8 => {
                self.connection.close(DisconnectReason::NotUtf8);
            }
            Err(_) => self.connection.close(DisconnectReason::ParseError),
        }
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for Session {
    fn handle(&mut self, item: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        if self.connection.is_open() {
            self.connection.on_packet();
            self.item(item, ctx);
            self.connection
                .expect_rest(self.assembler.is_waiting() || self.fragments.is_incomplete());
        }
        if let Some(polls) = self.connection.polls() {
            polls.taken();
        }
    }
}
