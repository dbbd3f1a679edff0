//! Engine.IO's long-polling as a session has it: the poll that waits for something to be sent, and
//! the packets that a POST has brought. The requests are `transport/polling`'s; what is sent and
//! when is `link`'s.
//!
//! What waits for a client stands in its link as WebSocket frames, whatever it goes over: a payload
//! is made of them when a poll takes it, and what is still there when the client moves to a
//! WebSocket goes out as it is.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{Error, ErrorKind};

use actix_web_actors::ws::{Message, ProtocolError};
use bytes::{Buf, Bytes, BytesMut};
use bytestring::ByteString;
use tokio::sync::oneshot;

use super::wire::engineio::payload::{append, split};
use super::wire::engineio::{Frame, HandshakeFault};
use super::wire::websocket;

/// Where a request waits for what becomes of it. Dropped: the session is over, and was not this
/// request's to end.
pub(super) type Answer<T> = oneshot::Sender<Result<T, HandshakeFault>>;

/// The polling side of a link, as long as it has one.
#[derive(Default)]
pub(super) struct Polls {
    waiting: Cell<Option<Answer<Bytes>>>,
    posted: RefCell<Option<Posted>>,
    /// Of a POST whose last packet is in hand.
    in_hand: Cell<Option<Answer<()>>>,
    /// Packets that the poll which waits may be answered with.
    pub(super) most: Cell<usize>,
    /// A WebSocket is being tried.
    pub(super) probing: Cell<bool>,
    /// What has come on the WebSocket behind the move.
    rest: RefCell<BytesMut>,
}

/// The body of a POST, as far as it was not handled.
struct Posted {
    packets: Bytes,
    /// Told when all was.
    done: Answer<()>,
}

impl Polls {
    /// A poll has come. False: one waits already, and this one is refused.
    pub(super) fn wait(&self, poll: Answer<Bytes>) -> bool {
        let before = self.waiting.take().filter(|before| !before.is_closed());
        let is_first = before.is_none();
        match before {
            Some(before) => {
                refuse(poll);
                self.waiting.set(Some(before));
            }
            None => self.waiting.set(Some(poll)),
        }
        is_first
    }

    pub(super) fn is_waiting(&self) -> bool {
        let poll = self.waiting.take();
        let is_waiting = poll.as_ref().is_some_and(|poll| !poll.is_closed());
        self.waiting.set(poll);
        is_waiting
    }

    /// The poll that waits.
    pub(super) fn take(&self) -> Option<Answer<Bytes>> {
        self.waiting.take()
    }

    /// Answers the poll that waits, if one does, with nothing: the client has somewhere else to go.
    pub(super) fn send_home(&self) {
        if let Some(poll) = self.waiting.take() {
            // It may have gone by itself.
            let _ = poll.send(Ok(Bytes::from_static(b"6")));
        }
    }

    /// Refuses the poll that waits, if one does: it has come behind the client's word that it has
    /// moved.
    pub(super) fn refuse_poll(&self) {
        if let Some(poll) = self.waiting.take() {
            refuse(poll);
        }
    }

    /// A POST has come. False: another one is not handled yet, and this one is refused.
    pub(super) fn post(&self, packets: Bytes, done: Answer<()>) -> bool {
        let mut posted = self.posted.borrow_mut();
        let is_first = posted.is_none();
        if is_first {
            *posted = Some(Posted { packets, done });
        } else {
            refuse(done);
        }
        is_first
    }

    /// The next packet that was posted. After the last one, [`Polls::taken`] is due.
    pub(super) fn next(&self) -> Option<Result<Message, ProtocolError>> {
        let mut slot = self.posted.borrow_mut();
        let posted = slot.as_mut()?;
        let (first, rest) = split(&posted.packets);
        let (length, is_last) = (first.len(), rest.is_none());
        let packet = posted.packets.split_to(length);
        if !is_last {
            // What stands between two.
            posted.packets.advance(1);
        } else if let Some(Posted { done, .. }) = slot.take() {
            self.in_hand.set(Some(done));
        }
        Some(message(packet))
    }

    /// The packet in hand was taken; when it was a POST's last, its sender is told.
    pub(super) fn taken(&self) {
        if let Some(done) = self.in_hand.take() {
            // It may have gone by itself.
            let _ = done.send(Ok(()));
        }
    }

    /// The POST that is being handled, for who answers it; what else is in it is for nobody.
    pub(super) fn take_post(&self) -> Option<Answer<()>> {
        self.posted.take().map(|posted| posted.done).or_else(|| self.in_hand.take())
    }

    /// Refuses what was posted, and drops who waits: the link is cut.
    pub(super) fn drop_all(&self) {
        drop(self.waiting.take());
        let posted = self.posted.take().map(|posted| posted.done);
        for done in [posted, self.in_hand.take()].into_iter().flatten() {
            refuse(done);
        }
    }

