//! `/auth`: accounts, signing in and out.

use actix_web::web;

use super::answers::{Created, Done, Json, NoStore};
use super::endpoint::{Endpoint, get, post};
use super::extract::{Body, Caller, CallerToken, ClientAddress, Extract, Request, request_body};
use crate::error::Error;
use crate::model::User;
use crate::service::Services;
use crate::service::accounts::{self, Credentials, NewAccount, SignedIn};
use crate::service::tokens;

/// The largest body here: callers need no token.
const BODY_LIMIT: usize = 4096;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let endpoints = vec![
        post("/auth/register", "Register a customer and sign in", register)
            .open()
            .refuses(&[409, 429, 501]),
        post("/auth/login", "Sign in", login).open().refuses(&[401, 429, 501]),
        post(
            "/auth/logout",
            "End this token, or all tokens of the caller, and their sockets",
            logout,
        ),
        get("/auth/me", "The caller's account", me),
    ];
    endpoints.into_iter().map(|endpoint| endpoint.body_limit(BODY_LIMIT)).collect()
}

request_body!(NewAccount = NewAccount::read);
request_body!(Credentials = Credentials::read);
request_body!(Everywhere(bool) = tokens::read_logout, optional: true);

/// The proof that this server signs tokens itself. Fails with 501 otherwise, whatever the body is.
struct SigningServer;

impl Extract for SigningServer {
    fn extract(request: &Request) -> Result<Self, Error> {
        web::Data::<Services>::extract(request)?.tokens.can_sign().map(|()| Self)
    }
}

/// The proof that anyone may make an account. Fails with 501 otherwise, whatever the body is.
struct OpenRegistration;

impl Extract for OpenRegistration {
    fn extract(request: &Request) -> Result<Self, Error> {
        accounts::can_register(&*web::Data::<Services>::extract(request)?).map(|()| Self)
    }
}

async fn register(
    services: web::Data<Services>,
    _: OpenRegistration,
    ClientAddress(address): ClientAddress,
    Body(account): Body<NewAccount>,
) -> Result<NoStore<Created<SignedIn>>, Error> {
    accounts::register(&services, address, account).await.map(Created).map(NoStore)
}

async fn login(
    services: web::Data<Services>,
    _: SigningServer,
    ClientAddress(address): ClientAddress,
    Body(credentials): Body<Credentials>,
) -> Result<NoStore<Json<SignedIn>>, Error> {
    accounts::login(&services, address, credentials).await.map(Json).map(NoStore)
}

async fn me(services: web::Data<Services>, caller: Caller) -> Result<Json<User>, Error> {
    accounts::me(&services, &caller).await.map(Json)
}

async fn logout(
    services: web::Data<Services>,
    CallerToken(token): CallerToken,
    Body(Everywhere(everywhere)): Body<Everywhere>,
) -> Result<Json<Done>, Error> {
    tokens::end(&services, &token, everywhere).await?;
    Ok(Json(Done { ok: true }))
}
