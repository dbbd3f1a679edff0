//! One REST call: its way to a handler, and what there is to say about it. The router and the
//! OpenAPI document are made of the same list of these.

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, Responder, Route, web};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::error::Error;
use crate::event::schema_of;
use crate::model::fields::{Fields, nothing};

/// Builds the schema of an answer.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A method on a path.
pub(super) struct Endpoint {
    pub(super) method: Method,
    /// With its parameters in braces: `/orders/{id}`.
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    /// A token is needed.
    pub(super) signed_in: bool,
    /// JSON Schema of its body.
    pub(super) body: Option<Value>,
    /// The body may be left out.
    pub(super) bare: bool,
    /// It takes an Idempotency-Key.
    pub(super) once: bool,
    pub(super) query: Vec<Parameter>,
    pub(super) status: u16,
    pub(super) answer: Answer,
    /// Statuses of failures, beside those that its form brings with it.
    pub(super) refusals: Vec<u16>,
    route: Box<dyn Fn() -> Route>,
}

/// A parameter of the query.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) schema: Value,
    pub(super) about: &'static str,
}

/// What comes with success.
pub(super) enum Answer {
    Nothing,
    Json(SchemaOf),
    /// A bare array, and a Link header to the next page when there is one.
    Page(SchemaOf),
    /// Another type of content.
    Other(&'static str),
}

impl Endpoint {
    fn new<F, A>(method: Method, path: &'static str, summary: &'static str, handler: F) -> Self
    where
        F: Handler<A, Output: Responder + 'static>,
        A: FromRequest + 'static,
    {
        let verb = method.clone();
        let route = move || {
            let route = if verb == Method::GET { super::get() } else { web::method(verb.clone()) };
            route.to(handler.clone())
        };
        Self {
            method,
            path,
            summary,
            signed_in: true,
            body: None,
            bare: false,
            once: false,
            query: Vec::new(),
            status: 200,
            answer: Answer::Nothing,
            refusals: Vec::new(),
            route: Box::new(route),
        }
    }

    /// Its entry in the router.
    pub(super) fn route(&self) -> Route {
        (self.route)()
    }

    /// For anyone.
    pub(super) fn open(mut self) -> Self {
        self.signed_in = false;
        self
    }

    /// What its body is read by.
    pub(super) fn takes<T>(mut self, read: impl FnOnce(Fields<'_>) -> Result<T, Error>) -> Self {
        self.body = Some(Fields::schema(read));
        self
    }

    /// As [`Endpoint::takes`], and the body may be left out.
    pub(super) fn may_take<T>(mut self, read: impl FnOnce(Fields<'_>) -> Result<T, Error>) -> Self {
        self.bare = true;
        self.takes(read)
    }

    /// Its body may be left out, or say nothing: `{}` or `null`.
    pub(super) fn takes_nothing(self) -> Self {
        let empty = json!({"anyOf": [Fields::schema(nothing), {"type": "null"}]});
        Self { body: Some(empty), bare: true, ..self }
    }

    /// It takes an Idempotency-Key.
    pub(super) fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// 200 with this.
    pub(super) fn answers<T: JsonSchema>(mut self) -> Self {
        self.answer = Answer::Json(schema_of::<T>);
        self
    }

    /// 201 with this.
    pub(super) fn creates<T: JsonSchema>(mut self) -> Self {
        self.status = 201;
        self.answers::<T>()
    }

    /// 204.
    pub(super) fn removes(mut self) -> Self {
        self.status = 204;
        self
    }

    /// 200 with content of another type.
    pub(super) fn gives(mut self, content: &'static str) -> Self {
        self.answer = Answer::Other(content);
        self
    }

    /// 200 with a page of these, by `?limit=&before=`.
    pub(super) fn pages<T: JsonSchema>(self) -> Self {
        let limit = json!({"type": "integer", "minimum": 1, "maximum": 200, "default": 50});
        let before = json!({"type": "integer", "minimum": 1, "maximum": i64::MAX});
        let paged = self.asks("limit", limit, "How many at most").asks(
            "before",
            before,
            "Only those with a lower id: the last one's of the page before",
        );
        Self { answer: Answer::Page(schema_of::<T>), ..paged }
    }

    /// An optional parameter of its query.
    pub(super) fn asks(mut self, name: &'static str, schema: Value, about: &'static str) -> Self {
        self.query.push(Parameter { name, required: false, schema, about });
        self
    }

    /// A parameter that its query must have.
    pub(super) fn requires(
        mut self,
        name: &'static str,
        schema: Value,
        about: &'static str,
    ) -> Self {
        self.query.push(Parameter { name, required: true, schema, about });
        self
    }

    /// Statuses of failures that its form does not tell of.
    pub(super) fn refuses(mut self, statuses: &[u16]) -> Self {
        self.refusals.extend_from_slice(statuses);
        self
    }
}

macro_rules! methods {
    ($($name:ident: $method:ident),+) => {
        $(pub(super) fn $name<F, A>(path: &'static str, summary: &'static str, handler: F) -> Endpoint
        where
            F: Handler<A, Output: Responder + 'static>,
            A: FromRequest + 'static,
        {
            Endpoint::new(Method::$method, path, summary, handler)
        })+
    };
}

methods!(get: GET, post: POST, patch: PATCH, delete: DELETE);
