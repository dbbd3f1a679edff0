//! The long-polling of a connection: its polls are answered with the queue, and it moves to a
//! WebSocket or ends when its client says so.

use std::rc::Rc;
use std::sync::Weak;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::connection::{Connection, Phase, millis};
use super::io::Io;
use super::polls::{Polls, Responder};
use super::seats::Seat;
use crate::core::reason::DisconnectReason;
use crate::core::settings::CLOSE_LINGER;
use crate::wire::engineio::HandshakeFault;

/// How far apart two requests may arrive that a client sent directly after each other.
const CROSSING: Duration = Duration::from_millis(25);

impl Connection {
    /// Handles a poll. It is answered with the queued frames, or with the next frame as soon as
    /// there is one, but with at most `most` packets. A second poll beside a waiting one ends the
    /// session, as in the reference server.
    pub(crate) fn poll(
        self: &Rc<Self>,
        poll: Responder<Bytes>,
        most: usize,
        seat: Option<&Weak<Seat>>,
    ) {
        self.close_if_overdue();
        let Some(polls) = self.polls().filter(|_| !self.is_aborted()) else { return };
        if self.io.get().is_some() {
            // The client has moved to a WebSocket. The send fails if the request has ended.
            let _ = poll.send(Err(HandshakeFault::BadRequest));
        } else if polls.wait(poll) {
            polls.most.set(most);
            self.writer.is_blocked.set(false);
            self.flush();
            if !self.has_joined() && polls.is_waiting() {
                polls.wait_unjoined(seat);
            }
        } else {
            self.close(DisconnectReason::TransportLost);
        }
    }

    /// Answers the waiting poll with the queue. Returns `Ready` if the queue is empty or the
    /// connection is aborted.
    pub(super) fn answer_poll(self: &Rc<Self>, polls: &Polls) -> Poll<()> {
        if self.writer.is_empty() {
            return Poll::Ready(());
        }
        let Some(poll) = polls.take() else { return Poll::Pending };
        let answered = poll.send(Ok(self.writer.take_payload(polls.most.get())));
        let is_all = self.writer.is_empty();
        self.wake_replay();
        // Either the request has ended and its payload is lost, or the payload contained the close
        // frame.
        if answered.is_err() || (is_all && !self.is_open()) {
            self.abort(DisconnectReason::TransportLost);
            return Poll::Ready(());
        }
        if is_all {
            return Poll::Ready(());
        }
        // The client polls again for the rest, and sends its pong after that poll.
        let now = self.deadlines.now();
        if self.timers.is_pinged.get() {
            self.timers.ping_due.set(now + millis(self.settings.ping_timeout));
        }
        if let Phase::Closing { reason, .. } = self.phase.get() {
            self.phase.set(Phase::Closing { reason, by: now + millis(CLOSE_LINGER) });
        }
        Poll::Pending
    }

    /// Moves a polling client to this WebSocket; `rest` holds the bytes that arrived there after
    /// the move. Returns false if the connection has ended or has moved before.
    pub(crate) fn move_to(self: &Rc<Self>, io: Io, rest: BytesMut) -> bool {
        let Some(polls) = self.polls().filter(|_| !self.is_aborted()) else { return false };
        polls.keep(rest);
        let has_moved = self.io.set(io).is_ok();
        if has_moved {
            if self.has_joined()
                && let Some(seat) = self.io.get().and_then(Io::seat)
                && !seat.join()
            {
                self.lose_seat();
            }
            polls.refuse_poll();
            self.writer.is_blocked.set(false);
            self.wake_reader();
            self.flush();
        }
        has_moved
    }

    /// Ends the connection because of Engine.IO's close packet, which means a connection loss: only
    /// Socket.IO's DISCONNECT ends a session on purpose, and the official client sends a close
    /// packet without it when polling has failed. The waiting poll is answered.
    pub(crate) fn close_by_peer(self: &Rc<Self>) {
        let Some(polls) = self.polls().filter(|_| self.io.get().is_none()) else {
            return self.close(DisconnectReason::TransportLost);
        };
        let (connection, post, is_waiting) =
            (Rc::clone(self), polls.take_post(), polls.is_waiting());
        actix_rt::spawn(async move {
            if !is_waiting {
                // The client may have sent its poll earlier, over another TCP connection.
                tokio::time::sleep(CROSSING).await;
            }
            if let Some(polls) = connection.polls() {
                polls.answer_with_noop();
            }
            connection.abort(DisconnectReason::TransportLost);
            if let Some(post) = post {
                // The send fails if the request has ended.
                let _ = post.send(Ok(()));
            }
        });
    }
}
