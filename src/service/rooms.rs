//! Rooms that clients join by themselves, projects and conversations: who may, who is there, and what is said there without being kept.

use diesel::QueryResult;
use tokio::sync::oneshot;

use super::{Services, publish};
use crate::auth::Identity;
use crate::error::Error;
use crate::event::{self, Room};
use crate::model::{ConversationId, UserId};
use crate::realtime::{ClientHandle, Present};
use crate::store::{Conn, Once, Tx, conversations, projects};

/// The room that a client names, of those that can be joined and left.
///
/// # Errors
/// [`Error::BadRequest`].
pub fn by_name(name: &str) -> Result<Room, Error> {
    Room::joinable(name).ok_or_else(|| Error::BadRequest("room must be project:ID or conversation:ID".into()))
}

/// Puts a socket of the caller into a room; who is there then. Members only.
///
/// The membership is held where writes are made until the commit, and the socket enters behind that in the order of commits: so a removal comes
/// either before the look, or after the socket is in and puts it out again.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn join(services: &Services, caller: &Identity, room: Room, client: ClientHandle) -> Result<Present, Error> {
    let user = caller.user;
    let (done, present) = oneshot::channel();
    let look = async move |tx: &mut Tx| {
        if !hold_member(tx, user, room).await? {
            return Err(not_found(room));
        }
        tx.after_commit(move || {
            client.join(room.to_string(), move |present| {
                // The socket may have gone meanwhile.
                let _ = done.send(present);
            });
        });
        Ok(())
    };
    services.db.write(Once::No, look).await?;
    // None: the socket has gone, and nobody reads this.
    Ok(present.await.unwrap_or_default())
}

/// Who is in a room. For those who may join it.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn present(services: &Services, caller: &Identity, room: Room) -> Result<Present, Error> {
    let user = caller.user;
    let member = services.db.read(async move |conn| is_member(conn, user, room).await).await?;
    if !member {
        return Err(not_found(room));
    }
    Ok(services.hub.present(event::MAIN, &room.to_string()).await)
}

/// Tells the others in a conversation that the caller types, or has stopped. `is_in`: the caller's socket is in its room, which only members are.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn typing(
    services: &Services,
    caller: &Identity,
    conversation: ConversationId,
    is_typing: bool,
    is_in: bool,
) -> Result<(), Error> {
    let (user, room) = (caller.user, Room::Conversation(conversation));
    if !is_in && !services.db.read(async move |conn| is_member(conn, user, room).await).await? {
        return Err(not_found(room));
    }
    publish::announce(&services.hub, event::typing(conversation, user, is_typing)).await;
    Ok(())
}

async fn is_member(conn: &mut Conn, user: UserId, room: Room) -> QueryResult<bool> {
    match room {
        Room::Project(id) => projects::is_member(conn, id, user).await,
        Room::Conversation(id) => conversations::is_member(conn, id, user).await,
        Room::User(_) | Room::Admin | Room::Members(_) => Ok(false),
    }
}

async fn hold_member(tx: &mut Tx, user: UserId, room: Room) -> QueryResult<bool> {
    match room {
        Room::Project(id) => projects::hold_member(tx, id, user).await,
        Room::Conversation(id) => conversations::hold_member(tx, id, user).await,
        Room::User(_) | Room::Admin | Room::Members(_) => Ok(false),
    }
}

fn not_found(room: Room) -> Error {
    match room {
        Room::Project(id) => Error::NotFound(format!("Project with ID {id} not found")),
        Room::Conversation(id) => Error::NotFound(format!("Conversation with ID {id} not found")),
        Room::User(_) | Room::Admin | Room::Members(_) => Error::NotFound(format!("Room {room} not found")),
    }
}
