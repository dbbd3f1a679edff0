//! The stream of a connection's messages, including posted packets. All connections of a worker
//! read into one scratch buffer. The rest of an incomplete frame moves to a buffer of the
//! connection's own, which is freed when the frame is complete. So an idle connection holds no
//! buffer.

use std::cell::RefCell;
use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::core::ws::{Frame, Message, ProtocolError};
use actix_http::ws::Codec;
use bytes::BytesMut;
use bytestring::ByteString;
use futures_core::Stream;
use tokio::time::Sleep;
use tokio_util::codec::Decoder;

use super::connection::Connection;
use super::polls::Polls;
use crate::wire::websocket;

/// The most bytes in one read.
const SCRATCH: usize = 64 * 1024;
/// A rest of this size or more keeps the scratch buffer instead of being copied out of it.
const COPY_BELOW: usize = 16 * 1024;

/// Marks text that is not UTF-8. The codec's own errors have other kinds.
pub(crate) const NOT_UTF8: ErrorKind = ErrorKind::InvalidInput;

/// The messages of a connection, as a stream for an actor. The stream ends with the connection.
pub(crate) struct MessageStream {
    connection: Rc<Connection>,
    scratch: Rc<RefCell<BytesMut>>,
    codec: Codec,
    rest: BytesMut,
    /// Set while reading pauses because the client has sent too much.
    pause: Option<Pin<Box<Sleep>>>,
}

impl MessageStream {
    pub(crate) fn new(
        connection: Rc<Connection>,
        scratch: Rc<RefCell<BytesMut>>,
        rest: &[u8],
    ) -> Self {
        let codec = Codec::new().max_size(connection.settings.max_payload);
        // The request's own buffer is large; only its content is kept.
        let rest = if rest.is_empty() { BytesMut::new() } else { BytesMut::from(rest) };
        Self { connection, scratch, codec, rest, pause: None }
    }

    fn decode(&mut self) -> Option<Result<Message, ProtocolError>> {
        if self.rest.is_empty() {
            return None;
        }
        if let Err(broken) = websocket::check(&self.rest) {
            self.rest = BytesMut::new();
            return Some(Err(fault(broken)));
        }
        // The codec checks a frame's length only when all of it is in memory.
        if websocket::declared_length(&self.rest)
            .is_some_and(|length| length > self.connection.max_message() as u64)
        {
            self.rest = BytesMut::new();
            return Some(Err(ProtocolError::Overflow));
        }
        match self.codec.decode(&mut self.rest) {
            Ok(None) => {
                if self.rest.len() < COPY_BELOW {
                    // The copy releases the scratch buffer. A small buffer of the connection's own
                    // is copied too, which is rare and cheap.
                    self.rest = BytesMut::from(&self.rest[..]);
                }
                None
            }
            Ok(Some(frame)) => {
                if self.rest.is_empty() {
                    self.rest = BytesMut::new();
                }
                Some(message(frame))
            }
            Err(error) => {
                self.rest = BytesMut::new();
                Some(Err(error))
            }
        }
    }

    /// Returns `Pending` while reading pauses because the client has sent too much.
    fn poll_pause(&mut self, connection: &Connection, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(left) = connection.pause_left() {
            // The end of the connection ends the pause.
            connection.wait_to_read(cx);
            let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(left)));
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        self.pause = None;
        Poll::Ready(())
    }

    /// Reads once. Returns `Ready(false)` if the connection has ended.
    fn read(&mut self, connection: &Rc<Connection>) -> Poll<bool> {
        let Some(io) = connection.io() else { return Poll::Pending };
        let mut scratch = self.scratch.borrow_mut();
        scratch.clear();
        scratch.reserve(SCRATCH);
        match io.try_read_buf(&mut scratch) {
            Ok(0) => Poll::Ready(false),
            Ok(count) if !connection.is_open() => {
                connection.count_read(count);
                Poll::Ready(true)
            }
            Ok(count) if self.rest.is_empty() => {
                connection.count_read(count);
                self.rest = scratch.split();
                Poll::Ready(true)
            }
            Ok(count) => {
                connection.count_read(count);
                self.rest.extend_from_slice(&scratch);
                Poll::Ready(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
            Err(error) if error.kind() == ErrorKind::Interrupted => Poll::Ready(true),
            Err(_) => Poll::Ready(false),
        }
    }
}

impl Stream for MessageStream {
    type Item = Result<Message, ProtocolError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = self.get_mut();
        loop {
            let connection = Rc::clone(&stream.connection);
            if connection.io().is_some_and(|io| io.poll_given_up(cx).is_ready()) {
                connection.lose_seat();
                return Poll::Ready(None);
            }
            ready!(connection.poll_reading(cx));
            ready!(stream.poll_pause(&connection, cx));
            // Posted packets come before messages on a WebSocket.
            if let Some(item) = connection.polls().and_then(Polls::next) {
                connection.count_posted(posted_len(&item));
                return Poll::Ready(Some(item));
            }
            let Some(io) = connection.io() else {
                if connection.is_aborted() {
                    return Poll::Ready(None);
                }
                connection.wait_to_read(cx);
                return Poll::Pending;
            };
            if let Some(rest) = connection.polls().map(Polls::take_rest)
                && !rest.is_empty()
            {
                stream.rest = rest;
            }
            if connection.is_open() {
                if let Some(item) = stream.decode() {
                    connection.count_frame();
                    return Poll::Ready(Some(item));
                }
            } else {
                stream.rest = BytesMut::new();
            }
            if ready!(io.poll_read_ready(cx)).is_err() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(false) = stream.read(&connection) {
                return Poll::Ready(None);
            }
            // The socket was not ready after all, so the next turn waits for readiness again.
        }
    }
}

fn posted_len(item: &Result<Message, ProtocolError>) -> usize {
    if let Ok(Message::Text(text)) = item { text.len() } else { 0 }
}

fn fault(broken: websocket::FrameFault) -> ProtocolError {
    ProtocolError::Io(match broken {
        websocket::FrameFault::CloseReason => {
            Error::new(NOT_UTF8, "a close frame's reason is not UTF-8")
        }
        _ => Error::new(ErrorKind::InvalidData, "a frame that breaks RFC 6455"),
    })
}

fn message(frame: Frame) -> Result<Message, ProtocolError> {
    Ok(match frame {
        Frame::Text(bytes) => {
            let not_utf8 = |_| ProtocolError::Io(Error::new(NOT_UTF8, "text is not UTF-8"));
            Message::Text(ByteString::try_from(bytes).map_err(not_utf8)?)
        }
        Frame::Binary(bytes) => Message::Binary(bytes),
        Frame::Continuation(item) => Message::Continuation(item),
        Frame::Ping(bytes) => Message::Ping(bytes),
        Frame::Pong(bytes) => Message::Pong(bytes),
        Frame::Close(reason) => Message::Close(reason),
    })
}
