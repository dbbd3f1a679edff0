//! The entry point of REST: endpoints, their handlers, and the OpenAPI document.
//!
//! A domain's file lists its endpoints and has their handlers: extract, call a service function,
//! answer. The rules are in `service`, the texts of failures in [`crate::error`], and their JSON
//! shape in `error.rs` here.
//!
//! `app` builds the actix-web App with the shared parts ([`Services`](crate::service::Services),
//! [`Policy`], [`Server`], [`Readiness`]) as `web::Data`, and calls [`routes`]. This module knows
//! no SQL and sends nothing to a socket.

mod accounts;
mod answers;
mod conversations;
pub mod cors;
pub mod docs;
mod emit;
mod endpoint;
mod endpoints;
mod error;
mod extract;
pub mod headers;
mod health;
mod invitations;
mod limits;
pub mod metrics;
mod notifications;
pub mod openapi;
mod orders;
pub mod pages;
mod paging;
mod payments;
mod presence;
mod products;
mod projects;
mod reviews;
mod urgent;
mod waitlist;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{HttpRequest, guard, web};

pub use health::{Readiness, waiting_routes};
pub use limits::RestLimits;
pub use urgent::urgent;

use crate::error::{Error, excerpt};
#[cfg(doc)]
use crate::realtime::{Server, admission::Policy};

/// The largest body that is accepted: the longest message with each character written as an
/// escaped surrogate pair.
const BODY_LIMIT: usize = 832 * 1024;

/// Registers every route but those of [`metrics`] and [`pages`], which depend on settings. Any
/// other request, also a known path with another method, gets 404 in NestJS's shape.
pub fn routes(config: &mut web::ServiceConfig) {
    for endpoint in endpoints::all().into_iter().filter(|endpoint| endpoint.path != metrics::PATH) {
        config.route(endpoint.path, endpoint.route());
    }
    config
        .route("/openapi.json", get().to(docs::openapi))
        .route("/asyncapi.json", get().to(docs::asyncapi))
        .route("/docs", get().to(docs::begin))
        .route("/docs/openapi.json", get().to(docs::openapi_here))
        .route("/docs/{file:.*}", get().to(docs::file))
        .default_service(web::to(unknown));
}

/// The paths of the documents.
const DOCUMENTS: [&str; 3] = ["/openapi.json", "/asyncapi.json", "/docs"];

/// Returns true if a path below the same first segment belongs to REST.
#[must_use]
pub fn is_taken(path: &str) -> bool {
    let first = |path: &str| path.split('/').nth(1).map(str::to_owned);
    let endpoints = endpoints::all().into_iter().map(|endpoint| endpoint.path);
    endpoints.chain(DOCUMENTS).any(|taken| first(taken) == first(path))
}

/// GET and HEAD, which a server must both support (RFC 9110, 9.1).
fn get() -> actix_web::Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

async fn unknown(request: HttpRequest) -> Error {
    let method = if *request.method() == Method::HEAD { &Method::GET } else { request.method() };
    Error::NotFound(format!("Cannot {method} {}", excerpt(request.path())))
}

/// Middleware that logs each request at debug: path and ids, never a query string, a token or a
/// body.
pub async fn log_request(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let started = std::time::Instant::now();
    let response = next.call(request).await?;
    let request = response.request();
    tracing::debug!(
        method = %request.method(),
        path = request.path(),
        status = response.status().as_u16(),
        user = extract::user_of(request),
        client = %extract::client_address(request),
        took_us = started.elapsed().as_micros(),
        "request"
    );
    Ok(response)
}
