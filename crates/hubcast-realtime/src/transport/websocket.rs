//! The stream of a connection's messages, posted ones too. All connections of a worker read into
//! one scratch buffer; what is left of a frame moves to a buffer of the connection's own, which is
//! given back when the frame is whole. So an idle connection holds no buffer.

use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_http::ws::Codec;
use actix_web_actors::ws::{Frame, Message, ProtocolError};
use bytes::BytesMut;
use bytestring::ByteString;
use futures_core::Stream;
use tokio_util::codec::Decoder;

use crate::link::Link;
use crate::outlet::Worker;
use crate::polls::Polls;
use crate::wire::websocket;

/// One read takes at most so much.
const SCRATCH: usize = 64 * 1024;
/// A rest larger than this of the scratch buffer is not worth a copy.
const COPY_BELOW: usize = 16 * 1024;

/// Marks text that is not UTF-8; the codec's own errors are of other kinds.
pub(crate) const NOT_UTF8: ErrorKind = ErrorKind::InvalidInput;

/// Frames off the socket, as a stream that an actor takes. Ends with the connection.
pub(crate) struct Pump {
    link: Rc<Link>,
    worker: Rc<Worker>,
    codec: Codec,
    rest: BytesMut,
}

impl Pump {
    pub(crate) fn new(link: Rc<Link>, worker: Rc<Worker>, rest: &[u8]) -> Self {
        let codec = Codec::new().max_size(worker.shared.settings.max_payload);
        // The buffer that came with the request is large; only what is in it counts.
        let rest = if rest.is_empty() { BytesMut::new() } else { BytesMut::from(rest) };
        Self { link, worker, codec, rest }
    }

    fn decode(&mut self) -> Option<Result<Message, ProtocolError>> {
        if self.rest.is_empty() {
            return None;
        }
        if let Err(broken) = websocket::check(&self.rest) {
            self.rest = BytesMut::new();
            return Some(Err(fault(broken)));
        }
        // The codec looks at a frame's length only when all of it has come; then it would be too
        // late.
        if websocket::declared_length(&self.rest)
            .is_some_and(|length| length > self.worker.shared.settings.max_payload as u64)
        {
            self.rest = BytesMut::new();
            return Some(Err(ProtocolError::Overflow));
        }
        match self.codec.decode(&mut self.rest) {
            Ok(None) => {
                if self.rest.len() < COPY_BELOW {
                    // Lets go of the scratch buffer. An own small buffer is copied too: rare, and
                    // cheap.
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

    /// Reads once. Ready(false): the connection is over.
    fn read(&mut self, link: &Link) -> Poll<bool> {
        let Some(io) = link.io() else { return Poll::Pending };
        let mut scratch = self.worker.scratch.borrow_mut();
        scratch.clear();
        scratch.reserve(SCRATCH);
        match io.try_read_buf(&mut scratch) {
            Ok(0) => Poll::Ready(false),
            Ok(_) if !link.is_open() => Poll::Ready(true),
            Ok(_) if self.rest.is_empty() => {
                self.rest = scratch.split();
                Poll::Ready(true)
            }
            Ok(_) => {
                self.rest.extend_from_slice(&scratch);
                Poll::Ready(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
            Err(error) if error.kind() == ErrorKind::Interrupted => Poll::Ready(true),
            Err(_) => Poll::Ready(false),
        }
    }
}

impl Stream for Pump {
    type Item = Result<Message, ProtocolError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let pump = self.get_mut();
        loop {
            let link = Rc::clone(&pump.link);
            ready!(link.poll_reading(cx));
            // What was posted came ahead of what comes on a WebSocket.
            if let Some(item) = link.polls().and_then(Polls::next) {
                return Poll::Ready(Some(item));
            }
            let Some(io) = link.io() else {
                if link.is_cut() {
                    return Poll::Ready(None);
                }
                link.wait_to_read(cx);
                return Poll::Pending;
            };
            if let Some(rest) = link.polls().map(Polls::take_rest)
                && !rest.is_empty()
            {
                pump.rest = rest;
            }
            if link.is_open() {
                if let Some(item) = pump.decode() {
                    return Poll::Ready(Some(item));
                }
            } else {
                pump.rest = BytesMut::new();
            }
            if ready!(io.poll_read_ready(cx)).is_err() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(false) = pump.read(&link) {
                return Poll::Ready(None);
            }
            // Not ready after all: the next turn asks again, and is woken.
        }
    }
}

fn fault(broken: websocket::Broken) -> ProtocolError {
    ProtocolError::Io(match broken {
        websocket::Broken::CloseReason => {
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
