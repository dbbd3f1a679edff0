//! CORS for REST, by the policy that sockets obey too. A foreign Origin that is not allowed gets an
//! answer without CORS headers, which a browser hides from the page.

use std::net::{IpAddr, SocketAddr};

use actix_cors::Cors;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::web;

use crate::realtime::admission::{Origins, Policy};

/// The middleware for one application.
pub fn cors(policy: &Policy) -> Cors {
    let allowed = policy.clone();
    let cors = Cors::default()
        .allowed_origin_fn(move |_, head| {
            let peer = address(head.peer_addr);
            let is_allowed = allowed.origin(peer, &head.headers).allowed;
            if !is_allowed {
                allowed.warn_refused(peer, &head.headers);
            }
            is_allowed
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

/// A TCP listener always knows its peer.
fn address(peer: Option<SocketAddr>) -> IpAddr {
    peer.map_or(IpAddr::from([0, 0, 0, 0]), |address| address.ip())
}

/// Middleware around [`cors`] that strips the CORS headers to which an Origin has no right: all of
/// them if it is not allowed, and otherwise that for cookies if its cookies do not count. [`Cors`]
/// sends them to every Origin.
pub async fn strip_cors_headers(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let cookies = request.app_data::<web::Data<Policy>>().is_none_or(|policy| {
        policy.origin(address(request.head().peer_addr), request.headers()).cookies
    });
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    let is_allowed = headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    if !is_allowed {
        headers.remove(header::ACCESS_CONTROL_EXPOSE_HEADERS);
    }
    if !is_allowed || !cookies {
        headers.remove(header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
    }
    Ok(response)
}
