//! What a socket that comes back has missed, the pure part: from where on, which events, and which
//! frames of them. `arrival` fetches the pages and sends the frames; the test drives the same code
//! through random schedules (`replay_model`).

use std::sync::Arc;

use bytes::Bytes;

use crate::core::event::Event;
use crate::core::protocol::Protocol;
use crate::core::recovery::{Offset, Position, RoomMembership};
use crate::core::settings::Aliases;
use crate::hub::tail::{LogPage, Tail};

/// A client's way through the log.
pub(crate) struct Replay {
    namespace: Arc<str>,
    stays: Vec<RoomMembership>,
    /// It has, or is being sent, everything for it up to there.
    at: Offset,
}

impl Replay {
    /// From the latest of where its session began, the offset that it came with, and what it surely
    /// has.
    pub(crate) fn new(
        namespace: Arc<str>,
        first: Position,
        offset: Option<Offset>,
        confirmed: Option<Position>,
        stays: Vec<RoomMembership>,
    ) -> Self {
        let known = [offset, confirmed.map(Offset::whole)].into_iter().flatten();
        Self { namespace, stays, at: known.fold(Offset::whole(first), Offset::max) }
    }

    pub(crate) fn at(&self) -> Offset {
        self.at
    }

    /// Leaves the rooms that it is in no more.
    pub(crate) fn stay_where(&mut self, is_in: impl Fn(&str) -> bool) {
        let at = self.at.position.id;
        for stay in self.stays.iter_mut().filter(|stay| stay.until.is_none() && !is_in(&stay.room))
        {
            stay.until = Some(at);
        }
    }

    pub(crate) fn stays(&self) -> &[RoomMembership] {
        &self.stays
    }

    /// Whether something up to `end` may be missing.
    pub(crate) fn is_behind(&self, end: i64) -> bool {
        self.at.half || self.at.position.id < end
    }

    /// The event behind which the next page begins.
    pub(crate) fn after(&self) -> i64 {
        // Of an event that is half there, the rest is wanted.
        self.at.position.id - i64::from(self.at.half)
    }

    /// The event with which the next page ends, when all up to `end` is wanted.
    pub(crate) fn up_to(&self, end: i64) -> i64 {
        end.max(self.at.position.id)
    }

    /// The next page, from memory. `None`: it has to be read.
    pub(crate) fn known(&self, tail: &Tail) -> Option<LogPage> {
        let is_mine =
            |event: &Event| event.namespace == self.namespace && event.is_for(&self.stays);
        tail.page(self.after(), is_mine).filter(|page| page.end > self.after())
    }

    /// Takes a page: the frames to be sent, event by event, nothing of what is behind `end`.
    /// `None`: the page brings nothing new.
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
