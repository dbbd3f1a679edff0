//! Accepts a client's TCP connection: gives it a seat, and makes the TLS handshake.

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use actix_rt::net::TcpStream;
use hubcast_realtime::throttled;
use socket2::SockRef;
use tokio_rustls::TlsAcceptor;

use super::stream::Layer;
pub(crate) use super::stream::Stream;
use crate::connection::seats::{Full, Seat};
use crate::core::settings::{ANSWER_BUFFER, Settings};
use crate::server::gate::Gate;

/// How long a client may take for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The answer to a connection that gets no seat.
const NO_SEAT: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\
                         Connection: close\r\nRetry-After: 1\r\n\r\n";

/// Gives the connection a seat, and makes the TLS handshake, if there is one. A failure ends only
/// this connection.
pub(crate) async fn accept(
    tcp: TcpStream,
    tls: Option<TlsAcceptor>,
    gate: &Gate,
    settings: Arc<Settings>,
) -> io::Result<(Stream, Option<SocketAddr>)> {
    let peer = tcp.peer_addr().ok();
    let address = peer.map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip());
    let seat = match gate.take_seat(address) {
        Ok(seat) => seat,
        Err(full) => {
            warn_full(full, address);
            if tls.is_none() {
                refuse(&tcp);
            }
            return Err(ErrorKind::QuotaExceeded.into());
        }
    };
    bound_unread(&tcp, &settings);
    let Some(tls) = tls else {
        return Ok((Stream::new(Layer::Plain(tcp), seat, settings), peer));
    };
    let shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, unless_given_up(&seat, tls.accept(tcp)));
    match shaken.await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
        Ok(tls) => Ok((Stream::new(Layer::Tls(Box::new(tls)), seat, settings), peer)),
        Err(error) => {
            tracing::debug!(%error, "TLS handshake failed");
            Err(error)
        }
    }
}

/// Bounds what the kernel holds for a client that does not read. Errors are ignored, because these
/// options concern only bounds.
fn bound_unread(tcp: &TcpStream, settings: &Settings) {
    let socket = SockRef::from(tcp);
    let _ = socket.set_send_buffer_size(ANSWER_BUFFER);
    // No other timer runs once the kernel has the whole answer.
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(settings.stall_timeout * 2));
    #[cfg(not(target_os = "linux"))]
    let _ = settings;
}

/// Runs the handshake until the seat is given up.
async fn unless_given_up<T>(
    seat: &Seat,
    handshake: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let mut handshake = pin!(handshake);
    poll_fn(|cx| {
        if seat.poll_given_up(cx).is_ready() {
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        handshake.as_mut().poll(cx)
    })
    .await
}

/// Logs that a connection or a socket was refused, and the setting that would let it in.
pub(super) fn warn_full(full: Full, address: IpAddr) {
    match full {
        Full::Server => throttled!(
            warn,
            by = full,
            %address,
            "no seat for a connection: as many are open as MAX_CONNECTIONS and the limit of open \
             files allow"
        ),
        Full::Address => throttled!(
            warn,
            by = full,
            %address,
            "no seat for a connection: its address has as many as CONNECTIONS_PER_ADDRESS allows; \
             a proxy belongs to TRUSTED_PROXIES"
        ),
    }
}

/// Answers without waiting for anything.
fn refuse(tcp: &TcpStream) {
    // What has arrived is read: the answer would be lost if the connection closed over it.
    let _ = tcp.try_read(&mut [0; 1024]);
    let _ = tcp.try_write(NO_SEAT);
}
