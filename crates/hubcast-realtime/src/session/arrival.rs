//! How a socket enters: with a new session, or resumed and with all events that it has missed.
//!
//! A resumed socket enters in three steps:
//!
//! 1. It sends the missed events page by page, each page when the client has taken the one before.
//! 2. It enters its rooms in the hub; from then on the worker holds the events that the hub routes
//!    to the socket. It sends the missed events up to the hub's position at the entry.
//! 3. The worker sends the events that it held.
//!
//! So no event is missing, none is sent twice, and a slow client costs one page of memory.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use actix::Addr;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::acks::PendingAcks;
use super::client::{Client, ClientParts};
use super::gateway::{Welcome, query_value};
use super::host::{Host, Recovery};
use super::log::{Claim, Resumed, SessionAttempt};
use super::replay::Replay;
use super::socket::ClientSlot;
use crate::connection::connection::Connection;
use crate::core::activity::Activity;
use crate::core::error::Error;
use crate::core::ids::SocketId;
use crate::core::protocol::Protocol;
use crate::core::recovery::{Pid, RoomMembership};
use crate::hub::hub::{RemovedRooms, Visibility};
use crate::hub::operations::enter::{Entered, RegisterSocket};
use crate::wire::{socketio, websocket};
use crate::worker::alarms::Alarm;
use crate::worker::session_actor::SessionActor;

const GONE: Error = Error::Unavailable("The connection has gone");
const BEHIND: Error = Error::Unavailable("This server does not know yet what the client has");
const PRUNED: Error = Error::Unavailable("What was missed is not kept any more");

/// A client may come from another server with events that this hub does not know yet. The socket
/// waits for them: 200 times 25 ms.
const CATCHING_UP: (u32, Duration) = (200, Duration::from_millis(25));

/// A client's request to resume its session, as sent.
pub(super) struct ResumeRequest {
    pid: String,
    offset: Option<String>,
}

impl ResumeRequest {
    /// Reads the request from CONNECT's payload.
    pub(super) fn of_auth(auth: &RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Payload<'a> {
            #[serde(borrow)]
            pid: &'a RawValue,
            #[serde(borrow)]
            offset: Option<&'a RawValue>,
        }
        let Payload { pid, offset } = serde_json::from_str(auth.get()).ok()?;
        let text = |value: &RawValue| serde_json::from_str(value.get()).ok();
        Some(Self { pid: text(pid)?, offset: offset.and_then(text) })
    }

    /// Reads the request from `?resume=&offset=`.
    pub(super) fn of_query(query: &str) -> Option<Self> {
        Some(Self { pid: query_value(query, "resume")?, offset: query_value(query, "offset") })
    }
}

/// A socket that was admitted.
pub(super) struct Arrival<S: SessionActor> {
    pub(super) host: Rc<Host<S>>,
    pub(super) connection: Rc<Connection>,
    pub(super) session: Addr<S>,
    pub(super) namespace: Arc<str>,
    pub(super) slot: ClientSlot,
}

impl<S: SessionActor> Arrival<S> {
    /// Enters the socket. When this returns, its first frames are queued, and every event that is
    /// routed later follows them.
    pub(super) async fn enter(
        self,
        welcome: Welcome,
        request: Option<ResumeRequest>,
    ) -> Result<Client, Error> {
        let user = (!welcome.identity.is_null()).then(|| Arc::from(welcome.identity.to_string()));
        let offsets = matches!(
            self.connection.protocol,
            Protocol::SocketIo { offsets: true } | Protocol::Plain
        );
        let recovery = self.host.shared.recovery.as_ref().zip(user.clone()).filter(|_| offsets);
        if let (Some((recovery, user)), Some(request)) = (&recovery, request)
            && let Some(pid) = recovery.key.read(&request.pid)
            && pid.namespace == self.namespace
            && pid.user == *user
            && let Some(client) = self.resume(recovery, &pid, &request, &welcome).await?
        {
            return Ok(client);
        }
        self.begin(recovery, user, welcome).await
    }

