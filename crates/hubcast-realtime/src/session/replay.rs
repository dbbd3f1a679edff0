//! Computes which events a resumed socket has missed, and their frames. `arrival` loads the pages
//! and sends the frames; `replay_model` drives this code through random schedules.

use std::sync::Arc;

use bytes::Bytes;

use crate::core::event::Event;
use crate::core::protocol::Protocol;
use crate::core::recovery::{Offset, Position, RoomMembership};
use crate::core::settings::Aliases;
use crate::hub::tail::{LogPage, Tail};

/// The progress of one resumed socket through the log.
pub(crate) struct Replay {
    namespace: Arc<str>,
    memberships: Vec<RoomMembership>,
    /// All events for the socket up to here are received or being sent.
    at: Offset,
}

impl Replay {
    /// Starts at the latest of the session's first position, the client's offset and the position
    /// that the client confirmed.
    pub(crate) fn new(
        namespace: Arc<str>,
        began_at: Position,
        offset: Option<Offset>,
        confirmed: Option<Position>,
        memberships: Vec<RoomMembership>,
    ) -> Self {
        let known = [offset, confirmed.map(Offset::whole)].into_iter().flatten();
        Self { namespace, memberships, at: known.fold(Offset::whole(began_at), Offset::max) }
    }

    pub(crate) fn at(&self) -> Offset {
        self.at
    }

    /// Ends the membership of all rooms for which `is_in` returns false.
    pub(crate) fn end_memberships(&mut self, is_in: impl Fn(&str) -> bool) {
        let at = self.at.position.id;
        for membership in self
            .memberships
            .iter_mut()
            .filter(|membership| membership.until.is_none() && !is_in(&membership.room))
        {
            membership.until = Some(at);
        }
    }

    pub(crate) fn memberships(&self) -> &[RoomMembership] {
        &self.memberships
    }

    /// Returns true if an event up to `end` may be missing.
    pub(crate) fn is_behind(&self, end: i64) -> bool {
        self.at.half || self.at.position.id < end
    }

    /// Returns the id of the event after which the next page begins.
    pub(crate) fn after(&self) -> i64 {
        // If an event arrived under only one of its names, the page begins with it.
        self.at.position.id - i64::from(self.at.half)
    }

    /// Returns the id of the event with which the next page ends, if all events up to `end` are
    /// wanted.
    pub(crate) fn up_to(&self, end: i64) -> i64 {
        end.max(self.at.position.id)
    }

    /// Returns the next page from memory, or `None` if it has to be read from the log.
    pub(crate) fn page_from_memory(&self, tail: &Tail) -> Option<LogPage> {
        let is_mine =
            |event: &Event| event.namespace == self.namespace && event.is_for(&self.memberships);
        tail.page(self.after(), is_mine).filter(|page| page.end > self.after())
    }

    /// Advances by a page and returns its frames in order, up to event `end`. Returns `None` if the
    /// page contains nothing new.
    pub(crate) fn take(
        &mut self,
        page: &LogPage,
        end: i64,
        protocol: Protocol,
        aliases: Aliases,
    ) -> Option<Vec<Bytes>> {
        let (at, end) = (self.at, self.up_to(end));
        if page.end <= self.after() {
            return None;
        }
        let mut frames = Vec::new();
        for event in &page.events {
            let Some(place) = event.position() else { continue };
            if place.id > end {
                break;
            }
            if at.half && place.id == at.position.id {
                frames.extend(event.rest(protocol, aliases));
            } else {
                frames.push(event.frame(protocol, aliases).clone());
            }
        }
        self.at = Offset::whole(Position { id: page.end.min(end), ..at.position });
        Some(frames)
    }
}
