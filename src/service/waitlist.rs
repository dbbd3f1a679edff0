//! Waitlists: the users to notify when a product is back in stock. The module `stock` notifies them
//! and empties the list.

use super::Services;
use super::permissions::{Action, Relation, permit};
use super::products::not_found;
use super::quotas::Added;
use crate::auth::Identity;
use crate::error::Error;
use crate::model::{ProductId, WaitlistEntry};
use crate::store::{Once, Tx, products, waitlist as rows};

/// The most users on one list, because one write notifies them all.
const MAX_WAITING: i64 = 1000;

/// Puts the caller on a product's waitlist. A second call returns the same answer.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Conflict`] if the list is full.
pub async fn join(
    services: &Services,
    caller: &Identity,
    id: ProductId,
    once: Once,
) -> Result<WaitlistEntry, Error> {
    let db = services.db_of(caller);
    permit(caller, Action::JoinWaitlist, Relation::NONE)?;
    let (identity, caller, quotas) = (*caller, caller.user, services.quotas);
    let write = async move |tx: &mut Tx| {
        products::lock(tx, id).await?.ok_or_else(|| not_found(id))?;
        if let Some(entry) = rows::of(tx, id, caller).await? {
            return Ok(entry);
        }
        quotas.check(tx, &identity, Added::WaitlistEntry).await?;
        if rows::count(tx.conn(), id).await? >= MAX_WAITING {
            return Err(Error::Conflict(format!("The waitlist of product with ID {id} is full")));
        }
        Ok(rows::add(tx, id, caller).await?)
    };
    db.write(once, write).await
}

/// Removes the caller from a product's waitlist.
///
/// # Errors
/// [`Error::NotFound`] also if the caller is not on the list.
pub async fn leave(services: &Services, caller: &Identity, id: ProductId) -> Result<(), Error> {
    let db = services.db_of(caller);
    permit(caller, Action::JoinWaitlist, Relation::NONE)?;
    let caller = caller.user;
    let write = async move |tx: &mut Tx| {
        products::by_id(tx.conn(), id).await?.ok_or_else(|| not_found(id))?;
        let missing =
            || Error::NotFound(format!("Waitlist entry of product with ID {id} not found"));
        if rows::remove(tx, id, caller).await? { Ok(()) } else { Err(missing()) }
    };
    db.write(Once::Unkeyed, write).await
}
