//! A client's connection as HTTP reads it: the bytes of TCP or, with certificates, those within
//! TLS. For a WebSocket it becomes the connection's `Io`.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::connection::io::Io;

/// How long a client may take for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that speaks HTTP.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Makes the TLS handshake, if there is one. A failure ends only this connection.
pub(crate) async fn accept(
    tcp: TcpStream,
    tls: Option<TlsAcceptor>,
) -> io::Result<(Stream, Option<SocketAddr>)> {
    let peer = tcp.peer_addr().ok();
    let Some(tls) = tls else { return Ok((Stream::Plain(tcp), peer)) };
    let shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(tcp)).await;
    match shaken.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
        Ok(stream) => Ok((Stream::Tls(Box::new(stream)), peer)),
        Err(error) => {
            tracing::debug!(%error, "TLS handshake failed");
            Err(error)
        }
    }
}

impl Stream {
    /// Returns the connection when HTTP no longer needs it.
    pub(super) fn into_io(self) -> Io {
        match self {
            Self::Plain(tcp) => Io::Plain(tcp),
            Self::Tls(stream) => {
                let (tcp, session) = stream.into_inner();
                Io::tls(tcp, session)
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
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
