//! `/presence`.

use actix_web::{HttpRequest, HttpResponse, web};

use super::extract::Caller;
use crate::error::Error;
use crate::event::Joinable;
use crate::realtime::gateway::query_value;
use crate::service::{Services, rooms};

/// `GET /presence?room=` → 200 {room, members: [userId]}
pub async fn get(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let name = query_value(request.query_string(), "room").unwrap_or_default();
    if name.is_empty() {
        return Err(Error::Faults(vec!["room should not be empty".into()]));
    }
    let room = Joinable::by_name(&name)
        .ok_or_else(|| Error::NotFound(format!("Room {name} not found")))?;
    let present = rooms::present(&services, &caller.0, room).await?;
    Ok(HttpResponse::Ok().json(present.to_json(&room.to_string())))
}
