//! `/invitations` and `/blocks`.

use actix_web::web;

use super::answers::{Json, ListPage, NoContent};
use super::endpoint::{Endpoint, delete, get, post, put};
use super::extract::{Body, Caller, EmptyBody, Id, request_body};
use super::paging::Paging;
use crate::error::Error;
use crate::model::{Block, BlockId, Invitation, InvitationId, UserId};
use crate::service::{Services, blocks, invitations};
use crate::store::Once;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/invitations", "The caller's open invitations, newest first", list),
        post("/invitations/{id}/accept", "Become a member", accept),
        post(
            "/invitations/{id}/refuse",
            "Refuse an invitation, and block the inviter if wanted",
            refuse,
        )
        .refuses(&[409]),
        get("/blocks", "The users whom the caller has blocked, newest first", list_blocks),
        put("/blocks/{userId}", "Block a user: no more invitations from it", block).refuses(&[409]),
        delete("/blocks/{userId}", "End a block", unblock),
    ]
}

request_body!(Refusal(bool) = invitations::read_refusal, optional: true);

async fn list(
    services: web::Data<Services>,
    caller: Caller,
    paging: Paging<InvitationId>,
) -> Result<ListPage<Invitation>, Error> {
    let page = invitations::list(&services, &caller, paging.limit, paging.before).await?;
    Ok(paging.answer(page, |invitation| invitation.id))
}

async fn accept(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<InvitationId>,
    _: EmptyBody,
    once: Once,
) -> Result<Json<Invitation>, Error> {
    invitations::accept(&services, &caller, id, once).await.map(Json)
}

async fn refuse(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<InvitationId>,
    Body(Refusal(block)): Body<Refusal>,
    once: Once,
) -> Result<NoContent, Error> {
    invitations::refuse(&services, &caller, id, block, once).await.map(|()| NoContent)
}

async fn list_blocks(
    services: web::Data<Services>,
    caller: Caller,
    paging: Paging<BlockId>,
) -> Result<ListPage<Block>, Error> {
    let page = blocks::list(&services, &caller, paging.limit, paging.before).await?;
    Ok(paging.answer(page, |block| block.id))
}

async fn block(
    services: web::Data<Services>,
    caller: Caller,
    Id(user): Id<UserId>,
) -> Result<NoContent, Error> {
    blocks::put(&services, &caller, user).await.map(|()| NoContent)
}

async fn unblock(
    services: web::Data<Services>,
    caller: Caller,
    Id(user): Id<UserId>,
) -> Result<NoContent, Error> {
    blocks::remove(&services, &caller, user).await.map(|()| NoContent)
}
