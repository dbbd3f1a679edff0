//! The checks of a request that begins a session or belongs to one. Upgrades and long-polling share
//! them.

use std::net::{IpAddr, SocketAddr};

use actix::Addr;
use actix_http::header::{self, HeaderMap, HeaderValue};
use actix_http::{Method, StatusCode};
use hubcast_realtime::throttled;

use crate::core::protocol::Protocol;
use crate::server::gate::Gate;
use crate::session::gateway::{Handshake, query_value};
use crate::session::host::Shared;
use crate::session::owner::Owner;
use crate::session::session::Session;
use crate::wire::engineio::HandshakeFault;

/// The paths of the plain protocol.
pub(super) const PLAIN_PATHS: [&str; 2] = ["/ws", "/ws/"];
const ENGINE_PATH: &str = "/engine.io";

/// Returns the path of Socket.IO, without the slash at its end.
pub(super) fn socketio_path(shared: &Shared<Session>) -> &str {
    without_slash(&shared.settings.socketio_path)
}

/// Returns the paths of Engine.IO, each with and without a slash at its end.
pub(super) fn paths(shared: &Shared<Session>) -> impl Iterator<Item = String> {
    let engine = shared.has_engine().then_some(ENGINE_PATH);
    let paths = [Some(socketio_path(shared)), engine].into_iter().flatten();
    paths.flat_map(|path| [path.to_owned(), format!("{path}/")])
}

fn without_slash(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

const UNKNOWN_HOST: &str = "This Host is not this server's; call it by localhost or an address, \
                            or name the host's Origin in CORS_ORIGINS";

/// The most bytes of the request that a session may keep. Some issuers' tokens have 16 KiB alone.
const MAX_KEPT: usize = 32 * 1024;

/// The answer on a path for WebSockets to a request that is no upgrade. Most often a proxy is the
/// reason: these headers are for one hop, so a proxy drops them unless it is told to pass them on.
pub(super) fn upgrade_required(peer: Option<SocketAddr>) -> Refusal {
    warn_not_upgraded(peer);
    Refusal::new(
        426,
        "This is a WebSocket endpoint, and the request has no Upgrade: websocket; a proxy in front \
         probably drops the headers Upgrade and Connection",
    )
    .with("Upgrade", "websocket")
}

fn warn_not_upgraded(peer: Option<SocketAddr>) {
    throttled!(
        warn,
        by = (),
        ?peer,
        "a request for a WebSocket is no upgrade; a proxy in front probably drops the headers \
         Upgrade and Connection"
    );
}

/// The answer to a request that is refused.
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) body: String,
    pub(super) header: Option<(&'static str, String)>,
}

impl Refusal {
    pub(super) fn new(status: u16, message: &str) -> Self {
        let error = reason_phrase(status);
        let body = serde_json::json!({"statusCode": status, "message": message, "error": error});
        Self { status, body: body.to_string(), header: None }
    }

    /// The answer at an unknown path.
    pub(super) fn unknown(method: &Method, path: &str) -> Self {
        Self::new(404, &format!("Cannot {method} {path}"))
    }

    pub(super) fn with(self, name: &'static str, value: impl Into<String>) -> Self {
        Self { header: Some((name, value.into())), ..self }
    }
}

impl From<HandshakeFault> for Refusal {
    fn from(fault: HandshakeFault) -> Self {
        let (status, body) = fault.answer();
        Self { status, body: body.to_owned(), header: None }
    }
}

pub(super) fn reason_phrase(status: u16) -> &'static str {
    StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Error")
}

/// The head of a request.
pub(super) struct Head<'a> {
    pub(super) method: &'a Method,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) peer: Option<SocketAddr>,
}

