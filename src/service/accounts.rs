//! Accounts: registering, signing in, and managing users.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::permissions::{Action, Relation, permit};
use super::{Services, names};
use crate::auth::{Identity, IssuedAt, PasswordHasher, Token, TokenId};
use crate::config::{Registration, Secret};
use crate::error::{AuthFailure, Error};
use crate::model::fields::{self, Fields};
use crate::model::{Role, Timestamp, User};
use crate::store::users::{self, Account, NewUser};
use crate::store::{Db, Once, Tx, blocks, identities, is_taken, tokens};

/// The time for which the token of a sign-in is valid.
pub const SESSION: Duration = Duration::from_secs(12 * 60 * 60);

/// An account to create.
pub struct NewAccount {
    pub email: String,
    pub name: String,
    pub password: Secret,
}

impl NewAccount {
    /// Reads `{email, name, password}`.
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let email = fields.required("email", fields::email);
        let name = fields.required("name", fields::person_name);
        let password = fields.required("password", fields::password).map(Secret::from);
        fields.finish(|| Some(Self { email: email?, name: name?, password: password? }))
    }
}

/// The data that a user signs in with.
pub struct Credentials {
    pub email: String,
    pub password: Secret,
}

impl Credentials {
    /// Reads `{email, password}`. Any text is accepted, so a fault says nothing about accounts.
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let email = fields.required("email", fields::text);
        let password = fields.required("password", fields::text).map(Secret::from);
        fields.finish(|| Some(Self { email: email?, password: password? }))
    }
}

/// The answer to a registration and to a sign-in.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedIn {
    pub access_token: String,
    pub expires_at: Timestamp,
    pub user: User,
}

/// Lets a caller fail early, before its data is read.
///
/// # Errors
/// [`Error::NotImplemented`] if this server makes no accounts by itself (REGISTRATION), or signs no
/// tokens.
pub fn can_register(services: &Services) -> Result<(), Error> {
    services.tokens.can_sign()?;
    match services.registration {
        Registration::Open => Ok(()),
        Registration::Closed => Err(Error::NotImplemented("Registration is closed")),
    }
}

/// Creates a customer's account and signs it in.
///
/// # Errors
/// [`Error::Conflict`] if the e-mail is taken or the name looks like an admin's,
/// [`Error::RateLimited`], [`Error::NotImplemented`] as
/// [`can_register`].
pub async fn register(
    services: &Services,
    from: IpAddr,
    account: NewAccount,
) -> Result<SignedIn, Error> {
    can_register(services)?;
    let attempt = services.sign_in_limits.registration(&account.email, from)?;
    let (db, passwords) = (&services.db, &services.passwords);
    let made = add_user(db, passwords, attempt.from, account, Role::Customer).await;
    services.sign_in_limits.ended(attempt, &made);
    signed_in(services, made?, 0)
}

/// Signs in. A wrong e-mail and a wrong password get the same answer after the same time.
///
/// # Errors
/// [`Error::BadCredentials`], [`Error::RateLimited`], [`Error::NotImplemented`] if this server does
/// not sign tokens.
pub async fn login(
    services: &Services,
    from: IpAddr,
    credentials: Credentials,
) -> Result<SignedIn, Error> {
    services.tokens.can_sign()?;
    let attempt = services.sign_in_limits.sign_in(&credentials.email, from)?;
    let outcome = check_password(services, attempt.from, credentials).await;
    services.sign_in_limits.ended(attempt, &outcome);
    let (user, generation) = outcome?;
    signed_in(services, user, generation)
}

/// Returns the user, and the generation of its tokens.
async fn check_password(
    services: &Services,
    from: IpAddr,
    credentials: Credentials,
) -> Result<(User, i64), Error> {
    let email = credentials.email;
    let found =
        services.db.read(async move |conn| users::credentials_by_email(conn, &email).await).await?;
    let (user, hash) =
        found.map(|found| ((found.user, found.token_generation), found.password_hash)).unzip();
    if !services.passwords.verify(from, credentials.password, hash).await? {
        return Err(Error::BadCredentials);
    }
    // The generation was read together with the hash: a password that changes meanwhile ends this
    // token too.
    user.ok_or(Error::BadCredentials)
}

/// Logs failed sign-ins, with a line a minute for each address, until it is aborted; the rest is
/// logged then.
pub async fn report_failures(services: Arc<Services>) {
    let limits = &services.sign_in_limits;
    let _rest = limits.report_at_the_end();
    limits.report_every_minute().await;
}

fn signed_in(services: &Services, user: User, generation: i64) -> Result<SignedIn, Error> {
    let issued = services.tokens.issue(user.id, user.role, generation, SESSION)?;
    Ok(SignedIn { access_token: issued.token, expires_at: issued.expires_at, user })
}

