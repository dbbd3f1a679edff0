//! Answers of handlers. Each answer type says how it is sent and how OpenAPI describes it.

use std::marker::PhantomData;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use super::endpoint::Signature;
use crate::error::Error;
use crate::event::schema_of;
use crate::model::UserId;

/// A handler's success.
pub(super) trait Answer {
    /// Adds the status and the content to the document's operation.
    fn describe(signature: &mut Signature);

    fn respond(self, request: &HttpRequest) -> HttpResponse;
}

/// The content of an answer, for the document.
#[derive(Default)]
pub(super) enum Content {
    #[default]
    Nothing,
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// An array, and a Link header to the next page.
    Page(fn(&mut SchemaGenerator) -> Schema),
    /// Text of this media type.
    Text(&'static str),
}

/// 200 with JSON.
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize + JsonSchema> Answer for Json<T> {
    fn describe(signature: &mut Signature) {
        (signature.status, signature.content) = (StatusCode::OK, Content::Json(schema_of::<T>));
    }

    fn respond(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().json(self.0)
    }
}

/// 201 with JSON.
pub(super) struct Created<T>(pub(super) T);

impl<T: Serialize + JsonSchema> Answer for Created<T> {
    fn describe(signature: &mut Signature) {
        signature.status = StatusCode::CREATED;
        signature.content = Content::Json(schema_of::<T>);
    }

    fn respond(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Created().json(self.0)
    }
}

/// 204.
pub(super) struct NoContent;

impl Answer for NoContent {
    fn describe(signature: &mut Signature) {
        (signature.status, signature.content) = (StatusCode::NO_CONTENT, Content::Nothing);
    }

    fn respond(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::NoContent().finish()
    }
}

/// An answer that no cache may keep, such as one with a token (RFC 6749, 5.1).
pub(super) struct NoStore<A>(pub(super) A);

impl<A: Answer> Answer for NoStore<A> {
    fn describe(signature: &mut Signature) {
        A::describe(signature);
    }

    fn respond(self, request: &HttpRequest) -> HttpResponse {
        let mut response = self.0.respond(request);
        let no_store = header::HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, no_store);
        response
    }
}

/// The most bytes in a page of a list, but for its last item.
const MAX_PAGE: usize = 1 << 20;

/// One page of a list: an array, with a Link header to the next page if there is one (RFC 8288). A
/// page of large items ends before its limit.
pub(super) struct ListPage<T> {
    /// The array; an error if an item cannot be written.
    json: Result<Vec<u8>, serde_json::Error>,
    /// `limit` and `before` of the next page.
    next: Option<(u16, String)>,
    items: PhantomData<T>,
}

impl<T: Serialize> ListPage<T> {
    /// `more`: whether older items exist. `id` returns what the next page begins after.
    pub(super) fn new(items: &[T], mut more: bool, limit: u16, id: impl Fn(&T) -> String) -> Self {
        let mut last = None;
        let mut write = || {
            let mut json = vec![b'['];
            for item in items {
                if json.len() > MAX_PAGE {
                    more = true;
                    break;
                }
                if last.is_some() {
                    json.push(b',');
                }
                serde_json::to_writer(&mut json, item)?;
                last = Some(item);
            }
            json.push(b']');
            Ok(json)
        };
        let json = write();
        let next = last.filter(|_| more).map(|last| (limit, id(last)));
        Self { json, next, items: PhantomData }
    }
}

impl<T: Serialize + JsonSchema> Answer for ListPage<T> {
    fn describe(signature: &mut Signature) {
        (signature.status, signature.content) = (StatusCode::OK, Content::Page(schema_of::<T>));
    }

    fn respond(self, request: &HttpRequest) -> HttpResponse {
        let json = match self.json {
            Ok(json) => json,
            Err(fault) => {
                tracing::error!(%fault, "a page cannot be written as JSON");
                return Error::Internal.error_response();
            }
        };
        let mut response = HttpResponse::Ok();
        if let Some((limit, before)) = self.next {
            // The other parameters stay as they are.
            let pairs = form_urlencoded::parse(request.query_string().as_bytes());
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(pairs.filter(|(name, _)| name != "limit" && name != "before"));
            let query =
                query.append_pair("limit", &limit.to_string()).append_pair("before", &before);
            let next = format!("<{}?{}>; rel=\"next\"", request.path(), query.finish());
            response.insert_header((header::LINK, next));
        }
        response.content_type("application/json").body(json)
    }
}

/// A number of things.
#[derive(Serialize, JsonSchema)]
pub(super) struct Count {
    pub(super) count: i64,
}

/// The number of things that have changed.
#[derive(Serialize, JsonSchema)]
pub(super) struct Updated {
    pub(super) updated: usize,
}

/// Success.
#[derive(Serialize, JsonSchema)]
pub(super) struct Done {
    pub(super) ok: bool,
}

/// The number of this server's sockets to which an event was queued.
#[derive(Serialize, JsonSchema)]
pub(super) struct Delivered {
    pub(super) delivered: usize,
}

/// The users in a room; at most 200 are listed.
#[derive(Serialize, JsonSchema)]
pub(super) struct Presence {
    pub(super) members: Vec<UserId>,
    pub(super) room: String,
}
