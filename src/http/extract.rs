//! The arguments of handlers. Each argument type says how it is extracted and how OpenAPI describes
//! it.
//!
//! [`Request::receive`] checks the token first, so a caller without a good one gets 401 whatever
//! else is wrong with the request. Then the arguments are extracted in the order of the handler.

mod body;

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;
use std::str::FromStr;

use actix_web::http::header;
use actix_web::{HttpMessage, HttpRequest, web};
use serde_json::json;
use sha2::{Digest, Sha256};

use self::body::read_body;
use super::endpoint::{Access, BodySchema, Signature};
use super::limits::RestLimits;
use crate::auth::credentials::TokenSources;
use crate::auth::{Identity, Token};
use crate::error::{Error, excerpt};
use crate::model::fields::{Fields, no_fields};
use crate::model::{
    ConversationId, InvitationId, NotificationId, OrderId, ProductId, ProjectId, StageId, UserId,
};
use crate::realtime::admission::Policy;
use crate::service::{Services, read_member, tokens};
use crate::store::{Claim, Once};

/// The most bytes in an Idempotency-Key.
const MAX_KEY: usize = 255;

/// A request whose token was checked and whose body was read, if the endpoint needs them.
pub(super) struct Request {
    pub(super) http: HttpRequest,
    token: Option<Token>,
    body: Result<web::Bytes, Error>,
}

impl Request {
    /// # Errors
    /// [`Error::Unauthorized`] without a good token, unless the endpoint is open;
    /// [`Error::RateLimited`] for a caller that has asked too much.
    pub(super) async fn receive(
        http: HttpRequest,
        payload: web::Payload,
        access: Access,
    ) -> Result<Self, Error> {
        let token = if access.is_open { None } else { Some(admit(&http).await?) };
        let body = match access.body_limit {
            Some(most) => read_body(&http, payload, most, token.as_ref()).await?,
            None => Ok(web::Bytes::new()),
        };
        Ok(Self { http, token, body })
    }

    fn token(&self) -> Result<Token, Error> {
        // `None` only for an open endpoint, and a test fails if an open endpoint takes a caller.
        self.token.ok_or(Error::Internal)
    }

    fn body(&self) -> Result<&[u8], Error> {
        self.body.as_deref().map_err(Clone::clone)
    }
}

/// An argument of a handler.
pub(super) trait Extract: Sized {
    /// Adds the argument to the document's operation.
    fn describe(_: &mut Signature) {}

    fn extract(request: &Request) -> Result<Self, Error>;
}

/// Shared parts of the server.
impl<T: 'static> Extract for web::Data<T> {
    fn extract(request: &Request) -> Result<Self, Error> {
        request.http.app_data::<Self>().cloned().ok_or(Error::Internal)
    }
}

/// The user who calls, from the Authorization header or the cookie.
pub(super) struct Caller(Identity);

impl Deref for Caller {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.0
    }
}

impl Extract for Caller {
    fn describe(signature: &mut Signature) {
        signature.has_caller = true;
    }

    fn extract(request: &Request) -> Result<Self, Error> {
        request.token().map(|token| Self(token.identity))
    }
}

/// The caller's token, for endpoints that are about the token itself.
pub(super) struct CallerToken(pub(super) Token);

impl Extract for CallerToken {
    fn describe(signature: &mut Signature) {
        signature.has_caller = true;
    }

    fn extract(request: &Request) -> Result<Self, Error> {
        request.token().map(Self)
    }
}

