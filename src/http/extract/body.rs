//! How the body of a request is read, and counted towards `RATE_REST_BYTES`.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::pin;

use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::{HttpMessage, HttpRequest, web};
use futures_core::Stream;

use crate::auth::Token;
use crate::error::Error;
use crate::http::limits::RestLimits;

/// Reads a JSON body of at most so many bytes, and counts it. A length that the request names is
/// counted before a byte is read, so many requests at once have no more than the rate either.
pub(super) async fn read_body(
    request: &HttpRequest,
    payload: web::Payload,
    most: usize,
    token: Option<&Token>,
) -> Result<Result<web::Bytes, Error>, Error> {
    let declared = request.headers().get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > most) {
        return Ok(Err(Error::TooLarge));
    }
    let count = |length| match token {
        Some(token) => RestLimits::of(request)?.count_body(&token.identity, length),
        None => Ok(()),
    };
    if let Some(length) = declared {
        count(length)?;
    }
    let body = collect_body(request, payload, most).await;
    if let (Ok(body), None) = (&body, declared) {
        count(body.len())?;
    }
    Ok(body)
}

/// Collects a JSON body. It takes memory as bytes arrive.
async fn collect_body(
    request: &HttpRequest,
    payload: web::Payload,
    most: usize,
) -> Result<web::Bytes, Error> {
    let unreadable = || Error::BadRequest("Body could not be read".into());
    let (mut payload, mut body) = (pin!(payload), web::BytesMut::new());
    while let Some(chunk) = poll_fn(|cx| payload.as_mut().poll_next(cx)).await {
        let chunk = chunk.map_err(|fault| match fault {
            PayloadError::Io(fault) if fault.kind() == ErrorKind::TimedOut => Error::TooSlow,
            _ => unreadable(),
        })?;
        if body.len() + chunk.len() > most {
            return Err(Error::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    let body = body.freeze();
    // A form on another site can post text/plain with the user's cookie. It cannot post JSON: the
    // browser would send a CORS preflight first.
    let is_json = request.content_type().eq_ignore_ascii_case("application/json");
    if body.is_empty() || is_json {
        return Ok(body);
    }
    Err(Error::BadRequest("Content-Type must be application/json".into()))
}
