//! Events of other back ends: checked, stored unless they are volatile, and counted: the answer
//! says how many sockets they were queued for.

use std::borrow::Cow;
use std::time::Duration;

use hubcast_realtime::throttled;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Services;
use super::permissions::{Action, Relation, permit};
use super::publish::{DeliveryOptions, NextEventOptions};
use crate::auth::Identity;
use crate::error::Error;
use crate::event::{ADMIN, ExternalEvent, MAIN, Room};
use crate::model::fields::{self, BrokenRules, FieldValue, Fields};
use crate::realtime::Tally;
use crate::store::{Claim, Db, Once, Tx, idempotency};

/// The most characters in an event's name.
const MAX_NAME: usize = 128;
/// The most rooms of one event, and the most rooms that it leaves out.
const MAX_ROOMS: usize = 100;
/// Names that Socket.IO clients use for the socket's own events.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];
/// How long a count may take after the commit. Only a database that fails in between needs it.
const COUNT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a repeated call looks for the count of the first one.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Reads an event to send, from `{namespace?, rooms, event, data?, except?, volatile?}`. If `data`
/// is missing, the event has no argument; null is one.
pub fn read(mut fields: Fields<'_>) -> Result<ExternalEvent, Error> {
    let namespace = fields.optional("namespace", namespace);
    let rooms = fields.required("rooms", some_rooms);
    let name = fields.required("event", name);
    let null = fields.is_null("data").then(|| RawValue::NULL.to_owned());
    let data = fields.optional("data", fields::anything);
    let except = fields.optional("except", rooms_of);
    let is_volatile = fields.optional("volatile", fields::flag);
    fields.finish(|| {
        let data = data?.or(null);
        let (namespace, except) = (namespace?.unwrap_or(MAIN), except?.unwrap_or_default());
        Some(ExternalEvent {
            namespace,
            name: name?,
            rooms: rooms?,
            except,
            data,
            is_volatile: is_volatile?.unwrap_or(false),
        })
    })
}

fn namespace(given: FieldValue<'_>) -> Result<&'static str, BrokenRules> {
    // Not `default`: openapi-typescript would demand the field of every caller.
    let about = format!("{MAIN} if it is left out");
    given.describe(|| json!({"type": "string", "enum": [MAIN, ADMIN], "description": about}))?;
    let named = fields::text(given)
        .ok()
        .and_then(|text| [MAIN, ADMIN].into_iter().find(|name| *name == text));
    named.ok_or_else(|| {
        vec![Cow::Owned(format!("must be one of the following values: {MAIN}, {ADMIN}"))]
    })
}

fn name(given: FieldValue<'_>) -> Result<String, BrokenRules> {
    let name = fields::at_most(MAX_NAME)(given)?;
    let is_reserved = RESERVED.contains(&&*name);
    if is_reserved {
        Err(vec![Cow::Owned(format!(
            "must not be one of the following values: {}",
            RESERVED.join(", ")
        ))])
    } else {
        Ok(name)
    }
}

fn some_rooms(given: FieldValue<'_>) -> Result<Vec<Room>, BrokenRules> {
    given.describe(|| rooms_schema(1))?;
    rooms_of(given).and_then(|rooms| {
        if rooms.is_empty() { Err(vec!["should not be empty".into()]) } else { Ok(rooms) }
    })
}

/// Reads names of rooms; a repeated name counts once.
fn rooms_of(given: FieldValue<'_>) -> Result<Vec<Room>, BrokenRules> {
    given.describe(|| rooms_schema(0))?;
    let bad =
        || vec!["must be an array of rooms: user:ID, admin, project:ID or conversation:ID".into()];
    let list = fields::anything(given).map_err(|_| bad())?;
    let names: Vec<Cow<'_, str>> = serde_json::from_str(list.get()).map_err(|_| bad())?;
    if names.len() > MAX_ROOMS {
        return Err(vec![Cow::Owned(format!("must contain no more than {MAX_ROOMS} elements"))]);
    }
    let mut rooms = Vec::with_capacity(names.len());
    for name in names {
        let room = Room::by_name(&name).ok_or_else(bad)?;
        if !rooms.contains(&room) {
            rooms.push(room);
        }
    }
    Ok(rooms)
}

fn rooms_schema(least: usize) -> Value {
    json!({
        "type": "array",
        "items": {"type": "string", "pattern": r"^(admin|(user|project|conversation):\d+)$"},
        "minItems": least,
        "maxItems": MAX_ROOMS,
    })
}

/// Sends an event to rooms, and returns the number of this process's sockets that it was queued
/// for; for admins only. A repeated idempotency key returns the first count again, or 0 if the
/// server died before it knew the count.
pub async fn emit(
    services: &Services,
    caller: &Identity,
    event: ExternalEvent,
    once: Once,
) -> Result<usize, Error> {
    permit(caller, Action::EmitEvents, Relation::NONE)?;
    let counting = emit_counted(services.db.clone(), services.next_event.clone(), event, once);
    // Runs in a task of its own, so the count is kept for its key even if the caller disconnects.
    actix_rt::spawn(counting).await.unwrap_or(Err(Error::Internal))
}

async fn emit_counted(
    db: Db,
    next: NextEventOptions,
    event: ExternalEvent,
    once: Once,
) -> Result<usize, Error> {
    let claim = once.claim().cloned();
    let (tally, counted) = Tally::start();
    let bytes = event.data.as_ref().map_or(0, |data| data.get().len());
    let is_volatile = event.is_volatile;
    let write = async move |tx: &mut Tx| {
        tx.after_commit(move || next.set(DeliveryOptions { tally, is_volatile }));
        tx.emit(event.into());
        Ok(None::<usize>)
    };
    let kept = db.write_large(once, bytes, write).await?;
    if let Some(first) = kept {
        return Ok(first);
    }
    match tokio::time::timeout(COUNT_TIMEOUT, counted).await {
        Ok(Ok(count)) => {
            if let Some(claim) = claim {
                keep(&db, claim, count).await;
            }
            Ok(count)
        }
        // This call has sent no event: the first call with the key may be counting right now.
        _ => Ok(match claim {
            Some(claim) => first_count(&db, claim).await?,
            None => 0,
        }),
    }
}

/// Replaces the answer that the write has kept for the key by the count.
async fn keep(db: &Db, claim: Claim, count: usize) {
    let write =
        async move |tx: &mut Tx| Ok(idempotency::keep_answer(tx, &claim, count.to_string()).await?);
    if let Err(error) = db.write(Once::Unkeyed, write).await {
        throttled!(
            warn,
            by = error.to_string(),
            %error,
            "cannot keep the count of an event for its Idempotency-Key"
        );
    }
}

async fn first_count(db: &Db, claim: Claim) -> Result<usize, Error> {
    let end = tokio::time::Instant::now() + COUNT_TIMEOUT;
    loop {
        let claim = claim.clone();
        let kept = db.read(async move |conn| idempotency::kept(conn, &claim).await).await?;
        match kept.and_then(|json| serde_json::from_str(&json).ok()) {
            Some(Some(count)) => return Ok(count),
            Some(None) | None if tokio::time::Instant::now() < end => {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            _ => return Ok(0),
        }
    }
}
