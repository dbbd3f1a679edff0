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
    let body = TimedBody {
        body,
        seat: Arc::clone(seat),
        pace: Pace::new(within),
        began: None,
        timer: None,
    };
    *request.payload() = Payload::Stream { payload: Box::pin(body) };
    request
}

/// The body of a request, which fails with [`TimedOut`](std::io::ErrorKind::TimedOut) if the
/// client sends it too slowly. It holds no bytes, but lives as long as whoever collects them.
struct TimedBody {
    body: Payload,
    seat: Arc<Seat>,
    pace: Pace,
    /// When the body was first asked for bytes.
    began: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Drop for TimedBody {
    fn drop(&mut self) {
        self.seat.drop_body();
    }
}

/// How fast a body arrives.
struct Pace {
    within: Duration,
    received: u64,
    /// What had been received at the last look, and at the one before it.
    before: [u64; 2],
    looks: u32,
}

impl Pace {
    fn new(within: Duration) -> Self {
        Self { within, received: 0, before: [0; 2], looks: 0 }
    }

    /// When the next look is due, after the begin of the body.
    fn next_look(&self) -> Duration {
        self.within / 2 * (self.looks + 1)
    }

    /// Returns true if the body is too slow: it has taken all its time, or has come slower than
    /// [`BODY_RATE`] since the look before the last one, which is `within` ago.
    fn is_late(&mut self) -> bool {
        self.looks += 1;
        let [recent, earlier] = self.before;
        self.before = [self.received, recent];
        let least = self.within.as_millis() * u128::from(BODY_RATE) / 1000;
        self.looks >= 2 * BODY_PATIENCE
            || (self.looks >= 2 && u128::from(self.received - earlier) < least)
    }
}

impl Stream for TimedBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let body = &mut *self;
        let began = *body.began.get_or_insert_with(Instant::now);
        let next = Pin::new(&mut body.body).poll_next(cx);
        match &next {
            Poll::Ready(Some(Ok(chunk))) => {
                body.pace.received += chunk.len() as u64;
                body.seat.hold_body(chunk.len());
            }
            Poll::Ready(_) => body.seat.end_body(),
            Poll::Pending => {
                body.seat.await_body();
                let first = began + body.pace.next_look();
                let timer = body.timer.get_or_insert_with(|| Box::pin(sleep_until(first)));
                while timer.as_mut().poll(cx).is_ready() {
                    if body.pace.is_late() {
                        body.seat.end_body();
                        let late = std::io::ErrorKind::TimedOut.into();
                        return Poll::Ready(Some(Err(PayloadError::Io(late))));
                    }
                    timer.as_mut().reset(began + body.pace.next_look());
                }
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The look at which a body is late of which so many bytes arrive before each look.
    fn late_at(arrivals: impl IntoIterator<Item = u64>) -> usize {
        let mut pace = Pace::new(Duration::from_secs(10));
        let mut looks = arrivals.into_iter().chain(std::iter::repeat(0)).map(|bytes| {
            pace.received += bytes;
            pace.is_late()
        });
        looks.position(|is_late| is_late).unwrap() + 1
    }

    #[test]
    fn a_body_has_to_keep_coming_whatever_came_at_once() {
        assert_eq!(late_at([1]), 2, "after 10 s");
        assert_eq!(late_at([999_000]), 3, "after 15 s");
        assert_eq!(late_at([999_000, 0, 5_000, 5_000]), 3);
        assert_eq!(late_at([50_000, 0, 50_000, 0, 50_000, 0, 0]), 7);
        assert_eq!(late_at([5_120; 40]), 12, "after 60 s");
    }
}