    /// Begins a new session.
    async fn begin(
        &self,
        recovery: Option<(&Recovery, Arc<str>)>,
        user: Option<Arc<str>>,
        welcome: Welcome,
    ) -> Result<Client, Error> {
        let sid: Arc<str> = new_sid().into();
        let connection_no = recovery.as_ref().map(|_| rand::random());
        let client = self.client(Arc::clone(&sid), user.clone(), connection_no, &welcome);
        let socket = client.0.socket;
        if let (Some((recovery, user)), Some(connection_no)) = (&recovery, connection_no) {
            let (sid, namespace, user) =
                (Arc::clone(&sid), Arc::clone(&self.namespace), Arc::clone(user));
            if let Err(error) =
                recovery.log.open(SessionAttempt { sid, namespace, user, connection_no }).await
            {
                // Neither the hub nor the log knows the socket.
                self.slot.take();
                return Err(error);
            }
        }
        self.register(&client, &welcome);
        let rooms = welcome.rooms.into_iter().map(|room| (room, Visibility::Hidden)).collect();
        let entered = self.host.worker.hub.enter(socket, rooms).await.ok_or(GONE)?;
        let pid = recovery.map(|(recovery, user)| {
            let namespace = Arc::clone(&self.namespace);
            recovery.key.sign(&Pid {
                sid: Arc::clone(&sid),
                namespace,
                user,
                began_at: entered.position,
            })
        });
        let offset = pid.is_some().then(|| entered.position.to_string());
        self.send_connect(&sid, &welcome.identity, pid.as_deref(), offset.as_deref(), false);
        self.go_live(&client, &entered);
        Ok(client)
    }

    /// Resumes the session that the client had. Returns `None` if it cannot be resumed.
    async fn resume(
        &self,
        recovery: &Recovery,
        pid: &Pid,
        request: &ResumeRequest,
        welcome: &Welcome,
    ) -> Result<Option<Client>, Error> {
        let connection_no = rand::random();
        let client = self.client(
            Arc::clone(&pid.sid),
            Some(Arc::clone(&pid.user)),
            Some(connection_no),
            welcome,
        );
        let socket = client.0.socket;
        let session = SessionAttempt {
            sid: Arc::clone(&pid.sid),
            namespace: Arc::clone(&self.namespace),
            user: Arc::clone(&pid.user),
            connection_no,
        };
        let offset = request.offset.as_deref().and_then(|offset| offset.parse().ok());
        let claim = Claim { first: pid.began_at, offset };
        let (removed, resumed) = {
            let _order = recovery.order.lock().unwrap_or_else(PoisonError::into_inner);
            // From here on an older connection of this session is aborted, and a later one aborts
            // this one.
            (self.register(&client, welcome), recovery.log.resume(session.clone(), claim))
        };
        let Some(Resumed { rooms: joined, confirmed }) = resumed.await? else {
            self.slot.take();
            self.host.worker.alarms.end(socket, &client.0.alarm);
            self.host.worker.hub.remove_socket(socket, true);
            return Ok(None);
        };
        let since = pid.began_at.id;
        let own = welcome.rooms.iter().map(|room| RoomMembership {
            room: Arc::clone(room),
            since,
            until: None,
        });
        let mut entering: Vec<_> =
            welcome.rooms.iter().map(|room| (Arc::clone(room), Visibility::Hidden)).collect();
        let current = joined.iter().filter(|membership| membership.until.is_none());
        entering
            .extend(current.map(|membership| (Arc::clone(&membership.room), Visibility::Visible)));
        let memberships: Vec<_> = own.chain(joined).collect();

        let mut replay =
            Replay::new(Arc::clone(&self.namespace), pid.began_at, offset, confirmed, memberships);
        let came_with = request.offset.clone().filter(|_| offset == Some(replay.at()));
        let from = came_with.unwrap_or_else(|| replay.at().to_string());
        self.send_connect(&pid.sid, &welcome.identity, Some(&request.pid), Some(&from), true);
        let source = Source { recovery, session, removed };
        self.catch_up(&source, &mut replay).await?;
        let entered = self.host.worker.hub.enter(socket, entering).await.ok_or(GONE)?;
        self.send_up_to(entered.position.id, &source, &mut replay).await?;
        for (room, present) in &entered.present {
            let state = present.to_json(room).into();
            self.connection.push(self.connection.protocol.transient_event(
                &self.namespace,
                "presence:state",
                &state,
                entered.position,
            ));
        }
        self.go_live(&client, &entered);
        Ok(Some(client))
    }

    fn client(
        &self,
        sid: Arc<str>,
        user: Option<Arc<str>>,
        connection_no: Option<i64>,
        welcome: &Welcome,
    ) -> Client {
        let client = Client(Rc::new(ClientParts {
            socket: SocketId::next(),
            sid,
            user,
            connection_no,
            entered_at: Cell::new(i64::MAX),
            namespace: Arc::clone(&self.namespace),
            activity: Activity::new(),
            data: Rc::clone(&welcome.data),
            worker: Rc::clone(&self.host.worker),
            connection: Rc::clone(&self.connection),
            acks: PendingAcks::default(),
            ending: OnceCell::new(),
            alarm: Alarm::default(),
        }));
        *self.slot.borrow_mut() = Some(client.clone());
        client
    }

