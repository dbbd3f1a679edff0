//! How a socket comes in: with a session of its own, or with the one that its client had, and then
//! with all that it has missed.
//!
//! Everything that the hub routes from [`HubHandle::enter`](super::HubHandle) on is held at the
//! outlet. Before that, what was missed is read page by page, the next page when the client has
//! taken the last; behind it, what came up to the hub's position, and then what was held. So
//! nothing is missing, nothing comes twice, and a client that takes long costs one page.

use std::cell::{Cell, OnceCell, RefCell};
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

use super::alarms::Alarm;
use super::asks::Asks;
use super::client::{Client, ClientParts};
use super::frame::Protocol;
use super::gateway::{Welcome, query_value};
use super::hub::{Arrive, Barred, Entered, Entrance, SocketId};
use super::link::Link;
use super::log::{Attachment, Claim, Resumed};
use super::outlet::Worker;
use super::recovery::{Pid, Stay};
use super::replay::Replay;
use super::server::Recovery;
use super::session::Session;
use super::wire::{socketio, websocket};
use crate::error::Error;

/// Where the session finds the handle of a socket that is on its way in.
pub(super) type Slot = Rc<RefCell<Option<Client>>>;

const GONE: Error = Error::Unavailable("The connection has gone");
const BEHIND: Error = Error::Unavailable("This server does not know yet what the client has");
const PRUNED: Error = Error::Unavailable("What was missed is not kept any more");

/// How long to wait for the hub to hear of what a client has heard elsewhere already, in steps.
const CATCHING_UP: (u32, Duration) = (200, Duration::from_millis(25));

/// What a client comes back with, as it was sent.
pub(super) struct Comeback {
    pid: String,
    offset: Option<String>,
}

impl Comeback {
    /// From CONNECT's payload.
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

    /// From `?resume=&offset=`.
    pub(super) fn of_query(query: &str) -> Option<Self> {
        Some(Self { pid: query_value(query, "resume")?, offset: query_value(query, "offset") })
    }
}

/// A socket that was admitted.
pub(super) struct Arrival {
    pub(super) worker: Rc<Worker>,
    pub(super) link: Rc<Link>,
    pub(super) session: Addr<Session>,
    pub(super) namespace: Arc<str>,
    pub(super) slot: Slot,
}

impl Arrival {
    /// Ends with the socket in: what it is told first is on its way, and what is routed from then
    /// on follows.
    pub(super) async fn come_in(
        self,
        welcome: Welcome,
        comeback: Option<Comeback>,
    ) -> Result<Client, Error> {
        let user = (!welcome.identity.is_null()).then(|| Arc::from(welcome.identity.to_string()));
        let offsets =
            matches!(self.link.protocol, Protocol::SocketIo { offsets: true } | Protocol::Plain);
        let recovery = self.worker.shared.recovery.as_ref().zip(user.clone()).filter(|_| offsets);
        if let (Some((recovery, user)), Some(comeback)) = (&recovery, comeback)
            && let Some(pid) = recovery.key.read(&comeback.pid)
            && pid.namespace == self.namespace
            && pid.user == *user
            && let Some(client) = self.resume(recovery, &pid, &comeback, &welcome).await?
        {
            return Ok(client);
        }
        self.begin(recovery, user, welcome).await
    }

    /// A session of its own.
    async fn begin(
        &self,
        recovery: Option<(&Recovery, Arc<str>)>,
        user: Option<Arc<str>>,
        welcome: Welcome,
    ) -> Result<Client, Error> {
        let sid: Arc<str> = sid().into();
        let attachment = recovery.as_ref().map(|_| rand::random());
        let client = self.client(Arc::clone(&sid), user.clone(), attachment, &welcome);
        let socket = client.0.socket;
        if let (Some((recovery, user)), Some(attachment)) = (&recovery, attachment) {
            let (sid, namespace, user) =
                (Arc::clone(&sid), Arc::clone(&self.namespace), Arc::clone(user));
            if let Err(error) =
                recovery.log.open(Attachment { sid, namespace, user, attachment }).await
            {
                // Nobody knows of it.
                self.slot.take();
                return Err(error);
            }
        }
        self.arrive(&client, &welcome);
        let rooms = welcome.rooms.into_iter().map(|room| (room, Entrance::Silent)).collect();
        let entered = self.worker.hub.enter(socket, rooms).await.ok_or(GONE)?;
        let pid = recovery.map(|(recovery, user)| {
            let namespace = Arc::clone(&self.namespace);
            recovery.key.sign(&Pid {
                sid: Arc::clone(&sid),
                namespace,
                user,
                first: entered.position,
            })
        });
        let offset = pid.is_some().then(|| entered.position.to_string());
        self.hello(&sid, &welcome.identity, pid.as_deref(), offset.as_deref(), false);
        self.settle(&client, &entered);
        Ok(client)
    }

