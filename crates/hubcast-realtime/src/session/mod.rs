//! One actor a connection. It reads packets, keeps one [`Socket`] per joined namespace, hands
//! events to the gateways one after another, and has one exit: [`Actor::stopped`], whatever the
//! reason.
//!
//! It never writes event frames itself: replies go through the outlet, behind what the hub has
//! routed, so that no ack overtakes an event.

mod calls;
mod frames;
mod kick;
mod requests;

use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use serde_json::json;
use smallvec::SmallVec;

pub(super) use calls::Call;
pub(super) use kick::Kick;
pub(super) use requests::{Hangup, Poll, Post, Upgrade};

use super::arrival::{Arrival, Comeback, Slot, sid};
use super::frame::Protocol;
use super::gateway::{Handshake, Incoming, Json, Welcome};
use super::link::{Io, Link};
use super::log::End;
use super::outlet::Worker;
use super::payload::Payload;
use super::server::Bucket;
use super::server::ENGINE;
use super::settings::MAX_NAMESPACES;
use super::socket::{Socket, State, Waiting, reply};
use super::transport::fragments::Fragments;
use super::transport::websocket::Pump;
use super::wire::socketio::Assembler;
use super::wire::{engineio, socketio, websocket};
use super::{Reason, gateway};
use crate::error::{AuthFailure, Error};

/// What a client joins with.
struct Auth {
    data: Option<Json>,
    /// Plain protocol: the first frame's id.
    ack: Option<Box<str>>,
}

pub(super) struct Session {
    worker: Rc<Worker>,
    link: Rc<Link>,
    handshake: Rc<Handshake>,
    /// The id that the requests of a client name which polls, or did.
    engine: Option<Box<str>>,
    sockets: SmallVec<[Box<Socket>; 1]>,
    fragments: Fragments,
    /// Of a packet whose attachments have not all come.
    assembler: Assembler,
    /// The last ticket given to a socket: an answer that comes for an older one is for nobody.
    tickets: u32,
    /// What the client may still send: events and CONNECTs, over all namespaces.
    bucket: Option<Bucket>,
}

impl Session {
    /// Takes over a connection whose upgrade has been answered. `rest`: what came behind the
    /// request.
    pub(super) fn begin(
        worker: Rc<Worker>,
        io: Io,
        rest: &[u8],
        protocol: Protocol,
        handshake: Handshake,
    ) {
        Self::start(worker, Some(io), rest, protocol, handshake, None);
    }

    /// A client that polls; its requests find it by the id that it is told.
    pub(super) fn begin_polling(
        worker: Rc<Worker>,
        protocol: Protocol,
        handshake: Handshake,
    ) -> Addr<Self> {
        let (shared, engine) = (Arc::clone(&worker.shared), sid());
        let session =
            Self::start(worker, None, &[], protocol, handshake, Some(engine.as_str().into()));
        shared.engines.insert(engine, session.clone());
        session
    }

    fn start(
        worker: Rc<Worker>,
        io: Option<Io>,
        rest: &[u8],
        protocol: Protocol,
        handshake: Handshake,
        engine: Option<Box<str>>,
    ) -> Addr<Self> {
        let link = Link::new(
            io,
            protocol,
            Arc::clone(&worker.shared.settings),
            Rc::clone(&worker.deadlines),
            Rc::clone(&worker.position),
        );
        worker.shared.open.opened(link.transport(), protocol);
        if worker.shared.is_draining() {
            // Its request was answered before the drain began; the drain did not see it.
            link.close(Reason::Shutdown);
        }
        let bucket = worker.shared.settings.event_rate.map(Bucket::direct);
        Self::create(|ctx| {
            Self::add_stream(Pump::new(Rc::clone(&link), Rc::clone(&worker), rest), ctx);
            Self {
                worker,
                link,
                handshake: Rc::new(handshake),
                engine,
                sockets: SmallVec::new(),
                fragments: Fragments::default(),
                assembler: Assembler::default(),
                tickets: 0,
                bucket,
            }
        })
    }

    fn join(&mut self, namespace: &str, auth: Option<Json>, ctx: &mut Context<Self>) {
        let Some((name, gateway)) = self.worker.shared.gateway(self.link.protocol, namespace)
        else {
            match self.link.protocol {
                Protocol::SocketIo { .. } => {
                    self.link.send(websocket::text(&socketio::connect_error(
                        namespace,
                        "Invalid namespace",
                        None,
                    )));
                }
                Protocol::Plain | Protocol::EngineIo => self.link.close(Reason::UnknownNamespace),
            }
            return;
        };
        if self.sockets.len() >= MAX_NAMESPACES {
            self.link.close(Reason::ParseError);
            return;
        }
        // The first one was counted when the connection came.
        if self.tickets > 0
            && let Some(Err(_)) = self.bucket.as_ref().map(Bucket::check)
        {
            self.link.close(Reason::RateLimited);
            return;
        }
        self.tickets += 1;
        let ticket = self.tickets;
        self.sockets.push(Box::new(Socket {
            ticket,
            namespace: name,
            gateway,
            state: State::Asking,
            waiting: Waiting::new(),
            busy: false,
        }));
        self.ask(ticket, Auth { data: auth, ack: None }, ctx);
    }

