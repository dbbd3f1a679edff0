//! Order holds: an order of which nothing was paid within ORDER_HOLD is cancelled by a task, and
//! its items return to the stock. Its customer and the admins are told as of any cancellation.
//!
//! An order that is paid in part stays: somebody's money is in it, so a person decides. Each order
//! is a write of its own, which checks again that nothing was paid. So a payment at the last moment
//! either finds the order cancelled or keeps it, the task may stop at any time, and of several
//! servers one cancels an order and the others pass it by.

use std::sync::Arc;
use std::time::Duration;

use hubcast_realtime::throttled;

use super::{Services, orders};
use crate::error::Error;
use crate::model::Timestamp;
use crate::store::orders as rows;

/// The most orders that one read finds.
const PIECE: i64 = 100;
/// The pause between two orders, because other writes wait for each.
const PAUSE: Duration = Duration::from_millis(5);
/// How often the task looks for orders that are due, at least and at most.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// The pause after a failure, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Cancels orders that were unpaid for ORDER_HOLD, oldest first, until it is aborted. Returns at
/// once without such a setting. While the database fails, retries with growing pauses.
pub async fn run(services: Arc<Services>) {
    let Some(hold) = services.shop.order_hold else { return };
    let (least, most) = LOOK_EVERY;
    let mut pause = FIRST_PAUSE;
    loop {
        match cancel_due(&services, hold).await {
            Ok(()) => {
                pause = FIRST_PAUSE;
                // An order that is placed right after the look waits for this long at most.
                tokio::time::sleep((hold / 10).clamp(least, most)).await;
            }
            Err(error) => {
                throttled!(
                    warn,
                    by = error.to_string(),
                    %error,
                    "cannot cancel an order that was not paid within ORDER_HOLD; trying again"
                );
                tokio::time::sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }
}

/// Cancels all orders that are due now. A failure of one does not stop the others.
async fn cancel_due(services: &Services, hold: Duration) -> Result<(), Error> {
    let until = Timestamp::now().before(hold);
    let (mut failed, mut cancelled, mut outcome) = (0, 0_u64, Ok(()));
    loop {
        // Those that have failed are still the oldest.
        let skip = failed;
        let due = services
            .db
            .read(async move |conn| rows::unpaid_until(conn, until, skip, PIECE).await)
            .await?;
        if due.is_empty() {
            break;
        }
        for id in due {
            match orders::cancel_unpaid(services, id, until).await {
                Ok(is_ours) => cancelled += u64::from(is_ours),
                Err(error) => {
                    failed += 1;
                    outcome = Err(error);
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    if cancelled > 0 {
        tracing::info!(cancelled, "cancelled orders of which nothing was paid within ORDER_HOLD");
    }
    outcome
}