    /// Keeps what has come on the WebSocket behind the move, for who reads there.
    pub(super) fn keep(&self, rest: BytesMut) {
        *self.rest.borrow_mut() = rest;
    }

    pub(super) fn take_rest(&self) -> BytesMut {
        self.rest.take()
    }
}

fn refuse<T>(request: Answer<T>) {
    // It may have gone by itself.
    let _ = request.send(Err(HandshakeFault::BadRequest));
}

/// As if it had come in a WebSocket frame; bytes too are text here, and known by their first
/// letter.
fn message(packet: Bytes) -> Result<Message, ProtocolError> {
    let fault =
        |_| ProtocolError::Io(Error::new(ErrorKind::InvalidData, "a packet that is not UTF-8"));
    ByteString::try_from(packet).map(Message::Text).map_err(fault)
}

/// Takes what waits as one payload: `most` packets of it.
pub(super) fn payload(queue: &mut VecDeque<Bytes>, most: usize) -> Bytes {
    let mut out = String::with_capacity(queue.iter().take(most).map(Bytes::len).sum());
    let mut left = most;
    while let Some(frames) = queue.front_mut().filter(|_| left > 0) {
        // Some hold several.
        while left > 0
            && let Some((kind, packet)) = websocket::split_frame(frames)
        {
            left -= 1;
            let frame = match kind {
                // What we have written ourselves is text.
                websocket::Kind::Text => Frame::Text(String::from_utf8_lossy(&packet)),
                websocket::Kind::Binary => Frame::Binary(packet),
                websocket::Kind::Close => Frame::Text("1".into()),
            };
            // Without a limit all of them fit: what may wait is bounded by the queue.
            let _fits = append(&mut out, &frame, usize::MAX);
        }
        if left > 0 || frames.is_empty() {
            queue.pop_front();
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;

    #[test]
    fn a_payload_has_each_packet_of_each_frame() {
        let two = [websocket::text("42[\"a\"]"), websocket::text("42[\"b\"]")].concat();
        let mut queue = VecDeque::from([
            websocket::text("2"),
            two.into(),
            websocket::binary(b"\x01\x02"),
            websocket::close(Reason::Shutdown),
        ]);
        let mut parts = queue.clone();
        assert_eq!(
            &payload(&mut queue, usize::MAX)[..],
            b"2\x1e42[\"a\"]\x1e42[\"b\"]\x1ebAQI=\x1e1"
        );
        assert!(queue.is_empty());
        for part in [&b"2\x1e42[\"a\"]"[..], b"42[\"b\"]\x1ebAQI=", b"1", b""] {
            assert_eq!(&payload(&mut parts, 2)[..], part);
        }
        assert!(parts.is_empty());
    }

    #[test]
    fn what_was_posted_comes_packet_by_packet_and_its_sender_is_told_with_the_last() {
        let polls = Polls::default();
        let (done, mut told) = oneshot::channel();
        assert!(polls.post(Bytes::from_static(b"42[\"\xc3\xa9\"]\x1ebAQI=\x1e\x1e3\xff"), done));
        assert!(!polls.post(Bytes::new(), oneshot::channel().0));
        assert!(matches!(polls.next(), Some(Ok(Message::Text(text))) if text == "42[\"é\"]"));
        assert!(matches!(polls.next(), Some(Ok(Message::Text(text))) if text == "bAQI="));
        assert!(matches!(polls.next(), Some(Ok(Message::Text(text))) if text.is_empty()));
        polls.taken();
        assert!(told.try_recv().is_err());
        assert!(matches!(polls.next(), Some(Err(_))));
        assert!(told.try_recv().is_err() && polls.next().is_none());
        polls.taken();
        assert_eq!(told.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn the_end_refuses_what_was_posted_unless_somebody_answers_it() {
        let polls = Polls::default();
        for packets in ["1", "1\x1e3"] {
            let (done, mut handled) = oneshot::channel();
            assert!(polls.post(packets.into(), done) && polls.next().is_some());
            let post = polls.take_post();
            polls.drop_all();
            assert!(handled.try_recv().is_err() && polls.next().is_none() && post.is_some());
            let (done, mut handled) = oneshot::channel();
            assert!(polls.post(packets.into(), done) && polls.next().is_some());
            polls.drop_all();
            assert_eq!(handled.try_recv(), Ok(Err(HandshakeFault::BadRequest)));
            assert!(polls.next().is_none());
        }
    }

    #[test]
    fn a_second_poll_is_refused_unless_the_first_has_gone() {
        let polls = Polls::default();
        let ((first, answer), (second, mut refused), (third, _)) =
            (oneshot::channel(), oneshot::channel(), oneshot::channel());
        assert!(polls.wait(first) && !polls.wait(second));
        assert_eq!(refused.try_recv(), Ok(Err(HandshakeFault::BadRequest)));
        drop(answer);
        assert!(polls.wait(third));
    }
}