    fn ask(&mut self, ticket: u32, Auth { data: auth, ack }: Auth, ctx: &mut Context<Self>) {
        let Some(socket) = self.socket(ticket) else { return };
        socket.state = State::Asking;
        let gateway = Arc::clone(&socket.gateway);
        let with_auth = auth.is_some();
        let claim = match self.link.protocol {
            Protocol::SocketIo { .. } => auth.as_deref().and_then(Comeback::of_auth),
            Protocol::Plain => Comeback::of_query(&self.handshake.query),
            Protocol::EngineIo => None,
        };
        let answer = gateway.connect(Rc::clone(&self.handshake), auth);
        let answer = async move { (answer.await, claim) };
        ctx.spawn(answer.into_actor(self).map(move |(answer, claim), session, ctx| {
            session.answered(ticket, with_auth, ack, answer, claim, ctx)
        }));
        self.pace();
    }

    fn answered(
        &mut self,
        ticket: u32,
        with_auth: bool,
        ack: Option<Box<str>>,
        answer: Result<Welcome, Error>,
        claim: Option<Comeback>,
        ctx: &mut Context<Self>,
    ) {
        let plain = self.link.protocol == Protocol::Plain;
        let Some(socket) = self.socket(ticket) else { return };
        match answer {
            Ok(welcome) => self.enter(ticket, welcome, ack, claim, ctx),
            Err(Error::Unauthorized(AuthFailure::Missing)) if plain && !with_auth => {
                socket.state = State::AwaitingAuth;
                self.pace();
            }
            Err(error) => self.refuse(ticket, &error),
        }
    }

    /// Plain protocol: the first frame of a connection that came without a token.
    fn authenticate(&mut self, ticket: u32, mut first: Incoming, ctx: &mut Context<Self>) {
        match (first.name.as_str(), first.args.pop()) {
            ("auth", Some(auth)) => {
                self.ask(ticket, Auth { data: Some(auth), ack: first.ack }, ctx)
            }
            _ => self.link.close(Reason::BadFrame),
        }
    }

