//! Accounts: registering, signing in, and who a token belongs to.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use schemars::JsonSchema;
use serde::Serialize;

use super::Services;
use super::permissions::{Action, Standing, permit};
use crate::auth::{Identity, IssuedAt, PasswordHasher, Token, TokenId};
use crate::config::{Rate, Secret};
use crate::error::{AuthFailure, Error};
use crate::model::fields::{self, Fields};
use crate::model::{Role, Timestamp, User};
use crate::store::users::{self, Account, NewUser};
use crate::store::{Db, Once, Tx, identities, is_taken, tokens};

/// How long a sign-in is good.
pub const SESSION: Duration = Duration::from_secs(12 * 60 * 60);

/// What it takes to make an account.
pub struct NewAccount {
    pub email: String,
    pub name: String,
    pub password: Secret,
}

impl NewAccount {
    /// From `{email, name, password}`.
    ///
    /// # Errors
    /// [`Error::Faults`].
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let email = fields.required("email", fields::email);
        let name = fields.required("name", fields::line);
        let password = fields.required("password", fields::password).map(Secret::from);
        fields.end(|| Some(Self { email: email?, name: name?, password: password? }))
    }
}

/// What it takes to sign in.
pub struct Credentials {
    pub email: String,
    pub password: Secret,
}

