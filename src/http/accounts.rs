//! `/auth`: registering, signing in and out, and who one is.

use actix_web::http::header;
use actix_web::{HttpResponse, HttpResponseBuilder, web};

use super::answers::Done;
use super::extract::{Body, Caller, From, Held};
use crate::error::Error;
use crate::service::Services;
use crate::service::accounts::{self, Credentials, NewAccount, SignedIn};
use crate::service::tokens;

/// `POST /auth/register {email, name, password}` → 201
pub async fn register(
    services: web::Data<Services>,
    from: From,
    body: Body,
) -> Result<HttpResponse, Error> {
    // Ahead of the body: where others sign, no other one would do.
    services.tokens.can_sign()?;
    let account = NewAccount::read(body.fields()?)?;
    let signed_in = accounts::register(&services, from.0, account).await?;
    Ok(answer(HttpResponse::Created(), &signed_in))
}

/// `POST /auth/login {email, password}` → 200
pub async fn login(
    services: web::Data<Services>,
    from: From,
    body: Body,
) -> Result<HttpResponse, Error> {
    services.tokens.can_sign()?;
    let credentials = Credentials::read(body.fields()?)?;
    let signed_in = accounts::login(&services, from.0, credentials).await?;
    Ok(answer(HttpResponse::Ok(), &signed_in))
}

/// `GET /auth/me` → 200
pub async fn me(services: web::Data<Services>, caller: Caller) -> Result<HttpResponse, Error> {
    let user = accounts::me(&services, &caller.0).await?;
    Ok(HttpResponse::Ok().json(user))
}

/// `POST /auth/logout {everywhere?}` → 200 `{ok: true}`
pub async fn logout(
    services: web::Data<Services>,
    held: Held,
    body: Body,
) -> Result<HttpResponse, Error> {
    let everywhere = tokens::read_logout(body.fields()?)?;
    tokens::end(&services, &held.0, everywhere).await?;
    Ok(HttpResponse::Ok().json(Done { ok: true }))
}

/// Holds a token, so nobody may keep it (RFC 6749, 5.1).
fn answer(mut response: HttpResponseBuilder, signed_in: &SignedIn) -> HttpResponse {
    response.insert_header((header::CACHE_CONTROL, "no-store")).json(signed_in)
}