    fn enter(
        &mut self,
        ticket: u32,
        welcome: Welcome,
        ack: Option<Box<str>>,
        claim: Option<Comeback>,
        ctx: &mut Context<Self>,
    ) {
        let (worker, link) = (Rc::clone(&self.worker), Rc::clone(&self.link));
        let Some(socket) = self.socket(ticket) else { return };
        let slot = Slot::default();
        socket.state = State::Entering(Rc::clone(&slot));
        link.joined();
        let arrival = Arrival {
            worker,
            link,
            session: ctx.address(),
            namespace: Arc::clone(&socket.namespace),
            slot,
        };
        let gateway = Arc::clone(&socket.gateway);
        let entered = async move {
            let client = arrival.come_in(welcome, claim).await?;
            if client.0.kicked.get().is_none() {
                gateway.entered(client.clone()).await;
            }
            Ok(client)
        };
        if !matches!(self.link.protocol, Protocol::SocketIo { .. }) {
            // It joins nothing else: its token need not stay in memory.
            self.handshake = Rc::new(Handshake {
                peer: self.handshake.peer,
                query: Box::default(),
                authorization: None,
                cookie: None,
            });
        }
        ctx.spawn(entered.into_actor(self).map(move |entered, session, _| match entered {
            _ if session.end_if_kicked(ticket) => {}
            Ok(client) => {
                if ack.is_some() {
                    reply(&client, ack.as_deref(), "auth", Ok(Payload::json(r#"{"ok":true}"#)));
                }
                if let Some(socket) = session.socket(ticket) {
                    socket.state = State::Open(client);
                }
                session.pace();
            }
            Err(error) => session.refuse(ticket, &error),
        }));
    }

    fn refuse(&mut self, ticket: u32, error: &Error) {
        let Some(at) = self.sockets.iter().position(|socket| socket.ticket == ticket) else {
            return;
        };
        let socket = self.sockets.remove(at);
        self.depart(
            &socket,
            if self.link.is_open() { Reason::Unavailable } else { self.link.reason() },
        );
        match self.link.protocol {
            // The client library comes back by itself after a closed connection, and not after a
            // CONNECT_ERROR.
            Protocol::SocketIo { .. }
                if matches!(error, Error::Unavailable(_) | Error::Internal) =>
            {
                self.link.close(Reason::Unavailable)
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
                self.link.send(websocket::text(&socketio::connect_error(
                    &socket.namespace,
                    message,
                    Some(&data.to_string()),
                )));
            }
            Protocol::Plain | Protocol::EngineIo => self.link.close(match error {
                Error::Unauthorized(_) => Reason::Unauthorized,
                Error::Forbidden => Reason::Forbidden,
                _ => Reason::Unavailable,
            }),
        }
        self.pace();
    }

    fn incoming(&mut self, at: usize, event: Incoming, ctx: &mut Context<Self>) {
        let Some(socket) = self.sockets.get_mut(at) else { return };
        let ticket = socket.ticket;
        if matches!(socket.state, State::AwaitingAuth) {
            self.authenticate(ticket, event, ctx);
            return;
        }
        if let (Some(bucket), Some(client)) = (&self.bucket, socket.client())
            && bucket.check().is_err()
        {
            reply(&client, event.ack.as_deref(), &event.name, Err(Error::RateLimited));
            return;
        }
        socket.waiting.push(event);
        self.next(ticket, ctx);
        self.pace();
    }

    /// Reading rests while a namespace is being joined (so each connection asks one question at a
    /// time, and what follows a CONNECT is handled after its answer) and while too many events
    /// wait.
    fn pace(&self) {
        let rest = self.sockets.iter().any(|socket| {
            let joining = matches!(socket.state, State::Asking | State::Entering(_));
            joining || socket.waiting.is_full(self.worker.shared.settings.max_payload)
        });
        if rest { self.link.pause() } else { self.link.resume() }
    }

    /// Begins the next event of that socket, if none is in hand.
    fn next(&mut self, ticket: u32, ctx: &mut Context<Self>) {
        let Some(socket) = self.socket(ticket) else { return };
        let State::Open(client) = &socket.state else { return };
        if socket.busy {
            return;
        }
        let client = client.clone();
        let Some(mut event) = socket.waiting.pop() else { return };
        socket.busy = true;
        let (ack, name) = (event.ack.take(), event.name.clone());
        let answer = socket.gateway.event(client.clone(), event);
        ctx.spawn(answer.into_actor(self).map(move |answer, session, ctx| {
            reply(&client, ack.as_deref(), &name, answer);
            if let Some(socket) = session.socket(ticket) {
                socket.busy = false;
            }
            session.next(ticket, ctx);
            session.pace();
        }));
    }

    fn socket(&mut self, ticket: u32) -> Option<&mut Socket> {
        self.sockets.iter_mut().map(|socket| &mut **socket).find(|socket| socket.ticket == ticket)
    }

    /// One socket leaves: the hub forgets it, the log knows how it ended, and its gateway hears
    /// why.
    fn depart(&self, socket: &Socket, reason: Reason) {
        let Some(client) = socket.client() else { return };
        client.0.asks.end();
        self.worker.alarms.end(client.0.socket, &client.0.alarm);
        self.worker.hub.disconnect(client.0.socket, reason.is_lost_line());
        if let (Some(recovery), Some(attachment)) =
            (&self.worker.shared.recovery, client.0.attachment)
        {
            let confirmed =
                self.link.confirmed().filter(|confirmed| confirmed.id > client.0.entered_at.get());
            let end = if reason.is_lost_line() { End::Lost { confirmed } } else { End::Final };
            // At a shutdown its time runs from the next start: as if the process had been killed.
            if reason != Reason::Shutdown {
                recovery.log.end(Arc::clone(&client.0.sid), attachment, end);
            }
        }
        socket.gateway.disconnect(&client, reason);
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let protocol = self.link.protocol;
        match protocol {
            Protocol::SocketIo { .. } | Protocol::EngineIo => {
                let settings = &self.worker.shared.settings;
                let open = |sid: &str, upgrades: &[&str]| {
                    engineio::open(
                        sid,
                        upgrades,
                        settings.ping_interval,
                        settings.ping_timeout,
                        settings.max_payload,
                    )
                };
                let open = match &self.engine {
                    Some(engine) => open(engine, &["websocket"]),
                    None => open(&sid(), &[]),
                };
                self.link.send(websocket::text(&open));
                if protocol == Protocol::EngineIo {
                    self.join(ENGINE, None, ctx);
                }
            }
            Protocol::Plain => {
                let handshake = Rc::clone(&self.handshake);
                let namespace = gateway::query_value(&handshake.query, "namespace");
                self.join(namespace.as_deref().unwrap_or("/"), None, ctx);
            }
        }
    }

    /// The one exit.
    fn stopped(&mut self, _: &mut Self::Context) {
        let reason = self.link.reason();
        for socket in &std::mem::take(&mut self.sockets) {
            self.depart(socket, reason);
        }
        if self.link.is_open() {
            self.link.cut(reason);
        }
        if let Some(engine) = &self.engine {
            self.worker.shared.engines.remove(engine);
        }
        self.worker.shared.open.closed(self.link.transport(), self.link.protocol);
        tracing::debug!(reason = reason.as_str(), "connection closed");
    }
}
