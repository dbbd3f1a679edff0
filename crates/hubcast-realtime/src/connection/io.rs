//! The TCP connection of a WebSocket, unencrypted or within TLS. The connection, its stream of
//! messages and the probe share it: each call takes `&self`, and only the `async` ones wait.
//!
//! TLS buffers bytes in both directions. Decrypted text may be available when TCP has no bytes;
//! [`Io::poll_read_ready`] accounts for that. Encrypted bytes may wait to be written when all
//! frames are taken; [`Io::is_flushed`] reports that. No more bytes are taken while such bytes
//! wait, so they are at most [`ENCIPHERED`].

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, BufRead, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_rt::net::TcpStream;
use bytes::BytesMut;
use rustls::ServerConnection;
use socket2::SockRef;

use super::seats::Seat;

#[cfg(test)]
mod tests;

/// The most bytes of frames that TLS takes at a time. A client that reads nothing occupies this
/// memory in addition to its queue.
const ENCIPHERED: usize = 32 * 1024;
/// A read reserves at least this much room in its buffer.
const MIN_READ: usize = 1024;

pub(crate) struct Io {
    layer: Layer,
    /// The seat that the connection has while it is open.
    seat: Option<Arc<Seat>>,
}

enum Layer {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

pub(crate) struct Tls {
    tcp: TcpStream,
    session: RefCell<ServerConnection>,
}

/// An [`Io`] that belongs to no event loop, on its way to another thread.
pub(crate) struct DetachedIo {
    tcp: std::net::TcpStream,
    session: Option<Box<ServerConnection>>,
    seat: Option<Arc<Seat>>,
}

impl DetachedIo {
    /// Joins this thread's event loop.
    pub(crate) fn attach(self) -> io::Result<Io> {
        let tcp = TcpStream::from_std(self.tcp)?;
        let io = match self.session {
            None => Io::plain(tcp),
            Some(session) => Io::tls(tcp, *session),
        };
        Ok(Io { seat: self.seat, ..io })
    }
}

impl Io {
    /// Makes an unencrypted connection.
    pub(crate) fn plain(tcp: TcpStream) -> Self {
        Self { layer: Layer::Plain(tcp), seat: None }
    }

    /// Makes a TLS connection whose handshake is done.
    pub(crate) fn tls(tcp: TcpStream, mut session: ServerConnection) -> Self {
        session.set_buffer_limit(Some(ENCIPHERED));
        let layer = Layer::Tls(Box::new(Tls { tcp, session: RefCell::new(session) }));
        Self { layer, seat: None }
    }

    /// Holds the seat as long as the connection.
    pub(crate) fn seated(self, seat: Arc<Seat>) -> Self {
        Self { seat: Some(seat), ..self }
    }

    /// Returns the seat of the connection, if it has one.
    pub(super) fn seat(&self) -> Option<&Seat> {
        self.seat.as_deref()
    }

    /// Returns `Ready` if the connection has to end, because its seat was given up.
    pub(super) fn poll_given_up(&self, cx: &Context<'_>) -> Poll<()> {
        self.seat.as_ref().map_or(Poll::Pending, |seat| seat.poll_given_up(cx))
    }

    /// Leaves this thread's event loop.
    pub(crate) fn detach(self) -> io::Result<DetachedIo> {
        let (tcp, session) = match self.layer {
            Layer::Plain(tcp) => (tcp, None),
            Layer::Tls(tls) => (tls.tcp, Some(Box::new(tls.session.into_inner()))),
        };
        Ok(DetachedIo { tcp: tcp.into_std()?, session, seat: self.seat })
    }

    /// Returns the TCP stream, for the socket's options and its readiness, not for its bytes.
    pub(crate) fn tcp(&self) -> &TcpStream {
        match &self.layer {
            Layer::Plain(tcp) => tcp,
            Layer::Tls(tls) => &tls.tcp,
        }
    }

