//! Handles requests for an upgrade, for which the HTTP layer hands over the raw connection. A valid
//! WebSocket handshake on a path of the server becomes a session; every other request gets a short
//! answer and `Connection: close`.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use actix::Addr;
use actix_codec::Framed;
use actix_http::header;
use actix_http::{Method, Request, h1, ws};
use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::AsyncWriteExt;

use super::accept::{Stream, warn_full};
use super::request::{self, Head, Refusal, reason_phrase};
use crate::connection::seats::{Full, Seat};
use crate::core::protocol::Protocol;
use crate::core::settings::SEND_BUFFER;
use crate::server::gate::Entry;
use crate::session::gateway::Handshake;
use crate::session::requests::Upgrade;
use crate::session::session::Session;

/// How long a client may take to accept the few bytes of the answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The purpose of a WebSocket.
enum Purpose {
    Begin(Protocol, Handshake),
    /// The WebSocket is for a polling session that moves to it.
    Move(Addr<Session>),
}

/// Takes over the connection, and answers the request.
pub(crate) async fn accept(entry: Rc<Entry>, request: Request, framed: Framed<Stream, h1::Codec>) {
    let parts = framed.into_parts();
    let (mut io, rest) = (parts.io, parts.read_buf);
    let mut verdict = examine(&entry, &request);
    if verdict.is_ok()
        && let Err(refusal) = keep_seat(&entry, &request, io.seat()).await
    {
        verdict = Err(refusal);
    }
    let status = verdict.as_ref().map_or_else(|refusal| refusal.status, |_| 101);
    tracing::debug!(
        method = %request.method(),
        path = request.path(),
        status,
        client = %client_address(&entry, &request),
        "upgrade"
    );
    let mut out = parts.write_buf;
    match &verdict {
        Ok((_, key)) => {
            out.extend_from_slice(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: ",
            );
            out.extend_from_slice(&ws::hash_key(key.as_bytes()));
            // Browsers fail the connection if none of the protocols that they offer is answered.
            if let Some(protocol) = request::subprotocols(&request.head().headers).next() {
                out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
                out.extend_from_slice(protocol.as_bytes());
            }
            out.extend_from_slice(b"\r\n\r\n");
        }
        Err(Refusal { status, body, header }) => {
            let header = header
                .as_ref()
                .map(|(name, value)| format!("{name}: {value}\r\n"))
                .unwrap_or_default();
            let head = format!(
                "HTTP/1.1 {status} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                 Connection: close\r\n{header}\r\n",
                reason_phrase(*status),
                body.len()
            );
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(body.as_bytes());
        }
    }
    let answer = async {
        io.write_all(&out).await?;
        // TLS may hold bytes that the kernel has not taken, and closing TLS writes too.
        if verdict.is_ok() { io.flush().await } else { io.shutdown().await }
    };
    if !matches!(tokio::time::timeout(ANSWER_TIMEOUT, answer).await, Ok(Ok(()))) {
        return;
    }
    let Ok((purpose, _)) = verdict else { return };
    let io = io.into_io();
    let socket = SockRef::from(io.tcp());
    // Errors are ignored, because these options concern only bounds and latency.
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_send_buffer_size(SEND_BUFFER);
    // Elsewhere only the ping and stall timeouts find a peer that vanished while bytes wait.
    #[cfg(target_os = "linux")]
    {
        let settings = &entry.host.worker.settings;
        let patience = settings.ping_interval + settings.ping_timeout;
        let _ = socket.set_tcp_user_timeout(Some(patience));
    }
    match purpose {
        Purpose::Begin(protocol, handshake) => {
            Session::begin(Rc::clone(&entry.host), io, &rest, protocol, handshake);
        }
        // The session may live on another thread. A connection that cannot move to it is closed.
        Purpose::Move(session) => {
            if let Ok(io) = io.detach() {
                session.do_send(Upgrade { io, rest: BytesMut::from(&rest[..]) });
            }
        }
    }
}

/// Lets the connection keep its seat as a WebSocket.
async fn keep_seat(entry: &Entry, request: &Request, seat: &Seat) -> Result<(), Refusal> {
    let client = client_address(entry, request);
    let kept = if seat.is_short() && !entry.gate.is_urgent(request.head()).await {
        Err(Full::Server)
    } else {
        seat.keep(client)
    };
    kept.map_err(|full| {
        warn_full(full, client);
        Refusal::new(503, "The server has no place for another connection").with("Retry-After", "1")
    })
}

fn client_address(entry: &Entry, request: &Request) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::from([0, 0, 0, 0]), |address| address.ip());
    entry.gate.policy.client_address(peer, &request.head().headers)
}

/// Checks the head of the request. Returns the purpose and the client's key.
fn examine(entry: &Entry, request: &Request) -> Result<(Purpose, String), Refusal> {
    let (shared, gate, head) = (&entry.host.shared, &entry.gate, request.head());
    let asked = Head {
        method: &head.method,
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        peer: head.peer_addr,
    };
    let protocol = match head.uri.path() {
        path if request::PLAIN_PATHS.contains(&path) => Protocol::Plain,
        path => asked.protocol(path, shared).ok_or_else(|| Refusal::unknown(&head.method, path))?,
    };
    if shared.is_draining() {
        return Err(Refusal::new(503, "The server is going down").with("Retry-After", "1"));
    }
    let moving = if protocol.is_engine() { asked.engine("websocket", shared, gate)? } else { None };
    let key = handshake_key(&asked)?;
    let cookies = asked.admit(gate, protocol)?;
    Ok((
        match moving {
            Some(session) => Purpose::Move(session),
            None => Purpose::Begin(protocol, asked.open(gate, protocol, cookies)?),
        },
        key,
    ))
}

/// Checks RFC 6455 section 4.2.1. Returns the client's key.
fn handshake_key(asked: &Head<'_>) -> Result<String, Refusal> {
    let headers = asked.headers;
    let has = |name, token: &str| {
        let lists = headers.get_all(name).filter_map(|value| value.to_str().ok());
        lists.flat_map(|list| list.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
    };
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if asked.method != Method::GET {
        return Err(Refusal::new(400, "A WebSocket handshake is a GET"));
    }
    if !has(header::UPGRADE, "websocket") || !has(header::CONNECTION, "upgrade") {
        return Err(request::upgrade_required(asked.peer));
    }
    if text(header::SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(Refusal::new(426, "Only WebSocket version 13 is spoken")
            .with("Sec-WebSocket-Version", "13"));
    }
    // The key is sixteen bytes in base64.
    let is_sixteen = |key: &&str| {
        let digits = key.strip_suffix("==").map(str::as_bytes).unwrap_or_default();
        digits.len() == 22
            && digits.iter().all(|digit| digit.is_ascii_alphanumeric() || b"+/".contains(digit))
    };
    // Of two keys a proxy in front may have checked the other one.
    let is_one = headers.get_all(header::SEC_WEBSOCKET_KEY).count() == 1;
    match text(header::SEC_WEBSOCKET_KEY).filter(is_sixteen).filter(|_| is_one) {
        Some(key) => Ok(key.to_owned()),
        None => Err(Refusal::new(400, "Sec-WebSocket-Key is missing, malformed or there twice")),
    }
}
