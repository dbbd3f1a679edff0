//! What handlers take out of a request.
//!
//! Only [`Caller`] and [`Held`] can refuse a request by itself. The others hold what they found, or
//! why not, until the handler asks: so a stranger is told 401, whatever else is wrong with the
//! request.

use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, web};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::BODY_LIMIT;
use crate::auth::credentials::TokenSources;
use crate::auth::{Identity, Token};
use crate::error::Error;
use crate::model::fields::{Fields, nothing};
use crate::model::{
    ConversationId, NotificationId, OrderId, ProductId, ProjectId, StageId, UserId,
};
use crate::realtime::admission::Policy;
use crate::service::{Page, Services, tokens};
use crate::store::{Claim, Once};

type LocalBoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T>>>;

/// Longest Idempotency-Key.
const MAX_KEY: usize = 255;

/// Who calls, from the Authorization header or the cookie.
pub struct Caller(pub Identity);

impl FromRequest for Caller {
    type Error = Error;
    type Future = LocalBoxFuture<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let held = Held::from_request(request, payload);
        Box::pin(async move { held.await.map(|held| Self(held.0.identity)) })
    }
}

/// The token that the caller holds: as [`Caller`], for what is about the token itself.
pub struct Held(pub Token);

impl FromRequest for Held {
    type Error = Error;
    type Future = LocalBoxFuture<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let services: &web::Data<Services> = request.app_data().ok_or(Error::Internal)?;
            let headers = request.headers();
            let bytes = |name| headers.get(name).map(header::HeaderValue::as_bytes);
            let places = TokenSources {
                authorization: bytes(header::AUTHORIZATION),
                cookie: bytes(header::COOKIE),
                cookie_allowed: policy(&request)
                    .is_some_and(|policy| policy.origin(peer(&request), headers).cookies),
                ..TokenSources::default()
            };
            let token = tokens::check(services, places.token()).await?;
            request.extensions_mut().insert(token.identity);
            Ok(Self(token))
        })
    }
}

/// The caller's id, for the log.
pub fn user_of(request: &HttpRequest) -> Option<i64> {
    request.extensions().get::<Identity>().map(|identity| identity.user.0)
}

/// The client's address, behind trusted proxies the one that they name.
pub struct From(pub IpAddr);

impl FromRequest for From {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let peer = peer(request);
        ready(Ok(Self(
            policy(request).map_or(peer, |policy| policy.client_address(peer, request.headers())),
        )))
    }
}

fn policy(request: &HttpRequest) -> Option<&Policy> {
    request.app_data::<web::Data<Policy>>().map(web::Data::get_ref)
}

fn peer(request: &HttpRequest) -> IpAddr {
    // A TCP listener always names its peer.
    request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip())
}

/// A JSON body of at most [`BODY_LIMIT`] bytes.
pub struct Body(Result<web::Bytes, Error>);

impl Body {
    /// The fields to read from it.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::BadRequest`].
    pub fn fields(&self) -> Result<Fields<'_>, Error> {
        Fields::parse(self.0.as_ref().map_err(Clone::clone)?)
    }
}

impl Body {
    /// For calls that take nothing: no body, `{}` or `null`.
    ///
    /// # Errors
    /// As [`Body::fields`], and [`Error::Faults`] for whatever it says.
    pub fn nothing(&self) -> Result<(), Error> {
        match &self.0 {
            Ok(body) if body.trim_ascii() == b"null" => Ok(()),
            _ => nothing(self.fields()?),
        }
    }
}

impl FromRequest for Body {
    type Error = Error;
    type Future = LocalBoxFuture<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        // A form of another site can send text/plain with our user's cookie, but not JSON: for
        // that, browsers ask first.
        let json = request.content_type().eq_ignore_ascii_case("application/json");
        let body = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            let body = body.await.map_err(|error| match error.as_error() {
                Some(PayloadError::Overflow) => Error::TooLarge,
                _ => Error::BadRequest("Body could not be read".into()),
            });
            Ok(Self(body.and_then(|body| match body.len() {
                0 => Ok(body),
                length if length > BODY_LIMIT => Err(Error::TooLarge),
                _ if json => Ok(body),
                _ => Err(Error::BadRequest("Content-Type must be application/json".into())),
            })))
        })
    }
}

/// What an id in a path can name.
pub trait Named: FromStr {
    /// As in "Order with ID 5 not found".
    const NOUN: &'static str;
    /// Its place in the path.
    const PLACE: &'static str = "id";
}

impl Named for OrderId {
    const NOUN: &'static str = "Order";
}

impl Named for ProductId {
    const NOUN: &'static str = "Product";
}

impl Named for NotificationId {
    const NOUN: &'static str = "Notification";
}

impl Named for ProjectId {
    const NOUN: &'static str = "Project";
}

impl Named for StageId {
    const NOUN: &'static str = "Stage";
    const PLACE: &'static str = "stageId";
}

impl Named for ConversationId {
    const NOUN: &'static str = "Conversation";
}

impl Named for UserId {
    const NOUN: &'static str = "Member";
    const PLACE: &'static str = "userId";
}

/// The `{id}` of the path, or the second one.
pub struct Id<T>(Result<T, Error>);

impl<T: Named> Id<T> {
    /// # Errors
    /// [`Error::BadRequest`] when it is no number, [`Error::NotFound`] when it is one that no id
    /// can have.
    pub fn get(self) -> Result<T, Error> {
        self.0
    }

    fn read(text: &str) -> Result<T, Error> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Error::BadRequest("Validation failed (numeric string is expected)".into()));
        }
        text.parse().map_err(|_| Error::NotFound(format!("{} with ID {text} not found", T::NOUN)))
    }
}

