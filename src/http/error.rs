//! The response for an [`Error`], in NestJS's shape:
//! `{"statusCode":404,"message":"…","error":"Not Found"}`.
//!
//! `message` is a list for faults of validation, and a text for all others.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, Responder, ResponseError};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{AuthFailure, Error};

/// The body of every failure.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failure<'a> {
    status_code: u16,
    message: Message<'a>,
    /// The reason phrase of the status.
    error: &'a str,
    /// With 401 for a token: whether there was none, whether it only has expired, or whether
    /// anything else is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Reason")]
    reason: Option<Reason>,
}

/// Why a token is refused; sockets get the same words.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Reason {
    Missing,
    Expired,
    Invalid,
}

impl Reason {
    fn of(error: &Error) -> Option<Self> {
        match error {
            Error::Unauthorized(AuthFailure::Missing) => Some(Self::Missing),
            Error::Unauthorized(AuthFailure::Expired) | Error::TokenExpired => Some(Self::Expired),
            Error::Unauthorized(AuthFailure::Invalid) => Some(Self::Invalid),
            _ => None,
        }
    }
}

/// One text, or all faults of a body.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "FailureMessage")]
enum Message<'a> {
    One(String),
    List(&'a [String]),
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let message = match self {
            Self::Faults(faults) => Message::List(faults),
            other => Message::One(other.message()),
        };
        let mut response = HttpResponse::build(status);
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if matches!(self, Self::TooSlow) {
            // The rest of the body is not waited for.
            response.force_close();
        }
        add_advice(self, &mut response);
        response.json(Failure {
            status_code: status.as_u16(),
            message,
            error: status.canonical_reason().unwrap_or_default(),
            reason: Reason::of(self),
        })
    }
}

/// Adds the headers by which a client knows what to do about the failure.
fn add_advice(error: &Error, response: &mut HttpResponseBuilder) {
    match error {
        Error::Unauthorized(_) | Error::TokenExpired | Error::BadCredentials => {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        Error::RateLimited(wait) => {
            // Rounded up, so that a retry is not early by a fraction of a second.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.insert_header((header::RETRY_AFTER, seconds.max(1)));
        }
        Error::Unavailable(_) => {
            response.insert_header((header::RETRY_AFTER, 1));
        }
        _ => {}
    }
}

/// Lets a handler return an error only.
impl Responder for Error {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _: &actix_web::HttpRequest) -> HttpResponse {
        self.error_response()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn rendered(error: Error) -> (u16, String) {
        let response = error.error_response();
        let status = response.status().as_u16();
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap_or_default();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    #[actix_rt::test]
    async fn failures_have_the_shape_of_nestjs() {
        let missing = Error::NotFound("Order with ID 5 not found".into());
        let body =
            r#"{"statusCode":404,"message":"Order with ID 5 not found","error":"Not Found"}"#;
        assert_eq!(rendered(missing).await, (404, body.into()));
        let faults = Error::Faults(vec!["total must not be less than 0".into()]);
        let body = concat!(
            r#"{"statusCode":400,"message":["total must not be less than 0"],"#,
            r#""error":"Bad Request"}"#,
        );
        assert_eq!(rendered(faults).await, (400, body.into()));
        for failure in [AuthFailure::Missing, AuthFailure::Expired, AuthFailure::Invalid] {
            let body = format!(
                concat!(
                    r#"{{"statusCode":401,"message":"Unauthorized","#,
                    r#""error":"Unauthorized","reason":"{}"}}"#
                ),
                failure.as_str()
            );
            assert_eq!(rendered(Error::Unauthorized(failure)).await, (401, body));
        }
    }

    #[test]
    fn a_rate_limit_has_a_retry_after_header() {
        let response = Error::RateLimited(Duration::from_millis(1_200)).error_response();
        assert_eq!(
            response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()),
            Some("2")
        );
    }
}
