//! The server's figures in Prometheus' text format.

use std::fmt::Write;
use std::net::TcpListener;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

use super::answers::{Answer, Content};
use super::endpoint::{Endpoint, Signature, get};
use crate::error::Error;
use crate::realtime::Server;

pub(super) const PATH: &str = "/metrics";
/// Seconds that a request may still take when the server stops.
const STOP_TIMEOUT: u64 = 1;

pub(super) fn endpoint() -> Endpoint {
    get(PATH, "Figures for Prometheus; with METRICS_ADDR, on that address instead", figures).open()
}

/// Registers `/metrics`.
pub fn route(config: &mut ServiceConfig) {
    config.route(PATH, endpoint().route());
}

/// Serves `/metrics` and nothing else, over HTTP, on a listener and a thread of its own. It handles
/// no signals.
///
/// # Errors
/// Fails if the listener cannot be used.
pub fn serve(
    listener: TcpListener,
    keep_alive: Duration,
    server: &Server,
) -> std::io::Result<actix_web::dev::Server> {
    let server = web::Data::new(server.clone());
    let app = move || {
        App::new()
            .app_data(server.clone())
            .configure(route)
            .default_service(web::to(super::unknown))
    };
    Ok(HttpServer::new(app)
        .workers(1)
        .keep_alive(keep_alive)
        .disable_signals()
        .shutdown_timeout(STOP_TIMEOUT)
        .listen(listener)?
        .run())
}

/// Text of Prometheus.
struct Figures(String);

impl Answer for Figures {
    fn describe(signature: &mut Signature) {
        (signature.status, signature.content) = (StatusCode::OK, Content::Text("text/plain"));
    }

    fn respond(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .content_type("text/plain; version=0.0.4; charset=utf-8")
            .body(self.0)
    }
}

async fn figures(server: web::Data<Server>) -> Result<Figures, Error> {
    let mut text =
        "# HELP hubcast_connections Open connections.\n# TYPE hubcast_connections gauge\n"
            .to_owned();
    for (transport, protocol, count) in server.connections().iter() {
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "hubcast_connections{{transport=\"{transport}\",protocol=\"{protocol}\"}} {count}"
        );
    }
    Ok(Figures(text))
}
