//! What every answer has in common: the check of the Host that was called, and the headers by which
//! browsers and caches keep an answer to its caller.

use actix_web::ResponseError;
use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;

use super::extract;
use crate::error::Error;

/// A year. Names below the host are left alone, because others may serve them.
const HSTS: &str = "max-age=31536000";

/// Middleware that refuses a Host that is not this server's, and completes the headers of all
/// answers. An answer to a caller with a token is for nobody else, so no cache keeps it.
pub async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody, BoxBody>>, actix_web::Error> {
    let own = extract::own_address(request.request());
    let is_secure = own.0 == "https" && !own.1.as_deref().is_some_and(is_local);
    let mut response = if extract::is_called_by_a_known_host(request.request()) {
        next.call(request).await?.map_into_left_body()
    } else {
        request.into_response(Error::UnknownHost.error_response()).map_into_right_body()
    };
    let is_private = extract::user_of(response.request()).is_some();
    let headers = response.headers_mut();
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if is_private {
        set(headers, header::CACHE_CONTROL, "no-store");
    }
    if is_secure {
        set(headers, header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    Ok(response)
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    if !headers.contains_key(&name) {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// On a developer's machine, HSTS for `localhost` would break servers on its other ports.
fn is_local(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.eq_ignore_ascii_case("localhost") || name.ends_with(".localhost")
}
