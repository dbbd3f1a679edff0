//! `/conversations`, and their messages.

use actix_web::web;

use super::answers::{Created, Json, ListPage, NoContent};
use super::endpoint::{Endpoint, delete, get, post};
use super::extract::{Body, Caller, Id, NewMember, request_body};
use super::paging::Paging;
use crate::error::Error;
use crate::model::{
    Added, ConversationDetail, ConversationId, ConversationSummary, ConversationWithMembers,
    Member, Message, MessageId, ReadMark, UserId,
};
use crate::service::Services;
use crate::service::conversations::{self, NewConversation};
use crate::service::messages::{self, NewMessage};
use crate::store::Once;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        post("/conversations", "Make a conversation", create).refuses(&[404, 409]),
        get("/conversations", "The caller's conversations, newest first", list),
        get("/conversations/{id}", "One conversation, with its first 200 members", read),
        post("/conversations/{id}/members", "Add or invite a member (the owner)", add_member)
            .refuses(&[403, 409]),
        get(
            "/conversations/{id}/members",
            "The members of a conversation, highest user id first",
            list_members,
        ),
        delete(
            "/conversations/{id}/members/{userId}",
            "Remove a member or an invitation (the owner), or leave",
            remove_member,
        )
        .refuses(&[403, 409]),
        post("/conversations/{id}/messages", "Send a message", send_message),
        get(
            "/conversations/{id}/messages",
            "The messages of a conversation, newest first",
            list_messages,
        ),
        post("/conversations/{id}/read", "Mark messages as read up to this one", mark_read),
    ]
}

request_body!(NewConversation = NewConversation::read, optional: true);
request_body!(NewMessage = NewMessage::read);
request_body!(ReadUpTo(MessageId) = conversations::read_mark);

async fn create(
    services: web::Data<Services>,
    caller: Caller,
    Body(new): Body<NewConversation>,
    once: Once,
) -> Result<Created<ConversationWithMembers>, Error> {
    conversations::create(&services, &caller, new, once).await.map(Created)
}

async fn list(
    services: web::Data<Services>,
    caller: Caller,
    paging: Paging<ConversationId>,
) -> Result<ListPage<ConversationSummary>, Error> {
    let page = conversations::list(&services, &caller, paging.limit, paging.before).await?;
    Ok(paging.answer(page, |summary| summary.conversation.id))
}

async fn read(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ConversationId>,
) -> Result<Json<ConversationDetail>, Error> {
    conversations::get(&services, &caller, id).await.map(Json)
}

async fn add_member(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ConversationId>,
    Body(NewMember(user)): Body<NewMember>,
    once: Once,
) -> Result<Created<Added>, Error> {
    conversations::add_member(&services, &caller, id, user, once).await.map(Created)
}

async fn list_members(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ConversationId>,
    paging: Paging<UserId>,
) -> Result<ListPage<Member>, Error> {
    let page = conversations::members(&services, &caller, id, paging.limit, paging.before).await?;
    Ok(paging.answer(page, |member| member.user_id))
}

async fn remove_member(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ConversationId>,
    Id(user): Id<UserId>,
) -> Result<NoContent, Error> {
    conversations::remove_member(&services, &caller, id, user).await.map(|()| NoContent)
}

async fn send_message(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ConversationId>,
    Body(new): Body<NewMessage>,
    once: Once,
) -> Result<Created<Message>, Error> {
    messages::send(&services, &caller, id, new, once).await.map(Created)
}

async fn list_messages(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ConversationId>,
    paging: Paging<MessageId>,
) -> Result<ListPage<Message>, Error> {
    let page = messages::history(&services, &caller, id, paging.limit, paging.before).await?;
    Ok(paging.answer(page, |message| message.id))
}

async fn mark_read(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ConversationId>,
    Body(ReadUpTo(message)): Body<ReadUpTo>,
    once: Once,
) -> Result<Json<ReadMark>, Error> {
    conversations::mark_read(&services, &caller, id, message, once).await.map(Json)
}
