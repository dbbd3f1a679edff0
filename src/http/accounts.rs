//! `/auth`: registering, signing in, and who one is.

use actix_web::http::header;
use actix_web::{HttpResponse, HttpResponseBuilder, web};

use super::extract::{Body, Caller, From};
use crate::error::Error;
use crate::service::Services;
use crate::service::accounts::{self, Credentials, NewAccount, SignedIn};

/// `POST /auth/register {email, name, password}` → 201
pub async fn register(services: web::Data<Services>, from: From, body: Body) -> Result<HttpResponse, Error> {
    let account = NewAccount::read(body.fields()?)?;
    let signed_in = accounts::register(&services, from.0, account).await?;
    Ok(answer(HttpResponse::Created(), &signed_in))
}

/// `POST /auth/login {email, password}` → 200
pub async fn login(services: web::Data<Services>, from: From, body: Body) -> Result<HttpResponse, Error> {
    let credentials = Credentials::read(body.fields()?)?;
    let signed_in = accounts::login(&services, from.0, credentials).await?;
    Ok(answer(HttpResponse::Ok(), &signed_in))
}

/// `GET /auth/me` → 200
pub async fn me(services: web::Data<Services>, caller: Caller) -> Result<HttpResponse, Error> {
    let user = accounts::me(&services, &caller.0).await?;
    Ok(HttpResponse::Ok().json(user))
}

/// Holds a token, so nobody may keep it (RFC 6749, 5.1).
fn answer(mut response: HttpResponseBuilder, signed_in: &SignedIn) -> HttpResponse {
    response.insert_header((header::CACHE_CONTROL, "no-store")).json(signed_in)
}
