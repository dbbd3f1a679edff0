//! The identities of users at other issuers of tokens.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult};

use crate::model::{ExternalIdentity, Timestamp, UserId};
use crate::schema::{identities, identity_ends};
use crate::store::conn::query;
use crate::store::{Conn, Tx};

/// The user with that identity.
pub async fn owner(conn: &mut Conn, id: &ExternalIdentity) -> QueryResult<Option<UserId>> {
    query!(conn, |c| identities::table
        .find((id.issuer(), id.subject()))
        .select(identities::user_id)
        .first(c))
    .optional()
}

/// Links the identity to that user. An identity that has a user already is a unique violation
/// ([`is_taken`](crate::store::is_taken)).
pub async fn insert(tx: &mut Tx, id: &ExternalIdentity, user: UserId) -> QueryResult<()> {
    let row = (
        identities::issuer.eq(id.issuer()),
        identities::subject.eq(id.subject()),
        identities::user_id.eq(user),
    );
    query!(tx.conn(), |c| diesel::insert_into(identities::table).values(row).execute(c)).map(|_| ())
}

/// The time at which the last user with that identity was removed.
pub async fn last_end(conn: &mut Conn, id: &ExternalIdentity) -> QueryResult<Option<Timestamp>> {
    query!(conn, |c| identity_ends::table
        .find((id.issuer(), id.subject()))
        .select(identity_ends::ended_at)
        .first(c))
    .optional()
}

/// Ends the tokens of each of the user's identities. Must be called before the user is removed.
pub async fn end_all(tx: &mut Tx, user: UserId) -> QueryResult<()> {
    let own: Vec<(String, String)> = query!(tx.conn(), |c| {
        let own = identities::table
            .filter(identities::user_id.eq(user))
            .order((identities::issuer, identities::subject));
        own.select((identities::issuer, identities::subject)).load(c)
    })?;
    let now = identity_ends::ended_at.eq(Timestamp::now());
    for (issuer, subject) in &own {
        let row = (identity_ends::issuer.eq(issuer), identity_ends::subject.eq(subject), now);
        query!(tx.conn(), |c| {
            let insert = diesel::insert_into(identity_ends::table).values(row);
            insert
                .on_conflict((identity_ends::issuer, identity_ends::subject))
                .do_update()
                .set(now)
                .execute(c)
        })?;
    }
    Ok(())
}
