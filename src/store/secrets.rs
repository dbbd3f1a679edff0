//! Random keys that survive a restart, made once.

use diesel::{ExpressionMethods, QueryDsl, QueryResult};

use crate::schema::secrets;
use crate::store::Tx;
use crate::store::conn::query;

/// Bytes of a key.
pub const LENGTH: usize = 32;

/// The key of that name; made if missing.
pub async fn key(tx: &mut Tx, name: &str) -> QueryResult<Vec<u8>> {
    let fresh = rand::random::<[u8; LENGTH]>();
    let row = (secrets::name.eq(name), secrets::value.eq(fresh.as_slice()));
    query!(tx.conn(), |c| diesel::insert_into(secrets::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(c))?;
    query!(tx.conn(), |c| secrets::table.find(name).select(secrets::value).first(c))
}