    /// Returns `Ready` when a read may return bytes or the end.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.layer {
            Layer::Tls(tls) if tls.has_text() => Poll::Ready(Ok(())),
            _ => self.tcp().poll_read_ready(cx),
        }
    }

    /// Reads as much as the buffer has room for. Returns 0 at the end, also if TLS was not closed
    /// properly, because WebSocket has a close frame of its own.
    pub(crate) fn try_read_buf(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        match &self.layer {
            Layer::Plain(tcp) => tcp.try_read_buf(buffer),
            Layer::Tls(tls) => match tls.read(buffer) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
                read => read,
            },
        }
    }

    /// Takes as many of these bytes as it can. Without bytes it only writes the buffered ones, and
    /// returns `Ok(0)` if some of them were written.
    pub(crate) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.layer {
            Layer::Plain(tcp) => tcp.try_write_vectored(slices),
            Layer::Tls(tls) => tls.write(slices),
        }
    }

    /// Returns true if the kernel has all bytes that were taken.
    pub(crate) fn is_flushed(&self) -> bool {
        match &self.layer {
            Layer::Plain(_) => true,
            Layer::Tls(tls) => !tls.session.borrow().wants_write(),
        }
    }

    /// Shuts the write side down after the last byte. On `WouldBlock`, call it again when all bytes
    /// are flushed.
    pub(crate) fn finish(&self) -> io::Result<()> {
        if let Layer::Tls(tls) = &self.layer {
            tls.session.borrow_mut().send_close_notify();
            while tls.send()? {}
        }
        SockRef::from(self.tcp()).shutdown(Shutdown::Write)
    }

    /// Tries the socket itself, because the event loop reports room late. Returns `None` if the
    /// socket takes no bytes, else how many bytes of `next` it has taken; they follow all bytes
    /// taken before.
    pub(crate) fn nudge(&self, next: &[u8]) -> Option<usize> {
        let socket = SockRef::from(self.tcp());
        match &self.layer {
            Layer::Plain(_) => socket.send(next).ok().filter(|sent| *sent > 0),
            Layer::Tls(tls) => {
                let mut session = tls.session.borrow_mut();
                let taken =
                    if session.wants_write() { 0 } else { session.writer().write(next).ok()? };
                let sent = session.write_tls(&mut &*socket).ok()?;
                (sent > 0).then_some(taken)
            }
        }
    }

    /// Waits until bytes can be read, and reads as [`Io::try_read_buf`].
    pub(crate) async fn read_buf(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        loop {
            poll_fn(|cx| match self.poll_given_up(cx) {
                Poll::Ready(()) => Poll::Ready(Err(ErrorKind::ConnectionAborted.into())),
                Poll::Pending => self.poll_read_ready(cx),
            })
            .await?;
            match self.try_read_buf(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }

    /// Writes all bytes, and waits until the kernel has taken them.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !(bytes.is_empty() && self.is_flushed()) {
            match self.try_write_vectored(&[IoSlice::new(bytes)]) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.tcp().writable().await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Tls {
    /// Returns true if decrypted text, or the end, is available without a read.
    fn has_text(&self) -> bool {
        let mut session = self.session.borrow_mut();
        let mut reader = session.reader();
        let text = reader.fill_buf();
        !matches!(text, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    fn read(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        let room = (buffer.capacity() - buffer.len()).max(MIN_READ);
        loop {
            let mut session = self.session.borrow_mut();
            let mut reader = session.reader();
            match reader.fill_buf() {
                Ok(text) => {
                    let count = text.len().min(room);
                    buffer.extend_from_slice(&text[..count]);
                    reader.consume(count);
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            // The end has to be processed too, or the reader would not report it.
            session.read_tls(&mut Direct(&self.tcp))?;
            let looked_at = session.process_new_packets();
            drop(session);
            // TLS may have an alert to send, for example. Bytes that are not written now are
            // written with the next ones.
            while let Ok(true) = self.send() {}
            looked_at.map_err(|fault| io::Error::new(ErrorKind::InvalidData, fault))?;
        }
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut moved = false;
        loop {
            match self.send() {
                Ok(true) => moved = true,
                Ok(false) => break,
                Err(_) if moved => return Ok(0),
                Err(error) => return Err(error),
            }
        }
        let taken = self.session.borrow_mut().writer().write_vectored(slices)?;
        if taken == 0 && !moved {
            return Err(ErrorKind::WriteZero.into());
        }
        // The next call returns the error, because these bytes are taken.
        while let Ok(true) = self.send() {}
        Ok(taken)
    }

    /// Writes encrypted bytes once. Returns false if there were none.
    fn send(&self) -> io::Result<bool> {
        let mut session = self.session.borrow_mut();
        if !session.wants_write() {
            return Ok(false);
        }
        match session.write_tls(&mut Direct(&self.tcp))? {
            0 => Err(ErrorKind::WriteZero.into()),
            _ => Ok(true),
        }
    }
}

/// The TCP stream as rustls reads and writes it.
struct Direct<'a>(&'a TcpStream);

impl Read for Direct<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Direct<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
