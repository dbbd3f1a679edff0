//! Holds the sockets of one user to their limit: when one more enters, the one whose client has
//! sent no event for longest is disconnected.

use std::cmp::Reverse;
use std::sync::Arc;

use hubcast_realtime::throttled;

use crate::core::ids::SocketId;
use crate::hub::hub::Hub;
use crate::hub::workers::{Disconnect, Outgoing};

impl Hub {
    /// Disconnects sockets of this user, but never `newest`, until at most `most` are left.
    pub(super) fn hold_to(&mut self, user: &Arc<str>, most: usize, newest: SocketId) {
        let sockets = || self.users.values().filter_map(|users| users.get(user)).flatten();
        if sockets().count() <= most {
            return;
        }
        let mut others: Vec<_> = sockets()
            .filter(|socket| **socket != newest)
            .filter_map(|socket| Some((self.sockets.get(socket)?, *socket)))
            .filter(|(entry, _)| !entry.is_surplus)
            .map(|(entry, socket)| (Reverse(entry.activity.last()), socket))
            .collect();
        // The newest one is one of `most`.
        let kept = most.saturating_sub(1);
        if others.len() <= kept {
            return;
        }
        others.sort_unstable();
        for (_, socket) in others.split_off(kept) {
            if let Some(entry) = self.sockets.get_mut(&socket) {
                entry.is_surplus = true;
            }
            self.send_to(socket, Outgoing::Disconnect(Disconnect::surplus()));
        }
        throttled!(
            info,
            by = user,
            user = &**user,
            most,
            "a user has more sockets than SOCKETS_PER_USER; the ones idle for longest are closed"
        );
    }
}