/// The token of a socket that only names its user, for development with `ALLOW_QUERY_USER`. Always
/// a customer, even if the account is an admin; valid as long as a sign-in.
///
/// # Errors
/// [`Error::Unauthorized`] for a user that does not exist.
pub async fn token_without_proof(services: &Services, user: &str) -> Result<Token, Error> {
    let invalid = || Error::Unauthorized(AuthFailure::Invalid);
    let user = user.parse().map_err(|_| invalid())?;
    let generation = services
        .db
        .read(async move |conn| tokens::generation(conn, user).await)
        .await?
        .ok_or_else(invalid)?;
    let identity =
        Identity { user, role: Role::Customer, expires_at: Timestamp::now().after(SESSION) };
    Ok(Token { identity, id: TokenId::NONE, issued_at: IssuedAt::Generation(generation) })
}

/// Returns the caller's own account.
///
/// # Errors
/// [`Error::Unauthorized`] if it no longer exists.
pub async fn me(services: &Services, identity: &Identity) -> Result<User, Error> {
    permit(identity, Action::ReadOwnAccount, Relation::own(true))?;
    let id = identity.user;
    let user = services.db.read(async move |conn| users::by_id(conn, id).await).await?;
    user.ok_or(Error::Unauthorized(AuthFailure::Invalid))
}

/// Creates an account. The caller checks the permission; `from` is its address.
///
/// # Errors
/// [`Error::Conflict`] if the e-mail is taken, or a customer's name looks like an admin's.
pub async fn add_user(
    db: &Db,
    passwords: &PasswordHasher,
    from: IpAddr,
    account: NewAccount,
    role: Role,
) -> Result<User, Error> {
    let password_hash = passwords.hash(from, account.password).await?;
    let write = async move |tx: &mut Tx| {
        names::check(tx.conn(), &account.name, role).await?;
        let new = NewUser {
            email: &account.email,
            name: &account.name,
            password_hash: &password_hash,
            role,
        };
        users::insert(tx, &new).await.map_err(|error| {
            if is_taken(&error) {
                Error::Conflict("Email is already registered".into())
            } else {
                error.into()
            }
        })
    };
    db.write(Once::Unkeyed, write).await
}

/// Sets an account's password and ends all of its tokens. The caller checks the permission.
pub async fn set_password(
    db: &Db,
    passwords: &PasswordHasher,
    account: Account,
    password: Secret,
) -> Result<User, Error> {
    let password_hash = passwords.hash(PasswordHasher::SELF, password).await?;
    let write = async move |tx: &mut Tx| {
        let (user, _) = tokens::end_all(tx, &account).await?.ok_or_else(|| not_found(&account))?;
        users::set_password(tx, user.id, &password_hash).await?;
        Ok(user)
    };
    db.write(Once::Unkeyed, write).await
}

/// Sets an account's role and ends all of its tokens, because they carry the old role. The caller
/// checks the permission.
pub async fn set_role(db: &Db, account: Account, role: Role) -> Result<User, Error> {
    let write = async move |tx: &mut Tx| {
        let user = users::find(tx.conn(), &account).await?.ok_or_else(|| not_found(&account))?;
        identities::keep_role(tx, user.id).await?;
        tokens::end_all(tx, &account).await?.ok_or_else(|| not_found(&account))?;
        users::set_role(tx, user.id, role).await?;
        Ok(User { role, ..user })
    };
    db.write(Once::Unkeyed, write).await
}

/// Gives an account another name, which no token changes from then on. The caller checks the
/// permission.
///
/// # Errors
/// [`Error::Conflict`] if a customer's name would look like an admin's.
pub async fn rename(db: &Db, account: Account, name: String) -> Result<User, Error> {
    let write = async move |tx: &mut Tx| {
        let user = users::find(tx.conn(), &account).await?.ok_or_else(|| not_found(&account))?;
        names::check(tx.conn(), &name, user.role).await?;
        identities::keep_name(tx, user.id).await?;
        users::set_name(tx, user.id, &name).await?;
        Ok(User { name, ..user })
    };
    db.write(Once::Unkeyed, write).await
}

/// Removes an account and everything that belongs only to it. The caller checks the permission.
pub async fn remove(db: &Db, account: Account) -> Result<User, Error> {
    let write = async move |tx: &mut Tx| {
        let user = users::find(tx.conn(), &account).await?.ok_or_else(|| not_found(&account))?;
        identities::end_all(tx, user.id).await?;
        blocks::forget(tx, user.id).await?;
        users::delete(tx, user.id).await?;
        tokens::end_removed(tx, user.id).await?;
        Ok(user)
    };
    db.write(Once::Unkeyed, write).await
}

pub(super) fn not_found(account: &Account) -> Error {
    Error::NotFound(match account {
        Account::Id(id) => format!("User with ID {id} not found"),
        Account::Email(email) => format!("User with e-mail {email} not found"),
    })
}
