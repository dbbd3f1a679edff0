//! One actor per connection. It reads packets, keeps one [`SessionSocket`] per joined namespace,
//! and passes events to the gateways one after another. It ends in [`Actor::stopped`], whatever the
//! reason.
//!
//! It never writes event frames itself. Replies pass through the worker's fan-out, after every
//! event that the hub has routed, so that no ack overtakes an event.

use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use smallvec::SmallVec;

use super::arrival::new_sid;
use super::bucket::Bucket;
use super::client::Client;
use super::gateway::{self, Handshake};
use super::host::Host;
use super::log::End;
use super::requests::Abort;
use super::socket::{SessionSocket, SocketState};
use crate::connection::connection::Connection;
use crate::connection::fragments::Fragments;
use crate::connection::io::Io;
use crate::connection::messages::MessageStream;
use crate::core::ids::SocketId;
use crate::core::protocol::{ENGINE, Protocol};
use crate::core::reason::DisconnectReason;
use crate::wire::socketio::Assembler;
use crate::wire::{engineio, websocket};
use crate::worker::session_actor::SessionActor;

pub(crate) struct Session {
    pub(super) host: Rc<Host<Session>>,
    pub(super) connection: Rc<Connection>,
    pub(super) handshake: Rc<Handshake>,
    /// The Engine.IO id by which the requests of a polling client find the session.
    engine: Option<Box<str>>,
    /// The number among the [`Newcomers`](super::newcomers::Newcomers), while it is one of them.
    newcomer: Option<u64>,
    pub(super) sockets: SmallVec<[Box<SessionSocket>; 1]>,
    pub(super) fragments: Fragments,
    /// Holds a packet whose attachments have not all arrived.
    pub(super) assembler: Assembler,
    /// The number of the last socket.
    pub(super) last_socket: u32,
    /// Limits events and CONNECTs, over all namespaces.
    pub(super) bucket: Option<Bucket>,
}

impl Session {
    /// Starts a session for a WebSocket whose upgrade has been answered. `rest` holds the bytes
    /// after the request.
    pub(crate) fn begin(
        host: Rc<Host<Session>>,
        io: Io,
        rest: &[u8],
        protocol: Protocol,
        handshake: Handshake,
    ) {
        Self::start_on(host, Some(io), rest, protocol, handshake, None);
    }

    /// Starts a session for a polling client.
    pub(crate) fn begin_polling(
        host: Rc<Host<Session>>,
        protocol: Protocol,
        handshake: Handshake,
    ) -> Addr<Self> {
        let (shared, engine) = (Arc::clone(&host.shared), new_sid());
        let owner = handshake.owner();
        let (number, shed) = shared.newcomers.enter(&engine, owner.address(), handshake.kept());
        for (session, _) in shed.iter().filter_map(|id| shared.engines.get(id)) {
            session.do_send(Abort);
        }
        let id = Some((engine.as_str().into(), number));
        let session = Self::start_on(host, None, &[], protocol, handshake, id);
        shared.engines.insert(engine, session.clone(), owner);
        session
    }

    fn start_on(
        host: Rc<Host<Session>>,
        io: Option<Io>,
        rest: &[u8],
        protocol: Protocol,
        handshake: Handshake,
        engine: Option<(Box<str>, u64)>,
    ) -> Addr<Self> {
        let (engine, newcomer) = engine.unzip();
        let worker = &host.worker;
        let connection = Connection::new(
            io,
            protocol,
            Arc::clone(&worker.settings),
            Rc::clone(&worker.deadlines),
            Rc::clone(&worker.position),
        );
        host.shared.gauges.opened(connection.transport(), protocol);
        if host.shared.is_draining() {
            // The request was answered before the drain began, so the drain did not see this
            // connection.
            connection.close(DisconnectReason::Shutdown);
        }
        let bucket = worker.settings.event_rate.map(Bucket::new);
        let messages = MessageStream::new(Rc::clone(&connection), Rc::clone(&worker.scratch), rest);
        Self::create(|ctx| {
            Self::add_stream(messages, ctx);
            Self {
                host,
                connection,
                handshake: Rc::new(handshake),
                engine,
                newcomer,
                sockets: SmallVec::new(),
                fragments: Fragments::default(),
                assembler: Assembler::default(),
                last_socket: 0,
                bucket,
            }
        })
    }

