//! Enters a socket in two steps: it is registered, and later it enters its first rooms. In between,
//! a resumed socket is sent the events that it has missed.

use std::num::NonZeroI64;
use std::sync::Arc;

use actix::prelude::*;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use crate::core::activity::Activity;
use crate::core::ids::{SocketId, WorkerId};
use crate::core::recovery::Position;
use crate::hub::handle::HubHandle;
use crate::hub::hub::{Hub, HubSocket, JoinedRoom, RemovedRooms, SocketStage, Visibility};
use crate::hub::presence::{Gone, Present};
use crate::hub::workers::{EnterRooms, TakeOver};

/// Registers a socket.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RegisterSocket {
    pub(crate) socket: SocketId,
    pub(crate) worker: WorkerId,
    pub(crate) namespace: Arc<str>,
    pub(crate) sid: Arc<str>,
    /// The identity as JSON text, if the socket has one.
    pub(crate) user: Option<Arc<str>>,
    pub(crate) connection_no: Option<i64>,
    pub(crate) removed: RemovedRooms,
    pub(crate) activity: Activity,
    /// The most sockets that the user may have, if there is a limit.
    pub(crate) most: Option<usize>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::hub) struct Enter {
    socket: SocketId,
    rooms: Vec<(Arc<str>, Visibility)>,
    done: oneshot::Sender<Entered>,
}

/// The hub's answer to a socket that has entered.
pub(crate) struct Entered {
    /// The last stored event that was routed before the entry.
    pub(crate) position: Position,
    /// The users of the rooms in which the socket is visible.
    pub(crate) present: Vec<(Arc<str>, Present)>,
}

impl HubHandle {
    /// Registers a socket. A socket with the same `sid` is taken over: its connection is aborted.
    ///
    /// A session calls this before it waits for anything, so that [`HubHandle::remove_socket`] for
    /// the same socket cannot overtake it.
    pub(crate) fn register_socket(&self, register: RegisterSocket) {
        self.hub.do_send(register);
    }

    /// Enters a registered socket into its first rooms, except those that it was removed from
    /// meanwhile. Its worker gets every event that is routed later. Returns `None` if the socket
    /// was taken over.
    pub(crate) async fn enter(
        &self,
        socket: SocketId,
        rooms: Vec<(Arc<str>, Visibility)>,
    ) -> Option<Entered> {
        let (done, entered) = oneshot::channel();
        self.hub.do_send(Enter { socket, rooms, done });
        entered.await.ok()
    }
}

impl Handler<RegisterSocket> for Hub {
    type Result = ();

    fn handle(&mut self, register: RegisterSocket, ctx: &mut Self::Context) {
        let RegisterSocket {
            socket,
            worker,
            namespace,
            sid,
            user,
            connection_no,
            removed,
            activity,
            most,
        } = register;
        if let Some(older) = self.sids.insert(Arc::clone(&sid), socket)
            && let Some(worker) = self.remove(older, Gone::Lost)
        {
            if let Some(worker) = self.workers.get(&worker) {
                worker.take_over.do_send(TakeOver(older));
            }
            self.watch_presence(ctx);
        }
        *self.sockets_of.entry(Arc::clone(&namespace)).or_default() += 1;
        if let Some(user) = &user {
            let users = self.users.entry(Arc::clone(&namespace)).or_default();
            users.entry(Arc::clone(user)).or_default().push(socket);
        }
        let connection_no = connection_no.and_then(NonZeroI64::new);
        let stage = SocketStage::Entering(removed);
        let capped = user.clone().zip(most);
        let entry = HubSocket {
            worker,
            namespace,
            sid,
            user,
            connection_no,
            activity,
            is_surplus: false,
            stage,
        };
        self.sockets.insert(socket, entry);
        if let Some((user, most)) = capped {
            self.hold_to(&user, most, socket);
        }
    }
}

impl Handler<Enter> for Hub {
    type Result = ();

    fn handle(&mut self, Enter { socket, mut rooms, done }: Enter, ctx: &mut Self::Context) {
        let Some(entry) = self.sockets.get_mut(&socket) else { return };
        if let SocketStage::Entering(removed) = &entry.stage {
            rooms.retain(|(room, _)| !removed.has(room));
        }
        let (worker, namespace, user) =
            (entry.worker, Arc::clone(&entry.namespace), entry.user.clone());
        let mut present = Vec::new();
        let mut joined: SmallVec<[JoinedRoom; 2]> = SmallVec::new();
        for (room, visibility) in rooms {
            let room = self.count_in(&namespace, room, worker);
            if visibility == Visibility::Visible {
                let key = (Arc::clone(&namespace), Arc::clone(&room));
                if let Some(user) = &user {
                    self.presence.enter(&key, user);
                }
                present.push((Arc::clone(&room), self.presence.of(&key)));
            }
            joined.push(JoinedRoom { room, visibility });
        }
        let rooms = joined.iter().map(|joined| Arc::clone(&joined.room)).collect();
        if let Some(entry) = self.sockets.get_mut(&socket) {
            entry.stage = SocketStage::Entered(joined);
        }
        if let Some(worker) = self.workers.get(&worker) {
            worker.enter.do_send(EnterRooms { socket, rooms, position: self.position });
        }
        self.watch_presence(ctx);
        // The session may have ended meanwhile, and then removes the socket.
        let _ = done.send(Entered { position: self.position, present });
    }
}
