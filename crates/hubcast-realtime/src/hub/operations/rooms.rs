//! Changes rooms of sockets that have entered: join, leave, and remove all sockets of a user.

use std::sync::Arc;

use actix::prelude::*;
use serde_json::Value;
use smallvec::SmallVec;

use crate::core::ids::SocketId;
use crate::hub::handle::HubHandle;
use crate::hub::hub::{Hub, HubSocket, JoinedRoom, SocketStage, Visibility};
use crate::hub::presence::Present;
use crate::hub::workers::EnterRooms;

#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::hub) struct Join {
    socket: SocketId,
    room: Arc<str>,
    visibility: Visibility,
    done: Box<dyn FnOnce(Present) + Send>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::hub) struct Leave {
    socket: SocketId,
    room: Arc<str>,
    done: Box<dyn FnOnce(Present) + Send>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::hub) struct RemoveFromRoom {
    namespace: Arc<str>,
    user: Arc<str>,
    room: Arc<str>,
}

impl HubHandle {
    pub(crate) fn join(
        &self,
        socket: SocketId,
        room: Arc<str>,
        visibility: Visibility,
        done: impl FnOnce(Present) + Send + 'static,
    ) {
        self.hub.do_send(Join { socket, room, visibility, done: Box::new(done) });
    }

    pub(crate) fn leave(
        &self,
        socket: SocketId,
        room: Arc<str>,
        done: impl FnOnce(Present) + Send + 'static,
    ) {
        self.hub.do_send(Leave { socket, room, done: Box::new(done) });
    }

    /// Removes all sockets of a user from a room, by its
    /// [`Welcome::identity`](crate::Welcome::identity). They still get everything that was
    /// published before, and nothing that is published later.
    pub fn remove_from_room(&self, namespace: &str, user: &Value, room: &str) {
        self.hub.do_send(RemoveFromRoom {
            namespace: namespace.into(),
            user: user.to_string().into(),
            room: room.into(),
        });
    }
}

impl Handler<Join> for Hub {
    type Result = ();

    fn handle(&mut self, Join { socket, room, visibility, done }: Join, ctx: &mut Self::Context) {
        let Some(entry) = self.sockets.get(&socket) else { return };
        let (worker, key, user) =
            (entry.worker, (Arc::clone(&entry.namespace), Arc::clone(&room)), entry.user.clone());
        // A socket has handles only once it has entered.
        let SocketStage::Entered(rooms) = &entry.stage else { return };
        if !rooms.iter().any(|joined| joined.room == room) {
            let room = self.count_in(&key.0, room, worker);
            if let Some(HubSocket { stage: SocketStage::Entered(rooms), .. }) =
                self.sockets.get_mut(&socket)
            {
                rooms.push(JoinedRoom { room: Arc::clone(&room), visibility });
            }
            if let Some(worker) = self.workers.get(&worker) {
                let rooms = SmallVec::from_iter([room]);
                worker.enter.do_send(EnterRooms { socket, rooms, position: self.position });
            }
            if let (Some(user), Visibility::Visible) = (user, visibility) {
                self.presence.enter(&key, &user);
                self.watch_presence(ctx);
            }
        }
        done(self.presence.of(&key));
    }
}

impl Handler<Leave> for Hub {
    type Result = ();

    fn handle(&mut self, Leave { socket, room, done }: Leave, ctx: &mut Self::Context) {
        // The caller gets no list of users for a socket that was not in the room.
        let present = self.take_out(socket, &room).map(|key| self.presence.of(&key));
        self.watch_presence(ctx);
        done(present.unwrap_or_default());
    }
}

impl Handler<RemoveFromRoom> for Hub {
    type Result = ();

    fn handle(&mut self, remove: RemoveFromRoom, ctx: &mut Self::Context) {
        let RemoveFromRoom { namespace, user, room } = remove;
        for socket in self.sockets_of_user(&namespace, &user) {
            self.take_out(socket, &room);
        }
        self.presence.forget(&(namespace, room), &user);
        self.watch_presence(ctx);
    }
}
