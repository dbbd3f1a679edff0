//! External users, whose tokens another program signs: creating an account at the first token, and
//! linking an existing account to an external identity.

use super::accounts::not_found;
use crate::auth::{IssuedAt, NO_PASSWORD, VerifiedToken};
use crate::error::{AuthFailure, Error};
use crate::model::{ExternalIdentity, ExternalUser, Role, User, UserId};
use crate::store::users::{self, Account, NewUser};
use crate::store::{Db, Once, Tx, identities, is_taken};

/// The number of attempts to create a user while other writes take the identity or the e-mail.
const ATTEMPTS: usize = 4;

/// Creates the account of an external user, unless another write has created it meanwhile.
///
/// If an account has the e-mail already, the new account gets an invented address: the issuer of a
/// token does not have to prove the address in it.
///
/// # Errors
/// [`Error::Unauthorized`] if the token has ended with a removed account, [`Error::Unavailable`]
/// after too many conflicts.
pub async fn provision(
    db: &Db,
    external: &ExternalUser,
    token: &VerifiedToken,
) -> Result<(), Error> {
    let (role, issue) = (token.role, token.issued_at);
    for _ in 0..ATTEMPTS {
        let external = external.clone();
        match db
            .write(Once::Unkeyed, async move |tx: &mut Tx| make(tx, &external, role, issue).await)
            .await
        {
            // Another write has taken the identity or the e-mail.
            Err(Error::Conflict(_)) => {}
            Ok(Some(user)) => {
                tracing::info!(user = user.0, "created an account for an external user");
                return Ok(());
            }
            Ok(None) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Err(Error::Unavailable("Too many accounts are made at once"))
}

/// Creates the account. Returns `None` if it exists already.
async fn make(
    tx: &mut Tx,
    external: &ExternalUser,
    role: Role,
    issued_at: IssuedAt,
) -> Result<Option<UserId>, Error> {
    if identities::owner(tx.conn(), &external.id).await?.is_some() {
        return Ok(None);
    }
    if identities::last_end(tx.conn(), &external.id)
        .await?
        .is_some_and(|end| issued_at.is_before(0, end))
    {
        return Err(Error::Unauthorized(AuthFailure::Invalid));
    }
    let free = match &external.email {
        Some(email) if users::find(tx.conn(), &Account::Email(email.clone())).await?.is_none() => {
            Some(email.clone())
        }
        _ => None,
    };
    // RFC 2606, 2: `.invalid` never is a domain.
    let email = free.unwrap_or_else(|| format!("{:032x}@unknown.invalid", rand::random::<u128>()));
    let new = NewUser { email: &email, name: &external.name, password_hash: NO_PASSWORD, role };
    let user = users::insert(tx, &new).await.map_err(taken)?;
    identities::insert(tx, &external.id, user.id).await.map_err(taken)?;
    Ok(Some(user.id))
}

fn taken(error: diesel::result::Error) -> Error {
    if is_taken(&error) {
        Error::Conflict("The identity is another account's".into())
    } else {
        error.into()
    }
}

/// Links an account to an external identity; a second call changes nothing. The caller checks the
/// permission.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Conflict`] if the identity is another account's.
pub async fn link(db: &Db, account: Account, id: ExternalIdentity) -> Result<User, Error> {
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
    db.write(Once::Unkeyed, write).await
}
