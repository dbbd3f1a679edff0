//! The REST door. A handler reads like a list: extract, call, answer; the rules are the verbs' in
//! `service`, the texts of failures are the catalogue's, their shape is `error.rs`'s here.
//!
//! `app` builds the actix-web App, gives it the shared parts
//! ([`Services`](crate::service::Services), [`Policy`], [`Server`], [`Readiness`]) as `web::Data`,
//! and calls [`routes`]. This module knows no SQL and sends nothing to a socket.

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
mod health;
pub mod metrics;
mod notifications;
pub mod openapi;
mod orders;
pub mod pages;
mod payments;
mod presence;
mod products;
mod projects;
mod reviews;
mod waitlist;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{HttpRequest, guard, web};

pub use health::Readiness;

use crate::error::Error;
#[cfg(doc)]
use crate::realtime::{Server, admission::Policy};

/// Largest body that a route takes: the longest message, also when each of its characters is
/// written as an escaped pair.
const BODY_LIMIT: usize = 832 * 1024;
/// How much of one is read: who sends a little too much is then told so, instead of seeing the
/// connection break while it sends.
const READ_LIMIT: usize = 1024 * 1024;

/// Registers every route but those of [`metrics`] and [`pages`], which can be turned off here. What none of them takes, a known path with
/// another method too, is 404 in NestJS's shape.
pub fn routes(config: &mut web::ServiceConfig) {
    config.app_data(web::PayloadConfig::new(READ_LIMIT));
    for endpoint in endpoints::all().into_iter().filter(|endpoint| endpoint.path != metrics::PATH) {
        config.route(endpoint.path, endpoint.route());
    }
    config
        .route("/openapi.json", get().to(docs::openapi))
        .route("/asyncapi.json", get().to(docs::asyncapi))
        .route("/docs", get().to(docs::begin))
        .route("/docs/{file:.*}", get().to(docs::file))
        .default_service(web::to(unknown));
}

/// GET, and HEAD with it (RFC 9110, 9.1: both are a server's duty).
fn get() -> actix_web::Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

async fn unknown(request: HttpRequest) -> Error {
    let method = if *request.method() == Method::HEAD { &Method::GET } else { request.method() };
    Error::NotFound(format!("Cannot {method} {}", request.path()))
}

/// Middleware: one line per request, at debug. Path and ids, never a query string, a token or a
/// body.
///
/// # Errors
/// Those of the handler, unchanged.
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
        took_us = started.elapsed().as_micros(),
        "request"
    );
    Ok(response)
}