    /// The session that the client had. `None`: it can not be resumed.
    async fn resume(
        &self,
        recovery: &Recovery,
        pid: &Pid,
        comeback: &Comeback,
        welcome: &Welcome,
    ) -> Result<Option<Client>, Error> {
        let attachment = rand::random();
        let client = self.client(
            Arc::clone(&pid.sid),
            Some(Arc::clone(&pid.user)),
            Some(attachment),
            welcome,
        );
        let socket = client.0.socket;
        let session = Attachment {
            sid: Arc::clone(&pid.sid),
            namespace: Arc::clone(&self.namespace),
            user: Arc::clone(&pid.user),
            attachment,
        };
        let offset = comeback.offset.as_deref().and_then(|offset| offset.parse().ok());
        let claim = Claim { first: pid.first, offset };
        let (barred, resumed) = {
            let _order = recovery.order.lock().unwrap_or_else(PoisonError::into_inner);
            // From here on one that lingers under this name is cut, and one that comes later cuts
            // this.
            (self.arrive(&client, welcome), recovery.log.resume(session.clone(), claim))
        };
        let Some(Resumed { rooms: joined, confirmed }) = resumed.await? else {
            self.slot.take();
            self.worker.alarms.end(socket, &client.0.alarm);
            self.worker.hub.disconnect(socket, true);
            return Ok(None);
        };
        let since = pid.first.id;
        let own =
            welcome.rooms.iter().map(|room| Stay { room: Arc::clone(room), since, until: None });
        let mut entering: Vec<_> =
            welcome.rooms.iter().map(|room| (Arc::clone(room), Entrance::Silent)).collect();
        let there = joined.iter().filter(|stay| stay.until.is_none());
        entering.extend(there.map(|stay| (Arc::clone(&stay.room), Entrance::Seen)));
        let stays: Vec<_> = own.chain(joined).collect();

        let mut replay =
            Replay::new(Arc::clone(&self.namespace), pid.first, offset, confirmed, stays);
        let came_with = comeback.offset.clone().filter(|_| offset == Some(replay.at()));
        let from = came_with.unwrap_or_else(|| replay.at().to_string());
        self.hello(&pid.sid, &welcome.identity, Some(&comeback.pid), Some(&from), true);
        let source = Source { recovery, session, barred };
        self.catch_up(&source, &mut replay).await?;
        let entered = self.worker.hub.enter(socket, entering).await.ok_or(GONE)?;
        self.send_up_to(entered.position.id, &source, &mut replay).await?;
        for (room, present) in &entered.present {
            let state = present.to_json(room).into();
            self.link.push(self.link.protocol.unstored(
                &self.namespace,
                "presence:state",
                &state,
                entered.position,
            ));
        }
        self.settle(&client, &entered);
        Ok(Some(client))
    }

    fn client(
        &self,
        sid: Arc<str>,
        user: Option<Arc<str>>,
        attachment: Option<i64>,
        welcome: &Welcome,
    ) -> Client {
        let client = Client(Rc::new(ClientParts {
            socket: SocketId::next(),
            sid,
            user,
            attachment,
            entered_at: Cell::new(i64::MAX),
            namespace: Arc::clone(&self.namespace),
            data: Rc::clone(&welcome.data),
            worker: Rc::clone(&self.worker),
            link: Rc::clone(&self.link),
            asks: Asks::default(),
            kicked: OnceCell::new(),
            alarm: Alarm::default(),
        }));
        *self.slot.borrow_mut() = Some(client.clone());
        client
    }

