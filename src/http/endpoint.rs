//! The declaration of an endpoint: method, path, summary and handler.
//!
//! The router and the OpenAPI document are made from the same list of endpoints. The document's
//! parameters, body, statuses and schemas come from the handler's signature: each argument is an
//! [`Extract`], and the result an [`Answer`].

use std::future::{Future, ready};
use std::pin::Pin;

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, Route, web};
use serde_json::Value;

use super::BODY_LIMIT;
use super::answers::{Answer, Content};
use super::extract::{Extract, Request};
use crate::error::Error;

/// A method on a path.
pub(super) struct Endpoint {
    pub(super) method: Method,
    /// The path, with its parameters in braces: `/orders/{id}`.
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    /// Whether callers need no token.
    pub(super) is_open: bool,
    /// The most bytes in a body.
    body_limit: usize,
    pub(super) signature: Signature,
    /// Statuses of failures that the signature does not imply.
    pub(super) refusals: Vec<u16>,
    route: Box<dyn Fn(Access) -> Route>,
}

/// What the types of a handler say about its endpoint.
#[derive(Default)]
pub(super) struct Signature {
    /// Whether the handler needs a caller.
    pub(super) has_caller: bool,
    /// Names of the path's parameters.
    pub(super) path: Vec<&'static str>,
    pub(super) query: Vec<Parameter>,
    /// Whether the handler takes an Idempotency-Key.
    pub(super) has_key: bool,
    pub(super) body: Option<BodySchema>,
    pub(super) status: StatusCode,
    pub(super) content: Content,
}

/// A parameter of the query.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) is_required: bool,
    pub(super) schema: Value,
    pub(super) description: &'static str,
}

/// JSON Schema of a request body.
pub(super) struct BodySchema {
    pub(super) schema: Value,
    pub(super) is_required: bool,
}

/// Says which parts of a request [`Request::receive`] needs.
#[derive(Clone, Copy)]
pub(super) struct Access {
    pub(super) is_open: bool,
    /// The largest body that is read, if the endpoint has one.
    pub(super) body_limit: Option<usize>,
}

impl Endpoint {
    fn new<H, A>(method: Method, path: &'static str, summary: &'static str, handler: H) -> Self
    where
        H: Handler<A>,
        A: 'static,
    {
        let on = method.clone();
        let route = move |access| {
            let route = if on == Method::GET { super::get() } else { web::method(on.clone()) };
            let handler = handler.clone();
            route.to(move |http: HttpRequest, payload: web::Payload| {
                let handler = handler.clone();
                async move { handler.call(Request::receive(http, payload, access).await?).await }
            })
        };
        Self {
            method,
            path,
            summary,
            is_open: false,
            body_limit: BODY_LIMIT,
            signature: H::signature(),
            refusals: Vec::new(),
            route: Box::new(route),
        }
    }

    /// The endpoint's entry in the router. Unless the endpoint is open, a request without a good
    /// token gets 401, whatever else is wrong with it.
    pub(super) fn route(&self) -> Route {
        let body_limit = self.signature.body.is_some().then_some(self.body_limit);
        (self.route)(Access { is_open: self.is_open, body_limit })
    }

    /// Lets everyone call the endpoint, also without a token.
    pub(super) fn open(self) -> Self {
        Self { is_open: true, ..self }
    }

    /// Takes bodies of at most so many bytes.
    pub(super) fn body_limit(self, most: usize) -> Self {
        Self { body_limit: most, ..self }
    }

    /// Adds statuses of failures to the document.
    pub(super) fn refuses(mut self, statuses: &[u16]) -> Self {
        self.refusals.extend_from_slice(statuses);
        self
    }
}

type LocalBoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// An async function whose arguments are all [`Extract`] and that returns a `Result` of an
/// [`Answer`].
pub(super) trait Handler<Arguments>: Clone + 'static {
    fn signature() -> Signature;

    /// Extracts the arguments in their order, so the first one that fails decides the error.
    fn call(&self, request: Request) -> LocalBoxFuture<Result<HttpResponse, Error>>;
}

macro_rules! handler {
    ($($argument:ident),*) => {
        impl<H, F, R, $($argument),*> Handler<($($argument,)*)> for H
        where
            H: Fn($($argument),*) -> F + Clone + 'static,
            F: Future<Output = Result<R, Error>> + 'static,
            R: Answer,
            $($argument: Extract,)*
        {
            fn signature() -> Signature {
                let mut signature = Signature::default();
                $($argument::describe(&mut signature);)*
                R::describe(&mut signature);
                signature
            }

            fn call(&self, request: Request) -> LocalBoxFuture<Result<HttpResponse, Error>> {
                $(
                    #[expect(non_snake_case, reason = "named as its type")]
                    let $argument = match $argument::extract(&request) {
                        Ok(argument) => argument,
                        Err(error) => return Box::pin(ready(Err(error))),
                    };
                )*
                let answer = self($($argument),*);
                Box::pin(async move { Ok(answer.await?.respond(&request.http)) })
            }
        }
    };
}

handler!();
handler!(A);
handler!(A, B);
handler!(A, B, C);
handler!(A, B, C, D);
handler!(A, B, C, D, E);
handler!(A, B, C, D, E, G);

macro_rules! methods {
    ($($name:ident: $method:ident),+) => {
        $(pub(super) fn $name<H, A>(
            path: &'static str,
            summary: &'static str,
            handler: H,
        ) -> Endpoint
        where
            H: Handler<A>,
            A: 'static,
        {
            Endpoint::new(Method::$method, path, summary, handler)
        })+
    };
}

methods!(get: GET, post: POST, put: PUT, patch: PATCH, delete: DELETE);
