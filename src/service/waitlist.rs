//! Waitlists: who is to be told when a product is in stock again. Who empties them is `stock`.

use super::Services;
use super::permissions::{Action, Standing, permit};
use super::products::not_found;
use crate::auth::Identity;
use crate::error::Error;
use crate::model::{ProductId, Waiting};
use crate::store::{Once, Tx, products, waitlist as rows};

/// Users on one list at most: so many are notified, for each product that is there again, in one
/// write.
const MOST_WAITING: i64 = 1000;

/// Puts the caller on a product's list. Again it gives the same answer.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Conflict`] when the list is full.
pub async fn join(
    services: &Services,
    caller: &Identity,
    id: ProductId,
    once: Once,
) -> Result<Waiting, Error> {
    permit(caller, Action::AwaitProduct, Standing::STRANGER)?;
    let caller = caller.user;
    let write = async move |tx: &mut Tx| {
        products::lock(tx, id).await?.ok_or_else(|| not_found(id))?;
        if let Some(waiting) = rows::of(tx, id, caller).await? {
            return Ok(waiting);
        }
        if rows::count(tx.conn(), id).await? >= MOST_WAITING {
            return Err(Error::Conflict(format!("The waitlist of product with ID {id} is full")));
        }
        Ok(rows::add(tx, id, caller).await?)
    };
    services.db.write(once, write).await
}

/// Takes the caller from a product's list.
///
/// # Errors
/// [`Error::NotFound`], also when the caller is not on it.
pub async fn leave(services: &Services, caller: &Identity, id: ProductId) -> Result<(), Error> {
    permit(caller, Action::AwaitProduct, Standing::STRANGER)?;
    let caller = caller.user;
    let write = async move |tx: &mut Tx| {
        products::by_id(tx.conn(), id).await?.ok_or_else(|| not_found(id))?;
        let missing =
            || Error::NotFound(format!("Waitlist entry of product with ID {id} not found"));
        if rows::remove(tx, id, caller).await? { Ok(()) } else { Err(missing()) }
    };
    services.db.write(Once::No, write).await
}
