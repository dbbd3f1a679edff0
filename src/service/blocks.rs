//! Blocks: a blocked person can neither invite nor add the one who blocks. What the two
//! share already goes on: a member leaves a room by removing itself from its members.

use super::permissions::{Action, Relation, permit};
use super::{Page, Services};
use crate::auth::Identity;
use crate::error::Error;
use crate::event;
use crate::model::{Block, BlockId, UserId};
use crate::store::{Once, Tx, blocks as rows, invitations};

/// The most users whom one user may block.
const MAX_BLOCKED: i64 = 1000;

/// Blocks a user for the caller; a second call changes nothing. The answer is the same for a user
/// who does not exist.
///
/// # Errors
/// [`Error::Faults`] for the caller itself, [`Error::Conflict`] for too many blocks.
pub async fn put(services: &Services, caller: &Identity, blocked: UserId) -> Result<(), Error> {
    let db = services.db_of(caller);
    permit(caller, Action::ManageBlocks, Relation::own(true))?;
    let user = caller.user;
    if blocked == user {
        return Err(Error::Faults(vec!["userId must not be your own".into()]));
    }
    let write = async move |tx: &mut Tx| add(tx, user, blocked).await;
    db.write(Once::Unkeyed, write).await
}

/// Blocks a user, and closes the open invitations from it.
pub(super) async fn add(tx: &mut Tx, user: UserId, blocked: UserId) -> Result<(), Error> {
    if rows::count(tx.conn(), user).await? >= MAX_BLOCKED {
        return Err(Error::Conflict(format!("No more than {MAX_BLOCKED} users may be blocked")));
    }
    rows::insert(tx, user, blocked).await?;
    for id in invitations::refuse_all(tx, blocked, user).await? {
        tx.emit(event::invitation_closed(user, id));
    }
    Ok(())
}

/// Ends a block of the caller's.
///
/// # Errors
/// [`Error::NotFound`] if there is none.
pub async fn remove(services: &Services, caller: &Identity, blocked: UserId) -> Result<(), Error> {
    let db = services.db_of(caller);
    permit(caller, Action::ManageBlocks, Relation::own(true))?;
    let user = caller.user;
    let write = async move |tx: &mut Tx| {
        let missing = || Error::NotFound(format!("Block of user {blocked} not found"));
        if rows::delete(tx, user, blocked).await? { Ok(()) } else { Err(missing()) }
    };
    db.write(Once::Unkeyed, write).await
}

/// Lists the caller's blocks: at most `limit`, with ids below `before`.
pub async fn list(
    services: &Services,
    caller: &Identity,
    limit: u16,
    before: Option<BlockId>,
) -> Result<Page<Block>, Error> {
    let db = services.db_of(caller);
    permit(caller, Action::ManageBlocks, Relation::own(true))?;
    let asked =
        rows::BlockPage { user: caller.user, before, limit: Page::<Block>::query_limit(limit) };
    let items = db.read(async move |conn| rows::list(conn, &asked).await).await?;
    Ok(Page::from_rows(items, limit))
}
