//! The seam for Engine.IO's long-polling: until it is built, its requests get the protocol's own refusal, so that a client knows why.

use actix_web::{HttpResponse, web};

use crate::realtime::wire::engineio::HandshakeFault;

/// Registers `/socket.io/` for everything that is not an upgrade.
pub(in crate::realtime) fn configure(app: &mut web::ServiceConfig) {
    for path in ["/socket.io/", "/socket.io"] {
        app.service(web::resource(path).to(refuse));
    }
}

async fn refuse() -> HttpResponse {
    let (_, body) = HandshakeFault::TransportUnknown.answer();
    HttpResponse::BadRequest().content_type("application/json").body(body)
}
