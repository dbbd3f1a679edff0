//! The identities of users at other issuers of tokens.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, Queryable, Selectable};

use crate::model::{ExternalIdentity, Role, Timestamp, UserId};
use crate::schema::{identities, identity_ends};
use crate::store::conn::query;
use crate::store::{Conn, Tx};

/// What a token gave to the account of its identity. A field is `None` if it is an operator's to
/// decide.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = identities)]
pub struct Given {
    #[diesel(column_name = given_name)]
    pub name: Option<String>,
    #[diesel(column_name = given_email)]
    pub email: Option<String>,
    #[diesel(column_name = given_role)]
    pub role: Option<Role>,
    /// The `iat` of that token.
    #[diesel(column_name = given_at)]
    pub at: Option<Timestamp>,
}

impl Given {
    /// What an operator links: nothing of it comes from a token.
    pub const NOTHING: Self = Self { name: None, email: None, role: None, at: None };
}

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
pub async fn insert(
    tx: &mut Tx,
    id: &ExternalIdentity,
    user: UserId,
    given: &Given,
) -> QueryResult<()> {
    let row = (
        identities::issuer.eq(id.issuer()),
        identities::subject.eq(id.subject()),
        identities::user_id.eq(user),
        identities::given_name.eq(given.name.as_deref()),
        identities::given_email.eq(given.email.as_deref()),
        identities::given_role.eq(given.role),
        identities::given_at.eq(given.at),
    );
    query!(tx.conn(), |c| diesel::insert_into(identities::table).values(row).execute(c)).map(|_| ())
}

/// A later token gives the name `new`. Returns false if `old` is not the given one any more.
pub async fn give_name(
    tx: &mut Tx,
    id: &ExternalIdentity,
    old: &str,
    new: &str,
) -> QueryResult<bool> {
    query!(tx.conn(), |c| {
        diesel::update(identities::table.find((id.issuer(), id.subject())))
            .filter(identities::given_name.eq(old))
            .set(identities::given_name.eq(new))
            .execute(c)
    })
    .map(|rows| rows > 0)
}

/// A later token gives the e-mail `new`. Returns false if `old` is not the given one any more.
pub async fn give_email(
    tx: &mut Tx,
    id: &ExternalIdentity,
    old: &str,
    new: &str,
) -> QueryResult<bool> {
    query!(tx.conn(), |c| {
        diesel::update(identities::table.find((id.issuer(), id.subject())))
            .filter(identities::given_email.eq(old))
            .set(identities::given_email.eq(new))
            .execute(c)
    })
    .map(|rows| rows > 0)
}

/// A later token gives the role `new`. Returns false if `old` is not the given one any more.
pub async fn give_role(
    tx: &mut Tx,
    id: &ExternalIdentity,
    old: Role,
    new: Role,
) -> QueryResult<bool> {
    query!(tx.conn(), |c| {
        diesel::update(identities::table.find((id.issuer(), id.subject())))
            .filter(identities::given_role.eq(old))
            .set(identities::given_role.eq(new))
            .execute(c)
    })
    .map(|rows| rows > 0)
}

/// Keeps the `iat` of the last token that gave something.
pub async fn given_at(tx: &mut Tx, id: &ExternalIdentity, at: Timestamp) -> QueryResult<()> {
    query!(tx.conn(), |c| diesel::update(identities::table.find((id.issuer(), id.subject())))
        .set(identities::given_at.eq(at))
        .execute(c))
    .map(|_| ())
}

/// Makes the name of the user's account an operator's to decide.
pub async fn keep_name(tx: &mut Tx, user: UserId) -> QueryResult<()> {
    query!(tx.conn(), |c| diesel::update(identities::table.filter(identities::user_id.eq(user)))
        .set(identities::given_name.eq(None::<String>))
        .execute(c))
    .map(|_| ())
}

/// Makes the role of the user's account an operator's to decide.
pub async fn keep_role(tx: &mut Tx, user: UserId) -> QueryResult<()> {
    query!(tx.conn(), |c| diesel::update(identities::table.filter(identities::user_id.eq(user)))
        .set(identities::given_role.eq(None::<Role>))
        .execute(c))
    .map(|_| ())
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
