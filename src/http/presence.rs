//! `/presence`.

use actix_web::web;
use serde_json::json;

use super::answers::{Json, Presence};
use super::endpoint::{Endpoint, Parameter, Signature, get};
use super::extract::{Caller, Extract, Request};
use crate::error::{Error, excerpt};
use crate::event::Joinable;
use crate::realtime::gateway::query_value;
use crate::service::{Services, rooms};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![get("/presence", "The users in a room, for those who may join it", read).refuses(&[404])]
}

/// `?room=`
struct RoomQuery(Joinable);

impl Extract for RoomQuery {
    fn describe(signature: &mut Signature) {
        signature.query.push(Parameter {
            name: "room",
            is_required: true,
            schema: json!({"type": "string"}),
            description: "project:ID or conversation:ID",
        });
    }

    fn extract(request: &Request) -> Result<Self, Error> {
        let name = query_value(request.http.query_string(), "room").unwrap_or_default();
        if name.is_empty() {
            return Err(Error::Faults(vec!["room should not be empty".into()]));
        }
        let room = Joinable::by_name(&name);
        room.map(Self).ok_or_else(|| Error::NotFound(format!("Room {} not found", excerpt(&name))))
    }
}

async fn read(
    services: web::Data<Services>,
    caller: Caller,
    RoomQuery(room): RoomQuery,
) -> Result<Json<Presence>, Error> {
    let present = rooms::present(&services, &caller, room).await?;
    // Each user is the JSON text of the identity that the gateway set.
    let members = present.users.iter().filter_map(|user| serde_json::from_str(user).ok());
    Ok(Json(Presence { members: members.collect(), room: room.to_string() }))
}
