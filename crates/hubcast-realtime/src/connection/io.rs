//! The TCP connection of a WebSocket, in the clear or within TLS. The connection, its stream of
//! messages and the probe share it: each call takes `&self` and does what can be done at once.
//!
//! TLS buffers bytes on both sides. Deciphered text may be left to read when TCP has nothing;
//! [`Io::poll_read_ready`] accounts for that. Enciphered bytes may be left to write when all frames
//! are taken; [`Io::is_flushed`] tells. No more is taken while such bytes are left, so they are at
//! most [`ENCIPHERED`].

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, BufRead, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::task::{Context, Poll};

use actix_rt::net::TcpStream;
use bytes::BytesMut;
use rustls::ServerConnection;
use socket2::SockRef;

#[cfg(test)]
mod tests;

/// Bytes of frames that TLS takes at a time. A client that reads nothing pins so much beside its
/// queue.
const ENCIPHERED: usize = 32 * 1024;
/// Bytes that a read takes at least, whatever room it is given.
const LEAST_READ: usize = 1024;

pub(crate) enum Io {
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
}

impl DetachedIo {
    /// Joins this thread's event loop.
    pub(crate) fn attach(self) -> io::Result<Io> {
        let tcp = TcpStream::from_std(self.tcp)?;
        Ok(match self.session {
            None => Io::Plain(tcp),
            Some(session) => Io::tls(tcp, *session),
        })
    }
}

impl Io {
    /// A TLS connection whose handshake is done.
    pub(crate) fn tls(tcp: TcpStream, mut session: ServerConnection) -> Self {
        session.set_buffer_limit(Some(ENCIPHERED));
        Self::Tls(Box::new(Tls { tcp, session: RefCell::new(session) }))
    }

    /// Leaves this thread's event loop.
    pub(crate) fn detach(self) -> io::Result<DetachedIo> {
        let (tcp, session) = match self {
            Self::Plain(tcp) => (tcp, None),
            Self::Tls(tls) => (tls.tcp, Some(Box::new(tls.session.into_inner()))),
        };
        Ok(DetachedIo { tcp: tcp.into_std()?, session })
    }

    /// For the socket's options and its readiness, not for its bytes.
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &tls.tcp,
        }
    }

    /// Ready when a read may give bytes or the end.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tls(tls) if tls.has_text() => Poll::Ready(Ok(())),
            _ => self.tcp().poll_read_ready(cx),
        }
    }

    /// Reads as far as the buffer has room. 0: the end, also when TLS was not closed properly, as
    /// WebSocket has a close of its own.
    pub(crate) fn try_read_buf(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.try_read_buf(buffer),
            Self::Tls(tls) => match tls.read(buffer) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
                read => read,
            },
        }
    }

    /// Takes as many of these bytes as it can. Without any bytes, it only writes what it has
    /// buffered; `Ok(0)`: some of that was written.
    pub(crate) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.try_write_vectored(slices),
            Self::Tls(tls) => tls.write(slices),
        }
    }

    /// Returns true if the kernel has all bytes that were taken.
    pub(crate) fn is_flushed(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Tls(tls) => !tls.session.borrow().wants_write(),
        }
    }

    /// Shuts the write side down, behind the last byte. `WouldBlock`: call it again when all bytes
    /// are flushed.
    pub(crate) fn finish(&self) -> io::Result<()> {
        if let Self::Tls(tls) = self {
            tls.session.borrow_mut().send_close_notify();
            while tls.send()? {}
        }
        SockRef::from(self.tcp()).shutdown(Shutdown::Write)
    }

    /// Tries the socket itself, as the event loop reports room late. `None`: it takes nothing. Else
    /// it has taken bytes, so many of `next`, which follow all bytes taken before.
    pub(crate) fn nudge(&self, next: &[u8]) -> Option<usize> {
        let socket = SockRef::from(self.tcp());
        match self {
            Self::Plain(_) => socket.send(next).ok().filter(|sent| *sent > 0),
            Self::Tls(tls) => {
                let mut session = tls.session.borrow_mut();
                let taken =
                    if session.wants_write() { 0 } else { session.writer().write(next).ok()? };
                let sent = session.write_tls(&mut &*socket).ok()?;
                (sent > 0).then_some(taken)
            }
        }
    }

    /// Waits, and reads as [`Io::try_read_buf`].
    pub(crate) async fn read_buf(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        loop {
            poll_fn(|cx| self.poll_read_ready(cx)).await?;
            match self.try_read_buf(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }

    /// Writes, and waits until the kernel has all bytes.
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
    /// Returns true if deciphered text, or the end, is there without a read.
    fn has_text(&self) -> bool {
        let mut session = self.session.borrow_mut();
        let mut reader = session.reader();
        let text = reader.fill_buf();
        !matches!(text, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    fn read(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        let room = (buffer.capacity() - buffer.len()).max(LEAST_READ);
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
            // The end has to be processed too; only then the reader reports it.
            session.read_tls(&mut Direct(&self.tcp))?;
            let looked_at = session.process_new_packets();
            drop(session);
            // An alert, for example. What is not written now is written with the next bytes.
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
        // An error is for the next call: these bytes are taken.
        while let Ok(true) = self.send() {}
        Ok(taken)
    }

    /// Writes enciphered bytes once. False: there were none.
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

/// TCP as rustls reads and writes it.
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
