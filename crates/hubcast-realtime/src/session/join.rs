//! Joining a namespace: its gateway decides, and the socket enters or is refused.

use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use serde_json::json;

use super::arrival::{Arrival, ResumeRequest};
use super::gateway::{Handshake, Incoming, Json, Welcome};
use super::session::Session;
use super::socket::{ClientSlot, EventQueue, SessionSocket, SocketState, reply};
use crate::core::error::{AuthFailure, Error};
use crate::core::payload::Payload;
use crate::core::protocol::Protocol;
use crate::core::reason::DisconnectReason;
use crate::core::settings::{MAX_NAMESPACES, REFUSAL_HOLD};
use crate::wire::{socketio, websocket};

/// What a client sends to join.
struct Auth {
    data: Option<Json>,
    /// The id of the first frame, on the plain protocol.
    ack: Option<Box<str>>,
}

impl Session {
    pub(super) fn join(&mut self, namespace: &str, auth: Option<Json>, ctx: &mut Context<Self>) {
        let protocol = self.connection.protocol;
        let Some((name, gateway)) = self.host.shared.gateway(protocol, namespace) else {
            match protocol {
                Protocol::SocketIo { .. } => {
                    let refusal = socketio::connect_error(namespace, "Invalid namespace", None);
                    self.connection.send(websocket::text(&refusal));
                }
                Protocol::Plain => self.close_refused(DisconnectReason::UnknownNamespace, ctx),
                Protocol::EngineIo => self.connection.close(DisconnectReason::UnknownNamespace),
            }
            return;
        };
        if self.sockets.len() >= MAX_NAMESPACES {
            self.connection.close(DisconnectReason::ParseError);
            return;
        }
        // The first CONNECT was counted with its connection.
        if self.last_socket > 0 && self.bucket.as_ref().is_some_and(|bucket| bucket.take().is_err())
        {
            self.connection.close(DisconnectReason::RateLimited);
            return;
        }
        self.last_socket += 1;
        let number = self.last_socket;
        self.sockets.push(Box::new(SessionSocket {
            number,
            namespace: name,
            gateway,
            state: SocketState::Connecting,
            queue: EventQueue::new(),
            is_busy: false,
        }));
        self.connect(number, Auth { data: auth, ack: None }, ctx);
    }

    /// Asks the gateway whether the client may join.
    fn connect(&mut self, number: u32, Auth { data: auth, ack }: Auth, ctx: &mut Context<Self>) {
        let Some(socket) = self.socket(number) else { return };
        socket.state = SocketState::Connecting;
        let gateway = Arc::clone(&socket.gateway);
        let has_auth = auth.is_some();
        let request = match self.connection.protocol {
            Protocol::SocketIo { .. } => auth.as_deref().and_then(ResumeRequest::of_auth),
            Protocol::Plain => ResumeRequest::of_query(&self.handshake.query),
            Protocol::EngineIo => None,
        };
        let decision = gateway.connect(Rc::clone(&self.handshake), auth);
        let decision = async move { (decision.await, request) };
        ctx.spawn(decision.into_actor(self).map(move |(decision, request), session, ctx| {
            session.decided(number, has_auth, ack, decision, request, ctx);
        }));
        self.pace();
    }

    fn decided(
        &mut self,
        number: u32,
        has_auth: bool,
        ack: Option<Box<str>>,
        decision: Result<Welcome, Error>,
        request: Option<ResumeRequest>,
        ctx: &mut Context<Self>,
    ) {
        let is_plain = self.connection.protocol == Protocol::Plain;
        let Some(socket) = self.socket(number) else { return };
        match decision {
            Ok(welcome) => self.enter(number, welcome, ack, request, ctx),
            Err(Error::Unauthorized(AuthFailure::Missing)) if is_plain && !has_auth => {
                socket.state = SocketState::AwaitingAuth;
                self.pace();
            }
            Err(error) => self.refuse(number, &error, ctx),
        }
    }

    /// Handles the first frame of a plain connection whose request had no token.
    pub(super) fn authenticate(
        &mut self,
        number: u32,
        mut first: Incoming,
        ctx: &mut Context<Self>,
    ) {
        match (first.name.as_str(), first.args.pop()) {
            ("auth", Some(auth)) => {
                self.connect(number, Auth { data: Some(auth), ack: first.ack }, ctx);
            }
            _ => self.connection.close(DisconnectReason::BadFrame),
        }
    }

