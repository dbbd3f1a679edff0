//! Engine.IO's long-polling (engine.io-protocol 4, "HTTP long-polling"): a GET takes the server's
//! packets and waits until there are some; a POST brings the client's packets. A request may arrive
//! at any worker, and reaches its session by messages.
//!
//! Requests for a WebSocket that are no upgrades arrive here too, and are refused.

use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::Arc;

use actix::Addr;
use actix_web::error::PayloadError;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{BytesMut, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, guard, web};
use futures_core::Stream;
use tokio::sync::oneshot;

use super::request::{self, Head, Refusal};
use crate::connection::seats::Seat;
use crate::server::gate::Entry;
use crate::session::requests::{Abort, BeginPost, Poll, Post};
use crate::session::session::Session;
use crate::wire::engineio::HandshakeFault;

/// The files under which Socket.IO's reference server serves the client, with its builds.
const CLIENT_FILES: &str = r"{file:socket\.io(?:\.[a-z]+)*\.js(?:\.map)?}";
/// The answer to a page that looks for the client here.
const NO_CLIENT: &str = "The client is not served here. It is the npm package socket.io-client, \
                         and at https://cdn.socket.io for a script element";

/// Registers the server's paths for all requests that are not upgrades.
pub(crate) fn configure(entry: &Rc<Entry>, app: &mut ServiceConfig) {
    let shared = &entry.host.shared;
    for path in request::paths(shared) {
        let entry = Rc::clone(entry);
        app.service(web::resource(path).to(move |request: HttpRequest, body: Payload| {
            let entry = Rc::clone(&entry);
            async move { serve(&entry, &request, body).await.unwrap_or_else(answer) }
        }));
    }
    for path in request::PLAIN_PATHS {
        let get = web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
        app.route(
            path,
            get.to(async |request: HttpRequest| {
                answer(request::upgrade_required(request.peer_addr()))
            }),
        );
    }
    let client = format!("{}/{CLIENT_FILES}", request::socketio_path(shared));
    app.service(web::resource(client).to(|| async { answer(Refusal::new(404, NO_CLIENT)) }));
}

fn answer(refusal: Refusal) -> HttpResponse {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = HttpResponse::build(status);
    // When the server shuts down, the next attempt should reach another one; the rest of a body
    // that is too slow is not waited for.
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT) {
        response.force_close();
    }
    if let Some(header) = refusal.header {
        response.insert_header(header);
    }
    response.content_type("application/json").body(refusal.body)
}

async fn serve(
    entry: &Entry,
    request: &HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Refusal> {
    let (shared, gate) = (&entry.host.shared, &entry.gate);
    let query = request.query_string();
    let head = Head {
        method: request.method(),
        query,
        headers: request.headers(),
        peer: request.peer_addr(),
    };
    let session = head.engine("polling", shared, gate)?;
    let unknown = || Refusal::unknown(request.method(), request.path());
    let protocol = head.protocol(request.path(), shared).ok_or_else(unknown)?;
    let cookies = head.admit(gate, protocol)?;
    let most = head.packets_a_poll();
    let Some(session) = session else {
        if shared.is_draining() {
            return Err(Refusal::new(503, "The server is going down").with("Retry-After", "1"));
        }
        let handshake = head.open(gate, protocol, cookies)?;
        let session = Session::begin_polling(Rc::clone(&entry.host), protocol, handshake);
        return poll(session, most, request).await;
    };
    match *request.method() {
        Method::GET => poll(session, most, request).await,
        Method::POST => post(session, request, body).await,
        _ => Err(HandshakeFault::BadMethod.into()),
    }
}

/// Aborts the session of a request that is broken off, because the packets of its answer may be
/// lost, and those of its body are.
struct PollGuard(Option<Addr<Session>>);

impl Drop for PollGuard {
    fn drop(&mut self) {
        if let Some(session) = self.0.take() {
            session.do_send(Abort);
        }
    }
}

async fn poll(
    session: Addr<Session>,
    most: usize,
    request: &HttpRequest,
) -> Result<HttpResponse, Refusal> {
    let (answer, answered) = oneshot::channel();
    let seat = request.conn_data::<Arc<Seat>>().map(Arc::downgrade);
    session.do_send(Poll { answer, most, seat });
    let mut guard = PollGuard(Some(session));
    let payload = answered.await;
    guard.0 = None;
    let payload = payload.map_err(|_| HandshakeFault::SessionUnknown)??;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, "text/plain; charset=UTF-8"))
        .insert_header((CACHE_CONTROL, "no-store"));
    Ok(response.body(payload))
}

async fn post(
    session: Addr<Session>,
    request: &HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Refusal> {
    // Binary packets are base64 within text; there is no other form.
    let is_binary = request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes() == b"application/octet-stream");
    // A client that goes away before its body is whole ends the session, however early.
    let mut guard = PollGuard(Some(session.clone()));
    let (answer, answered) = oneshot::channel();
    session.do_send(BeginPost { answer });
    let begun = answered.await;
    let present = guard.0.take();
    let (most, receipt) = begun.map_err(|_| HandshakeFault::SessionUnknown)??;
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > most) {
        return Ok(HttpResponse::PayloadTooLarge().finish());
    }
    guard.0 = present;
    let packets = collect(body, most).await.map_err(|fault| match fault {
        PayloadError::Io(fault) if fault.kind() == ErrorKind::TimedOut => {
            Refusal::new(408, "The body did not arrive in time")
        }
        _ => HandshakeFault::BadRequest.into(),
    })?;
    guard.0 = None;
    let Some(packets) = packets else {
        return Ok(HttpResponse::PayloadTooLarge().finish());
    };
    if is_binary {
        session.do_send(Abort);
        return Err(HandshakeFault::BadRequest.into());
    }
    let (done, handled) = oneshot::channel();
    session.do_send(Post { packets: packets.freeze(), receipt, done });
    handled.await.map_err(|_| HandshakeFault::SessionUnknown)??;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/html")).body("ok"))
}

/// Reads the body. Returns `None` if it is larger than `most`.
async fn collect(body: Payload, most: usize) -> Result<Option<BytesMut>, PayloadError> {
    let (mut body, mut whole) = (std::pin::pin!(body), BytesMut::new());
    while let Some(chunk) = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        let chunk = chunk?;
        if whole.len() + chunk.len() > most {
            return Ok(None);
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(Some(whole))
}
