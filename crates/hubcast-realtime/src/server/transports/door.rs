//! What every request of an application passes: it runs on the seat of its connection, and its body
//! has to arrive in time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::body::{BoxBody, EitherBody};
use actix_http::error::PayloadError;
use actix_http::{ConnectionType, Payload, Request, Response, StatusCode, header};
use actix_service::Service;
use bytes::Bytes;
use futures_core::Stream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::request::Refusal;
use crate::connection::seats::Seat;
use crate::core::settings::{BODY_PATIENCE, BODY_RATE};
use crate::server::gate::Gate;

/// Passes a request on to the application, if its connection may make one.
pub(crate) fn pass<S, B>(
    gate: &Gate,
    body_timeout: Duration,
    mut request: Request,
    app: &S,
) -> impl Future<Output = Result<Response<EitherBody<B>>, S::Error>> + use<S, B>
where
    S: Service<Request>,
    S::Response: Into<Response<B>>,
{
    let seat = request.conn_data::<Arc<Seat>>().map(Arc::clone);
    let mut verdict = None;
    if let Some(seat) = &seat {
        seat.run();
        if seat.is_short() && !seat.may_run() {
            verdict = Some(gate.is_urgent(request.head()));
        }
        request = with_deadline(request, seat, body_timeout);
    }
    // The application begins when its answer is awaited.
    let answer = app.call(request);
    async move {
        if let Some(verdict) = verdict
            && !verdict.await
        {
            if let Some(seat) = &seat {
                seat.rest();
            }
            return Ok(full().map_body(|_, body| EitherBody::right(body)));
        }
        let answer = answer.await;
        let Some(seat) = seat else {
            return answer.map(|answer| answer.into().map_body(|_, body| EitherBody::left(body)));
        };
        seat.rest();
        let mut answer = answer?.into();
        if seat.is_short() {
            answer.head_mut().set_connection_type(ConnectionType::Close);
        }
        Ok(answer.map_body(|_, body| EitherBody::left(body)))
    }
}

/// The answer on a connection that may make no request while the server is full.
fn full() -> Response<BoxBody> {
    let refusal = Refusal::new(503, "The server has no place for another connection");
    let mut response = Response::build(StatusCode::SERVICE_UNAVAILABLE)
        .insert_header((header::RETRY_AFTER, "1"))
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .body(refusal.body)
        .map_into_boxed_body();
    response.head_mut().set_connection_type(ConnectionType::Close);
    response
}

fn with_deadline(mut request: Request, seat: &Arc<Seat>, within: Duration) -> Request {
    if matches!(request.payload(), Payload::None) {
        return request;
    }
    let body = request.take_payload();
    let body =
        TimedBody { body, seat: Arc::clone(seat), within, began: None, received: 0, timer: None };
    *request.payload() = Payload::Stream { payload: Box::pin(body) };
    request
}

/// The body of a request, which fails with [`TimedOut`](std::io::ErrorKind::TimedOut) if the
/// client sends it too slowly. It holds no bytes.
struct TimedBody {
    body: Payload,
    seat: Arc<Seat>,
    within: Duration,
    /// When the body was first asked for bytes.
    began: Option<Instant>,
    received: u64,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stream for TimedBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let body = &mut *self;
        let began = *body.began.get_or_insert_with(Instant::now);
        let next = Pin::new(&mut body.body).poll_next(cx);
        match &next {
            Poll::Ready(Some(Ok(chunk))) => body.received += chunk.len() as u64,
            Poll::Ready(_) => body.seat.end_body(),
            Poll::Pending => {
                body.seat.await_body();
                let within = body.within;
                let timer = body.timer.get_or_insert_with(|| Box::pin(sleep_until(began + within)));
                while timer.as_mut().poll(cx).is_ready() {
                    let elapsed = began.elapsed();
                    if elapsed >= within * BODY_PATIENCE
                        || body.received < elapsed.as_secs() * BODY_RATE
                    {
                        body.seat.end_body();
                        let late = std::io::ErrorKind::TimedOut.into();
                        return Poll::Ready(Some(Err(PayloadError::Io(late))));
                    }
                    timer.as_mut().reset(Instant::now() + Duration::from_secs(1));
                }
            }
        }
        next
    }
}
