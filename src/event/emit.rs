//! Events of other back ends: their names and payloads are their own, their audiences are ours.

use serde_json::value::RawValue;

use super::{Kind, NewEvent, Room};

/// What another back end sends.
#[derive(Debug)]
pub struct Foreign {
    /// [`MAIN`](super::MAIN) or [`ADMIN`](super::ADMIN).
    pub namespace: &'static str,
    pub name: String,
    pub rooms: Vec<Room>,
    pub except: Vec<Room>,
    /// Any JSON: the event's one argument.
    pub data: Box<RawValue>,
    /// Who cannot take it at once, or is away, does without.
    pub is_volatile: bool,
}

/// That event.
#[must_use]
pub fn foreign(event: Foreign) -> NewEvent {
    let Foreign { namespace, name, rooms, except, data, is_volatile } = event;
    let kind = if is_volatile { Kind::Ephemeral } else { Kind::Stored };
    let data = Box::<str>::from(data).into_string();
    NewEvent { namespace, name: name.into(), kind, rooms, except, members: Vec::new(), data }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::MAIN;

    #[test]
    fn it_goes_out_as_it_came_and_is_kept_unless_it_is_volatile() {
        let of = |is_volatile| {
            let data =
                RawValue::from_string("[1.0, 12345678901234567890]".into()).expect("is JSON");
            let (rooms, except) = (vec![Room::Admin], Vec::new());
            foreign(Foreign {
                namespace: MAIN,
                name: "price".into(),
                rooms,
                except,
                data,
                is_volatile,
            })
        };
        let event = of(false);
        assert_eq!(
            (event.namespace, &*event.name, &*event.rooms, event.kind),
            ("/", "price", &[Room::Admin][..], Kind::Stored)
        );
        assert_eq!(event.data, "[1.0, 12345678901234567890]");
        assert_eq!(of(true).kind, Kind::Ephemeral);
    }
}