/// Checks the token, and counts the request: for its user, or without a good token for its address.
async fn admit(request: &HttpRequest) -> Result<Token, Error> {
    let limits = RestLimits::of(request)?;
    match check_token(request).await {
        Ok(token) => limits.count(&token.identity).map(|()| token),
        Err(error @ Error::Unauthorized(_)) => {
            limits.count_stranger(client_address(request))?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

async fn check_token(request: &HttpRequest) -> Result<Token, Error> {
    let services: &web::Data<Services> = request.app_data().ok_or(Error::Internal)?;
    let headers = request.headers();
    let bytes = |name| headers.get(name).map(header::HeaderValue::as_bytes);
    let places = TokenSources {
        authorization: bytes(header::AUTHORIZATION),
        cookie: bytes(header::COOKIE),
        cookie_allowed: policy(request)
            .is_some_and(|policy| policy.origin(peer(request), headers).cookies),
        ..TokenSources::default()
    };
    let token = tokens::check(services, places.token()).await?;
    request.extensions_mut().insert(token.identity);
    Ok(token)
}

/// The caller's id, for the log.
pub(super) fn user_of(request: &HttpRequest) -> Option<i64> {
    request.extensions().get::<Identity>().map(|identity| identity.user.0)
}

/// The client's address; behind trusted proxies, the address that they report.
pub(super) struct ClientAddress(pub(super) IpAddr);

impl Extract for ClientAddress {
    fn extract(request: &Request) -> Result<Self, Error> {
        Ok(Self(client_address(&request.http)))
    }
}

pub(super) fn client_address(request: &HttpRequest) -> IpAddr {
    let peer = peer(request);
    policy(request).map_or(peer, |policy| policy.client_address(peer, request.headers()))
}

/// The server's URL, as the client called it. The host is the client's word.
pub(super) fn own_address(request: &HttpRequest) -> (&'static str, Option<Cow<'_, str>>) {
    let own = |policy: &Policy| policy.own_address(peer(request), request.headers());
    policy(request).map_or(("http", None), own)
}

/// Whether the request names a host by which this server may be called.
pub(super) fn is_called_by_a_known_host(request: &HttpRequest) -> bool {
    policy(request)
        .is_none_or(|policy| policy.is_called_by_a_known_host(peer(request), request.headers()))
}

fn policy(request: &HttpRequest) -> Option<&Policy> {
    request.app_data::<web::Data<Policy>>().map(web::Data::get_ref)
}

fn peer(request: &HttpRequest) -> IpAddr {
    // A TCP listener always knows its peer.
    request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip())
}

/// A type that is read from a request body. Its reader also describes the body's schema.
pub(super) trait RequestBody: Sized {
    /// Whether the body may be left out.
    const IS_OPTIONAL: bool = false;

    fn read(fields: Fields<'_>) -> Result<Self, Error>;
}

/// Makes a type a [`RequestBody`] by naming its reader. A second form wraps a plain value.
macro_rules! request_body {
    ($body:ident = $read:expr $(, optional: $optional:literal)?) => {
        impl $crate::http::extract::RequestBody for $body {
            $(const IS_OPTIONAL: bool = $optional;)?

            fn read(
                fields: $crate::model::fields::Fields<'_>,
            ) -> Result<Self, $crate::error::Error> {
                $read(fields)
            }
        }
    };
    ($body:ident($inner:ty) = $read:expr $(, optional: $optional:literal)?) => {
        pub(super) struct $body(pub(super) $inner);

        impl $crate::http::extract::RequestBody for $body {
            $(const IS_OPTIONAL: bool = $optional;)?

            fn read(
                fields: $crate::model::fields::Fields<'_>,
            ) -> Result<Self, $crate::error::Error> {
                $read(fields).map(Self)
            }
        }
    };
}
pub(super) use request_body;

request_body!(NewMember(UserId) = read_member);

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: RequestBody> Extract for Body<T> {
    fn describe(signature: &mut Signature) {
        let schema = Fields::schema(T::read);
        signature.body = Some(BodySchema { schema, is_required: !T::IS_OPTIONAL });
    }

    fn extract(request: &Request) -> Result<Self, Error> {
        T::read(Fields::parse(request.body()?)?).map(Self)
    }
}

/// The absence of a body. `{}` and `null` are accepted too.
pub(super) struct EmptyBody;

impl Extract for EmptyBody {
    fn describe(signature: &mut Signature) {
        let schema = json!({"anyOf": [Fields::schema(no_fields), {"type": "null"}]});
        signature.body = Some(BodySchema { schema, is_required: false });
    }

    fn extract(request: &Request) -> Result<Self, Error> {
        let body = request.body()?;
        if body.trim_ascii() != b"null" {
            no_fields(Fields::parse(body)?)?;
        }
        Ok(Self)
    }
}

/// An id type that can stand in a path.
pub(super) trait PathId: FromStr {
    /// The first word of "Order with ID 5 not found".
    const NOUN: &'static str;
    /// The parameter of the path.
    const PARAMETER: &'static str = "id";
}

impl PathId for OrderId {
    const NOUN: &'static str = "Order";
}

impl PathId for ProductId {
    const NOUN: &'static str = "Product";
}

impl PathId for NotificationId {
    const NOUN: &'static str = "Notification";
}

impl PathId for ProjectId {
    const NOUN: &'static str = "Project";
}

impl PathId for StageId {
    const NOUN: &'static str = "Stage";
    const PARAMETER: &'static str = "stageId";
}

impl PathId for ConversationId {
    const NOUN: &'static str = "Conversation";
}

impl PathId for InvitationId {
    const NOUN: &'static str = "Invitation";
}

impl PathId for UserId {
    const NOUN: &'static str = "Member";
    const PARAMETER: &'static str = "userId";
}

/// An id from the path.
pub(super) struct Id<T>(pub(super) T);

impl<T: PathId> Id<T> {
    /// # Errors
    /// [`Error::BadRequest`] for a text that is no number, [`Error::NotFound`] for a number that no
    /// id can be.
    fn read(text: &str) -> Result<T, Error> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Error::BadRequest("Validation failed (numeric string is expected)".into()));
        }
        text.parse().map_err(|_| {
            Error::NotFound(format!("{} with ID {} not found", T::NOUN, excerpt(text)))
        })
    }
}

impl<T: PathId> Extract for Id<T> {
    fn describe(signature: &mut Signature) {
        signature.path.push(T::PARAMETER);
    }

    fn extract(request: &Request) -> Result<Self, Error> {
        let text = request.http.match_info().get(T::PARAMETER).unwrap_or_default();
        Self::read(text).map(Self)
    }
}

/// The claim of the Idempotency-Key, if the request has one. Its hash is that of the request body.
impl Extract for Once {
    fn describe(signature: &mut Signature) {
        signature.has_key = true;
    }

    fn extract(request: &Request) -> Result<Self, Error> {
        let http = &request.http;
        let Some(key) = http.headers().get("idempotency-key") else { return Ok(Self::Unkeyed) };
        let key = key.to_str().unwrap_or_default();
        let is_visible = key.bytes().all(|byte| byte.is_ascii_graphic());
        if key.is_empty() || key.len() > MAX_KEY || !is_visible {
            return Err(Error::BadRequest(format!(
                "Idempotency-Key must be 1 to {MAX_KEY} visible ASCII characters"
            )));
        }
        let caller = request.token()?.identity;
        let most = RestLimits::of(http).ok().and_then(|limits| limits.kept_answers(&caller));
        Ok(Self::Key(Claim {
            user: caller.user,
            method: http.method().to_string(),
            path: http.path().to_owned(),
            key: key.to_owned(),
            body_hash: Sha256::digest(request.body()?).into(),
            body: request.body()?.into(),
            most,
        }))
    }
}

#[cfg(test)]
mod tests;
