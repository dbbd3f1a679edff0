//! Sessions that can be resumed: one row each, and the rooms that they entered on their own.

use diesel::dsl::exists;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, Queryable,
    TextExpressionMethods,
};
use serde::{Deserialize, Serialize};

use crate::model::{Epoch, EventId, LogPosition, Timestamp, UserId};
use crate::schema::{session_rooms, sessions};
use crate::store::conn::query;
use crate::store::{Conn, Tx, events, tokens};

/// The number of left rooms that are remembered per session.
const REMEMBERED: i64 = 64;

/// The rooms of [`note_former_member`].
const FORMER: &str = "members:%";

/// A session during one connection. `connection_no` is a random number per connection of a session.
/// It guards against a late end of an earlier connection.
pub struct SessionConnection<'a> {
    pub sid: &'a str,
    pub namespace: &'a str,
    pub user: UserId,
    pub connection_no: i64,
}

/// Adds a session, unless its user has been removed.
pub async fn open(tx: &mut Tx, connection: &SessionConnection<'_>) -> QueryResult<()> {
    let Some(generation) = tokens::generation(tx.conn(), connection.user).await? else {
        return Ok(());
    };
    let row = (
        sessions::sid.eq(connection.sid),
        sessions::namespace.eq(connection.namespace),
        sessions::user_id.eq(connection.user),
        sessions::connection_no.eq(connection.connection_no),
        sessions::token_generation.eq(generation),
    );
    query!(tx.conn(), |c| diesel::insert_into(sessions::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(c))
    .map(|_| ())
}

/// Resumes a session that is open, or was lost after `since`, unless all tokens of its user have
/// ended since it began. Returns `None` if it cannot be resumed, else the position that its client
/// has surely received, if known.
pub async fn reopen(
    tx: &mut Tx,
    connection: &SessionConnection<'_>,
    since: Timestamp,
) -> QueryResult<Option<Option<LogPosition>>> {
    let Some(generation) = tokens::generation(tx.conn(), connection.user).await? else {
        return Ok(None);
    };
    let confirmed: Option<(Option<Epoch>, Option<EventId>)> = query!(tx.conn(), |c| {
        let own = sessions::table
            .find(connection.sid)
            .filter(sessions::namespace.eq(connection.namespace))
            .filter(sessions::user_id.eq(connection.user))
            .filter(sessions::token_generation.eq(generation))
            .filter(sessions::closed_at.is_null().or(sessions::closed_at.gt(since)));
        let again = (
            sessions::connection_no.eq(connection.connection_no),
            sessions::closed_at.eq(None::<Timestamp>),
        );
        let confirmed = (sessions::confirmed_epoch, sessions::confirmed_id);
        diesel::update(own).set(again).returning(confirmed).get_result(c)
    })
    .optional()?;
    Ok(confirmed.map(|(epoch, id)| epoch.zip(id).map(|(epoch, id)| LogPosition { epoch, id })))
}

/// A room that a session entered on its own: the session gets the events after `since` and, once it
/// has left, up to `until`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable)]
pub struct SessionRoom {
    pub room: String,
    pub since: EventId,
    pub until: Option<EventId>,
}

/// The rooms that the session entered on its own, including those it has left.
pub async fn rooms(conn: &mut Conn, sid: &str) -> QueryResult<Vec<SessionRoom>> {
    let columns = (session_rooms::room, session_rooms::since, session_rooms::until);
    query!(conn, |c| session_rooms::table
        .filter(session_rooms::sid.eq(sid))
        .select(columns)
        .load(c))
}

/// Notes that this connection was lost, and the position that the client has surely received.
pub async fn close(
    tx: &mut Tx,
    sid: &str,
    connection_no: i64,
    confirmed: Option<LogPosition>,
) -> QueryResult<()> {
    query!(tx.conn(), |c| {
        let own = sessions::table.find(sid).filter(sessions::connection_no.eq(connection_no));
        diesel::update(own).set(sessions::closed_at.eq(Timestamp::now())).execute(c)
    })?;
    let Some(LogPosition { epoch, id }) = confirmed else { return Ok(()) };
    query!(tx.conn(), |c| {
        let own = sessions::table.find(sid).filter(sessions::connection_no.eq(connection_no));
        diesel::update(own)
            .set((sessions::confirmed_epoch.eq(epoch), sessions::confirmed_id.eq(id)))
            .execute(c)
    })
    .map(|_| ())
}

/// Removes a session that ended for good.
pub async fn end(tx: &mut Tx, sid: &str, connection_no: i64) -> QueryResult<()> {
    let own = sessions::table.find(sid).filter(sessions::connection_no.eq(connection_no));
    query!(tx.conn(), |c| diesel::delete(own).execute(c)).map(|_| ())
}

/// Closes all sessions that were open when the server died: their time to resume runs from now.
pub async fn close_all(tx: &mut Tx) -> QueryResult<()> {
    let open = sessions::table.filter(sessions::closed_at.is_null());
    query!(tx.conn(), |c| diesel::update(open)
        .set(sessions::closed_at.eq(Timestamp::now()))
        .execute(c))
    .map(|_| ())
}

/// Removes at most `most` sessions that were lost before `since`. Returns their number.
pub async fn purge(tx: &mut Tx, since: Timestamp, most: i64) -> QueryResult<usize> {
    let old: Vec<String> = query!(tx.conn(), |c| {
        sessions::table
            .filter(sessions::closed_at.lt(since))
            .order(sessions::closed_at)
            .select(sessions::sid)
            .limit(most)
            .load(c)
    })?;
    query!(tx.conn(), |c| diesel::delete(sessions::table.filter(sessions::sid.eq_any(&old)))
        .execute(c))
}

/// Notes that the session is in the room from here on. Does nothing if this connection is not its
/// current one.
pub async fn join(tx: &mut Tx, sid: &str, connection_no: i64, room: &str) -> QueryResult<()> {
    if !is_current(tx, sid, connection_no).await? {
        return Ok(());
    }
    let head = events::head(tx).await?;
    let row =
        (session_rooms::sid.eq(sid), session_rooms::room.eq(room), session_rooms::since.eq(head));
    let added = query!(tx.conn(), |c| diesel::insert_into(session_rooms::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(c))?;
    if added == 0 {
        // The session may have been in the room before; a membership that has not ended stays as it
        // is.
        let again = (session_rooms::since.eq(head), session_rooms::until.eq(None::<EventId>));
        let left =
            session_rooms::table.find((sid, room)).filter(session_rooms::until.is_not_null());
        query!(tx.conn(), |c| diesel::update(left).set(again).execute(c))?;
    }
    Ok(())
}

/// Notes that the session has left the room here. The last left rooms are remembered, so that
/// events which excluded the room while the session was in it stay excluded.
pub async fn leave(tx: &mut Tx, sid: &str, connection_no: i64, room: &str) -> QueryResult<()> {
    if !is_current(tx, sid, connection_no).await? {
        return Ok(());
    }
    let head = events::head(tx).await?;
    let own = session_rooms::table.find((sid, room)).filter(session_rooms::until.is_null());
    query!(tx.conn(), |c| diesel::update(own).set(session_rooms::until.eq(head)).execute(c))?;
    let first_too_many: Option<Option<EventId>> = query!(tx.conn(), |c| {
        let left = session_rooms::table
            .filter(session_rooms::sid.eq(sid))
            .filter(session_rooms::room.not_like(FORMER))
            .filter(session_rooms::until.is_not_null());
        left.select(session_rooms::until)
            .order(session_rooms::until.desc())
            .offset(REMEMBERED)
            .first(c)
    })
    .optional()?;
    let Some(until) = first_too_many.flatten() else { return Ok(()) };
    let too_many = session_rooms::table
        .filter(session_rooms::sid.eq(sid))
        .filter(session_rooms::room.not_like(FORMER))
        .filter(session_rooms::until.le(until));
    query!(tx.conn(), |c| diesel::delete(too_many).execute(c)).map(|_| ())
}

async fn is_current(tx: &mut Tx, sid: &str, connection_no: i64) -> QueryResult<bool> {
    let current = sessions::table.find(sid).filter(sessions::connection_no.eq(connection_no));
    query!(tx.conn(), |c| diesel::select(exists(current)).get_result(c))
}

/// Notes in all sessions of that user that the user was a member of a conversation, whose `members`
/// room this is: what was sent to its members before is still for them. The events themselves say
/// to whom they were sent, so the row's range of events does not matter.
pub async fn note_former_member(tx: &mut Tx, user: UserId, members: &str) -> QueryResult<()> {
    let head = events::head(tx).await?;
    let own: Vec<String> = query!(tx.conn(), |c| sessions::table
        .filter(sessions::user_id.eq(user))
        .select(sessions::sid)
        .load(c))?;
    for sid in own {
        let row = (
            session_rooms::sid.eq(&sid),
            session_rooms::room.eq(members),
            session_rooms::since.eq(head),
            session_rooms::until.eq(head),
        );
        query!(tx.conn(), |c| diesel::insert_into(session_rooms::table)
            .values(row)
            .on_conflict_do_nothing()
            .execute(c))?;
    }
    Ok(())
}

/// Ends the membership of all sessions of that user in that room here.
pub async fn remove_user_from_room(tx: &mut Tx, user: UserId, room: &str) -> QueryResult<()> {
    let head = events::head(tx).await?;
    query!(tx.conn(), |c| {
        let own = sessions::table.filter(sessions::user_id.eq(user)).select(sessions::sid);
        let there = session_rooms::table
            .filter(session_rooms::room.eq(room))
            .filter(session_rooms::until.is_null());
        diesel::update(there.filter(session_rooms::sid.eq_any(own)))
            .set(session_rooms::until.eq(head))
            .execute(c)
    })
    .map(|_| ())
}