impl<T: Named> FromRequest for Id<T> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(Self::read(request.match_info().get(T::PLACE).unwrap_or_default()))))
    }
}

/// The claim of a request's Idempotency-Key, if it has one.
///
/// # Errors
/// [`Error::BadRequest`] for a key that is not 1 to 255 visible ASCII characters.
pub fn once(request: &HttpRequest, user: UserId, body: &Body) -> Result<Once, Error> {
    let Some(key) = request.headers().get("idempotency-key") else { return Ok(Once::No) };
    let key = key.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::BadRequest(format!(
            "Idempotency-Key must be 1 to {MAX_KEY} visible ASCII characters"
        )));
    }
    let body = body.0.as_ref().map_err(Clone::clone)?;
    Ok(Once::Key(Claim {
        user,
        method: request.method().to_string(),
        path: request.path().to_owned(),
        key: key.to_owned(),
        body_hash: Sha256::digest(body).into(),
    }))
}

/// `?limit=&before=` of a list.
pub struct Paging<T> {
    pub limit: u16,
    pub before: Option<T>,
}

impl<T: FromStr + ToString> Paging<T> {
    const DEFAULT: u16 = 50;
    const MOST: u16 = 200;

    /// # Errors
    /// [`Error::Faults`].
    pub fn of(request: &HttpRequest) -> Result<Self, Error> {
        Self::with_flags(request, []).map(|(paging, [])| paging)
    }

    /// Also these yes-or-no parameters, in this order; what is not given is no.
    ///
    /// # Errors
    /// [`Error::Faults`].
    pub fn with_flags<const N: usize>(
        request: &HttpRequest,
        names: [&str; N],
    ) -> Result<(Self, [bool; N]), Error> {
        let (mut limit, mut before, mut flags, mut faults) =
            (Self::DEFAULT, None, [false; N], Vec::new());
        for (name, value) in form_urlencoded::parse(request.query_string().as_bytes()) {
            match &*name {
                "limit" => match value.parse() {
                    Ok(number) if (1..=Self::MOST).contains(&number) => limit = number,
                    _ => faults
                        .push(format!("limit must be an integer number from 1 to {}", Self::MOST)),
                },
                "before" => match value.parse() {
                    Ok(id) => before = Some(id),
                    Err(_) => faults.push("before must be a positive integer number".into()),
                },
                name => {
                    let Some(at) = names.iter().position(|flag| *flag == name) else { continue };
                    match &*value {
                        // As many as names; one without a value is yes.
                        "true" | "1" | "" => flags[at] = true,
                        "false" | "0" => flags[at] = false,
                        _ => faults.push(format!("{name} must be a boolean string")),
                    }
                }
            }
        }
        if faults.is_empty() {
            Ok((Self { limit, before }, flags))
        } else {
            Err(Error::Faults(faults))
        }
    }

    /// The page as a bare array, with a Link header to the next one, if there is one (RFC 8288).
    /// What else was asked for stays asked for.
    pub fn answer<R: Serialize>(
        &self,
        request: &HttpRequest,
        page: Page<R>,
        id: impl Fn(&R) -> T,
    ) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        if let Some(last) = page.items.last().filter(|_| page.more) {
            let pairs = form_urlencoded::parse(request.query_string().as_bytes());
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(pairs.filter(|(name, _)| name != "limit" && name != "before"));
            let query = query
                .append_pair("limit", &self.limit.to_string())
                .append_pair("before", &id(last).to_string())
                .finish();
            response.insert_header((
                header::LINK,
                format!("<{}?{query}>; rel=\"next\"", request.path()),
            ));
        }
        response.json(page.items)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn path_ids_are_read_as_nestjs_reads_them() {
        let read = |text: &str| Id::<OrderId>::read(text);
        assert_eq!(read("5"), Ok(OrderId(5)));
        for text in ["", "-", "abc", "5x", "1.5", "+5", " 5"] {
            assert_eq!(
                read(text),
                Err(Error::BadRequest("Validation failed (numeric string is expected)".into())),
                "{text}"
            );
        }
        for text in ["0", "-5", "99999999999999999999"] {
            assert_eq!(
                read(text),
                Err(Error::NotFound(format!("Order with ID {text} not found"))),
                "{text}"
            );
        }
    }

    fn paging(query: &str) -> Result<(u16, Option<OrderId>), Vec<String>> {
        let request = TestRequest::with_uri(&format!("/orders?{query}")).to_http_request();
        Paging::of(&request)
            .map(|paging| (paging.limit, paging.before))
            .map_err(|error| error.messages())
    }

    #[test]
    fn pages_have_a_limit() {
        assert_eq!(paging(""), Ok((50, None)));
        assert_eq!(paging("limit=200&before=7&x=y"), Ok((200, Some(OrderId(7)))));
        let faults = vec![
            "limit must be an integer number from 1 to 200".into(),
            "before must be a positive integer number".into(),
        ];
        assert_eq!(paging("limit=0&before=x"), Err(faults));
        assert!(
            paging("limit=201").is_err()
                && paging("limit=-1").is_err()
                && paging("limit=").is_err()
        );
    }

    #[test]
    fn a_key_is_visible_ascii() {
        let body = Body(Ok(web::Bytes::from_static(b"{}")));
        let of = |key: &str| {
            let request = TestRequest::post()
                .uri("/orders")
                .insert_header(("idempotency-key", key))
                .to_http_request();
            once(&request, UserId(7), &body)
        };
        assert!(matches!(of("a"), Ok(Once::Key(Claim { path, .. })) if path == "/orders"));
        assert!(of(&"k".repeat(255)).is_ok());
        for key in ["", "a b", "ä", &"k".repeat(256)] {
            assert!(matches!(of(key), Err(Error::BadRequest(_))), "{key}");
        }
    }
}
