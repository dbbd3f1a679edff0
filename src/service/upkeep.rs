//! The removal of old rows: stored events, ended sessions, Idempotency-Keys, ends of tokens,
//! invitations.

use std::time::Duration;

use diesel::QueryResult;
use hubcast_realtime::throttled;

use super::recovery::RecoverySettings;
use crate::error::Error;
use crate::model::Timestamp;
use crate::store::{Db, Once, Tx, history, idempotency, invitations, sessions, tokens};

/// How often old rows are removed.
const EVERY: Duration = Duration::from_secs(15);
/// Rows removed in one write, so that no other write waits long; and the pause between two of them.
const STEP: i64 = 200;
const PAUSE: Duration = Duration::from_millis(20);

/// Removes old rows in small steps, until it is aborted.
pub(super) async fn run(db: Db, settings: RecoverySettings) {
    let RecoverySettings { window, retention } = settings;
    let before = |age| Timestamp::now().before(age);
    loop {
        tokio::time::sleep(EVERY).await;
        let removed = tokio::try_join!(
            in_steps(&db, async move |tx| history::prune(tx, before(retention), STEP).await),
            in_steps(&db, async move |tx| sessions::purge(tx, before(window), STEP).await),
            in_steps(&db, async |tx| idempotency::purge(tx, STEP).await),
            in_steps(&db, async |tx| tokens::purge(tx, STEP).await),
            in_steps(&db, async |tx| invitations::purge(tx, STEP).await),
        );
        if let Err(error) = removed {
            throttled!(
                warn,
                by = error.to_string(),
                %error,
                "cannot remove old rows; the next round tries again"
            );
        }
    }
}

/// Repeats one step, a write of its own, until it removes nothing more.
async fn in_steps<F>(db: &Db, step: F) -> Result<(), Error>
where
    F: AsyncFn(&mut Tx) -> QueryResult<usize> + Copy + Send + 'static,
{
    while db.write(Once::Unkeyed, async move |tx: &mut Tx| Ok(step(tx).await?)).await? > 0 {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
