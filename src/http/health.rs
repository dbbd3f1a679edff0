//! Whether the process lives, and whether it should be sent work.

use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use super::answers::Health;
use crate::service::Services;

/// Whether the server takes work. `app` turns it off at the first sign of the end.
#[derive(Debug)]
pub struct Readiness(AtomicBool);

impl Default for Readiness {
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

impl Readiness {
    /// From now on `/readyz` fails.
    pub fn stop(&self) {
        self.0.store(false, Ordering::Release);
    }

    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

pub async fn alive() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(Health { status: "ok", reason: None })
}

pub async fn ready(readiness: web::Data<Readiness>, services: web::Data<Services>) -> HttpResponse {
    if !readiness.is_ready() {
        return unavailable("shutting down");
    }
    match services.db.ready().await {
        Ok(()) => alive().await,
        Err(error) => unavailable(&error.message()),
    }
}

fn unavailable(reason: &str) -> HttpResponse {
    let mut response = HttpResponse::ServiceUnavailable();
    response
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(Health { status: "unavailable", reason: Some(reason.to_owned()) })
}
