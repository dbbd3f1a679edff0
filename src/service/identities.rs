//! Users whose tokens others sign: who is one, by the token's issuer and subject, how one comes to
//! be, and how an account is made somebody's.

use super::accounts::not_found;
use crate::auth::{IssuedAt, NO_PASSWORD, VerifiedToken};
use crate::error::{AuthFailure, Error};
use crate::model::{OutsideId, Outsider, Role, User, UserId};
use crate::store::users::{self, Account, NewUser};
use crate::store::{Db, Once, Tx, identities, is_taken};

/// How often it is tried to make a user, while others take the identity or the e-mail.
const ATTEMPTS: usize = 4;

/// Makes a user of one who was not known when it was looked. It may be another's doing by now.
///
/// An account that has the e-mail is left alone, and the new one gets a made-up address: who has
/// signed the token need not be asked for each address that it writes into one.
///
/// # Errors
/// [`Error::Unauthorized`] when the token ended with a user who has been removed;
/// [`Error::Unavailable`].
pub async fn provision(db: &Db, outsider: &Outsider, token: &VerifiedToken) -> Result<(), Error> {
    let (role, issued_at) = (token.role, token.issued_at);
    for _ in 0..ATTEMPTS {
        let outsider = outsider.clone();
        match db
            .write(Once::No, async move |tx: &mut Tx| make(tx, &outsider, role, issued_at).await)
            .await
        {
            // Another was quicker, with the identity or with the e-mail.
            Err(Error::Conflict(_)) => {}
            Ok(Some(user)) => {
                tracing::info!(
                    user = user.0,
                    "made an account for one whose token was seen for the first time"
                );
                return Ok(());
            }
            Ok(None) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Err(Error::Unavailable("Too many accounts are made at once"))
}

/// None: there is a user by now.
async fn make(
    tx: &mut Tx,
    outsider: &Outsider,
    role: Role,
    issued_at: IssuedAt,
) -> Result<Option<UserId>, Error> {
    if identities::owner(tx.conn(), &outsider.id).await?.is_some() {
        return Ok(None);
    }
    if identities::last_end(tx.conn(), &outsider.id)
        .await?
        .is_some_and(|end| issued_at.is_before(0, end))
    {
        return Err(Error::Unauthorized(AuthFailure::Invalid));
    }
    let free = match &outsider.email {
        Some(email) if users::find(tx.conn(), &Account::Email(email.clone())).await?.is_none() => {
            Some(email.clone())
        }
        _ => None,
    };
    // RFC 2606, 2: a domain that never is one.
    let email = free.unwrap_or_else(|| format!("{:032x}@unknown.invalid", rand::random::<u128>()));
    let new = NewUser { email: &email, name: &outsider.name, password_hash: NO_PASSWORD, role };
    let user = users::insert(tx, &new).await.map_err(taken)?;
    identities::insert(tx, &outsider.id, user.id).await.map_err(taken)?;
    Ok(Some(user.id))
}

fn taken(error: diesel::result::Error) -> Error {
    if is_taken(&error) {
        Error::Conflict("The identity is another account's".into())
    } else {
        error.into()
    }
}

/// From now on that account is who this is. Again it changes nothing. What the caller may has been
/// checked.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when it is another account's; [`Error::Unavailable`].
pub async fn link(db: &Db, account: Account, id: OutsideId) -> Result<User, Error> {
    let write = async move |tx: &mut Tx| {
        let user = users::find(tx.conn(), &account).await?.ok_or_else(|| not_found(&account))?;
        match identities::owner(tx.conn(), &id).await? {
            Some(owner) if owner == user.id => {}
            Some(owner) => {
                return Err(Error::Conflict(format!(
                    "The identity is that of the user with ID {owner}"
                )));
            }
            None => identities::insert(tx, &id, user.id).await.map_err(taken)?,
        }
        Ok(user)
    };
    db.write(Once::No, write).await
}
