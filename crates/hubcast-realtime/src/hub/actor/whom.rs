//! What is meant for certain sockets: one, a user's, a room's, or all of a namespace. A user's
//! sockets the hub knows itself; who is in a room, only the outlets know.

use std::num::NonZeroI64;
use std::sync::Arc;

use actix::prelude::*;
use smallvec::SmallVec;

use super::{Hub, Way};
use crate::client::Goodbye;
use crate::hub::messages::{Describe, Dismiss, Evict, Find, Known, Say, Tell, TellUser};
use crate::hub::{SocketId, Whom, WorkerId};
use crate::outlet::{Forward, Outgoing, Roll, Then};

impl Hub {
    fn of_user(&self, namespace: &str, user: &str) -> SmallVec<[SocketId; 2]> {
        self.users.get(namespace).and_then(|users| users.get(user)).cloned().unwrap_or_default()
    }

    fn send_to(&self, socket: SocketId, what: Outgoing) {
        if let Some(worker) = self.sockets.get(&socket).map(|entry| entry.worker) {
            self.tell(worker, Forward { socket, what });
        }
    }

    /// Workers that may have such sockets.
    fn workers_of(&self, namespace: &str, room: Option<&str>) -> Vec<WorkerId> {
        match room {
            None => self.workers.keys().copied().collect(),
            Some(room) => {
                let spread = self.rooms.get(namespace).and_then(|rooms| rooms.get(room));
                spread.into_iter().flatten().map(|(worker, _)| *worker).collect()
            }
        }
    }

    fn call_roll(&self, namespace: &Arc<str>, room: Option<&Arc<str>>, then: impl Fn() -> Then) {
        for worker in self.workers_of(namespace, room.map(|room| &**room)) {
            self.tell(
                worker,
                Roll { namespace: Arc::clone(namespace), room: room.cloned(), then: then() },
            );
        }
    }
}

impl Handler<Tell> for Hub {
    type Result = ();

    fn handle(&mut self, Tell { socket, what }: Tell, _: &mut Self::Context) {
        self.send_to(socket, what);
    }
}

impl Handler<TellUser> for Hub {
    type Result = ();

    fn handle(&mut self, TellUser { user, event, share, done }: TellUser, _: &mut Self::Context) {
        event.routed_at(self.position);
        for socket in self.of_user(&event.namespace, &user) {
            self.send_to(
                socket,
                Outgoing::Shared { event: Arc::clone(&event), share: Arc::clone(&share) },
            );
        }
        // Who waited may have gone.
        let _ = done.send(());
    }
}

impl Handler<Find> for Hub {
    type Result = ();

    fn handle(&mut self, Find { namespace, whom, names }: Find, _: &mut Self::Context) {
        let room = match whom {
            Whom::All => None,
            Whom::Room(room) => Some(room),
            Whom::User(user) => {
                for socket in self.of_user(&namespace, &user.to_string()) {
                    // Who asked may have gone.
                    let _ = names.send(socket);
                }
                return;
            }
        };
        self.call_roll(&namespace, room.as_ref(), || Then::Name(names.clone()));
    }
}

impl Handler<Describe> for Hub {
    type Result = ();

    fn handle(&mut self, Describe { sockets, done }: Describe, _: &mut Self::Context) {
        let known = |socket| {
            let entry =
                self.sockets.get(&socket).filter(|entry| matches!(entry.way, Way::In(_)))?;
            Some(Known {
                socket,
                sid: Arc::clone(&entry.sid),
                user: entry.user.clone(),
                attachment: entry.attachment.map(NonZeroI64::get),
            })
        };
        // Who asked may have gone.
        let _ = done.send(sockets.into_iter().filter_map(known).collect());
    }
}

impl Handler<Dismiss> for Hub {
    type Result = ();

    fn handle(&mut self, Dismiss { namespace, whom, close }: Dismiss, _: &mut Self::Context) {
        let room = match whom {
            Whom::All => None,
            Whom::Room(room) => Some(room),
            Whom::User(user) => {
                for socket in self.of_user(&namespace, &user.to_string()) {
                    self.send_to(socket, Outgoing::Goodbye(Goodbye::kick(close)));
                }
                return;
            }
        };
        self.call_roll(&namespace, room.as_ref(), || Then::End(close));
    }
}

impl Handler<Say> for Hub {
    type Result = ();

    fn handle(&mut self, Say { namespace, whom, signal }: Say, _: &mut Self::Context) {
        let room = match whom {
            Whom::All => None,
            Whom::Room(room) => Some(room),
            Whom::User(user) => {
                for socket in self.of_user(&namespace, &user.to_string()) {
                    self.send_to(socket, Outgoing::Signal(Arc::clone(&signal)));
                }
                return;
            }
        };
        self.call_roll(&namespace, room.as_ref(), || Then::Signal(Arc::clone(&signal)));
    }
}

impl Handler<Evict> for Hub {
    type Result = ();

    fn handle(&mut self, Evict { namespace, user, room }: Evict, ctx: &mut Self::Context) {
        for socket in self.of_user(&namespace, &user) {
            self.put_out(socket, &room);
        }
        self.presence.forget(&(namespace, room), &user);
        self.watch(ctx);
    }
}
