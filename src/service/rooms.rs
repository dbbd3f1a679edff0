//! Rooms that clients join themselves, of projects and conversations: joining, leaving, presence
//! and typing.

use std::collections::BTreeSet;
use std::sync::Arc;

use diesel::QueryResult;
use tokio::sync::oneshot;

use super::permissions::{Action, Relation, permit};
use super::{Services, conversations, projects, publish};
use crate::auth::Identity;
use crate::error::Error;
use crate::event::{self, Joinable, Room};
use crate::model::{ConversationId, UserId};
use crate::realtime::presence::MAX_NAMED;
use crate::realtime::{ClientHandle, Present, Whom};
use crate::store::{self, Conn, Once, Tx, sessions};

/// Puts a socket of the caller into a room, and returns the presence in it; for members only.
///
/// The write locks the membership, and the socket enters in the order of commits. So a removal of
/// the member either commits before the check, or finds the socket in the room and removes it.
pub async fn join(
    services: &Services,
    caller: &Identity,
    room: Joinable,
    client: ClientHandle,
) -> Result<Present, Error> {
    let db = services.db_of(caller);
    // The others hear of the join, and of the leave that ends it, both in few bytes.
    services.publish_limits.admit(caller, 1, 0)?;
    let caller = *caller;
    let (done, present) = oneshot::channel();
    let look = async move |tx: &mut Tx| {
        let relation = Relation::member(hold_member(tx, caller.user, room).await?);
        permit(&caller, Action::JoinRoom, relation)
            .map_err(|denied| denied.into_error(|| not_found(room)))?;
        if let Some((session, stay)) = client.session() {
            sessions::join(tx, session, stay, &room.to_string()).await?;
        }
        tx.after_commit(move || {
            client.enter(room.to_string(), move |present| {
                // The socket may be closed meanwhile.
                let _ = done.send(present);
            });
        });
        Ok(())
    };
    db.write(Once::Unkeyed, look).await?;
    // Without an answer the socket is closed, and nobody reads this.
    Ok(present.await.unwrap_or_default())
}

/// Returns the presence in a room that sockets are in from the start: the caller's own, or for an
/// admin the room `admin`.
///
/// # Errors
/// [`Error::NotFound`] for another user's room, [`Error::Forbidden`] for the room `admin`.
pub async fn own(services: &Services, caller: &Identity, room: Room) -> Result<Present, Error> {
    let action = if room == Room::Admin { Action::EnterAdmin } else { Action::JoinRoom };
    let missing = || Error::NotFound(format!("Room {room} not found"));
    permit(caller, action, Relation::own(room == Room::User(caller.user)))
        .map_err(|denied| denied.into_error(missing))?;
    let sockets = services.hub.sockets(event::MAIN, Whom::room(&room.to_string())).await;
    let users: BTreeSet<&str> = sockets.iter().filter_map(ClientHandle::user).collect();
    Ok(Present {
        count: users.len(),
        users: users.into_iter().take(MAX_NAMED).map(Arc::from).collect(),
    })
}

/// Takes a socket of the caller out of a room, and returns the remaining presence if the socket was
/// in it.
pub async fn leave(
    services: &Services,
    caller: &Identity,
    room: Joinable,
    client: ClientHandle,
) -> Result<Present, Error> {
    let db = services.db_of(caller);
    let (done, present) = oneshot::channel();
    let out = async move |tx: &mut Tx| {
        if let Some((session, stay)) = client.session() {
            sessions::leave(tx, session, stay, &room.to_string()).await?;
        }
        tx.after_commit(move || {
            client.leave(room.to_string(), move |present| {
                // The socket may be closed meanwhile.
                let _ = done.send(present);
            });
        });
        Ok(())
    };
    db.write(Once::Unkeyed, out).await?;
    Ok(present.await.unwrap_or_default())
}

/// Returns the presence in a room, for callers that may join it.
pub async fn present(
    services: &Services,
    caller: &Identity,
    room: Joinable,
) -> Result<Present, Error> {
    let user = caller.user;
    let is_member = services.db.read(async move |conn| is_member(conn, user, room).await).await?;
    permit(caller, Action::JoinRoom, Relation::member(is_member))
        .map_err(|denied| denied.into_error(|| not_found(room)))?;
    Ok(services.hub.present(event::MAIN, &room.to_string()).await)
}

/// Sends `typing` to the others in a conversation. If `is_in` is true, the caller's socket is in
/// the room, which proves the membership without a query.
pub async fn typing(
    services: &Services,
    caller: &Identity,
    conversation: ConversationId,
    is_typing: bool,
    is_in: bool,
) -> Result<(), Error> {
    services.publish_limits.admit(caller, 1, 0)?;
    let (user, room) = (caller.user, Joinable::Conversation(conversation));
    let is_member =
        is_in || services.db.read(async move |conn| is_member(conn, user, room).await).await?;
    permit(caller, Action::WriteInConversation, Relation::member(is_member))
        .map_err(|denied| denied.into_error(|| not_found(room)))?;
    publish::send_transient(&services.hub, event::typing(conversation, user, is_typing)).await;
    Ok(())
}

pub(super) async fn is_member(conn: &mut Conn, user: UserId, room: Joinable) -> QueryResult<bool> {
    match room {
        Joinable::Project(id) => store::projects::is_member(conn, id, user).await,
        Joinable::Conversation(id) => store::conversations::is_member(conn, id, user).await,
    }
}

async fn hold_member(tx: &mut Tx, user: UserId, room: Joinable) -> QueryResult<bool> {
    match room {
        Joinable::Project(id) => store::projects::lock_member(tx, id, user).await,
        Joinable::Conversation(id) => store::conversations::lock_member(tx, id, user).await,
    }
}

fn not_found(room: Joinable) -> Error {
    match room {
        Joinable::Project(id) => projects::not_found(id),
        Joinable::Conversation(id) => conversations::not_found(id),
    }
}
