//! The door for everything that asks for an upgrade. The HTTP layer hands the raw connection over and is done with it: what is a valid
//! WebSocket handshake on one of our paths becomes a session, all else gets a short answer and `Connection: close`.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use actix_codec::Framed;
use actix_http::header::{self, HeaderMap};
use actix_http::{Method, Request, h1, ws};
use actix_rt::net::TcpStream;
use socket2::SockRef;
use tokio::io::AsyncWriteExt;

use crate::realtime::frame::Protocol;
use crate::realtime::gateway::{Handshake, query_value};
use crate::realtime::outlet::Worker;
use crate::realtime::session::Session;
use crate::realtime::settings::SEND_BUFFER;
use crate::realtime::wire::engineio::HandshakeFault;

/// How long a client may take to accept the few bytes of our answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of the request that a session may keep.
const MAX_KEPT: usize = 16 * 1024;

/// An answer instead of an upgrade.
struct Refusal {
    status: u16,
    body: String,
    header: Option<(&'static str, String)>,
}

impl Refusal {
    fn new(status: u16, message: &str) -> Self {
        let body = serde_json::json!({"statusCode": status, "message": message, "error": reason_phrase(status)}).to_string();
        Self { status, body, header: None }
    }

    fn with(self, name: &'static str, value: impl Into<String>) -> Self {
        Self { header: Some((name, value.into())), ..self }
    }
}

impl From<HandshakeFault> for Refusal {
    fn from(fault: HandshakeFault) -> Self {
        let (status, body) = fault.answer();
        Self { status, body: body.to_owned(), header: None }
    }
}

/// Takes the connection over.
pub(in crate::realtime) async fn accept(worker: Rc<Worker>, request: Request, framed: Framed<TcpStream, h1::Codec>) {
    let parts = framed.into_parts();
    let (mut io, rest) = (parts.io, parts.read_buf);
    let verdict = examine(&worker, &request);
    let status = verdict.as_ref().map_or_else(|refusal| refusal.status, |_| 101);
    tracing::debug!(method = %request.method(), path = request.path(), status, "upgrade");
    let mut out = parts.write_buf;
    match &verdict {
        Ok((_, _, key)) => {
            out.extend_from_slice(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
            );
            out.extend_from_slice(&ws::hash_key(key.as_bytes()));
            out.extend_from_slice(b"\r\n\r\n");
        }
        Err(Refusal { status, body, header }) => {
            let header = header.as_ref().map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
            let head = format!(
                "HTTP/1.1 {status} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{header}\r\n",
                reason_phrase(*status),
                body.len()
            );
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(body.as_bytes());
        }
    }
    let written = tokio::time::timeout(ANSWER_TIMEOUT, io.write_all(&out)).await;
    if !matches!(written, Ok(Ok(()))) {
        return;
    }
    match verdict {
        Ok((protocol, handshake, _)) => {
            let settings = &worker.shared.settings;
            let socket = SockRef::from(&io);
            // Each is a bound or a latency, not a need: a socket without them still works.
            let _ = socket.set_tcp_nodelay(true);
            let _ = socket.set_send_buffer_size(SEND_BUFFER);
            let _ = socket.set_tcp_user_timeout(Some(settings.ping_interval + settings.ping_timeout));
            Session::begin(worker, io, &rest, protocol, handshake);
        }
        Err(_) => {
            let _ = io.shutdown().await;
        }
    }
}

/// What the head of the request makes of it.
fn examine(worker: &Worker, request: &Request) -> Result<(Protocol, Handshake, String), Refusal> {
    let (shared, head) = (&worker.shared, request.head());
    let query = head.uri.query().unwrap_or_default();
    let protocol = match head.uri.path() {
        "/socket.io/" | "/socket.io" => Protocol::SocketIo { offsets: takes_offsets(query, &head.headers) },
        "/ws" => Protocol::Plain,
        path => return Err(Refusal::new(404, &format!("Cannot {} {path}", head.method))),
    };
    if shared.is_draining() {
        return Err(Refusal::new(503, "The server is going down").with("Retry-After", "1"));
    }
    if matches!(protocol, Protocol::SocketIo { .. }) {
        engine(&head.method, query)?;
    }
    let key = handshake_key(&head.method, &head.headers)?;
    // A peer that is gone already has no address; it will not read our answer either.
    let peer = head.peer_addr.map_or(IpAddr::from([0, 0, 0, 0]), |address| address.ip());
    let verdict = shared.policy.origin(peer, &head.headers);
    if !verdict.allowed {
        return Err(match protocol {
            Protocol::SocketIo { .. } => HandshakeFault::Forbidden.into(),
            Protocol::Plain => Refusal::new(403, "This Origin is not allowed"),
        });
    }
    let peer = shared.policy.client_address(peer, &head.headers);
    if let Err(wait) = shared.count_connect(peer) {
        return Err(Refusal::new(429, "Too many connections").with("Retry-After", (wait.as_secs() + 1).to_string()));
    }
    let bytes = |name| head.headers.get(name).map(|value| value.as_bytes().to_owned());
    let cookie = if verdict.cookies { bytes(header::COOKIE) } else { None };
    let handshake = Handshake { peer, query: query.to_owned(), authorization: bytes(header::AUTHORIZATION), cookie };
    let kept = [Some(handshake.query.len()), handshake.authorization.as_ref().map(Vec::len), handshake.cookie.as_ref().map(Vec::len)];
    if kept.into_iter().flatten().sum::<usize>() > MAX_KEPT {
        return Err(Refusal::new(431, "Query and headers are too long"));
    }
    Ok((protocol, handshake, key))
}

/// Whether this Socket.IO client can do with offsets. python-socketio hands the trailing argument to its handlers, which do not expect it: its time
/// stamp is a decimal number, and its HTTP libraries name themselves.
fn takes_offsets(query: &str, headers: &HeaderMap) -> bool {
    let is_decimal = |text: String| text.split_once('.').is_some_and(|(whole, part)| [whole, part].iter().all(|digits| is_digits(digits)));
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let is_python = query_value(query, "t").is_some_and(is_decimal) || agent.starts_with("python");
    !is_python && query_value(query, "recovery").as_deref() != Some("0")
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Engine.IO's own questions, in the reference server's order.
fn engine(method: &Method, query: &str) -> Result<(), HandshakeFault> {
    if query_value(query, "transport").as_deref() != Some("websocket") {
        return Err(HandshakeFault::TransportUnknown);
    }
    if query_value(query, "sid").is_some() {
        return Err(HandshakeFault::SessionUnknown);
    }
    if method != Method::GET {
        return Err(HandshakeFault::BadMethod);
    }
    if query_value(query, "EIO").as_deref() != Some("4") {
        return Err(HandshakeFault::UnsupportedVersion);
    }
    Ok(())
}

/// RFC 6455 section 4.2.1. Gives the client's key.
fn handshake_key(method: &Method, headers: &HeaderMap) -> Result<String, Refusal> {
    let has = |name, token: &str| {
        let lists = headers.get_all(name).filter_map(|value| value.to_str().ok());
        lists.flat_map(|list| list.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
    };
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if method != Method::GET {
        return Err(Refusal::new(400, "A WebSocket handshake is a GET"));
    }
    if !has(header::UPGRADE, "websocket") || !has(header::CONNECTION, "upgrade") {
        return Err(Refusal::new(426, "This path speaks WebSocket").with("Upgrade", "websocket"));
    }
    if text(header::SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(Refusal::new(426, "Only WebSocket version 13 is spoken").with("Sec-WebSocket-Version", "13"));
    }
    // Sixteen bytes in base64.
    match text(header::SEC_WEBSOCKET_KEY) {
        Some(key) if key.len() == 24 && key.ends_with("==") => Ok(key.to_owned()),
        _ => Err(Refusal::new(400, "Sec-WebSocket-Key is missing or malformed")),
    }
}

fn reason_phrase(status: u16) -> &'static str {
    actix_http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error")
}
