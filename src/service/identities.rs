//! External users, whose tokens another program signs: creating an account at the first token,
//! renewing it by later ones, and linking an existing account to an external identity.

use super::accounts::not_found;
use super::names;
use crate::auth::{IssuedAt, NO_PASSWORD, VerifiedToken};
use crate::error::{AuthFailure, Error};
use crate::model::{ExternalIdentity, ExternalUser, Role, Timestamp, User, UserId};
use crate::store::identities::Given;
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
    let (role, issue) = (token.role.unwrap_or(Role::Customer), token.issued_at);
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
    let name = free_name(tx, external, role).await?;
    let new = NewUser { email: &email, name: &name, password_hash: NO_PASSWORD, role };
    let user = users::insert(tx, &new).await.map_err(taken)?;
    let given =
        Given { name: Some(name), email: Some(email), role: Some(role), at: made_at(issued_at) };
    identities::insert(tx, &external.id, user.id, &given).await.map_err(taken)?;
    Ok(Some(user.id))
}

/// The best of the user's names that does not look like an admin's, or else an invented one: no
/// token is refused for its name.
async fn free_name(tx: &mut Tx, external: &ExternalUser, role: Role) -> Result<String, Error> {
    for name in external.names() {
        if !names::is_reserved(tx.conn(), &name, role).await? {
            return Ok(name);
        }
    }
    Ok(format!("user-{:08x}", rand::random::<u32>()))
}

/// The `iat` of a token, in whole seconds.
fn made_at(issued_at: IssuedAt) -> Option<Timestamp> {
    match issued_at {
        IssuedAt::Generation(_) | IssuedAt::Time(0) => None,
        IssuedAt::Time(millis) => Timestamp::from_unix_seconds(millis / 1000),
    }
}

/// Gives the account the name, the e-mail and the role of a token, where an earlier token of the
/// same identity had given it others. A failure is only logged: the token is good all the same.
pub async fn renew(
    db: &Db,
    user: UserId,
    external: &ExternalUser,
    token: &VerifiedToken,
    old: Given,
) {
    // Only a later token, or two that differ would replace each other with every request.
    let Some(at) = made_at(token.issued_at).filter(|at| Some(*at) > old.at) else { return };
    let new = Renewal {
        name: changed(old.name, external.better_name().map(str::to_owned)),
        email: changed(old.email, external.email.clone()),
        role: changed(old.role, Some(token.role.unwrap_or(Role::Customer))),
    };
    if new.name.is_none() && new.email.is_none() && new.role.is_none() {
        return;
    }
    let id = external.id.clone();
    let write = async move |tx: &mut Tx| {
        identities::given_at(tx, &id, at).await?;
        new.write(tx, &id, user).await
    };
    if let Err(error) = db.write(Once::Unkeyed, write).await {
        tracing::warn!(%error, user = user.0, "cannot give an account what its token says");
    }
}

/// What an earlier token gave, and what a later one gives instead.
struct Renewal {
    name: Option<(String, String)>,
    email: Option<(String, String)>,
    role: Option<(Role, Role)>,
}

fn changed<T: PartialEq>(old: Option<T>, new: Option<T>) -> Option<(T, T)> {
    old.zip(new).filter(|(old, new)| old != new)
}

impl Renewal {
    /// An address that another account has stays there, and so does the name of an admin.
    async fn write(self, tx: &mut Tx, id: &ExternalIdentity, user: UserId) -> Result<(), Error> {
        if let Some((old, new)) = self.role
            && identities::give_role(tx, id, old, new).await?
        {
            users::set_role(tx, user, new).await?;
        }
        if let Some((old, new)) = self.name {
            let account = users::by_id(tx.conn(), user).await?;
            let role = account.map_or(Role::Customer, |account| account.role);
            if !names::is_reserved(tx.conn(), &new, role).await?
                && identities::give_name(tx, id, &old, &new).await?
            {
                users::set_name(tx, user, &new).await?;
            }
        }
        if let Some((old, new)) = self.email {
            let owner = users::find(tx.conn(), &Account::Email(new.clone())).await?;
            if owner.is_none_or(|owner| owner.id == user)
                && identities::give_email(tx, id, &old, &new).await?
            {
                users::set_email(tx, user, &new).await.map_err(taken)?;
            }
        }
        Ok(())
    }
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
            None => {
                identities::insert(tx, &id, user.id, &Given::NOTHING).await.map_err(taken)?;
            }
        }
        Ok(user)
    };
    db.write(Once::Unkeyed, write).await
}
