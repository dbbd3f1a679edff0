//! `/openapi.json`, `/asyncapi.json`, and Swagger UI at `/docs/`. All files are compiled in.

use std::sync::{Arc, LazyLock};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;
use utoipa_swagger_ui::Config;

use super::openapi;
use crate::error::Error;

/// Allows what Swagger UI needs: inline styles, and images in its styles.
const CSP: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    base-uri 'none'; frame-ancestors 'none'";

/// The AsyncAPI document, which `app` gets from `gateway`.
pub struct AsyncApi(pub Value);

static OPENAPI: LazyLock<String> = LazyLock::new(|| openapi::document().to_string());

pub async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(OPENAPI.as_str())
}

pub async fn asyncapi(document: web::Data<AsyncApi>) -> HttpResponse {
    HttpResponse::Ok().json(&document.0)
}

/// Redirects `/docs` to `/docs/`, to which Swagger UI's links are relative.
pub async fn begin() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
}

/// A file of Swagger UI.
pub async fn file(request: HttpRequest) -> Result<HttpResponse, Error> {
    static CONFIG: LazyLock<Arc<Config<'static>>> =
        LazyLock::new(|| Arc::new(Config::from("/openapi.json").use_base_layout()));
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