    fn arrive(&self, client: &Client, welcome: &Welcome) -> Barred {
        let ClientParts { socket, sid, user, attachment, .. } = &*client.0;
        self.worker.register(
            *socket,
            Arc::clone(&self.namespace),
            Rc::clone(&self.link),
            self.session.downgrade(),
        );
        if let Some(at) = welcome.wake_at {
            client.wake_at(at);
        }
        let barred = Barred::default();
        self.worker.hub.arrive(Arrive {
            socket: *socket,
            worker: self.worker.id,
            namespace: Arc::clone(&self.namespace),
            sid: Arc::clone(sid),
            user: user.clone(),
            attachment: *attachment,
            barred: barred.clone(),
        });
        barred
    }

    /// What a socket gets first: the namespace's yes, and the `session` event. On the plain
    /// protocol `session` is what it can be resumed by.
    fn hello(
        &self,
        sid: &str,
        identity: &serde_json::Value,
        pid: Option<&str>,
        offset: Option<&str>,
        recovered: bool,
    ) {
        let protocol = self.link.protocol;
        if matches!(protocol, Protocol::SocketIo { .. }) {
            self.link.push(websocket::text(&socketio::connect(&self.namespace, sid, pid)));
        }
        if !self.worker.shared.settings.session_event || protocol == Protocol::EngineIo {
            return;
        }
        let session = json!({
            "session": if protocol == Protocol::Plain { pid.unwrap_or(sid) } else { sid },
            "userId": identity,
            "recovered": recovered,
            "serverTime": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
        });
        self.link.push(protocol.event(&self.namespace, "session", &session.into(), offset));
    }

    fn settle(&self, client: &Client, entered: &Entered) {
        client.0.entered_at.set(entered.position.id);
        self.worker.release(client.0.socket);
    }

    /// Sends what was missed up to where the log ends, which may go on meanwhile.
    async fn catch_up(&self, source: &Source<'_>, replay: &mut Replay) -> Result<(), Error> {
        let tail = self.worker.hub.tail();
        let (mut patience, step) = CATCHING_UP;
        // The client was with another server that shares the log, and is ahead of this one.
        while tail.last() < replay.at().position.id {
            patience = patience.checked_sub(1).ok_or(BEHIND)?;
            tokio::time::sleep(step).await;
        }
        while replay.is_behind(tail.last()) {
            self.send_up_to(tail.last(), source, replay).await?;
        }
        Ok(())
    }

    /// Sends what was missed up to that event, which the hub has routed: a page when the one before
    /// has been taken.
    async fn send_up_to(
        &self,
        end: i64,
        source: &Source<'_>,
        replay: &mut Replay,
    ) -> Result<(), Error> {
        let (link, aliases) = (&self.link, self.worker.shared.settings.aliases);
        let Source { recovery, session, barred } = source;
        while replay.is_behind(end) {
            // Looked at when the end is known: what was said behind a removal lies behind it.
            replay.stay_where(|room| !barred.has(room));
            let page = if let Some(page) = replay.known(self.worker.hub.tail()) {
                page
            } else {
                let page = recovery.log.page(
                    session,
                    replay.stays().to_vec(),
                    replay.after(),
                    replay.up_to(end),
                );
                page.await?.ok_or(PRUNED)?
            };
            for frame in replay.take(&page, end, link.protocol, aliases).ok_or(PRUNED)? {
                link.push(frame);
                link.roomy().await;
            }
            link.flush();
            // A long way through memory must not hold up the worker's other sockets.
            tokio::task::yield_now().await;
            if !link.is_open()
                || self.slot.borrow().as_ref().is_some_and(|client| client.0.kicked.get().is_some())
            {
                return Err(GONE);
            }
        }
        Ok(())
    }
}

/// Where a socket that comes back gets what it has missed, and what it must not have.
struct Source<'a> {
    recovery: &'a Recovery,
    session: Attachment,
    barred: Barred,
}

/// A public id: 120 random bits.
pub(super) fn sid() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 15]>())
}
