//! The test client: the files of `static/`, compiled in.

use actix_web::http::header::{self, ETag, EntityTag, Header, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// Everything from our own server, sockets included; nothing inline.
const CSP: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

struct Page {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

/// The file of `static/` with that name, served at the root under the same.
macro_rules! part {
    ($kind:ident, $name:literal) => {
        Page {
            path: concat!("/", $name),
            content_type: $kind,
            text: include_str!(concat!("../../static/", $name)),
        }
    };
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

const PAGES: [Page; 37] = [
    Page { path: "/", content_type: HTML, text: include_str!("../../static/index.html") },
    part!(HTML, "rows.html"),
    part!(SCRIPT, "api.js"),
    part!(SCRIPT, "app.js"),
    part!(SCRIPT, "basket.js"),
    part!(SCRIPT, "bell.js"),
    part!(SCRIPT, "chat.js"),
    part!(SCRIPT, "connection.js"),
    part!(SCRIPT, "dom.js"),
    part!(SCRIPT, "frames.js"),
    part!(SCRIPT, "line.js"),
    part!(SCRIPT, "link.js"),
    part!(SCRIPT, "messages.js"),
    part!(SCRIPT, "money.js"),
    part!(SCRIPT, "notify.js"),
    part!(SCRIPT, "order-list.js"),
    part!(SCRIPT, "orders.js"),
    part!(SCRIPT, "outbox.js"),
    part!(SCRIPT, "poll-socket.js"),
    part!(SCRIPT, "products.js"),
    part!(SCRIPT, "project.js"),
    part!(SCRIPT, "projects.js"),
    part!(SCRIPT, "reviews.js"),
    part!(SCRIPT, "room.js"),
    part!(SCRIPT, "session.js"),
    part!(SCRIPT, "shop.js"),
    part!(SCRIPT, "stats.js"),
    part!(SCRIPT, "stay.js"),
    part!(SCRIPT, "stock.js"),
    part!(SCRIPT, "thread.js"),
    part!(SCRIPT, "toasts.js"),
    part!(SCRIPT, "typing.js"),
    part!(STYLE, "style.css"),
    part!(STYLE, "views.css"),
    part!(STYLE, "shop.css"),
    part!(STYLE, "panels.css"),
    part!(IMAGE, "favicon.svg"),
];

/// Where the pages are.
pub const PATHS: [&str; PAGES.len()] = {
    let mut paths = [""; PAGES.len()];
    let mut at = 0;
    while at < PAGES.len() {
        paths[at] = PAGES[at].path;
        at += 1;
    }
    paths
};

/// Of each page's text, in the order of [`PAGES`].
static TAGS: LazyLock<[String; PAGES.len()]> = LazyLock::new(|| {
    PAGES.each_ref().map(|page| {
        let hash: [u8; 32] = Sha256::digest(page.text).into();
        URL_SAFE_NO_PAD.encode(hash)
    })
});

pub async fn page(request: HttpRequest) -> HttpResponse {
    let found = PAGES.iter().zip(TAGS.iter()).find(|(page, _)| page.path == request.path());
    // Only the paths of pages are routed here.
    let Some((page, tag)) = found else { return HttpResponse::NotFound().finish() };
    let tag = EntityTag::new_strong(tag.clone());
    let known = match IfNoneMatch::parse(&request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header(ETag(tag))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::CONTENT_SECURITY_POLICY, CSP))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"));
    if known { response.finish() } else { response.content_type(page.content_type).body(page.text) }
}
