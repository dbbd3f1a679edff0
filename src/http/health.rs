//! The probes of an orchestrator: `/healthz` says if the process lives, `/readyz` if it takes work.

use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use super::answers::{Answer, Json, NoStore};
use super::endpoint::{Endpoint, Signature, get};
use crate::error::Error;
use crate::service::{Services, tokens};
use crate::store::READ_ONLY;

/// Says if the server takes work. `app` turns it off first of all when the server stops.
#[derive(Debug)]
pub struct Readiness(AtomicBool);

impl Default for Readiness {
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

impl Readiness {
    /// Makes `/readyz` fail from now on.
    pub fn stop(&self) {
        self.0.store(false, Ordering::Release);
    }

    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/healthz", "Succeeds while the process lives", alive).open(),
        get("/readyz", "Succeeds while the server takes work", ready).open(),
    ]
}

/// The state of the server.
#[derive(Serialize, JsonSchema)]
struct Health {
    /// `ok` or `unavailable`.
    status: &'static str,
    /// The reason, if the server is unavailable.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// 200, or 503 when the server is unavailable.
impl Answer for Health {
    fn describe(signature: &mut Signature) {
        Json::<Self>::describe(signature);
    }

    fn respond(self, request: &HttpRequest) -> HttpResponse {
        let is_well = self.reason.is_none();
        let mut response = NoStore(Json(self)).respond(request);
        if !is_well {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        response
    }
}

const HEALTHY: Health = Health { status: "ok", reason: None };

async fn alive() -> Result<Health, Error> {
    Ok(HEALTHY)
}

async fn ready(
    readiness: web::Data<Readiness>,
    services: web::Data<Services>,
) -> Result<Health, Error> {
    if !readiness.is_ready() {
        return Ok(unavailable("shutting down".into()));
    }
    if services.tokens.key_updates().is_some_and(|updates| !updates.has_keys()) {
        return Ok(unavailable(tokens::NO_KEYS.into()));
    }
    match services.db.ready().await {
        Ok(()) => Ok(HEALTHY),
        Err(error) => Ok(unavailable(error.message())),
    }
}

/// The routes of a server that waits until its database takes writes.
pub fn waiting_routes(config: &mut web::ServiceConfig) {
    let ready = async |request: HttpRequest| unavailable(READ_ONLY.into()).respond(&request);
    config
        .route("/healthz", web::get().to(async |request: HttpRequest| HEALTHY.respond(&request)))
        .route("/readyz", web::get().to(ready))
        .default_service(web::to(async || Error::Unavailable(READ_ONLY)));
}

fn unavailable(reason: String) -> Health {
    Health { status: "unavailable", reason: Some(reason) }
}
