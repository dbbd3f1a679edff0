//! `/openapi.json`, `/asyncapi.json`, and Swagger UI at `/docs/`. All files are compiled in.

use std::sync::{Arc, LazyLock};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;
use utoipa_swagger_ui::Config;

use super::extract::own_address;
use super::openapi;
use crate::error::Error;

/// Allows what Swagger UI needs: inline styles, and images in its styles.
const CSP: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    base-uri 'none'; frame-ancestors 'none'";

/// The host in the texts of [`Document`]. No server has this name (RFC 6761, 6.4).
const HOST: &str = "host.invalid";

/// The text of a document for each scheme, with [`HOST`] for the host. Each client gets the host
/// that it called: tools such as Postman call the server that the document names.
struct Document {
    http: String,
    https: String,
}

impl Document {
    fn new(document: impl Fn(&str) -> Value) -> Self {
        let of = |scheme| document(&format!("{scheme}://{HOST}")).to_string();
        Self { http: of("http"), https: of("https") }
    }

    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let (scheme, host) = own_address(request);
        let text = if scheme == "https" { &self.https } else { &self.http };
        let host = host.filter(|host| is_plain(host)).unwrap_or("localhost".into());
        HttpResponse::Ok().content_type("application/json").body(text.replace(HOST, &host))
    }
}

/// Whether a host needs no escapes in JSON or in a URL.
fn is_plain(host: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    (1..=255).contains(&host.len()) && host.bytes().all(is_plain)
}

/// The AsyncAPI document, which `app` gets from `gateway`.
pub struct AsyncApi(Document);

impl AsyncApi {
    /// `document` makes it for the server at a URL.
    #[must_use]
    pub fn new(document: impl Fn(&str) -> Value) -> Self {
        Self(Document::new(document))
    }
}

pub async fn openapi(request: HttpRequest) -> HttpResponse {
    static OPENAPI: LazyLock<Document> = LazyLock::new(|| Document::new(openapi::document));
    OPENAPI.answer(&request)
}

/// The document for Swagger UI, which calls its own server whatever name a proxy gives it.
pub async fn openapi_here() -> HttpResponse {
    static OPENAPI: LazyLock<String> = LazyLock::new(|| openapi::document("/").to_string());
    HttpResponse::Ok().content_type("application/json").body(OPENAPI.as_str())
}

pub async fn asyncapi(request: HttpRequest, document: web::Data<AsyncApi>) -> HttpResponse {
    document.0.answer(&request)
}

/// Redirects `/docs` to `/docs/`, to which Swagger UI's links are relative.
pub async fn begin() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
}

/// A file of Swagger UI.
pub async fn file(request: HttpRequest) -> Result<HttpResponse, Error> {
    static CONFIG: LazyLock<Arc<Config<'static>>> =
        LazyLock::new(|| Arc::new(Config::from("/docs/openapi.json").use_base_layout()));
    let name = request.match_info().query("file");
    match utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)) {
        Ok(Some(file)) => Ok(HttpResponse::Ok()
            .content_type(file.content_type)
            .insert_header((header::CONTENT_SECURITY_POLICY, CSP))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .body(file.bytes.into_owned())),
        Ok(None) => Err(super::unknown(request).await),
        Err(error) => {
            tracing::error!(%error, "cannot make a file of Swagger UI");
            Err(Error::Internal)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_names_the_host_only_if_it_is_one() {
        for host in ["hub.example.com", "127.0.0.1:3000", "[::1]:8443", "a_b"] {
            assert!(is_plain(host), "{host}");
        }
        for host in ["", "a/b", "a\"b", "a b", "a@b", "b\u{fc}cher.test", &"a".repeat(256)] {
            assert!(!is_plain(host), "{host}");
        }
    }
}
