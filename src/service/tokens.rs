//! The life of a token: whether it is good, its end ahead of its time, and that its sockets hear of
//! that.
//!
//! Who ends tokens says so to the sockets of this server behind the commit. A socket that was asked
//! about before, and comes in behind that, asks once more when it is in: so it is either told or
//! sees the end. What ends elsewhere, by a command or another server, is looked for once a second.

use std::sync::Arc;
use std::time::Duration;

use super::permissions::{Action, Standing, permit};
use super::{Services, identities};
use crate::auth::{Claimed, Ended, Holder, Token};
use crate::error::{AuthFailure, Error};
use crate::event::{ADMIN, MAIN};
use crate::model::fields::{self, Fields};
use crate::model::{Timestamp, UserId};
use crate::realtime::{HubHandle, Notice, Whom};
use crate::store::tokens as rows;
use crate::store::users::Account;
use crate::store::{Once, Tx};

/// How often ends are looked for that others have made.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How far a look goes back behind the last: another's clock may be late, and so may its commit.
const LOOK_BACK: Duration = Duration::from_secs(60);

/// Whose token this is. Both doors ask here, whatever place the token came from. It costs one
/// query, but for one who is to become a user with it.
///
/// # Errors
/// [`Error::Unauthorized`] for none, a bad one, one that has ended, and one of a user who does not
/// exist; [`Error::Unavailable`].
pub async fn check(services: &Services, token: Option<&str>) -> Result<Token, Error> {
    let token = token.ok_or(Error::Unauthorized(AuthFailure::Missing))?;
    let token = services.tokens.verify(token).map_err(Error::Unauthorized)?;
    let mut found = standing(services, &token).await?;
    if let (None, Holder::Outside(outsider)) = (&found, &token.holder)
        && services.tokens.provisions()
    {
        identities::provision(&services.db, outsider, &token).await?;
        found = standing(services, &token).await?;
    }
    let standing = found.ok_or(Error::Unauthorized(AuthFailure::Invalid))?;
    let token = token.of(standing.user);
    is_good(&token, &standing).map(|()| token)
}

async fn standing(services: &Services, token: &Claimed) -> Result<Option<rows::Standing>, Error> {
    let (holder, id) = (token.holder.clone(), token.id);
    services.db.read(async move |conn| rows::standing(conn, &holder, &id).await).await
}

/// Whether a token that was good has not ended meanwhile.
///
/// # Errors
/// [`Error::Unauthorized`] when it has.
pub async fn recheck(services: &Services, token: &Token) -> Result<(), Error> {
    let (holder, id) = (Holder::User(token.identity.user), token.id);
    let found =
        services.db.read(async move |conn| rows::standing(conn, &holder, &id).await).await?;
    is_good(token, &found.ok_or(Error::Unauthorized(AuthFailure::Invalid))?)
}

fn is_good(token: &Token, standing: &rows::Standing) -> Result<(), Error> {
    let all_ended = standing
        .ended_at
        .is_some_and(|at| Ended::Before { generation: standing.generation, at }.ends(token));
    if standing.has_ended || all_ended {
        Err(Error::Unauthorized(AuthFailure::Invalid))
    } else {
        Ok(())
    }
}

/// Whether all of the user's tokens are to end, from `{everywhere?}`.
///
/// # Errors
/// [`Error::Faults`].
pub fn read_logout(mut fields: Fields<'_>) -> Result<bool, Error> {
    let everywhere = fields.optional("everywhere", fields::flag);
    fields.end(|| Some(everywhere?.unwrap_or(false)))
}

/// Ends this token, or all of its user's: from the commit on it is no good, and its sockets are
/// told.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn end(services: &Services, token: &Token, everywhere: bool) -> Result<(), Error> {
    permit(&token.identity, Action::EndOwnTokens, Standing::own(true))?;
    let (hub, token) = (services.hub.clone(), *token);
    let user = token.identity.user;
    let write = async move |tx: &mut Tx| {
        let ended = if everywhere {
            rows::end_all(tx, &Account::Id(user)).await?.map(|(_, ended)| ended)
        } else {
            rows::end(tx, user, &token.id, token.identity.expires_at).await?;
            Some(Ended::One(token.id))
        };
        // None: the user has been removed meanwhile, and the tokens have ended with that.
        if let Some(ended) = ended {
            tx.after_commit(move || tell(&hub, user, ended));
        }
        Ok(())
    };
    services.db.write(Once::No, write).await
}

/// Each socket of the user compares it with its own token.
fn tell(hub: &HubHandle, user: UserId, ended: Ended) {
    let notice: Notice = Arc::new(ended);
    for namespace in [MAIN, ADMIN] {
        hub.notify(namespace, Whom::user(user.0), Arc::clone(&notice));
    }
}

/// Tells the sockets what has ended, whoever has ended it, for as long as the server runs. They are
/// told more than once, and again what this server has told them itself: that is for nobody any
/// more.
pub async fn watch(services: Arc<Services>) {
    let mut last = Timestamp::now();
    let mut has_failed = false;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let (now, from) = (Timestamp::now(), last.before(LOOK_BACK));
        match services.db.read(async move |conn| rows::since(conn, from).await).await {
            Ok(ends) => {
                for (user, ended) in ends {
                    tell(&services.hub, user, ended);
                }
                (last, has_failed) = (now, false);
            }
            Err(error) => {
                if !has_failed {
                    tracing::warn!(%error, "ends of tokens are not seen; the next look goes back as far");
                }
                has_failed = true;
            }
        }
    }
}
