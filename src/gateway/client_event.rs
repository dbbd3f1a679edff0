//! The declaration of a client event: one entry of a namespace's table, by which the gateway
//! dispatches and from which `/asyncapi.json` describes it.

use std::future::{Future, ready};
use std::sync::Arc;

use bytes::Bytes;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::builtin::AckFailure;
use crate::auth::Identity;
use crate::error::Error;
use crate::event::schema_of;
use crate::model::fields::Fields;
use crate::realtime::gateway::LocalBoxFuture;
use crate::realtime::{Client, Incoming, Reply};
use crate::service::Services;

/// The context of one event: the socket that sent it, and the caller behind that socket.
pub(super) struct Call {
    pub(super) services: Arc<Services>,
    pub(super) caller: Identity,
    pub(super) client: Client,
    /// Binary data that came with the event.
    pub(super) attachments: Vec<Bytes>,
}

/// An event that clients may send.
pub(super) struct ClientEvent {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    /// JSON Schema of the payload.
    pub(super) payload: Value,
    /// Makes the JSON Schema of the ack.
    pub(super) ack: fn(&mut SchemaGenerator) -> Schema,
    handle: Box<Handle>,
}

type Handle = dyn Fn(Call, Fields<'_>) -> LocalBoxFuture<Reply> + Send + Sync;

impl ClientEvent {
    /// `read` validates the payload; its result goes to `handler`, whose answer is the ack.
    pub(super) fn new<P, A, F>(
        name: &'static str,
        doc: &'static str,
        read: fn(Fields<'_>) -> Result<P, Error>,
        handler: fn(Call, P) -> F,
    ) -> Self
    where
        P: 'static,
        A: Serialize + JsonSchema + 'static,
        F: Future<Output = Result<A, Error>> + 'static,
    {
        let handle = move |call: Call, fields: Fields<'_>| -> LocalBoxFuture<Reply> {
            match read(fields) {
                Ok(payload) => {
                    let answer = handler(call, payload);
                    Box::pin(async move { acknowledge(&answer.await?) })
                }
                Err(error) => Box::pin(ready(Err(error.into()))),
            }
        };
        Self {
            name,
            doc,
            payload: Fields::schema_of_event(read),
            ack: schema_of::<Ack<A>>,
            handle: Box::new(handle),
        }
    }
}

/// Handles one event by the table of its namespace. The result is the event's ack.
///
/// # Errors
/// [`Error::BadRequest`] for an event that is not in the table.
pub(super) fn dispatch(
    table: &[ClientEvent],
    services: &Arc<Services>,
    client: Client,
    event: Incoming,
) -> LocalBoxFuture<Reply> {
    let caller = match super::tokens::identity(&client) {
        Ok(caller) => caller,
        Err(error) => return Box::pin(ready(Err(error.into()))),
    };
    let Some(declared) = table.iter().find(|declared| declared.name == event.name) else {
        let unknown = Error::BadRequest(format!("unknown event {}", event.shown()));
        return Box::pin(ready(Err(unknown.into())));
    };
    if let Err(error) = services.admit_event(&caller) {
        return Box::pin(ready(Err(error.into())));
    }
    // Null counts as no payload.
    let payload = event.args.first().map(|payload| payload.get());
    let payload = payload.filter(|payload| *payload != "null").unwrap_or("{}");
    let call =
        Call { services: Arc::clone(services), caller, client, attachments: event.attachments };
    match Fields::of_event(payload) {
        Ok(fields) => (declared.handle)(call, fields),
        Err(error) => Box::pin(ready(Err(error.into()))),
    }
}

/// What an ack has, for the document; `realtime` writes failures.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "{T}Ack")]
#[expect(dead_code, reason = "the derived schema reads the fields")]
enum Ack<T: 'static> {
    Done(Acked<'static, T>),
    Failed(AckFailure),
}

/// The ack of an event that has succeeded.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Acked{T}")]
struct Acked<'a, T> {
    #[schemars(extend("const" = true))]
    ok: bool,
    #[serde(flatten)]
    answer: &'a T,
}

/// `{ok:true, …}`
fn acknowledge(answer: &impl Serialize) -> Reply {
    Ok(to_json(&Acked { ok: true, answer })?.into())
}

/// JSON text of a value. Unlike `json!`, it keeps the numbers of raw JSON as they are written.
pub(super) fn to_json(value: &impl Serialize) -> Result<Box<RawValue>, Error> {
    to_raw_value(value).map_err(|fault| {
        tracing::error!(%fault, "cannot write an answer as JSON");
        Error::Internal
    })
}