impl Credentials {
    /// From `{email, password}`. Whether they could be those of any account is not told.
    ///
    /// # Errors
    /// [`Error::Faults`].
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let email = fields.required("email", fields::text);
        let password = fields.required("password", fields::text).map(Secret::from);
        fields.end(|| Some(Self { email: email?, password: password? }))
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

/// Makes a customer's account and signs it in.
///
/// # Errors
/// [`Error::Conflict`] when the e-mail is taken, [`Error::RateLimited`], [`Error::Unavailable`];
/// [`Error::NotImplemented`] where others sign.
pub async fn register(
    services: &Services,
    from: IpAddr,
    account: NewAccount,
) -> Result<SignedIn, Error> {
    services.tokens.can_sign()?;
    services.sign_ins.check(&account.email, from)?;
    let user = add_user(&services.db, &services.passwords, account, Role::Customer).await?;
    signed_in(services, user, 0)
}

/// Signs in. A wrong e-mail and a wrong password cannot be told apart, in text or in time.
///
/// # Errors
/// [`Error::BadCredentials`], [`Error::RateLimited`], [`Error::Unavailable`];
/// [`Error::NotImplemented`] where others sign.
pub async fn login(
    services: &Services,
    from: IpAddr,
    credentials: Credentials,
) -> Result<SignedIn, Error> {
    services.tokens.can_sign()?;
    services.sign_ins.check(&credentials.email, from)?;
    let email = credentials.email;
    let found =
        services.db.read(async move |conn| users::credentials_by_email(conn, &email).await).await?;
    let (user, hash) =
        found.map(|found| ((found.user, found.token_generation), found.password_hash)).unzip();
    if !services.passwords.verify(credentials.password, hash).await? {
        return Err(Error::BadCredentials);
    }
    // Of what was read with the password: should that change meanwhile, the token has ended with
    // it.
    let (user, generation) = user.ok_or(Error::BadCredentials)?;
    signed_in(services, user, generation)
}

fn signed_in(services: &Services, user: User, generation: i64) -> Result<SignedIn, Error> {
    let issued = services.tokens.issue(user.id, user.role, generation, SESSION)?;
    Ok(SignedIn { access_token: issued.token, expires_at: issued.expires_at, user })
}

/// Whom a socket says that it belongs to, without a proof: for development, where ALLOW_QUERY_USER
/// is set. A customer, whatever the account is, and as long as a sign-in, as if it had just been
/// made.
///
/// # Errors
/// [`Error::Unauthorized`] for a user who does not exist.
pub async fn believe(services: &Services, user: &str) -> Result<Token, Error> {
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

/// The caller's own account.
///
/// # Errors
/// [`Error::Unauthorized`] when it is gone.
pub async fn me(services: &Services, identity: &Identity) -> Result<User, Error> {
    permit(identity, Action::ReadOwnAccount, Standing::own(true))?;
    let id = identity.user;
    let user = services.db.read(async move |conn| users::by_id(conn, id).await).await?;
    user.ok_or(Error::Unauthorized(AuthFailure::Invalid))
}

/// Makes an account. What the caller may has been checked.
///
/// # Errors
/// [`Error::Conflict`] when the e-mail is taken, [`Error::Unavailable`].
pub async fn add_user(
    db: &Db,
    passwords: &PasswordHasher,
    account: NewAccount,
    role: Role,
) -> Result<User, Error> {
    let password_hash = passwords.hash(account.password).await?;
    let write = async move |tx: &mut Tx| {
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
    db.write(Once::No, write).await
}

/// Gives an account another password. All of its tokens end, and whoever is signed in has to do so
/// again. What the caller may has been checked.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Unavailable`].
pub async fn set_password(
    db: &Db,
    passwords: &PasswordHasher,
    account: Account,
    password: Secret,
) -> Result<User, Error> {
    let password_hash = passwords.hash(password).await?;
    let write = async move |tx: &mut Tx| {
        let (user, _) = tokens::end_all(tx, &account).await?.ok_or_else(|| not_found(&account))?;
        users::set_password(tx, user.id, &password_hash).await?;
        Ok(user)
    };
    db.write(Once::No, write).await
}

/// Gives an account another role. All of its tokens end, for they say the one that it had. What the
/// caller may has been checked.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Unavailable`].
pub async fn set_role(db: &Db, account: Account, role: Role) -> Result<User, Error> {
    let write = async move |tx: &mut Tx| {
        let (user, _) = tokens::end_all(tx, &account).await?.ok_or_else(|| not_found(&account))?;
        users::set_role(tx, user.id, role).await?;
        Ok(User { role, ..user })
    };
    db.write(Once::No, write).await
}

/// Removes an account, and all that is nobody else's. What the caller may has been checked.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Unavailable`].
pub async fn remove(db: &Db, account: Account) -> Result<User, Error> {
    let write = async move |tx: &mut Tx| {
        let user = users::find(tx.conn(), &account).await?.ok_or_else(|| not_found(&account))?;
        identities::end_all(tx, user.id).await?;
        users::delete(tx, user.id).await?;
        tokens::end_removed(tx, user.id).await?;
        Ok(user)
    };
    db.write(Once::No, write).await
}

pub(super) fn not_found(account: &Account) -> Error {
    Error::NotFound(match account {
        Account::Id(id) => format!("User with ID {id} not found"),
        Account::Email(email) => format!("User with e-mail {email} not found"),
    })
}

/// The token buckets of RATE_LOGIN, one per account and address, so that neither a stranger who
/// guesses locks the owner out, nor one address's guesses at one account go on for long.
pub(super) struct SignIns {
    buckets: DefaultKeyedRateLimiter<(u64, IpAddr)>,
    hasher: RandomState,
    checks: AtomicUsize,
}

impl SignIns {
    /// Buckets that are full again are forgotten each time that many sign-ins have come,
    const TIDY_EVERY: usize = 1024;
    /// and when this many are still in use, nobody new is let in.
    const MOST: usize = 100_000;

    pub(super) fn new(rate: Rate) -> Self {
        // A rate's period is never zero, so there always is a quota of it.
        let quota = Quota::with_period(rate.period())
            .unwrap_or(Quota::per_minute(rate.burst))
            .allow_burst(rate.burst);
        Self {
            buckets: RateLimiter::keyed(quota),
            hasher: RandomState::new(),
            checks: AtomicUsize::new(0),
        }
    }

    fn check(&self, email: &str, from: IpAddr) -> Result<(), Error> {
        if self.checks.fetch_add(1, Ordering::Relaxed).is_multiple_of(Self::TIDY_EVERY) {
            self.buckets.retain_recent();
        }
        if self.buckets.len() >= Self::MOST {
            return Err(Error::RateLimited(Duration::from_secs(1)));
        }
        let account = self.hasher.hash_one(email.to_lowercase());
        self.buckets.check_key(&(account, from)).map_err(|until| {
            Error::RateLimited(until.wait_time_from(DefaultClock::default().now()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_ins_are_limited_per_account_and_address() {
        let limits = SignIns::new("2/m".parse().expect("a rate"));
        let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        assert_eq!(limits.check("a@b.test", here), Ok(()));
        assert_eq!(limits.check("A@b.test", here), Ok(()));
        let Err(Error::RateLimited(wait)) = limits.check("a@B.test", here) else {
            panic!("the third is over")
        };
        assert!(wait > Duration::from_secs(25) && wait <= Duration::from_secs(30), "{wait:?}");
        assert_eq!(limits.check("a@b.test", there), Ok(()));
        assert_eq!(limits.check("c@b.test", here), Ok(()));
    }
}
