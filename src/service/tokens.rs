//! Tokens: checking them, ending them early, and disconnecting their sockets.
//!
//! A write that ends tokens signals the sockets of this server after its commit. A socket that is
//! being connected at that moment checks its token once more when it is in: so it either gets the
//! signal or sees the end. Ends by a command or another server are polled once a second.

use std::sync::Arc;
use std::time::Duration;

use hubcast_realtime::throttled;

use super::permissions::{Action, Relation, permit};
use super::{Services, identities};
use crate::auth::{EndedTokens, Token, TokenFault, TokenHolder, VerifiedToken};
use crate::error::{AuthFailure, Error};
use crate::event::{ADMIN, MAIN};
use crate::model::fields::{self, Fields};
use crate::model::{Role, Timestamp, UserId};
use crate::realtime::{HubHandle, SocketNotice, Whom};
use crate::store::tokens as rows;
use crate::store::users::Account;
use crate::store::{Once, Tx};

/// Until the keys of the issuer have come for the first time, no token can be judged.
pub const NO_KEYS: &str = "The keys of the tokens' issuer cannot be reached yet";
/// How often the database is polled for ends.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How far a poll looks back before the last one: another server's clock and commit may be late.
const LOOK_BACK: Duration = Duration::from_secs(60);

/// Checks a token, and returns its user's identity. REST and sockets call this. It takes one query,
/// except for an external user whose account is created here.
///
/// # Errors
/// [`Error::Unauthorized`] if there is no token, if it is invalid or has ended, and if its user
/// does not exist. [`Error::Unavailable`] before the issuer's keys have come.
pub async fn check(services: &Services, token: Option<&str>) -> Result<Token, Error> {
    let token = token.ok_or(Error::Unauthorized(AuthFailure::Missing))?;
    if services.tokens.key_updates().is_some_and(|updates| !updates.has_keys()) {
        return Err(Error::Unavailable(NO_KEYS));
    }
    let verified = services.tokens.check(token).await.map_err(|fault| refused(&fault))?;
    let mut found = standing(services, &verified).await?;
    let provisioned = match &verified.holder {
        TokenHolder::Outside(external) if services.tokens.provisions() => Some(external),
        _ => None,
    };
    if let (None, Some(external)) = (&found, provisioned) {
        identities::provision(&services.db, external, &verified).await?;
        found = standing(services, &verified).await?;
    }
    let standing = found.ok_or_else(|| {
        refused(match &verified.holder {
            TokenHolder::User(_) => &TokenFault::UnknownUser,
            TokenHolder::Outside(_) => &TokenFault::UnknownIdentity,
        })
    })?;
    let token = verified.of(standing.user, account_role(&standing));
    is_good(&token, &standing)?;
    if let Some(external) = provisioned {
        let (user, given) = (standing.user, standing.given);
        identities::renew(&services.db, user, external, &verified, given).await;
    }
    Ok(token)
}

/// The role of a token that gives none. If an earlier token has given the account its role, that
/// one has lost its word: some issuers leave the claim out when a user is in no group any more.
fn account_role(standing: &rows::TokenStatus) -> Role {
    if standing.given.role.is_some() { Role::Customer } else { standing.role }
}

/// The error of a bad token. Only the log says what is wrong with it, and what would mend that.
fn refused(fault: &TokenFault) -> Error {
    let kind = std::mem::discriminant(fault);
    match fault {
        // These happen in every day's work.
        TokenFault::Expired(_) | TokenFault::Ended => {
            throttled!(info, by = kind, "a token was refused: {fault}");
        }
        _ => throttled!(warn, by = kind, "a token was refused: {fault}"),
    }
    Error::Unauthorized(fault.failure())
}

async fn standing(
    services: &Services,
    token: &VerifiedToken,
) -> Result<Option<rows::TokenStatus>, Error> {
    let (holder, id) = (token.holder.clone(), token.id);
    services.db.read(async move |conn| rows::token_status(conn, &holder, &id).await).await
}

/// Checks a valid token once more.
///
/// # Errors
/// [`Error::Unauthorized`] if it has ended meanwhile.
pub async fn recheck(services: &Services, token: &Token) -> Result<(), Error> {
    let (holder, id) = (TokenHolder::User(token.identity.user), token.id);
    let found =
        services.db.read(async move |conn| rows::token_status(conn, &holder, &id).await).await?;
    is_good(token, &found.ok_or_else(|| refused(&TokenFault::UnknownUser))?)
}

fn is_good(token: &Token, standing: &rows::TokenStatus) -> Result<(), Error> {
    let all_ended = standing
        .ended_at
        .is_some_and(|at| EndedTokens::Before { generation: standing.generation, at }.cover(token));
    if standing.has_ended || all_ended { Err(refused(&TokenFault::Ended)) } else { Ok(()) }
}

/// Reads whether all tokens of the user are to end, from `{everywhere?}`.
pub fn read_logout(mut fields: Fields<'_>) -> Result<bool, Error> {
    let everywhere = fields.optional("everywhere", fields::flag);
    fields.finish(|| Some(everywhere?.unwrap_or(false)))
}

/// Ends this token, or all tokens of its user, and signals their sockets after the commit.
pub async fn end(services: &Services, token: &Token, everywhere: bool) -> Result<(), Error> {
    permit(&token.identity, Action::EndOwnTokens, Relation::own(true))?;
    let (hub, token) = (services.hub.clone(), *token);
    let user = token.identity.user;
    let write = async move |tx: &mut Tx| {
        let ended = if everywhere {
            rows::end_all(tx, &Account::Id(user)).await?.map(|(_, ended)| ended)
        } else {
            rows::end(tx, user, &token.id, token.identity.expires_at).await?;
            Some(EndedTokens::One(token.id))
        };
        // A user that was removed meanwhile has no tokens left to end.
        if let Some(ended) = ended {
            tx.after_commit(move || signal_end(&hub, user, ended));
        }
        Ok(())
    };
    services.db.write(Once::Unkeyed, write).await
}

/// Signals all sockets of the user; each compares the end with its own token.
fn signal_end(hub: &HubHandle, user: UserId, ended: EndedTokens) {
    let notice: SocketNotice = Arc::new(ended);
    for namespace in [MAIN, ADMIN] {
        hub.notify(namespace, Whom::user(user.0), Arc::clone(&notice));
    }
}

/// Polls for ended tokens and signals their sockets, until it is aborted. An end is signalled more
/// than once; later signals find no socket.
pub async fn watch(services: Arc<Services>) {
    let mut last = Timestamp::now();
    let mut has_failed = false;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let (now, from) = (Timestamp::now(), last.before(LOOK_BACK));
        match services.db.read(async move |conn| rows::since(conn, from).await).await {
            Ok(ends) => {
                for (user, ended) in ends {
                    signal_end(&services.hub, user, ended);
                }
                (last, has_failed) = (now, false);
            }
            Err(error) => {
                if !has_failed {
                    tracing::warn!(%error, "cannot poll for ended tokens; trying again");
                }
                has_failed = true;
            }
        }
    }
}
