//! The types of recovery: positions in the log, the offsets of clients, the signed `pid`, and room
//! memberships. No I/O.
//!
//! Socket.IO's connection state recovery: CONNECT is answered with a `pid`, every stored event ends
//! in its offset, and a client that reconnects sends `{pid, offset}`. The plain protocol has the
//! same as `?resume=` and `?offset=`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A position in the log. Ids grow without gaps; an epoch is a part of the log from which no event
/// was ever undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    pub epoch: i64,
    pub id: i64,
}

/// Writes `EPOCH.ID`.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.id)
    }
}

/// A statement of a client that it has all events for it up to a position. An event with two names
/// has two offsets, `EPOCH.ID.0` and `EPOCH.ID.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    pub position: Position,
    /// True if the event at `position` has arrived only under its first name.
    pub half: bool,
}

impl Offset {
    /// Returns the offset of a client that has everything up to `position`.
    #[must_use]
    pub fn whole(position: Position) -> Self {
        Self { position, half: false }
    }

    /// Returns the later of two offsets in one log.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        let order = |offset: &Self| (offset.position.id, !offset.half);
        if order(&self) >= order(&other) { self } else { other }
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let half = if self.half { ".0" } else { "" };
        write!(f, "{}{half}", self.position)
    }
}

/// The text is not an offset of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetFault;

impl FromStr for Offset {
    type Err = OffsetFault;

    fn from_str(text: &str) -> Result<Self, OffsetFault> {
        let number = |part: Option<&str>| {
            let part = part
                .filter(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
            part.and_then(|part| part.parse().ok()).ok_or(OffsetFault)
        };
        let mut parts = text.split('.');
        let (epoch, id) = (number(parts.next())?, number(parts.next())?);
        let half = match (parts.next(), parts.next()) {
            (None | Some("1"), None) => false,
            (Some("0"), None) => true,
            _ => return Err(OffsetFault),
        };
        Ok(Self { position: Position { epoch, id }, half })
    }
}

/// The content of a `pid`: everything about the session that the server need not store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pid {
    pub(crate) sid: Arc<str>,
    pub(crate) namespace: Arc<str>,
    /// The user's identity as JSON text.
    pub(crate) user: Arc<str>,
    /// The position at which the session began; earlier events are not for it.
    pub(crate) began_at: Position,
}

/// The longest text that is read as a pid.
const MAX_PID: usize = 1024;

/// The key that signs pids, padded to a block of the hash. Its `Debug` hides it.
#[derive(Clone)]
pub struct PidKey([u8; 64]);

impl fmt::Debug for PidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PidKey")
    }
}

impl PidKey {
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        let mut block = [0; 64];
        block[..32].copy_from_slice(&key);
        Self(block)
    }

    fn mac(&self, payload: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&self.0.into());
        mac.update(payload);
        mac
    }

    /// Returns `PAYLOAD.MAC`, both in base64url.
    pub(crate) fn sign(&self, pid: &Pid) -> String {
        let payload = serde_json::json!([
            pid.sid,
            pid.namespace,
            pid.user,
            pid.began_at.epoch,
            pid.began_at.id
        ])
        .to_string();
        let payload = URL_SAFE_NO_PAD.encode(payload);
        let mac = self.mac(payload.as_bytes()).finalize().into_bytes();
        format!("{payload}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    /// Returns `None` if this key did not sign the text.
    pub(crate) fn read(&self, text: &str) -> Option<Pid> {
        if text.len() > MAX_PID {
            return None;
        }
        let (payload, mac) = text.split_once('.')?;
        self.mac(payload.as_bytes()).verify_slice(&URL_SAFE_NO_PAD.decode(mac).ok()?).ok()?;
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let (sid, namespace, user, epoch, id) = serde_json::from_slice(&payload).ok()?;
        Some(Pid { sid, namespace, user, began_at: Position { epoch, id } })
    }
}

/// A socket's time in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomMembership {
    pub room: Arc<str>,
    /// The id of the last event before the socket entered the room.
    pub since: i64,
    /// The id of the last event before the socket left the room; `None` while it is in.
    pub until: Option<i64>,
}

impl RoomMembership {
    /// Returns true if the socket was in the room when the event was sent.
    fn covers(&self, id: i64) -> bool {
        self.since < id && self.until.is_none_or(|until| id <= until)
    }
}

/// Returns true if an event for `rooms`, but not for `except`, is for a socket with these
/// memberships.
pub(crate) fn is_for(
    memberships: &[RoomMembership],
    id: i64,
    rooms: &[Arc<str>],
    except: &[Arc<str>],
) -> bool {
    let is_in = |room: &Arc<str>| {
        memberships.iter().any(|membership| membership.covers(id) && membership.room == *room)
    };
    (rooms.is_empty() || rooms.iter().any(is_in)) && !except.iter().any(is_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_offsets_are_read() {
        let whole = Offset::whole(Position { epoch: 7, id: 12 });
        let half = Offset { half: true, ..whole };
        for offset in [whole, half] {
            assert_eq!(offset.to_string().parse(), Ok(offset));
        }
        assert_eq!("7.12.1".parse(), Ok(whole));
        for text in [
            "",
            "7",
            "7.",
            ".12",
            "7.12.2",
            "7.12.",
            "7.12.0.0",
            "-7.12",
            "+7.12",
            "7.12 ",
            "x.12",
            "7.99999999999999999999",
        ] {
            assert_eq!(text.parse::<Offset>(), Err(OffsetFault), "{text:?}");
        }
    }

    #[test]
    fn max_returns_the_offset_that_covers_more() {
        let at = |id, half| Offset { position: Position { epoch: 1, id }, half };
        assert_eq!(at(5, false).max(at(5, true)), at(5, false));
        assert_eq!(at(5, true).max(at(4, false)), at(5, true));
        assert_eq!(at(6, true).max(at(5, false)), at(6, true));
    }

    #[test]
    fn a_pid_is_accepted_only_complete_and_with_its_key() {
        let pid = Pid {
            sid: "s\"1".into(),
            namespace: "/admin".into(),
            user: "5".into(),
            began_at: Position { epoch: 3, id: 9 },
        };
        let key = PidKey::new([1; 32]);
        let text = key.sign(&pid);
        assert_eq!(key.read(&text), Some(pid.clone()));
        assert_eq!(
            text,
            key.sign(&pid),
            "the text has to be stable, because the client compares it"
        );
        assert_eq!(PidKey::new([2; 32]).read(&text), None);
        for end in 0..text.len() {
            assert_eq!(key.read(&text[..end]), None);
        }
        assert_eq!(key.read(&format!("x{text}")), None);
        assert_eq!(key.read(&"x".repeat(MAX_PID + 1)), None);
    }

    #[test]
    fn a_membership_covers_the_events_between_entering_and_leaving() {
        let memberships = [RoomMembership { room: "a".into(), since: 5, until: Some(7) }];
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        assert!(is_for(&memberships, 6, std::slice::from_ref(&a), &[]));
        assert!(is_for(&memberships, 7, std::slice::from_ref(&a), &[]));
        assert!(!is_for(&memberships, 5, std::slice::from_ref(&a), &[]));
        assert!(!is_for(&memberships, 8, std::slice::from_ref(&a), &[]));
        assert!(
            is_for(&memberships, 5, &[], std::slice::from_ref(&a)),
            "the socket had not entered the excluded room yet"
        );
        assert!(!is_for(&memberships, 6, &[], std::slice::from_ref(&a)));
        assert!(!is_for(&memberships, 6, &[b], &[]));
    }
}