    fn enter(
        &mut self,
        number: u32,
        welcome: Welcome,
        ack: Option<Box<str>>,
        request: Option<ResumeRequest>,
        ctx: &mut Context<Self>,
    ) {
        let (host, connection) = (Rc::clone(&self.host), Rc::clone(&self.connection));
        self.is_no_newcomer();
        let Some(socket) = self.socket(number) else { return };
        let slot = ClientSlot::default();
        socket.state = SocketState::Entering(Rc::clone(&slot));
        connection.joined();
        let arrival = Arrival {
            host,
            connection,
            session: ctx.address(),
            namespace: Arc::clone(&socket.namespace),
            slot,
        };
        let gateway = Arc::clone(&socket.gateway);
        let entered = async move {
            let client = arrival.enter(welcome, request).await?;
            if client.0.ending.get().is_none() {
                gateway.entered(client.clone()).await;
            }
            Ok(client)
        };
        if !matches!(self.connection.protocol, Protocol::SocketIo { .. }) {
            // A plain connection joins no other namespace, so its token need not stay in memory.
            self.handshake = Rc::new(Handshake {
                peer: self.handshake.peer,
                query: Box::default(),
                authorization: None,
                cookie: None,
            });
        }
        ctx.spawn(entered.into_actor(self).map(move |entered, session, ctx| match entered {
            _ if session.end_if_disconnected(number) => {}
            Ok(client) => {
                if ack.is_some() {
                    reply(&client, ack.as_deref(), "auth", Ok(Payload::json(r#"{"ok":true}"#)));
                }
                if let Some(socket) = session.socket(number) {
                    socket.state = SocketState::Open(client);
                }
                session.pace();
            }
            Err(error) => session.refuse(number, &error, ctx),
        }));
    }

    fn refuse(&mut self, number: u32, error: &Error, ctx: &mut Context<Self>) {
        let Some(at) = self.sockets.iter().position(|socket| socket.number == number) else {
            return;
        };
        let socket = self.sockets.remove(at);
        let connection = &self.connection;
        let is_open = connection.is_open();
        self.depart(
            &socket,
            if is_open { DisconnectReason::Unavailable } else { connection.reason() },
        );
        match connection.protocol {
            // The client library reconnects by itself after a closed connection, but not after a
            // CONNECT_ERROR.
            Protocol::SocketIo { .. }
                if matches!(error, Error::Unavailable(_) | Error::Internal) =>
            {
                connection.close(DisconnectReason::Unavailable);
            }
            Protocol::SocketIo { .. } => {
                let data = match error {
                    Error::Unauthorized(failure) => {
                        json!({"code": error.code(), "reason": failure.as_str()})
                    }
                    other => json!({"code": other.code()}),
                };
                let message =
                    if *error == Error::Forbidden { "Forbidden" } else { error.message() };
                connection.send(websocket::text(&socketio::connect_error(
                    &socket.namespace,
                    message,
                    Some(&data.to_string()),
                )));
            }
            Protocol::Plain => return self.close_refused(refusal_of(error), ctx),
            Protocol::EngineIo => connection.close(refusal_of(error)),
        }
        self.pace();
    }

    /// Closes a plain connection that was refused, after [`REFUSAL_HOLD`]: its client may be a loop
    /// that connects again at once. Nothing is read meanwhile.
    fn close_refused(&self, reason: DisconnectReason, ctx: &mut Context<Self>) {
        let Ok(permit) = Arc::clone(&self.host.shared.held).try_acquire_owned() else {
            return self.connection.close(reason);
        };
        self.connection.pause();
        ctx.run_later(REFUSAL_HOLD, move |session, _| {
            drop(permit);
            session.connection.close(reason);
        });
    }
}

/// Returns the reason with which a connection that has no CONNECT_ERROR is closed.
fn refusal_of(error: &Error) -> DisconnectReason {
    match error {
        Error::Unauthorized(_) => DisconnectReason::Unauthorized,
        Error::Forbidden => DisconnectReason::Forbidden,
        _ => DisconnectReason::Unavailable,
    }
}
