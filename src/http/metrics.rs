//! What the server says of itself in numbers, in Prometheus' text format.

use std::fmt::Write;
use std::net::TcpListener;

use actix_web::http::header;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpResponse, HttpServer, web};

use crate::realtime::Server;

/// Where it is.
pub(super) const PATH: &str = "/metrics";
/// How long a request may still take when the server stops.
const STOP_TIMEOUT: u64 = 1;

/// Registers `/metrics`.
pub fn route(config: &mut ServiceConfig) {
    config.route(PATH, super::get().to(get));
}

/// Serves `/metrics` and nothing else, over HTTP, on a listener and a thread of its own. It handles
/// no signals.
///
/// # Errors
/// When the listener can not be used.
pub fn serve(listener: TcpListener, server: &Server) -> std::io::Result<actix_web::dev::Server> {
    let server = web::Data::new(server.clone());
    let app = move || {
        App::new()
            .app_data(server.clone())
            .configure(route)
            .default_service(web::to(super::unknown))
    };
    Ok(HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .shutdown_timeout(STOP_TIMEOUT)
        .listen(listener)?
        .run())
}

pub(super) async fn get(server: web::Data<Server>) -> HttpResponse {
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
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(text)
}
