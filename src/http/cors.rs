//! CORS for REST, by the policy that sockets obey too. A foreign Origin that is not allowed gets an
//! answer without CORS headers, which a browser hides from the page.

use std::net::IpAddr;

use actix_cors::Cors;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;

use crate::realtime::admission::{Origins, Policy};

/// The middleware for one application.
pub fn cors(policy: &Policy) -> Cors {
    let allowed = policy.clone();
    let cors = Cors::default()
        .allowed_origin_fn(move |_, head| {
            let peer = head.peer_addr.map_or(IpAddr::from([0, 0, 0, 0]), |address| address.ip());
            allowed.origin(peer, &head.headers).allowed
        })
        .block_on_origin_mismatch(false)
        .allow_any_method()
        .allow_any_header()
        .expose_headers([header::LINK, header::RETRY_AFTER])
        .max_age(600);
    match policy.origins {
        Origins::Any => cors.send_wildcard(),
        Origins::List(_) => cors.supports_credentials(),
        Origins::Same => cors,
    }
}

/// Middleware around [`cors`] that strips the remaining CORS headers for an Origin that is not
/// allowed; [`Cors`] sends them to every Origin.
pub async fn strip_cors_headers(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    if !headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        headers.remove(header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
        headers.remove(header::ACCESS_CONTROL_EXPOSE_HEADERS);
    }
    Ok(response)
}
