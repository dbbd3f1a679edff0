//! Engine.IO's long-polling (engine.io-protocol 4, "HTTP long-polling"): GET takes what the server
//! has to say, and waits until there is something; POST brings what the client has to say. A
//! request may come to any worker; its session is asked by messages.

use std::rc::Rc;

use actix::Addr;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{BytesMut, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_core::Stream;
use tokio::sync::oneshot;

use super::door::{self, Head, Refusal};
use crate::outlet::Worker;
use crate::session::{Hangup, Poll, Post, Session};
use crate::settings::Settings;
use crate::wire::engineio::HandshakeFault;

/// Registers the paths of Engine.IO for everything that is not an upgrade.
pub(crate) fn configure(worker: &Rc<Worker>, app: &mut ServiceConfig) {
    for path in door::paths(&worker.shared) {
        let worker = Rc::clone(worker);
        app.service(web::resource(path).to(move |request: HttpRequest, body: Payload| {
            let worker = Rc::clone(&worker);
            async move { serve(worker, &request, body).await.unwrap_or_else(answer) }
        }));
    }
}

fn answer(refusal: Refusal) -> HttpResponse {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = HttpResponse::build(status);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        // It is going down: the next try should find another.
        response.force_close();
    }
    if let Some(header) = refusal.header {
        response.insert_header(header);
    }
    response.content_type("application/json").body(refusal.body)
}

async fn serve(
    worker: Rc<Worker>,
    request: &HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Refusal> {
    let shared = &worker.shared;
    let query = request.query_string();
    let head = Head {
        method: request.method(),
        query,
        headers: request.headers(),
        peer: request.peer_addr(),
    };
    let sid = head.engine("polling")?;
    let session = sid
        .map(|sid| shared.engines.get(&sid).ok_or(HandshakeFault::SessionUnknown))
        .transpose()?;
    let protocol = head.protocol(request.path(), shared);
    let cookies = head.admit(shared, protocol)?;
    let most = head.packets_a_poll();
    let Some(session) = session else {
        if shared.is_draining() {
            return Err(Refusal::new(503, "The server is going down").with("Retry-After", "1"));
        }
        let handshake = head.open(shared, cookies)?;
        return poll(Session::begin_polling(Rc::clone(&worker), protocol, handshake), most).await;
    };
    match *request.method() {
        Method::GET => poll(session, most).await,
        Method::POST => post(session, request, body, &shared.settings).await,
        _ => Err(HandshakeFault::BadMethod.into()),
    }
}

/// A session is over with a request that is broken off: what a poll was answered may be lost, and
/// what a POST would have brought is.
struct Waiting(Option<Addr<Session>>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(session) = self.0.take() {
            session.do_send(Hangup);
        }
    }
}

async fn poll(session: Addr<Session>, most: usize) -> Result<HttpResponse, Refusal> {
    let (answer, answered) = oneshot::channel();
    session.do_send(Poll { answer, most });
    let mut waiting = Waiting(Some(session));
    let payload = answered.await;
    waiting.0 = None;
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
    settings: &Settings,
) -> Result<HttpResponse, Refusal> {
    // Binary is base64 within text; nothing else is spoken.
    let is_binary = request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes() == b"application/octet-stream");
    let mut waiting = Waiting(Some(session.clone()));
    // As long as for any message that has begun to come.
    let packets =
        tokio::time::timeout(settings.connect_timeout, collect(body, settings.max_payload)).await;
    let packets =
        packets.map_err(|_| HandshakeFault::BadRequest)?.map_err(|_| HandshakeFault::BadRequest)?;
    waiting.0 = None;
    let Some(packets) = packets else {
        return Ok(HttpResponse::PayloadTooLarge().finish());
    };
    if is_binary {
        session.do_send(Hangup);
        return Err(HandshakeFault::BadRequest.into());
    }
    let (done, handled) = oneshot::channel();
    session.do_send(Post { packets: packets.freeze(), done });
    handled.await.map_err(|_| HandshakeFault::SessionUnknown)??;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/html")).body("ok"))
}

/// The body; `None` when it is larger than that.
async fn collect(
    body: Payload,
    most: usize,
) -> Result<Option<BytesMut>, actix_web::error::PayloadError> {
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
