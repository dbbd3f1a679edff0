//! Sets the start of the log in memory.

use std::sync::Arc;

use actix::prelude::*;

use crate::core::event::Event;
use crate::core::recovery::Position;
use crate::hub::handle::HubHandle;
use crate::hub::hub::Hub;

#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::hub) struct Begin {
    position: Position,
    last: Vec<Event>,
}

impl HubHandle {
    /// Sets the end of the log and its last events, each marked with its position. Call it before
    /// anything is published and before any session can resume.
    pub fn begin(&self, position: Position, last: Vec<Event>) {
        self.hub.do_send(Begin { position, last });
    }
}

impl Handler<Begin> for Hub {
    type Result = ();

    fn handle(&mut self, Begin { position, last }: Begin, _: &mut Self::Context) {
        let first = last.first().and_then(Event::position);
        self.tail.begin(first.map_or(position.id, |first| first.id - 1));
        for event in last.into_iter().map(Arc::new) {
            if let Some(at) = event.position() {
                self.tail.push(at.id, &event);
            }
        }
        self.position = position;
    }
}