    /// The session has joined a namespace or ended.
    pub(super) fn is_no_newcomer(&mut self) {
        if let Some(number) = self.newcomer.take() {
            self.host.shared.newcomers.leave(number);
        }
    }

    /// Returns the socket with that number, if it has not left.
    pub(super) fn socket(&mut self, number: u32) -> Option<&mut SessionSocket> {
        self.sockets.iter_mut().map(|socket| &mut **socket).find(|socket| socket.number == number)
    }

    /// Returns the index and the handle of a socket, if it belongs to this session.
    pub(super) fn find(&self, socket: SocketId) -> Option<(usize, Client)> {
        let of = |own: &SessionSocket| own.client().filter(|client| client.0.socket == socket);
        self.sockets.iter().enumerate().find_map(|(at, own)| Some((at, of(own)?)))
    }

    /// Pauses reading while a namespace is being joined and while a queue of events is full. So a
    /// connection waits for one gateway at a time, and packets after a CONNECT are handled after
    /// its answer.
    pub(super) fn pace(&self) {
        let joins = |socket: &SessionSocket| {
            matches!(socket.state, SocketState::Connecting | SocketState::Entering(_))
        };
        let is_joining = self.sockets.iter().any(|socket| joins(socket));
        self.connection.decide(is_joining);
        let most = self.host.worker.settings.max_payload;
        let is_busy = is_joining || self.sockets.iter().any(|socket| socket.queue.is_full(most));
        if is_busy { self.connection.pause() } else { self.connection.resume() }
    }

    /// Ends a socket that was removed from the session: reports it to the hub, the log and the
    /// gateway.
    pub(super) fn depart(&self, socket: &SessionSocket, reason: DisconnectReason) {
        let Some(client) = socket.client() else { return };
        client.0.acks.end();
        self.host.worker.alarms.end(client.0.socket, &client.0.alarm);
        self.host.worker.hub.remove_socket(client.0.socket, reason.is_connection_loss());
        if let (Some(recovery), Some(connection_no)) =
            (&self.host.shared.recovery, client.0.connection_no)
        {
            let entered_at = client.0.entered_at.get();
            let confirmed = self.connection.confirmed().filter(|place| place.id > entered_at);
            let end =
                if reason.is_connection_loss() { End::Lost { confirmed } } else { End::Final };
            // A shutdown is not logged. As after a crash, the time to resume is counted from the
            // next start.
            if reason != DisconnectReason::Shutdown {
                recovery.log.end(Arc::clone(&client.0.sid), connection_no, end);
            }
        }
        socket.gateway.disconnect(&client, reason);
    }
}

impl SessionActor for Session {}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let protocol = self.connection.protocol;
        match protocol {
            Protocol::SocketIo { .. } | Protocol::EngineIo => {
                let settings = &self.host.worker.settings;
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
                    None => open(&new_sid(), &[]),
                };
                self.connection.send(websocket::text(&open));
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

    /// Every session ends here, whatever the reason.
    fn stopped(&mut self, _: &mut Self::Context) {
        let reason = self.connection.reason();
        for socket in &std::mem::take(&mut self.sockets) {
            self.depart(socket, reason);
        }
        if self.connection.is_open() {
            self.connection.abort(reason);
        }
        self.is_no_newcomer();
        if let Some(engine) = &self.engine {
            self.host.shared.engines.remove(engine);
        }
        self.host.shared.gauges.closed(self.connection.transport(), self.connection.protocol);
        tracing::debug!(reason = reason.as_str(), "connection closed");
    }
}
