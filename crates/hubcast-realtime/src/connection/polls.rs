//! The polling side of a connection: the poll that waits for an answer, and the packets of a POST.
//! The transports above receive the requests; `connection` decides what to send and when.
//!
//! The queue of a connection holds WebSocket frames, whatever the client uses. A poll gets a
//! payload made of them; frames that are still queued when the client moves to a WebSocket are sent
//! as they are.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{Error, ErrorKind};
use std::sync::{Arc, Weak};

use crate::core::ws::{Message, ProtocolError};
use bytes::{Buf, Bytes, BytesMut};
use bytestring::ByteString;
use tokio::sync::oneshot;

use super::seats::Seat;
use crate::wire::engineio::payload::{append, split};
use crate::wire::engineio::{Frame, HandshakeFault};
use crate::wire::websocket;

/// Answers a waiting request. If it is dropped without an answer, the session has ended for a
/// reason other than this request.
pub(crate) type Responder<T> = oneshot::Sender<Result<T, HandshakeFault>>;

/// The right to send a POST, of which a session has one at a time. It is given back when it is
/// dropped, however the request ends.
pub(crate) struct Receipt(#[expect(dead_code, reason = "only its life counts")] Arc<()>);

/// The polling side of a connection.
#[derive(Default)]
pub(crate) struct Polls {
    waiting: Cell<Option<Responder<Bytes>>>,
    posted: RefCell<Option<Posted>>,
    /// The receipt of a POST that arrives.
    arriving: RefCell<Weak<()>>,
    /// The responder of a POST whose last packet is being handled.
    in_hand: Cell<Option<Responder<()>>>,
    /// The most packets in the answer to the waiting poll.
    pub(crate) most: Cell<usize>,
    /// Whether the client is trying a WebSocket.
    pub(crate) probing: Cell<bool>,
    /// The seat of the poll that waits although the client has joined no namespace.
    seat: RefCell<Weak<Seat>>,
    /// Bytes that arrived on the WebSocket after the move.
    rest: RefCell<BytesMut>,
}

/// The unhandled part of a POST's body.
struct Posted {
    packets: Bytes,
    /// Answered when all packets are handled.
    done: Responder<()>,
}

impl Polls {
    /// Keeps a poll until there is an answer. Returns false, and refuses the poll, if another one
    /// waits.
    pub(crate) fn wait(&self, poll: Responder<Bytes>) -> bool {
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

    /// Records that the waiting poll has this seat, and that its client has joined no namespace.
    pub(super) fn wait_unjoined(&self, seat: Option<&Weak<Seat>>) {
        let seat = seat.map(Weak::clone).unwrap_or_default();
        if let Some(seat) = seat.upgrade() {
            seat.wait_unjoined();
        }
        self.seat.replace(seat);
    }

    /// Returns the seat of the last poll that waited without a namespace, if it is still taken.
    pub(super) fn seat(&self) -> Option<Arc<Seat>> {
        self.seat.borrow().upgrade()
    }

    pub(crate) fn is_waiting(&self) -> bool {
        let poll = self.waiting.take();
        let is_waiting = poll.as_ref().is_some_and(|poll| !poll.is_closed());
        self.waiting.set(poll);
        is_waiting
    }

    /// Takes the waiting poll, if there is one.
    pub(crate) fn take(&self) -> Option<Responder<Bytes>> {
        self.waiting.take()
    }

    /// Answers the waiting poll, if there is one, with a no-op packet, so that the client can stop
    /// polling.
    pub(crate) fn answer_with_noop(&self) {
        if let Some(poll) = self.waiting.take() {
            // The send fails if the request has ended.
            let _ = poll.send(Ok(Bytes::from_static(b"6")));
        }
    }

    /// Refuses the waiting poll, if there is one, because it arrived after the client's move to a
    /// WebSocket.
    pub(crate) fn refuse_poll(&self) {
        if let Some(poll) = self.waiting.take() {
            refuse(poll);
        }
    }

    /// Begins a POST, unless another one arrives or is not handled yet.
    pub(crate) fn begin_post(&self) -> Option<Receipt> {
        let mut arriving = self.arriving.borrow_mut();
        if arriving.strong_count() > 0 || self.posted.borrow().is_some() {
            return None;
        }
        let receipt = Arc::new(());
        *arriving = Arc::downgrade(&receipt);
        Some(Receipt(receipt))
    }

    /// Keeps a POST's packets to be handled. Returns false, and refuses the POST, if another one is
    /// not handled yet.
    pub(crate) fn post(&self, packets: Bytes, done: Responder<()>) -> bool {
        let mut posted = self.posted.borrow_mut();
        let is_first = posted.is_none();
        if is_first {
            *posted = Some(Posted { packets, done });
        } else {
            refuse(done);
        }
        is_first
    }

    /// Returns the next posted packet. The caller calls [`Polls::taken`] when it is handled.
    pub(crate) fn next(&self) -> Option<Result<Message, ProtocolError>> {
        let mut slot = self.posted.borrow_mut();
        let posted = slot.as_mut()?;
        let (first, rest) = split(&posted.packets);
        let (length, is_last) = (first.len(), rest.is_none());
        let packet = posted.packets.split_to(length);
        if !is_last {
            // Skips the separator.
            posted.packets.advance(1);
        } else if let Some(Posted { done, .. }) = slot.take() {
            self.in_hand.set(Some(done));
        }
        Some(message(packet))
    }

    /// Records that the packet is handled, and answers the POST if it was the last one.
    pub(crate) fn taken(&self) {
        if let Some(done) = self.in_hand.take() {
            // The send fails if the request has ended.
            let _ = done.send(Ok(()));
        }
    }

    /// Takes the responder of the POST that is being handled, to be answered elsewhere. Drops the
    /// POST's other packets.
    pub(crate) fn take_post(&self) -> Option<Responder<()>> {
        self.posted.take().map(|posted| posted.done).or_else(|| self.in_hand.take())
    }

    /// Refuses the POST and drops the poll, because the connection is aborted.
    pub(crate) fn drop_all(&self) {
        drop(self.waiting.take());
        let posted = self.posted.take().map(|posted| posted.done);
        for done in [posted, self.in_hand.take()].into_iter().flatten() {
            refuse(done);
        }
    }

    /// Keeps the bytes that arrived on the WebSocket after the move, for the stream of messages.
    pub(crate) fn keep(&self, rest: BytesMut) {
        *self.rest.borrow_mut() = rest;
    }

    pub(crate) fn take_rest(&self) -> BytesMut {
        self.rest.take()
    }
}

fn refuse<T>(request: Responder<T>) {
    // The send fails if the request has ended.
    let _ = request.send(Err(HandshakeFault::BadRequest));
}

/// Returns a posted packet as a WebSocket message. Binary packets are text too, marked by their
/// first letter.
fn message(packet: Bytes) -> Result<Message, ProtocolError> {
    let fault =
        |_| ProtocolError::Io(Error::new(ErrorKind::InvalidData, "a packet that is not UTF-8"));
    ByteString::try_from(packet).map(Message::Text).map_err(fault)
}

/// Takes the first `most` packets of the queue as one payload.
pub(crate) fn payload(queue: &mut VecDeque<Bytes>, most: usize) -> Bytes {
    let mut out = String::with_capacity(queue.iter().take(most).map(Bytes::len).sum());
    let mut left = most;
    while let Some(frames) = queue.front_mut().filter(|_| left > 0) {
        // One entry may hold several frames.
        while left > 0
            && let Some((kind, packet)) = websocket::split_frame(frames)
        {
            left -= 1;
            let frame = match kind {
                // The server's own frames are valid text.
                websocket::Kind::Text => Frame::Text(String::from_utf8_lossy(&packet)),
                websocket::Kind::Binary => Frame::Binary(packet),
                websocket::Kind::Close => Frame::Text("1".into()),
            };
            // Without a limit all of them fit; the queue itself is bounded.
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
    use crate::core::reason::DisconnectReason;

    #[test]
    fn a_payload_has_each_packet_of_each_frame() {
        let two = [websocket::text("42[\"a\"]"), websocket::text("42[\"b\"]")].concat();
        let mut queue = VecDeque::from([
            websocket::text("2"),
            two.into(),
            websocket::binary(b"\x01\x02"),
            websocket::close(DisconnectReason::Shutdown),
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
    fn a_post_is_read_packet_by_packet_and_answered_with_the_last() {
        let polls = Polls::default();
        let (done, mut answered) = oneshot::channel();
        assert!(polls.post(Bytes::from_static(b"42[\"\xc3\xa9\"]\x1ebAQI=\x1e\x1e3\xff"), done));
        assert!(!polls.post(Bytes::new(), oneshot::channel().0));
        assert!(matches!(polls.next(), Some(Ok(Message::Text(text))) if text == "42[\"é\"]"));
        assert!(matches!(polls.next(), Some(Ok(Message::Text(text))) if text == "bAQI="));
        assert!(matches!(polls.next(), Some(Ok(Message::Text(text))) if text.is_empty()));
        polls.taken();
        assert!(answered.try_recv().is_err());
        assert!(matches!(polls.next(), Some(Err(_))));
        assert!(answered.try_recv().is_err() && polls.next().is_none());
        polls.taken();
        assert_eq!(answered.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn the_end_refuses_a_post_unless_it_was_taken_out() {
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
    fn a_second_poll_is_refused_unless_the_first_has_ended() {
        let polls = Polls::default();
        let ((first, answer), (second, mut refused), (third, _)) =
            (oneshot::channel(), oneshot::channel(), oneshot::channel());
        assert!(polls.wait(first) && !polls.wait(second));
        assert_eq!(refused.try_recv(), Ok(Err(HandshakeFault::BadRequest)));
        drop(answer);
        assert!(polls.wait(third));
    }
}