impl Head<'_> {
    /// Makes Engine.IO's own checks, in the reference server's order. Returns the session, or
    /// `None` for a new one. Every request of a session has to name the version that it began with,
    /// or one version's packets would be read as another's.
    pub(super) fn engine(
        &self,
        transport: &str,
        shared: &Shared<Session>,
        gate: &Gate,
    ) -> Result<Option<Addr<Session>>, HandshakeFault> {
        let asked = query_value(self.query, "transport");
        if !matches!(asked.as_deref(), Some("polling" | "websocket")) {
            return Err(HandshakeFault::TransportUnknown);
        }
        let session = query_value(self.query, "sid")
            .map(|sid| self.own_session(&sid, shared, gate).ok_or(HandshakeFault::SessionUnknown))
            .transpose()?;
        if session.is_none() && self.method != Method::GET {
            return Err(HandshakeFault::BadMethod);
        }
        if asked.as_deref() != Some(transport) {
            if transport == "polling" {
                warn_not_upgraded(self.peer);
            }
            return Err(HandshakeFault::BadRequest);
        }
        if query_value(self.query, "EIO").as_deref() != Some("4") {
            return Err(HandshakeFault::UnsupportedVersion);
        }
        Ok(session)
    }

    /// Returns the polling session with this id, if it belongs to the sender of the request.
    fn own_session(
        &self,
        sid: &str,
        shared: &Shared<Session>,
        gate: &Gate,
    ) -> Option<Addr<Session>> {
        let (session, owner) = shared.engines.get(sid)?;
        let client = self.client(gate);
        let bytes = |name| self.headers.get(name).map(HeaderValue::as_bytes);
        let (authorization, cookie) = (bytes(header::AUTHORIZATION), bytes(header::COOKIE));
        if owner.is(&Owner::new(client, authorization, cookie, self.query)) {
            return Some(session);
        }
        throttled!(
            warn,
            by = (),
            %client,
            began_at = %owner.address(),
            "a request for a polling session comes from another address than the one that began \
             it, and without its token; a proxy in front belongs to TRUSTED_PROXIES"
        );
        None
    }

    /// Checks the host that was called, and the Origin: whether it may connect, and whether its
    /// cookies count.
    pub(super) fn admit(&self, gate: &Gate, protocol: Protocol) -> Result<Cookies, Refusal> {
        if !gate.policy.is_called_by_a_known_host(self.address(), self.headers) {
            return Err(Refusal::new(403, UNKNOWN_HOST));
        }
        let verdict = gate.policy.origin(self.address(), self.headers);
        if verdict.allowed {
            return Ok(if verdict.cookies { Cookies::Count } else { Cookies::DoNot });
        }
        gate.policy.warn_refused(self.address(), self.headers);
        Err(match protocol {
            Protocol::SocketIo { .. } | Protocol::EngineIo => HandshakeFault::Forbidden.into(),
            Protocol::Plain => Refusal::new(403, "This Origin is not allowed"),
        })
    }

    /// Counts a new session, and returns the part of the request that it keeps.
    pub(super) fn open(
        &self,
        gate: &Gate,
        protocol: Protocol,
        cookies: Cookies,
    ) -> Result<Handshake, Refusal> {
        let peer = self.client(gate);
        if let Err(wait) = gate.count_connect(peer) {
            return Err(Refusal::new(429, "Too many connections")
                .with("Retry-After", (wait.as_secs() + 1).to_string()));
        }
        let bytes = |name| self.headers.get(name).map(|value| Box::from(value.as_bytes()));
        let cookie = bytes(header::COOKIE).filter(|_| cookies == Cookies::Count);
        let handshake = Handshake {
            peer,
            query: self.query.into(),
            authorization: self
                .offered_token()
                .filter(|_| protocol == Protocol::Plain)
                .or_else(|| bytes(header::AUTHORIZATION)),
            cookie,
        };
        let kept = [
            Some(handshake.query.len()),
            handshake.authorization.as_deref().map(<[u8]>::len),
            handshake.cookie.as_deref().map(<[u8]>::len),
        ];
        if kept.into_iter().flatten().sum::<usize>() > MAX_KEPT {
            return Err(Refusal::new(431, "Query and headers are too long"));
        }
        Ok(handshake)
    }

    /// Returns the token of a pair `bearer, TOKEN` among the offered subprotocols, as a header: a
    /// browser can set no other one on a WebSocket. A header of the client's own comes first.
    fn offered_token(&self) -> Option<Box<[u8]>> {
        let own = self.headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        if own.and_then(|own| own.get(..SCHEME.len())).is_some_and(is_bearer) {
            return None;
        }
        let mut offered = subprotocols(self.headers);
        offered.find(|name| is_bearer(name.as_bytes()))?;
        offered.next().map(|token| format!("Bearer {token}").into_bytes().into())
    }

    /// Returns the client's address, as trusted proxies report it.
    pub(super) fn client(&self, gate: &Gate) -> IpAddr {
        gate.policy.client_address(self.address(), self.headers)
    }

    /// Returns the peer's address. A peer that has disconnected has none, and will not read an
    /// answer.
    fn address(&self) -> IpAddr {
        self.peer.map_or(IpAddr::from([0, 0, 0, 0]), |address| address.ip())
    }

    /// Returns the protocol at one of [`paths`], as this client uses it. Returns `None` for any
    /// other path.
    pub(super) fn protocol(&self, path: &str, shared: &Shared<Session>) -> Option<Protocol> {
        let path = without_slash(path);
        if path == ENGINE_PATH && shared.has_engine() {
            return Some(Protocol::EngineIo);
        }
        if path != socketio_path(shared) {
            return None;
        }
        // The handlers of these clients do not expect the trailing offset: python-socketio passes
        // it on, Dart's makes one list of it and the data, and Rust's takes it for a part of a
        // binary event's name.
        let takes_offsets = !(self.is_python() || self.is_dart() || self.is_rust())
            && query_value(self.query, "recovery").as_deref() != Some("0");
        Some(Protocol::SocketIo { offsets: takes_offsets && shared.recovery.is_some() })
    }

    /// Returns the most packets that this client accepts in one payload; python-engineio drops the
    /// connection if there are more.
    pub(super) fn packets_a_poll(&self) -> usize {
        if self.is_python() { 16 } else { usize::MAX }
    }

    /// Returns true for the Python client: its time stamp is a decimal number, and its HTTP
    /// libraries send their names.
    fn is_python(&self) -> bool {
        let is_decimal = |text: String| {
            text.split_once('.')
                .is_some_and(|(whole, part)| [whole, part].iter().all(|digits| is_digits(digits)))
        };
        query_value(self.query, "t").is_some_and(is_decimal) || self.is_agent("python")
    }

    /// Returns true for the Dart client outside of browsers, where `dart:io` sends its name.
    fn is_dart(&self) -> bool {
        self.is_agent("Dart/")
    }

    /// Returns true for the Rust clients, if they begin with polling: their HTTP library sends no
    /// name, and their time stamp is a checksum in digits. No other client's request has neither a
    /// name nor a letter in its time stamp.
    fn is_rust(&self) -> bool {
        !self.headers.contains_key(header::USER_AGENT)
            && query_value(self.query, "t").is_some_and(|stamp| is_digits(&stamp))
    }

    fn is_agent(&self, begins: &str) -> bool {
        let agent = self.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        let first = agent.and_then(|agent| agent.get(..begins.len()));
        first.is_some_and(|first| first.eq_ignore_ascii_case(begins))
    }
}

/// Whether a request's cookies may identify its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cookies {
    Count,
    DoNot,
}

const SCHEME: &[u8] = b"bearer";

fn is_bearer(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(SCHEME)
}

/// Returns the subprotocols that a client offers (RFC 6455 section 11.3.4), in its order.
pub(super) fn subprotocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let is_token = |name: &&str| {
        let is_mark = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_mark(byte))
    };
    let lists = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let lists = lists.filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim).filter(is_token)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
