//! The data that the connections of one worker thread share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use bytes::BytesMut;

use super::alarms::Alarms;
use super::fanout::Fanout;
use super::session_actor::{GatewayCall, SessionActor};
use super::sockets::{SocketTable, Sockets};
use crate::connection::connection::Connection;
use crate::connection::deadlines::Deadlines;
use crate::core::ids::{SocketId, WorkerId};
use crate::core::recovery::Position;
use crate::core::settings::Settings;
use crate::hub::handle::HubHandle;
use crate::hub::workers::{Outgoing, SendTo};

/// One worker thread, without the type of its sessions.
pub(crate) struct Worker {
    pub(crate) id: WorkerId,
    pub(crate) settings: Arc<Settings>,
    pub(crate) hub: HubHandle,
    pub(crate) deadlines: Rc<Deadlines<Connection>>,
    pub(crate) alarms: Rc<Alarms>,
    /// Every connection reads into this buffer. The rest of a frame moves to a buffer of its own.
    pub(crate) scratch: Rc<RefCell<BytesMut>>,
    /// The log's last event that this worker knows of. All events for a socket up to there are on
    /// its queue, once the socket has entered.
    pub(crate) position: Rc<Cell<Position>>,
    pub(crate) sockets: Rc<dyn SocketTable>,
    fanout: Recipient<SendTo>,
}

impl Worker {
    /// Starts the current thread's fan-out and registers it with the hub. Also returns the table of
    /// sockets, in which the sessions register theirs.
    pub(crate) fn start<S: SessionActor>(
        settings: Arc<Settings>,
        hub: HubHandle,
    ) -> (Rc<Self>, Rc<Sockets<S>>) {
        let deadlines = Deadlines::new();
        actix_rt::spawn(Rc::clone(&deadlines).run());
        let sockets = Rc::new(Sockets::<S>::default());
        let (alarms, due) = (Rc::new(Alarms::default()), Rc::clone(&sockets));
        actix_rt::spawn(Rc::clone(&alarms).run(move |socket| {
            if let Some(own) = due.get(socket) {
                own.call_gateway(socket, GatewayCall::Alarm);
            }
        }));
        let position = Rc::new(Cell::default());
        let fanout = Fanout::new(
            &settings,
            Rc::clone(&sockets),
            Rc::clone(&position),
            Rc::clone(&deadlines),
        )
        .start();
        let id = hub.register_worker(&fanout);
        let worker = Rc::new(Self {
            id,
            settings,
            hub,
            deadlines,
            alarms,
            scratch: Rc::default(),
            position,
            sockets: Rc::<Sockets<S>>::clone(&sockets),
            fanout: fanout.recipient(),
        });
        (worker, sockets)
    }

    /// Sends something to one socket, after everything that the hub has routed to it so far.
    pub(crate) fn send(&self, socket: SocketId, what: Outgoing) {
        self.fanout.do_send(SendTo { socket, what });
    }
}