    fn register(&self, client: &Client, welcome: &Welcome) -> RemovedRooms {
        let ClientParts { socket, sid, user, connection_no, activity, .. } = &*client.0;
        let most = self.host.worker.settings.sockets_per_user.filter(|_| !welcome.is_trusted);
        self.host.sockets.register(
            *socket,
            Arc::clone(&self.namespace),
            Rc::clone(&self.connection),
            self.session.downgrade(),
        );
        if let Some(at) = welcome.wake_at {
            client.wake_at(at);
        }
        let removed = RemovedRooms::default();
        self.host.worker.hub.register_socket(RegisterSocket {
            socket: *socket,
            worker: self.host.worker.id,
            namespace: Arc::clone(&self.namespace),
            sid: Arc::clone(sid),
            user: user.clone(),
            connection_no: *connection_no,
            removed: removed.clone(),
            activity: activity.clone(),
            most,
        });
        removed
    }

    /// Queues a socket's first frames: the answer to CONNECT, and the `session` event. On the plain
    /// protocol the event's field `session` holds the `pid`.
    fn send_connect(
        &self,
        sid: &str,
        identity: &serde_json::Value,
        pid: Option<&str>,
        offset: Option<&str>,
        recovered: bool,
    ) {
        let protocol = self.connection.protocol;
        if matches!(protocol, Protocol::SocketIo { .. }) {
            self.connection.push(websocket::text(&socketio::connect(&self.namespace, sid, pid)));
        }
        if !self.host.shared.settings.session_event || protocol == Protocol::EngineIo {
            return;
        }
        let session = json!({
            "session": if protocol == Protocol::Plain { pid.unwrap_or(sid) } else { sid },
            "userId": identity,
            "recovered": recovered,
            "serverTime": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
        });
        self.connection.push(protocol.event(&self.namespace, "session", &session.into(), offset));
    }

    fn go_live(&self, client: &Client, entered: &Entered) {
        client.0.entered_at.set(entered.position.id);
        self.host.sockets.release(client.0.socket);
    }

    /// Sends the missed events up to the end of the log, which may grow meanwhile.
    async fn catch_up(&self, source: &Source<'_>, replay: &mut Replay) -> Result<(), Error> {
        let tail = self.host.worker.hub.tail();
        let (mut patience, step) = CATCHING_UP;
        // A client from another server with the same log may be ahead of this one.
        while tail.last() < replay.at().position.id {
            patience = patience.checked_sub(1).ok_or(BEHIND)?;
            tokio::time::sleep(step).await;
        }
        while replay.is_behind(tail.last()) {
            self.send_up_to(tail.last(), source, replay).await?;
        }
        Ok(())
    }

    /// Sends the missed events up to `end`, which the hub has routed. It sends each page when the
    /// client has taken the one before.
    async fn send_up_to(
        &self,
        end: i64,
        source: &Source<'_>,
        replay: &mut Replay,
    ) -> Result<(), Error> {
        let (connection, aliases) = (&self.connection, self.host.shared.settings.aliases);
        let Source { recovery, session, removed } = source;
        while replay.is_behind(end) {
            // Removals are checked only after `end` is fixed: an event sent after a removal has an
            // id above `end`.
            replay.end_memberships(|room| !removed.has(room));
            let page = if let Some(page) = replay.page_from_memory(self.host.worker.hub.tail()) {
                page
            } else {
                let page = recovery.log.page(
                    session,
                    replay.memberships().to_vec(),
                    replay.after(),
                    replay.up_to(end),
                );
                page.await?.ok_or(PRUNED)?
            };
            for frame in replay.take(&page, end, connection.protocol, aliases).ok_or(PRUNED)? {
                connection.push(frame);
                connection.until_short().await;
            }
            connection.flush();
            // A long replay from memory must not hold up the worker's other sockets.
            tokio::task::yield_now().await;
            if !connection.is_open()
                || self.slot.borrow().as_ref().is_some_and(|client| client.0.ending.get().is_some())
            {
                return Err(GONE);
            }
        }
        Ok(())
    }
}

/// The source of a resumed socket's missed events, and the rooms that it was removed from.
struct Source<'a> {
    recovery: &'a Recovery,
    session: SessionAttempt,
    removed: RemovedRooms,
}

/// Returns a new public id of 120 random bits.
pub(super) fn new_sid() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 15]>())
}
