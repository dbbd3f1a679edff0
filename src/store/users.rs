//! Users: insert, by id, by e-mail, list, change, delete.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, SelectableHelper};

use crate::model::{Role, Timestamp, User, UserId};
use crate::schema::users;
use crate::store::conn::query;
use crate::store::{Conn, Tx};

/// A user to insert. The e-mail is kept as given, and is unique without regard to case.
pub struct NewUser<'a> {
    pub email: &'a str,
    pub name: &'a str,
    /// The hash in PHC form; it leaves this module only in [`Credentials`].
    pub password_hash: &'a str,
    pub role: Role,
}

/// The stored data that a login is checked against.
pub struct Credentials {
    pub user: User,
    pub password_hash: String,
    /// The generation of tokens made now.
    pub token_generation: i64,
}

/// How an account is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    Id(UserId),
    /// The e-mail, in any case.
    Email(String),
}

/// The names of the first `most` admins.
pub async fn admin_names(conn: &mut Conn, most: i64) -> QueryResult<Vec<String>> {
    query!(conn, |c| users::table
        .filter(users::role.eq(Role::Admin))
        .order(users::id)
        .limit(most)
        .select(users::name)
        .load(c))
}

/// Adds a user. A taken e-mail is a unique violation ([`is_taken`](crate::store::is_taken)).
pub async fn insert(tx: &mut Tx, new: &NewUser<'_>) -> QueryResult<User> {
    let now = Timestamp::now();
    let row = (
        users::email.eq(new.email),
        users::email_key.eq(email_key(new.email)),
        users::name.eq(new.name),
        users::password_hash.eq(new.password_hash),
        users::role.eq(new.role),
        users::created_at.eq(now),
    );
    let id = query!(tx.conn(), |c| diesel::insert_into(users::table)
        .values(row)
        .returning(users::id)
        .get_result(c))?;
    Ok(User {
        id,
        email: new.email.to_owned(),
        name: new.name.to_owned(),
        role: new.role,
        created_at: now,
    })
}

/// The user with that id.
pub async fn by_id(conn: &mut Conn, id: UserId) -> QueryResult<Option<User>> {
    query!(conn, |c| users::table.find(id).select(User::as_select()).first(c)).optional()
}

/// The user with that e-mail, in any case, with the password's hash.
pub async fn credentials_by_email(
    conn: &mut Conn,
    email: &str,
) -> QueryResult<Option<Credentials>> {
    let row: Option<(User, String, i64)> = query!(conn, |c| {
        let columns = (User::as_select(), users::password_hash, users::token_generation);
        users::table.filter(users::email_key.eq(email_key(email))).select(columns).first(c)
    })
    .optional()?;
    Ok(row.map(|(user, password_hash, token_generation)| Credentials {
        user,
        password_hash,
        token_generation,
    }))
}

/// The user of that account.
pub async fn find(conn: &mut Conn, account: &Account) -> QueryResult<Option<User>> {
    match account {
        Account::Id(id) => by_id(conn, *id).await,
        Account::Email(email) => {
            Ok(credentials_by_email(conn, email).await?.map(|found| found.user))
        }
    }
}

/// Sets a user's password, in PHC form.
pub async fn set_password(tx: &mut Tx, id: UserId, password_hash: &str) -> QueryResult<()> {
    let set = users::password_hash.eq(password_hash);
    query!(tx.conn(), |c| diesel::update(users::table.find(id)).set(set).execute(c)).map(|_| ())
}

/// Sets a user's role.
pub async fn set_role(tx: &mut Tx, id: UserId, role: Role) -> QueryResult<()> {
    query!(tx.conn(), |c| diesel::update(users::table.find(id))
        .set(users::role.eq(role))
        .execute(c))
    .map(|_| ())
}

/// Sets a user's name.
pub async fn set_name(tx: &mut Tx, id: UserId, name: &str) -> QueryResult<()> {
    query!(tx.conn(), |c| diesel::update(users::table.find(id))
        .set(users::name.eq(name))
        .execute(c))
    .map(|_| ())
}

/// Sets a user's e-mail. A taken one is a unique violation ([`is_taken`](crate::store::is_taken)).
pub async fn set_email(tx: &mut Tx, id: UserId, email: &str) -> QueryResult<()> {
    let set = (users::email.eq(email), users::email_key.eq(email_key(email)));
    query!(tx.conn(), |c| diesel::update(users::table.find(id)).set(set).execute(c)).map(|_| ())
}

/// Removes a user, with everything that belongs to nobody else.
pub async fn delete(tx: &mut Tx, id: UserId) -> QueryResult<()> {
    query!(tx.conn(), |c| diesel::delete(users::table.find(id)).execute(c)).map(|_| ())
}

/// The ids of existing users among these, ascending.
pub async fn existing(conn: &mut Conn, ids: &[UserId]) -> QueryResult<Vec<UserId>> {
    query!(conn, |c| users::table
        .filter(users::id.eq_any(ids))
        .order(users::id)
        .select(users::id)
        .load(c))
}

/// A page of users by ascending id, after `after`.
pub async fn list(conn: &mut Conn, after: Option<UserId>, limit: i64) -> QueryResult<Vec<User>> {
    let after = after.unwrap_or(UserId(0));
    query!(conn, |c| users::table
        .filter(users::id.gt(after))
        .order(users::id)
        .limit(limit)
        .select(User::as_select())
        .load(c))
}

/// E-mails that differ in case only are one account.
fn email_key(email: &str) -> String {
    email.to_lowercase()
}
