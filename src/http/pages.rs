//! The test page: the files of `static/`, compiled in. `app` makes [`Pages`] unless `TEST_CLIENT`
//! turns the page off; without them `/` is an unknown path like any other.

use std::future::ready;
use std::sync::Arc;

use actix_web::http::header::{self, ETag, EntityTag, Header, IfNoneMatch};
use actix_web::web::{Bytes, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::config::{Currency, CustomerPayments};

/// Allows everything from our own server, sockets included, and nothing inline.
const CSP: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; \
                   base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// `index.html` has placeholders for what the page has to know of the server's settings.
const INDEX: &str = include_str!("../../static/index.html");

/// The files of `static/` with these names, served at the root under the same.
macro_rules! parts {
    ($($kind:ident: $($name:literal)*;)*) => {
        [$($(($kind, concat!("/", $name), include_str!(concat!("../../static/", $name))),)*)*]
    };
}

const PARTS: [(&str, &str, &str); 39] = parts! {
    HTML: "rows.html";
    SCRIPT: "api.js" "app.js" "basket.js" "bell.js" "channel.js" "chat.js" "connection-panel.js"
        "dom.js" "drawer.js" "frames.js" "invitations.js" "messages.js" "money.js" "notify.js"
        "order-list.js" "orders.js" "poll-socket.js" "products.js" "project.js" "projects.js"
        "reviews.js" "room.js" "scope.js" "send-queue.js" "settings.js" "shop.js" "socket.js"
        "stats.js" "stock.js" "thread.js" "toasts.js" "token-expiry.js" "typing.js";
    STYLE: "style.css" "views.css" "shop.css" "panels.css";
    IMAGE: "favicon.svg";
};

/// The files of the page, ready to be served.
#[derive(Clone)]
pub struct Pages(Vec<Arc<File>>);

/// What the page has to know of the server's settings.
pub struct PageFacts<'a> {
    pub currency: &'a Currency,
    /// The demo accounts exist, and the page offers to sign in to them.
    pub demo: bool,
    /// Whether the page offers customers to pay.
    pub payments: CustomerPayments,
    pub socketio_path: &'a str,
}

struct File {
    content_type: &'static str,
    path: &'static str,
    body: Bytes,
    tag: EntityTag,
}

impl Pages {
    #[must_use]
    pub fn new(facts: &PageFacts<'_>) -> Self {
        let word = |is_on| if is_on { "on" } else { "off" };
        let index = INDEX
            .replace("{{currency}}", &facts.currency.to_string())
            .replace("{{socketio-path}}", facts.socketio_path)
            .replace("{{payments}}", word(facts.payments == CustomerPayments::On))
            .replace("{{demo}}", word(facts.demo));
        let index = File::new(HTML, "/", Bytes::from(index));
        let parts = PARTS.map(|(content_type, path, text)| {
            File::new(content_type, path, Bytes::from_static(text.as_bytes()))
        });
        Self([index].into_iter().chain(parts).map(Arc::new).collect())
    }

    /// Registers the path of each file.
    pub fn route(&self, config: &mut ServiceConfig) {
        for file in &self.0 {
            let path = file.path;
            let file = Arc::clone(file);
            let get = move |request: HttpRequest| ready(file.answer(&request));
            config.route(path, super::get().to(get));
        }
    }
}

impl File {
    fn new(content_type: &'static str, path: &'static str, body: Bytes) -> Self {
        let hash: [u8; 32] = Sha256::digest(&body).into();
        Self { content_type, path, body, tag: EntityTag::new_strong(URL_SAFE_NO_PAD.encode(hash)) }
    }

    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let is_known = match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.weak_eq(&self.tag)),
            Err(_) => false,
        };
        let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response
            .insert_header(ETag(self.tag.clone()))
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .insert_header((header::CONTENT_SECURITY_POLICY, CSP))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .insert_header((header::REFERRER_POLICY, "no-referrer"));
        if is_known {
            response.finish()
        } else {
            response.content_type(self.content_type).body(self.body.clone())
        }
    }
}
