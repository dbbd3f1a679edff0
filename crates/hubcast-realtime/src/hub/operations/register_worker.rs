//! Registers a worker, and drains all of them.

use std::time::Duration;

use actix::prelude::*;

use crate::core::ids::WorkerId;
use crate::hub::handle::HubHandle;
use crate::hub::hub::Hub;
use crate::hub::presence::Gone;
use crate::hub::workers::{Drain, WorkerActor, WorkerHandle};

#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::hub) struct RegisterWorker {
    id: WorkerId,
    handle: WorkerHandle,
}

impl HubHandle {
    pub(crate) fn register_worker<W: WorkerActor>(&self, worker: &Addr<W>) -> WorkerId {
        let id = WorkerId::next();
        self.hub.do_send(RegisterWorker { id, handle: WorkerHandle::new(worker) });
        id
    }

    /// Begins the shutdown: every worker closes its connections in batches within that time.
    pub fn drain(&self, within: Duration) {
        self.hub.do_send(Drain { within });
    }
}

impl Handler<RegisterWorker> for Hub {
    type Result = ();

    /// Also removes the sockets of workers whose threads have died, when a successor registers.
    fn handle(&mut self, RegisterWorker { id, handle }: RegisterWorker, ctx: &mut Self::Context) {
        self.workers.insert(id, handle);
        let is_dead =
            |(id, worker): (&WorkerId, &WorkerHandle)| (!worker.is_alive()).then_some(*id);
        let dead: Vec<_> = self.workers.iter().filter_map(is_dead).collect();
        for id in dead {
            self.workers.remove(&id);
            let sockets = self.sockets.iter().filter(|(_, entry)| entry.worker == id);
            let gone: Vec<_> = sockets.map(|(socket, _)| *socket).collect();
            for socket in gone {
                self.remove(socket, Gone::Lost);
            }
        }
        self.watch_presence(ctx);
    }
}

impl Handler<Drain> for Hub {
    type Result = ();

    fn handle(&mut self, drain: Drain, _: &mut Self::Context) {
        for worker in self.workers.values() {
            worker.drain.do_send(drain);
        }
    }
}
