//! `/conversations`, and what is said in them.

use actix_web::{HttpRequest, HttpResponse, web};

use super::extract::{Body, Caller, Id, Paging, once};
use crate::error::Error;
use crate::model::{ConversationId, UserId};
use crate::service::conversations::{self, NewConversation};
use crate::service::messages::{self, NewMessage};
use crate::service::{Services, read_member};

/// `POST /conversations {title?, projectId?, memberIds?}` → 201, with its members
pub async fn create(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Error> {
    let new = NewConversation::read(body.fields()?)?;
    let once = once(&request, caller.0.user, &body)?;
    let conversation = conversations::create(&services, &caller.0, new, once).await?;
    Ok(HttpResponse::Created().json(conversation))
}

/// `GET /conversations?limit=&before=` → 200, newest first, each with `unreadCount` and
/// `lastMessage`
pub async fn list(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let paging = Paging::of(&request)?;
    let page = conversations::list(&services, &caller.0, paging.limit, paging.before).await?;
    Ok(paging.answer(&request, page, |summary| summary.conversation.id))
}

/// `GET /conversations/{id}` → 200, with its members
pub async fn get(
    services: web::Data<Services>,
    caller: Caller,
    id: Id<ConversationId>,
) -> Result<HttpResponse, Error> {
    let conversation = conversations::get(&services, &caller.0, id.get()?).await?;
    Ok(HttpResponse::Ok().json(conversation))
}

/// `POST /conversations/{id}/members {userId}` → 201
pub async fn add_member(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
    id: Id<ConversationId>,
    body: Body,
) -> Result<HttpResponse, Error> {
    let id = id.get()?;
    let user = read_member(body.fields()?)?;
    let once = once(&request, caller.0.user, &body)?;
    let member = conversations::add_member(&services, &caller.0, id, user, once).await?;
    Ok(HttpResponse::Created().json(member))
}

/// `DELETE /conversations/{id}/members/{userId}` → 204
pub async fn remove_member(
    services: web::Data<Services>,
    caller: Caller,
    id: Id<ConversationId>,
    user: Id<UserId>,
) -> Result<HttpResponse, Error> {
    conversations::remove_member(&services, &caller.0, id.get()?, user.get()?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /conversations/{id}/messages {content, type?, clientId?}` → 201
pub async fn send(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
    id: Id<ConversationId>,
    body: Body,
) -> Result<HttpResponse, Error> {
    let id = id.get()?;
    let new = NewMessage::read(body.fields()?)?;
    let once = once(&request, caller.0.user, &body)?;
    let message = messages::send(&services, &caller.0, id, new, once).await?;
    Ok(HttpResponse::Created().json(message))
}

/// `GET /conversations/{id}/messages?limit=&before=` → 200, newest first
pub async fn history(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
    id: Id<ConversationId>,
) -> Result<HttpResponse, Error> {
    let id = id.get()?;
    let paging = Paging::of(&request)?;
    let page = messages::history(&services, &caller.0, id, paging.limit, paging.before).await?;
    Ok(paging.answer(&request, page, |message| message.id))
}

/// `POST /conversations/{id}/read {messageId}` → 200
pub async fn mark_read(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
    id: Id<ConversationId>,
    body: Body,
) -> Result<HttpResponse, Error> {
    let id = id.get()?;
    let message = conversations::read_mark(body.fields()?)?;
    let once = once(&request, caller.0.user, &body)?;
    let reading = conversations::mark_read(&services, &caller.0, id, message, once).await?;
    Ok(HttpResponse::Ok().json(reading))
}
