//! The REST door. A handler reads like a list: extract, call, answer; the rules are the verbs' in `service`, the texts of failures are
//! the catalogue's, their shape is `error.rs`'s here.
//!
//! `app` builds the actix-web App, gives it the shared parts ([`Services`](crate::service::Services), [`Policy`], [`Server`], [`Readiness`]) as
//! `web::Data`, and calls [`routes`]. This module knows no SQL and sends nothing to a socket.

mod accounts;
mod conversations;
pub mod cors;
mod error;
mod extract;
mod health;
mod metrics;
mod notifications;
mod orders;
mod pages;
mod presence;
mod projects;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{HttpRequest, guard, web};

pub use health::Readiness;

use crate::error::Error;
#[cfg(doc)]
use crate::realtime::{Server, admission::Policy};

/// Largest body that a route takes: the longest message, also when each of its characters is written as an escaped pair.
const BODY_LIMIT: usize = 832 * 1024;
/// How much of one is read: who sends a little too much is then told so, instead of seeing the connection break while it sends.
const READ_LIMIT: usize = 1024 * 1024;

/// Registers every route. What none of them takes, a known path with another method too, is 404 in NestJS's shape.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .app_data(web::PayloadConfig::new(READ_LIMIT))
        .route("/auth/register", web::post().to(accounts::register))
        .route("/auth/login", web::post().to(accounts::login))
        .route("/auth/me", get().to(accounts::me))
        .route("/auth/logout", web::post().to(accounts::logout))
        .route("/orders", web::post().to(orders::create))
        .route("/orders", get().to(orders::list))
        .route("/orders/{id}", get().to(orders::get))
        .route("/orders/{id}/status", web::patch().to(orders::set_status))
        .route("/orders/{id}/ship", web::patch().to(orders::ship))
        .route("/presence", get().to(presence::get))
        .route("/notifications", web::post().to(notifications::create))
        .route("/notifications", get().to(notifications::list))
        .route("/notifications/unread-count", get().to(notifications::unread_count))
        .route("/notifications/mark-all-read", web::patch().to(notifications::read_all))
        .route("/notifications/{id}/read", web::patch().to(notifications::read))
        .route("/notifications/{id}", web::delete().to(notifications::delete))
        .route("/projects", web::post().to(projects::create))
        .route("/projects", get().to(projects::list))
        .route("/projects/{id}", get().to(projects::get))
        .route("/projects/{id}", web::patch().to(projects::update))
        .route("/projects/{id}/members", web::post().to(projects::add_member))
        .route("/projects/{id}/members/{userId}", web::delete().to(projects::remove_member))
        .route("/projects/{id}/stages", web::post().to(projects::add_stage))
        .route("/projects/{id}/stages/{stageId}/complete", web::post().to(projects::complete_stage))
        .route("/conversations", web::post().to(conversations::create))
        .route("/conversations", get().to(conversations::list))
        .route("/conversations/{id}", get().to(conversations::get))
        .route("/conversations/{id}/members", web::post().to(conversations::add_member))
        .route("/conversations/{id}/members/{userId}", web::delete().to(conversations::remove_member))
        .route("/conversations/{id}/messages", web::post().to(conversations::send))
        .route("/conversations/{id}/messages", get().to(conversations::history))
        .route("/conversations/{id}/read", web::post().to(conversations::mark_read))
        .route("/healthz", get().to(health::alive))
        .route("/readyz", get().to(health::ready))
        .route("/metrics", get().to(metrics::get))
        .default_service(web::to(unknown));
    for path in pages::PATHS {
        config.route(path, get().to(pages::page));
    }
}

/// GET, and HEAD with it (RFC 9110, 9.1: both are a server's duty).
fn get() -> actix_web::Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

async fn unknown(request: HttpRequest) -> Error {
    let method = if *request.method() == Method::HEAD { &Method::GET } else { request.method() };
    Error::NotFound(format!("Cannot {method} {}", request.path()))
}

/// Middleware: one line per request, at debug. Path and ids, never a query string, a token or a body.
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
