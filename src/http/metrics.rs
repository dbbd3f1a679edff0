//! What the server says of itself in numbers, in Prometheus' text format.

use std::fmt::Write;

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use crate::realtime::Server;

pub async fn get(server: web::Data<Server>) -> HttpResponse {
    let mut text = "# HELP hubcast_connections Open connections.\n# TYPE hubcast_connections gauge\n".to_owned();
    for (transport, protocol, count) in server.connections().iter() {
        // Writing to a String does not fail.
        let _ = writeln!(text, "hubcast_connections{{transport=\"{transport}\",protocol=\"{protocol}\"}} {count}");
    }
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "no-store")).content_type("text/plain; version=0.0.4; charset=utf-8").body(text)
}
