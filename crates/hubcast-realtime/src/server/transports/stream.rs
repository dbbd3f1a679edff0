//! A client's connection as HTTP reads it: the bytes of TCP or, with certificates, those within
//! TLS. For a WebSocket it becomes the connection's `Io`.
//!
//! It also ends what HTTP would wait for: a client that takes no byte of an answer, a request after
//! the first whose head does not come, and a connection that gave up its seat.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_rt::net::TcpStream;
use hubcast_realtime::throttled;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tokio_rustls::server::TlsStream;

use crate::connection::io::Io;
use crate::connection::seats::Seat;
use crate::core::settings::{HEAD_TIMEOUT, Settings};

/// The HTTP layer's own time-outs come first, because they answer.
const MARGIN: Duration = Duration::from_secs(1);

pub(crate) enum Layer {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that speaks HTTP.
pub(crate) struct Stream {
    layer: Layer,
    seat: Arc<Seat>,
    settings: Arc<Settings>,
    /// Fires when the client may have been silent for too long.
    silence: Option<Pin<Box<Sleep>>>,
    /// Runs while the client takes no bytes.
    stall: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    pub(super) fn new(layer: Layer, seat: Arc<Seat>, settings: Arc<Settings>) -> Self {
        Self { layer, seat, settings, silence: None, stall: None }
    }

    pub(crate) fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }

    /// Returns the connection when HTTP no longer needs it.
    pub(super) fn into_io(self) -> Io {
        let io = match self.layer {
            Layer::Plain(tcp) => Io::plain(tcp),
            Layer::Tls(stream) => {
                let (tcp, session) = stream.into_inner();
                Io::tls(tcp, session)
            }
        };
        io.seated(self.seat)
    }

    /// Returns true if the client has been silent for too long.
    fn is_silent(&mut self, cx: &mut Context<'_>) -> bool {
        let timer = self.silence.get_or_insert_with(|| Box::pin(sleep(HEAD_TIMEOUT)));
        while timer.as_mut().poll(cx).is_ready() {
            let keep_alive = self.settings.keep_alive + MARGIN;
            let rest = self.seat.patience(HEAD_TIMEOUT + MARGIN, keep_alive);
            if rest == Some(Duration::ZERO) {
                return true;
            }
            timer.as_mut().reset(Instant::now() + rest.unwrap_or(HEAD_TIMEOUT));
        }
        false
    }

    /// Waits for room. Fails if the client has taken no byte for the stall time-out; returns how
    /// many of `next` it has taken otherwise, once it has taken any.
    fn blocked(&mut self, cx: &mut Context<'_>, next: &[u8]) -> Poll<io::Result<usize>> {
        self.seat.block(next.len());
        if self.seat.poll_given_up(cx).is_ready() {
            return Poll::Ready(Err(self.abort()));
        }
        let patience = self.settings.stall_timeout;
        let timer = self.stall.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(timer.as_mut().poll(cx));
        let Some(taken) = self.layer.nudge(next) else {
            let client = self.layer.tcp().peer_addr().ok().map(|peer: SocketAddr| peer.ip());
            throttled!(
                info,
                by = (),
                ?client,
                "a client took no byte of an answer for STALL_TIMEOUT; its connection is aborted"
            );
            return Poll::Ready(Err(self.abort()));
        };
        timer.as_mut().reset(Instant::now() + patience);
        // Registers the task for the new time.
        let _ = timer.as_mut().poll(cx);
        if taken > 0 { Poll::Ready(Ok(taken)) } else { Poll::Pending }
    }

    fn moved(&mut self) {
        if self.stall.take().is_some() {
            self.seat.unblock();
        }
    }

    /// Makes the kernel drop what it still holds for the client. Returns the end of the stream.
    fn abort(&self) -> io::Error {
        let _ = SockRef::from(self.layer.tcp()).set_linger(Some(Duration::ZERO));
        ErrorKind::TimedOut.into()
    }
}

impl Layer {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Tries the socket itself, because the event loop reports room late. Returns `None` if it
    /// takes no bytes, else how many of `next` it has taken.
    fn nudge(&mut self, next: &[u8]) -> Option<usize> {
        match self {
            Self::Plain(tcp) => SockRef::from(&*tcp).send(next).ok().filter(|sent| *sent > 0),
            Self::Tls(stream) => {
                let (tcp, session) = stream.get_mut();
                let socket = SockRef::from(&*tcp);
                let sent = session.write_tls(&mut &*socket).ok()?;
                (sent > 0).then_some(0)
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        // For HTTP the end of the stream is the end of the connection.
        if stream.seat.poll_given_up(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = match &mut stream.layer {
            Layer::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Layer::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        };
        if read.is_pending() && stream.is_silent(cx) {
            return Poll::Ready(Ok(()));
        }
        if buffer.filled().len() > before {
            stream.seat.hear();
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        let written = match &mut stream.layer {
            Layer::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Layer::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        };
        if written.is_pending() {
            return stream.blocked(cx, bytes);
        }
        stream.moved();
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        let flushed = match &mut stream.layer {
            Layer::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Layer::Tls(tls) => Pin::new(tls).poll_flush(cx),
        };
        if flushed.is_pending() {
            return stream.blocked(cx, &[]).map_ok(|_| ());
        }
        stream.moved();
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        let shut = match &mut stream.layer {
            Layer::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Layer::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        };
        if shut.is_pending() {
            return stream.blocked(cx, &[]).map_ok(|_| ());
        }
        shut
    }
}
